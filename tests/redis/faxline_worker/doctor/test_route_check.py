"""The doctor takes the worker's way to iFax, by its proxy and its CA, and says which of them is at fault."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from faxline_local.processes import free_port
from faxline_local.redis_access import Tls
from faxline_sandbox import Account, SandboxConfig, SandboxServer
from faxline_worker.doctor.daemon_checks import examine
from tests.certificates import certified
from tests.networks import IFAX, ConnectProxy, Mood, TlsFront

pytestmark = pytest.mark.slow

TOKEN, LOGIN = "good-token", "me:secret-word"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certified(tmp_path_factory.mktemp("tls"), IFAX)


@pytest.fixture(scope="module")
def front(tls: Tls) -> Iterator[TlsFront]:
    with (
        SandboxServer(SandboxConfig(accounts={TOKEN: Account()})) as sandbox,
        TlsFront(tls, int(sandbox.url.split(":")[2].split("/")[0])) as running,
    ):
        yield running


@pytest.fixture
def proxy(front: TlsFront) -> Iterator[ConnectProxy]:
    with ConnectProxy(front.port, login=LOGIN) as running:
        yield running


@pytest.fixture
def environment(redis_url: str, redis_client: redis.Redis, tls: Tls, proxy: ConnectProxy) -> dict[str, str]:
    del redis_client  # it has emptied the server
    return {
        "FAXLINE_REDIS_URL": redis_url,
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": TOKEN,
        "FAXLINE_IFAX_URL": f"https://{IFAX}/v1",
        "FAXLINE_IFAX_PROXY": proxy.url,
        "FAXLINE_IFAX_CA_FILE": str(tls.authority),
        "FAXLINE_HTTP_TIMEOUT": "1",
    }


def found(environment: dict[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    """What it says of the way, and of the key."""
    checks = {check.name: (str(check.result), check.text) for check in examine(environment)}
    assert not any("secret-word" in text for _, text in checks.values())
    return checks["ifax"], checks["key of default"]


def test_the_doctor_goes_through_the_proxy_and_asks_about_the_key_there(
    environment: dict[str, str], proxy: ConnectProxy
) -> None:
    way, key = found(environment)
    assert way == ("ok", f"reached through 127.0.0.1:{proxy.port}")
    assert key == ("ok", "iFax accepts it")
    assert proxy.asked == [f"{IFAX}:443"] * 2


@pytest.mark.parametrize(
    ("mood", "reason", "fix"),
    [
        (403, "proxy_refused", "HTTP 403; have it allow CONNECT to the host and port of FAXLINE_IFAX_URL"),
        (407, "proxy_refused", "HTTP 407; write its user and password into FAXLINE_IFAX_PROXY"),
        (502, "proxy_refused", "HTTP 502; it does not reach iFax itself"),
        ("silent", "proxy_timeout", "and does it run?"),
        ("hangup", "proxy_failed", "and does it run?"),
        ("deaf", "connect_timeout", "is up: check FAXLINE_IFAX_URL"),
    ],
)
def test_a_proxy_that_makes_no_tunnel_is_named_with_what_to_do(
    environment: dict[str, str], proxy: ConnectProxy, mood: Mood, reason: str, fix: str
) -> None:
    proxy.mood = mood
    way, key = found(environment)
    assert (way[0], key[0]) == ("fail", "fail")
    assert f"({reason})" in way[1]
    assert fix in way[1]
    assert f"({reason})" in key[1]


def test_a_proxy_that_is_away_is_named_with_its_address(environment: dict[str, str]) -> None:
    port = free_port()
    way, key = found(environment | {"FAXLINE_IFAX_PROXY": f"http://{LOGIN}@127.0.0.1:{port}"})
    assert f"is it at 127.0.0.1:{port}, and does it run?" in way[1]
    assert "proxy_failed" in key[1]


def test_a_certificate_that_is_not_trusted_is_told_with_the_setting_that_mends_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lacking = environment | {"FAXLINE_IFAX_CA_FILE": str(certified(tmp_path).authority)}
    way, key = found(lacking)
    assert "add the authority that signed it to FAXLINE_IFAX_CA_FILE" in way[1]
    assert "certificate_untrusted" in key[1]
    del lacking["FAXLINE_IFAX_CA_FILE"]
    way, _ = found(lacking)
    assert "put its certificate into FAXLINE_IFAX_CA_FILE" in way[1]


def test_a_certificate_of_another_host_is_not_told_as_that_of_an_unknown_authority(
    environment: dict[str, str],
) -> None:
    way, _ = found(environment | {"FAXLINE_IFAX_URL": "https://another.invalid/v1"})
    assert "Hostname mismatch" in way[1]
    assert "another server answers there" in way[1]
    assert "FAXLINE_IFAX_CA_FILE" not in way[1]


def test_an_ifax_that_takes_the_connection_and_says_nothing_is_not_told_as_a_matter_of_the_network(
    environment: dict[str, str],
) -> None:
    del environment["FAXLINE_IFAX_PROXY"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        way, _ = found(environment | {"FAXLINE_IFAX_URL": url})
    assert "(read_timeout)" in way[1]
    assert way[1].endswith("if FAXLINE_IFAX_URL is right, iFax itself is in trouble")


def test_a_bundle_that_is_missing_is_a_bad_setting(environment: dict[str, str]) -> None:
    (only,) = examine(environment | {"FAXLINE_IFAX_CA_FILE": "/no/such/file"})
    assert (only.name, str(only.result)) == ("settings", "fail")
    assert "FAXLINE_IFAX_CA_FILE" in only.text
