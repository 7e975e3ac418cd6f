"""The settings of the way to iFax: a bad one ends the process with one line that names the variable."""

from pathlib import Path

import pytest

from faxline_worker.config.requirements import check_requirements
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.config.source import SettingsError
from tests.certificates import certified

PROXY, CA, URL = "FAXLINE_IFAX_PROXY", "FAXLINE_IFAX_CA_FILE", "FAXLINE_IFAX_URL"


def read(**more: str) -> Settings:
    return read_settings({"FAXLINE_ACCOUNTS": "default"} | more)


def test_without_any_of_them_ifax_is_reached_directly_and_the_usual_authorities_are_trusted() -> None:
    settings = read()
    assert (settings.proxy, settings.trust) == (None, None)


def test_a_bundle_is_read_from_its_file_and_alone_trusted(tmp_path: Path) -> None:
    settings = read(**{CA: str(certified(tmp_path).authority)})
    assert settings.trust is not None
    assert settings.trust.cert_store_stats()["x509"] == 1


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "cannot be read: No such file"),
        (b"", "holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read: is it whole?"),
        (b"0\x82\x05\x00\xff\xfe", "is not text"),  # DER
    ],
)
def test_a_bundle_that_is_missing_or_holds_no_certificate_is_told_in_one_line(
    tmp_path: Path, content: bytes | None, word: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^{CA} .*{word}") as caught:
        read(**{CA: str(path)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://me:secret-word@a:1", "http://me:secret-word@a:x"])
def test_a_url_that_is_no_proxys_is_told_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match=f"^{PROXY} (must|is)") as caught:
        read(**{PROXY: url})
    assert "secret-word" not in str(caught.value)


def test_the_password_of_a_proxy_is_a_secret_in_every_spelling_and_may_come_from_a_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "proxy"
    path.write_text("http://me:pass%2Fword@proxy.example:3128\n")
    settings = read(**{f"{PROXY}_FILE": str(path)})
    assert str(settings.proxy) == "proxy.example:3128"
    assert settings.secrets == ["pass%2Fword", "pass/word", "bWU6cGFzcy93b3Jk"]
    assert "word" not in repr(settings)


def test_a_short_password_of_a_proxy_is_refused_like_any_short_secret() -> None:
    with pytest.raises(SettingsError, match=f"^{PROXY} holds a secret of .*8 characters"):
        check_requirements(read(**{PROXY: "http://me:short@a:1"}), "dispatcher")


@pytest.mark.parametrize(
    ("url", "proxy", "allowed"),
    [
        ("http://127.0.0.1:8090/v1", "", True),
        ("http://localhost/v1", "", True),
        ("http://[::1]/v1", "", True),
        ("http://10.0.0.1/v1", "", False),
        ("http://sandbox:8090/v1", "", False),
        ("https://api.ifaxapp.com/v1", "http://10.0.0.1:3128", True),
        ("http://127.0.0.1:8090/v1", "http://127.0.0.1:3128", True),
        ("http://127.0.0.1:8090/v1", "http://10.0.0.1:3128", False),  # the proxy's own loopback
    ],
)
def test_the_key_goes_in_clear_over_no_network_unless_that_is_allowed(
    url: str, proxy: str, allowed: bool
) -> None:
    given = {URL: url, PROXY: proxy}
    if not allowed:
        with pytest.raises(
            SettingsError, match=f"^{URL} must start with https://.*FAXLINE_IFAX_INSECURE=true"
        ):
            read(**given)
        given["FAXLINE_IFAX_INSECURE"] = "true"
    assert read(**given).ifax_url == url


@pytest.mark.parametrize(
    "end", ["user:hunter22@ifax.example/v1", "ifax.example/v1?key=hunter22", "ifax.example/v1#hunter22"]
)
def test_a_url_of_ifax_with_more_than_a_host_and_a_path_is_refused_at_the_start(end: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{URL: f"https://{end}"})
    assert str(caught.value).startswith(f"{URL} must have no user")
    assert "hunter22" not in str(caught.value)
