"""Real processes fax through a real proxy and a real TLS server, where nobody gets out directly."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faxline import FaxLine, JobNotFound
from faxline_local.processes import wait_for
from faxline_local.redis_access import Tls
from faxline_local.stack import Local
from tests.certificates import certified
from tests.networks import IFAX, ConnectProxy, TlsFront
from tests.stage.marks import MARK

pytestmark = pytest.mark.slow

LOGIN = f"fax:{MARK}-password"
SANDBOX = ("--call-seconds", "0.2", "--page-seconds", "0", "--answer-seconds", "0.01", "0.05")
ONE_ATTEMPT = {"RETRIES__SUBMISSION__ATTEMPTS": "1"}
"""A fax that spends one on the proxy fails."""
WAIT = 60.0
MakeLocal = Callable[..., Local]


@pytest.fixture(scope="module")
def ifax_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certified(tmp_path_factory.mktemp("ifax"), IFAX)


@contextmanager
def running(
    make_local: MakeLocal, folder: Path, tls: Tls, authority: Path
) -> Iterator[tuple[Local, ConnectProxy, FaxLine]]:
    """All processes, whose iFax is reached through the proxy only."""
    with TlsFront(tls) as front, ConnectProxy(front.port, login=LOGIN) as proxy:
        settings = {
            **ONE_ATTEMPT,
            "IFAX_URL": f"https://{IFAX}/v1",
            "IFAX_PROXY": proxy.url,
            "IFAX_CA_FILE": str(authority),
            "NUMBERS__CONCURRENT": "0",
        }
        local = make_local(folder, settings=settings, sandbox=SANDBOX)
        front.behind = int(local.sandbox_url.rsplit(":", 1)[1])
        with local, FaxLine(local.url_of("operator")) as line:
            yield local, proxy, line


def states(line: FaxLine, names: list[str]) -> set[str]:
    try:
        return {str(line.job(name).state) for name in names}
    except JobNotFound:  # it still stands in intake
        return {"pushed"}


def push(line: FaxLine, *names: str) -> None:
    for name in names:
        line.send(to="+12025550123", files=["https://example.com/a.pdf"], id=name, subject=name)


def test_faxes_go_through_the_proxy_and_one_that_is_down_or_refuses_loses_none_and_leaves_none_in_doubt(
    make_local: MakeLocal, tmp_path: Path, ifax_tls: Tls
) -> None:
    names = [f"fax-{i}" for i in range(12)]
    with running(make_local, tmp_path, ifax_tls, ifax_tls.authority) as (local, proxy, line):

        def logged(reason: str) -> bool:
            return f'"reason": "{reason}"' in local.part("worker-2").log.read_text()

        def delivered(count: int) -> bool:
            return states(line, names[:count]) == {"delivered"}

        push(line, *names[:4])
        assert wait_for(lambda: delivered(4), WAIT)
        assert set(proxy.asked) == {f"{IFAX}:443"}

        proxy.stop()
        push(line, *names[4:8])
        assert wait_for(lambda: logged("proxy_failed"), WAIT)
        assert states(line, names[4:8]) <= {"queued", "submitting"}
        proxy.start()
        assert wait_for(lambda: delivered(8), WAIT)

        proxy.stop()  # and with it the tunnels that a worker keeps alive, through which it could still send
        proxy.mood = 403
        proxy.start()
        push(line, *names[8:])
        assert wait_for(lambda: logged("proxy_refused"), WAIT)
        assert states(line, names[8:]) <= {"queued", "submitting"}
        proxy.mood = "tunnel"
        assert wait_for(lambda: delivered(12), WAIT)

        events = Counter(event.name for event in line.events(after="0", timeout=0.1))
        assert (events["fax.in_doubt"], events["fax.failed"], events["fax.duplicate"]) == (0, 0, 0)
        assert Counter(fax["subject"] for fax in local.ledger()) == Counter(names)


def test_with_the_wrong_authority_nothing_is_sent_and_the_log_says_why(
    make_local: MakeLocal, tmp_path: Path, ifax_tls: Tls
) -> None:
    other = certified(tmp_path).authority
    with running(make_local, tmp_path, ifax_tls, other) as (local, proxy, line):
        push(line, "fax-1")
        log = local.part("worker-2").log
        assert wait_for(lambda: '"reason": "certificate_untrusted"' in log.read_text(), WAIT)
        assert states(line, ["fax-1"]) <= {"queued", "submitting"}
        assert proxy.tunnels > 0
        assert local.arrivals().get("default", []) == []


@pytest.mark.parametrize("role", ["worker", "dispatcher", "webhook"])
def test_a_bundle_that_holds_no_certificate_ends_a_process_with_one_line(role: str, tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("")
    environment = {
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "a-token-that-is-long",
        "FAXLINE_IFAX_CA_FILE": str(empty),
    }
    done = subprocess.run(
        [sys.executable, "-m", "faxline_worker", role],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "faxline-worker: FAXLINE_IFAX_CA_FILE holds no certificate in PEM (-----BEGIN CERTIFICATE-----)\n"
    )
