"""Which hosts a fileUrl may name: the rule, URLs that are meant to fool it, and the setting."""

import json
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faxline.contract.entries import SendEntry
from faxline.contract.entry_reader import parse_entry
from faxline.contract.errors import EntryRejected
from faxline.contract.fax_rules import check_send
from faxline.contract.file_hosts import host_of, host_pattern, is_allowed
from faxline_worker.config.settings import read_settings
from faxline_worker.config.source import SettingsError

GOOD = ("good.example",)
NOTHING: dict[str, bytes] = {}
TOKEN = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token"}


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example",
        "https://good.example/",
        "http://good.example/a.pdf",
        "https://GOOD.Example/a.pdf",
        "https://good.example:8443/a.pdf",
        "https://good.example:/a.pdf",
        "https://good.example./a.pdf",
        "https://good.example//evil.example/a.pdf",
        "https://good.example/a.pdf?next=https://evil.example/",
        "https://good.example?a=1",
        "https://good.example#page",
        "https://good.example/user@evil.example",
        "https://good.example/a\\b",
    ],
)
def test_a_listed_host_is_allowed(url: str) -> None:
    assert is_allowed(url, GOOD)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/a.pdf",
        "https://good.example.evil.example/",
        "https://evilgood.example/",
        "https://sub.good.example/",
        "https://example/",
        # A user in front of the host.
        "https://good.example@evil.example/",
        "https://good.example:443@evil.example/",
        "https://user@good.example/",
        "https://:@good.example/",
        "https://good.example%40evil.example/",
        # Where the host ends.
        "https://evil.example#@good.example",
        "https://evil.example?@good.example",
        "https://evil.example/@good.example",
        "https://good.example#@evil.example/",
        "https://good.example?@evil.example/",
        "https://evil.example;good.example/",
        "https://evil.example,good.example/",
        "https://evil.example&good.example/",
        # A backslash is a slash to a browser.
        "https://evil.example\\.good.example/",
        "https://evil.example\\@good.example/",
        "https://good.example\\@evil.example/",
        "https://good.example\\evil.example/",
        "https:\\\\good.example/",
        # Slashes too many or too few.
        "https:good.example/",
        "https:/good.example/",
        "https:///good.example/",
        "https:////good.example/",
        "//good.example/",
        "good.example/",
        # Dots.
        "https://good.example../",
        "https://.good.example/",
        "https://good..example/",
        "https://./",
        # Percent-encoding is undone by some.
        "https://good%2eexample/",
        "https://evil.example%2f.good.example/",
        "https://evil.example%00.good.example/",
        "https://%67ood.example/",
        # Characters that have a double, or are no letters.
        "https://\uff47ood.example/",
        "https://goo\u217e.example/",
        "https://good\uff0eexample/",
        "https://evil.example\u3002good.example/",
        "https://evil.example\uff0fgood.example/",
        "https://evil.example\u2044good.example/",
        "https://evil.example\u2100good.example/",
        "https://go\u00adod.example/",
        "https://go\u200bod.example/",
        "https://g\u043e\u043ed.example/",  # Cyrillic
        "https://good.exampl\u0435/",
        "https://good.example\x00.evil.example/",
        "https://good.example\x7f/",
        # Ports that are none.
        "https://good.example:a/",
        "https://good.example:65536/",
        "https://good.example:80:80/",
        "https://good.example:-1/",
        "https://good.example:\u0661/",
        # Other schemes.
        "ftp://good.example/",
        "javascript://good.example/",
        "https+x://good.example/",
        # Addresses in every writing.
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[good.example]/",
        "http://[::1]good.example/",
        "http://good.example[::1]/",
        "http://localhost/",
        "https://" + "a." * 200 + "good.example/",
        "https://" + "a" * 64 + ".good.example/",
        "",
    ],
)
def test_any_other_host_and_whatever_may_be_misread_is_not(url: str) -> None:
    assert not is_allowed(url, GOOD)
    assert not is_allowed(url, (*GOOD, "10.0.0.1", "*.files.example"))


def test_without_a_list_every_url_is_allowed() -> None:
    assert is_allowed("http://127.0.0.1/", ())


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://a.files.example/", True),
        ("https://a.b.FILES.example:99/x", True),
        ("https://files.example/", False),
        ("https://.files.example/", False),
        ("https://afiles.example/", False),
        ("https://files.example.evil.example/", False),
        ("https://a.files.example@evil.example/", False),
        ("https://evil.example/.files.example", False),
    ],
)
def test_a_star_stands_for_what_is_below_a_name_and_not_for_the_name(url: str, allowed: bool) -> None:
    assert is_allowed(url, ("*.Files.Example",)) is allowed


@pytest.mark.parametrize(
    ("pattern", "url", "allowed"),
    [
        ("10.0.0.1", "http://10.0.0.1:80/", True),
        ("10.0.0.1", "http://10.0.0.1./", True),
        ("10.0.0.1", "http://10.0.0.2/", False),
        ("10.0.0.1", "http://10.1/", False),
        ("10.0.0.1", "http://0xa.0.0.1/", False),
        ("10.0.0.1", "http://[::ffff:10.0.0.1]/", False),
        ("2001:DB8::1", "http://[2001:db8:0:0::1]:80/", True),
        ("[2001:db8::1]", "http://[2001:db8::1]/", True),
        ("2001:db8::1", "http://[2001:db8::1%25eth0]/", False),
        ("*.example", "http://10.0.0.1/", False),
    ],
)
def test_an_address_is_allowed_only_where_it_is_listed_itself(pattern: str, url: str, allowed: bool) -> None:
    assert is_allowed(url, (pattern,)) is allowed


