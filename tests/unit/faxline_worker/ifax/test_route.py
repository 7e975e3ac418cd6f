"""The way to iFax through a proxy, and who is trusted: what goes wrong before the tunnel sends nothing."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faxline_local.processes import free_port
from faxline_local.redis_access import Tls
from faxline_sandbox import Account, SandboxConfig, SandboxServer
from faxline_worker.ifax import Answer, Decision, Endpoint, IfaxClient, failure_reasons
from faxline_worker.ifax.route import Proxy, is_loopback, trusting
from tests.certificates import certified
from tests.networks import IFAX, ConnectProxy, Mood, TlsFront

TOKEN, LOGIN = "t", "fax:pass-%C3%BC-word"
BODY = b'{"faxNumber":"+12025550123","faxData":[{"fileName":"a.pdf","fileUrl":"https://example.com/a.pdf"}]}'
URL = f"https://{IFAX}/v1"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certified(tmp_path_factory.mktemp("tls"), IFAX)


@pytest.fixture(scope="module")
def trust(tls: Tls) -> ssl.SSLContext:
    return trusting(tls.authority.read_text())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(accounts={TOKEN: Account()})) as running:
        yield running


@pytest.fixture(scope="module")
def front(sandbox: SandboxServer, tls: Tls) -> Iterator[TlsFront]:
    with TlsFront(tls, int(sandbox.url.split(":")[2].split("/")[0])) as running:
        yield running


@pytest.fixture
def proxy(front: TlsFront) -> Iterator[ConnectProxy]:
    with ConnectProxy(front.port) as running:
        yield running


class Marks:
    """How many marks were set, and how many tunnels stood at the last."""

    def __init__(self, proxy: ConnectProxy | None = None) -> None:
        self.set = 0
        self.tunnels = 0
        self._proxy = proxy

    def __call__(self) -> None:
        self.set += 1
        self.tunnels = self._proxy.tunnels if self._proxy is not None else 0


def call(
    url: str, mark: Callable[[], None], proxy: Proxy | None, trust: ssl.SSLContext | None, timeout: float = 20
) -> Answer:
    with IfaxClient(url, timeout, proxy=proxy, trust=trust) as client:
        return client.call(Endpoint.SEND, TOKEN, BODY, mark)


def test_a_call_goes_through_the_tunnel_which_stands_before_the_mark_is_set(
    proxy: ConnectProxy, trust: ssl.SSLContext
) -> None:
    mark = Marks(proxy)
    with IfaxClient(URL, 20, proxy=Proxy.read(proxy.url), trust=trust) as client:
        answers = [client.call(Endpoint.SEND, TOKEN, BODY, mark) for _ in range(3)]
    assert [answer.decision for answer in answers] == [Decision.ACCEPTED] * 3
    assert (mark.set, mark.tunnels) == (3, 1)
    assert proxy.asked == [f"{IFAX}:443"]


@pytest.mark.parametrize("status", [302, 400, 403, 407, 429, 500, 502, 503, 504])
def test_a_proxy_that_refuses_the_tunnel_proves_that_nothing_was_sent(
    proxy: ConnectProxy, trust: ssl.SSLContext, sandbox: SandboxServer, status: int
) -> None:
    before, mark = len(sandbox.arrivals()["default"]), Marks()
    proxy.mood = status
    answer = call(URL, mark, Proxy.read(proxy.url), trust)
    assert (answer.decision, answer.reason, answer.http_status) == (
        Decision.UNREACHABLE,
        "proxy_refused",
        None,
    )
    assert answer.message == f"the proxy of FAXLINE_IFAX_PROXY refused a tunnel to iFax: HTTP {status}"
    assert mark.set == 0
    assert len(sandbox.arrivals()["default"]) == before


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("silent", "proxy_timeout"),
        ("trickle", "proxy_timeout"),
        ("chatter", "proxy_timeout"),
        ("garbage", "proxy_failed"),
        ("hangup", "proxy_failed"),
        ("early", "proxy_failed"),
        ("deaf", "connect_timeout"),
    ],
)
def test_whatever_else_a_proxy_does_before_the_tunnel_stands_is_over_by_the_deadline_and_sends_nothing(
    proxy: ConnectProxy, trust: ssl.SSLContext, mood: Mood, reason: str
) -> None:
    mark = Marks()
    proxy.mood = mood
    answer = call(URL, mark, Proxy.read(proxy.url), trust, timeout=0.5)
    assert (answer.decision, answer.reason) == (Decision.UNREACHABLE, reason)
    assert answer.silent == reason.endswith("_timeout")
    assert mark.set == 0
    assert (None, reason) in failure_reasons()


def test_a_proxy_that_is_away_sends_nothing_and_is_named(trust: ssl.SSLContext) -> None:
    mark = Marks()
    answer = call(URL, mark, Proxy("127.0.0.1", free_port()), trust)
    assert (answer.decision, answer.reason, mark.set) == (Decision.UNREACHABLE, "proxy_failed", 0)
    assert "FAXLINE_IFAX_PROXY" in answer.message


def test_a_request_through_the_tunnel_ends_by_its_deadline_like_any_other(
    proxy: ConnectProxy, trust: ssl.SSLContext, sandbox: SandboxServer
) -> None:
    sandbox.fault("hang_before", endpoint="fax-send")
    try:
        answer = call(URL, Marks(), Proxy.read(proxy.url), trust, timeout=0.5)
    finally:
        sandbox.clear_faults()
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "read_timeout")


def test_user_and_password_are_told_to_the_proxy_as_they_are_meant(
    front: TlsFront, trust: ssl.SSLContext
) -> None:
    with ConnectProxy(front.port, login="fax:pass-ü-word") as proxy:
        url = f"http://{LOGIN}@127.0.0.1:{proxy.port}"
        assert call(URL, Marks(), Proxy.read(url), trust).decision is Decision.ACCEPTED
        wrong = call(URL, Marks(), Proxy.read(url.replace("word", "words")), trust)
        without = call(URL, Marks(), Proxy("127.0.0.1", proxy.port), trust)
    assert wrong.message == without.message
    assert without.message.endswith("HTTP 407")


def test_an_address_of_ipv6_is_asked_for_in_brackets(front: TlsFront, trust: ssl.SSLContext) -> None:
    with ConnectProxy(front.port) as proxy:
        answer = call("https://[::1]:8443/v1", Marks(), Proxy.read(proxy.url), trust)
        assert proxy.asked == ["[::1]:8443"]
    assert answer.reason == "certificate_untrusted"  # it is another's


@pytest.mark.parametrize("through", [True, False])
def test_an_authority_that_is_not_trusted_is_told_as_such_and_nothing_is_sent(
    proxy: ConnectProxy, front: TlsFront, sandbox: SandboxServer, tmp_path: Path, through: bool
) -> None:
    before, mark = len(sandbox.arrivals()["default"]), Marks()
    other = trusting(certified(tmp_path).authority.read_text())
    for trust, why in (
        (other, "certificate signature failure"),
        (None, "unable to get local issuer certificate"),
    ):
        route = Proxy.read(proxy.url) if through else None
        answer = call(URL if through else f"https://localhost:{front.port}/v1", mark, route, trust)
        assert (answer.decision, answer.reason) == (Decision.UNREACHABLE, "certificate_untrusted")
        assert answer.message == f"iFax's certificate is not trusted: {why}"
    assert mark.set == 0
    assert len(sandbox.arrivals()["default"]) == before


def test_the_certificate_of_another_host_is_not_taken(front: TlsFront, tmp_path: Path) -> None:
    tls = certified(tmp_path)
    with TlsFront(tls, front.port) as running, ConnectProxy(running.port) as proxy:
        answer = call(URL, Marks(), Proxy.read(proxy.url), trusting(tls.authority.read_text()))
    assert answer.reason == "certificate_untrusted"
    assert "not valid for 'ifax.invalid'" in answer.message


# --- what they are made of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy.example:3128", "proxy.example:3128"),
        ("http://proxy.example/", "proxy.example:80"),
        ("http://me:secret-word@[::1]:8", "[::1]:8"),
    ],
)
def test_a_proxy_is_shown_without_its_user_and_password(url: str, shown: str) -> None:
    proxy = Proxy.read(url)
    assert str(proxy) == shown
    assert "secret-word" not in repr(proxy)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret-word@a:1",
        "socks5://me:secret-word@a:1",
        "me:secret-word@a:3128",
        "http://",
        "http://me:secret-word@",
        "http://me:secret-word@a:0",
        "http://me:secret-word@a:x",
        "http://me:secret-word@[a",
        "http://me:secret-word@a/b",
        "http://me:secret-word@a?b",
        "http://me:secret-word@a#b",
    ],
)
def test_what_is_no_url_of_a_proxy_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not a URL|must )") as caught:
        Proxy.read(url)
    assert "secret-word" not in str(caught.value)


def test_a_bundle_may_hold_words_of_any_alphabet_between_its_certificates(tls: Tls) -> None:
    pem = tls.authority.read_text()
    context = trusting(f"# Főtanúsítvány\n{pem}\n# and the next\n{pem}")
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no certificate",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nübel\n-----END CERTIFICATE-----",
    ],
)
def test_a_bundle_without_a_certificate_that_can_be_read_is_refused(pem: str) -> None:
    with pytest.raises(ValueError, match="certificate"):
        trusting(pem)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("ifax", False),
    ],
)
def test_the_loopback_is_this_machine_and_nothing_else(host: str, here: bool) -> None:
    assert is_loopback(host) is here