@pytest.mark.parametrize("pattern", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"])
@pytest.mark.parametrize(
    "host", ["bücher.example", "Bücher.EXAMPLE", "bu\u0308cher.example", "XN--Bcher-Kva.example"]
)
def test_an_international_name_is_the_same_in_each_of_its_forms(pattern: str, host: str) -> None:
    assert is_allowed(f"https://{host}/a.pdf", (pattern,))


def test_a_name_that_the_standards_disagree_about_is_allowed_only_in_ascii() -> None:
    listed = ("xn--strae-oqa.example",)
    assert is_allowed("https://xn--strae-oqa.example/", listed)
    assert not is_allowed("https://straße.example/", (*listed, "strasse.example"))
    with pytest.raises(ValueError, match="a host is"):
        host_pattern("straße.example")


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "*.", "https://good.example", "good.example:80", "good.example/", "*.10.0.0.1", "*.[::1]"),
        *("a*.example", "*.*.example", "user@good.example", "good..example", "127.1", "a b", "%67.example"),
    ],
)
def test_what_is_no_host_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match="a host is"):
        host_pattern(text)


PARTS = st.sampled_from(
    [
        *("good.example", "evil.example", "a.files.example", "10.0.0.1", "@", ":", "80", "/", "\\", "?", "#"),
        *(
            ".",
            "%40",
            "%2f",
            "[",
            "]",
            "[::1]",
            "\u3002",
            "\uff0e",
            "\uff47ood",
            "user",
            "//",
            "*",
            "-",
            "xn--",
        ),
        *("ß", "é"),
    ]
)


@given(st.lists(PARTS, min_size=1, max_size=6).map("".join))
@example("good.example:80/@evil.example")
@example("éa.files.example")
def test_whatever_is_allowed_names_a_listed_host_to_other_parsers_too(rest: str) -> None:
    url, listed = f"https://{rest}", ("good.example", "*.files.example", "10.0.0.1")
    if not is_allowed(url, listed):
        return
    written = (urlsplit(url).hostname or "").removesuffix(".")
    found = {written if written.isascii() else httpx.URL(f"https://{written}").raw_host.decode()}
    with suppress(httpx.InvalidURL):
        found.add(httpx.URL(url).raw_host.decode().removesuffix("."))
    assert found == {host_of(url)}
    assert all(host in {"good.example", "10.0.0.1"} or host.endswith(".files.example") for host in found)


# --- the check and the setting


def entry(*urls: str) -> SendEntry:
    files = [{"fileName": "a.pdf", "fileUrl": url} for url in urls]
    parsed = parse_entry(
        "send", json.dumps({"id": "a", "fax": {"faxNumber": "+12345678901", "faxData": files}})
    )
    assert isinstance(parsed, SendEntry)
    return parsed


def test_a_fax_that_names_another_host_is_rejected_and_the_url_is_not_told() -> None:
    with pytest.raises(EntryRejected) as caught:
        check_send(entry("https://good.example/a", "https://evil.example/secret"), NOTHING.get, GOOD)
    assert caught.value.member == "fax.faxData[1].fileUrl"
    assert str(caught.value.reason) == "host_not_allowed"
    assert "evil" not in str(caught.value)
    assert "FAXLINE_FILE_HOSTS" in caught.value.message


def test_a_fax_of_allowed_hosts_passes_and_without_a_list_any() -> None:
    assert check_send(entry("https://good.example/a"), NOTHING.get, GOOD) == (0, None)
    assert check_send(entry("https://evil.example/a"), NOTHING.get) == (0, None)


@pytest.mark.parametrize(
    "url",
    ["https://me:hunter2@files.example/a", "https://me@files.example", "https://files.example?@x/y"],
)
def test_a_url_with_a_user_or_a_password_is_no_fileurl_for_it_would_stay_in_the_record(url: str) -> None:
    with pytest.raises(EntryRejected) as caught:
        entry(url)
    assert (caught.value.member, caught.value.reason) == ("fax.faxData[0].fileUrl", "bad_value")
    assert "hunter2" not in str(caught.value)


def test_an_at_sign_behind_the_host_is_none() -> None:
    assert entry("https://files.example/a@b?to=me@example.com")


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("files.example", ("files.example",)),
        (" files.example , *.cdn.example,", ("files.example", "*.cdn.example")),
        ('["files.example", "10.0.0.1"]', ("files.example", "10.0.0.1")),
        ("[]", ()),
    ],
)
def test_the_hosts_are_set_as_a_json_list_or_with_commas(text: str, hosts: tuple[str, ...]) -> None:
    assert read_settings(TOKEN | {"FAXLINE_FILE_HOSTS": text}).file_hosts == hosts


def test_the_hosts_are_any_by_default() -> None:
    assert read_settings(TOKEN).file_hosts == ()


@pytest.mark.parametrize("text", ["https://files.example", "files.example:80", '["a", 5]', "[", "*"])
def test_a_bad_host_ends_with_a_line_that_names_the_variable(text: str) -> None:
    with pytest.raises(SettingsError, match="FAXLINE_FILE_HOSTS"):
        read_settings(TOKEN | {"FAXLINE_FILE_HOSTS": text})
