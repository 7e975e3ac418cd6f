"""Real processes whose way to iFax is closed: nothing fails, few calls are made, it goes on by itself."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from faxline import Fax, FaxLine
from faxline_local.processes import free_port
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

QUICK = (
    *("--call-seconds", "0.1", "--page-seconds", "0.02", "--answer-seconds", "0.01", "0.05"),
    *("--time-scale", "0.001", "--window", "60", "--burst", "10000", "--requests", "10000"),
)
OPEN = {
    "LIMITS__REQUESTS": "0",
    "LIMITS__CONCURRENCY": "20",
    "UNREACHABLE__FIRST": "0.5",
    "UNREACHABLE__MAX": "2",
    "PROBE__FIRST": "1",
    "PROBE__MAX": "2",
    "SWEEP": "1",
    "WAKE_LEASE": "1",
    "RETRIES__SUBMISSION__BASE": "0.2",
}
HTML = "<html><body>Request blocked</body></html>"
NO_PLAN = {"status": 0, "code": 12099, "message": "This plan has no fax"}

Start = Callable[..., Any]


@pytest.fixture
def start(make_local: Callable[..., Local], tmp_path: Path) -> Start:
    @contextmanager
    def started(**more: Any) -> Iterator[tuple[Local, FaxLine]]:
        settings = OPEN | more.pop("settings", {})
        with (
            make_local(tmp_path, settings=settings, sandbox=QUICK, **more) as local,
            FaxLine(local.url_of("operator")) as line,
        ):
            yield local, line

    return started


def push(local: Local, n: int, first: int = 0) -> None:
    """So many faxes, each to a number of its own."""
    faxes = [
        Fax(to=f"+1202{2_000_000 + i}", files=["https://example.com/a.pdf"], id=f"fax-{i}")
        for i in range(first, first + n)
    ]
    with FaxLine(local.url_of("producer")) as line:
        line.send_many(faxes)


def calls(local: Local, name: str = "worker-2") -> list[dict[str, Any]]:
    """What a worker's log says of its calls to iFax."""
    found = []
    for text in local.part(name).log.read_text().splitlines():
        try:
            entry = json.loads(text)
        except ValueError:
            continue
        if entry.get("event") == "iFax answered":
            found.append(entry)
    return found


def readiness(local: Local, name: str) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"http://127.0.0.1:{local.metrics[name]}/readyz", trust_env=False)
    return answer.status_code, answer.json()


def delivered(line: FaxLine, n: int) -> bool:
    return line.account_state().jobs["delivered"] == n


def unharmed(line: FaxLine, n: int) -> None:
    jobs = line.account_state().jobs
    assert (jobs["failed"], jobs["in_doubt"], jobs["delivered"]) == (0, 0, n)


def test_ifaxs_port_is_closed_for_a_while(start: Start, wait_until: Callable[..., Any]) -> None:
    with start() as (local, line):
        local.part("sandbox").stop()
        push(local, 100)
        wait_until(lambda: line.account_state().paused == "unreachable")
        wait_until(lambda: len(calls(local)) >= 5, timeout=30)
        state = line.account_state()
        assert state.jobs["queued"] + state.jobs["submitting"] == 100
        assert state.paused_why == "connection refused"
        assert state.paused_by
        assert len(calls(local)) <= 25  # at most those under way as it was closed, and the probes
        local.part("sandbox").start()
        wait_until(lambda: delivered(line, 100), timeout=60)
        unharmed(line, 100)
        assert line.account_state().paused == ""


def test_a_proxy_or_an_outage_answers_everything(start: Start, wait_until: Callable[..., Any]) -> None:
    with start() as (local, line):
        for i, status in enumerate((403, 404, 405, 407, 451, 503)):
            fault = {"action": "garbage", "status": status, "body": HTML, "times": None}
            local.control("POST", "faults", fault)
            push(local, 30, 30 * i)
            wait_until(lambda status=status: f"HTTP {status}" in line.account_state().paused_why)
            wait_until(
                lambda status=status: sum(c["status"] == status for c in calls(local)) >= 3, timeout=30
            )
            assert line.account_state().paused == "unreachable"
            local.control("DELETE", "faults")
            wait_until(lambda i=i: delivered(line, 30 * (i + 1)), timeout=60)
            unharmed(line, 30 * (i + 1))


def test_an_account_wide_refusal_that_nobody_knows_burns_nothing(
    start: Start, wait_until: Callable[..., Any]
) -> None:
    with start() as (local, line):
        local.control("POST", "faults", {"action": "status", "status": 200, "body": NO_PLAN, "times": None})
        push(local, 60)
        wait_until(lambda: line.account_state().paused == "breaker")
        assert line.account_state().paused_why == NO_PLAN["message"]
        before = len(calls(local))
        assert before <= 45  # twenty at once, and what they went on with before the fifth answer
        wait_until(lambda: len(calls(local)) >= before + 3, timeout=30)
        assert line.account_state().jobs["failed"] == 0
        local.control("DELETE", "faults")
        wait_until(lambda: delivered(line, 60), timeout=60)
        unharmed(line, 60)


def test_a_gateway_that_answers_502_makes_few_doubts(start: Start, wait_until: Callable[..., Any]) -> None:
    settings = {"PROBE__FIRST": "60", "PROBE__MAX": "60"}
    with start(threads=4, settings=settings) as (local, line):
        local.control("POST", "faults", {"action": "garbage", "status": 502, "body": HTML, "times": None})
        push(local, 200)
        wait_until(lambda: line.account_state().paused == "breaker")
        jobs = wait_until(lambda: (j := line.account_state().jobs)["submitting"] == 0 and j)
        assert jobs["in_doubt"] <= 5 + 4
        assert jobs["queued"] >= 200 - 9


def beside(local: Local, name: str, **changes: str) -> None:
    """A worker beside the good one, with other settings."""
    port = local.metrics[name] = free_port()
    own = {f"FAXLINE_{key}": value for key, value in changes.items()}
    environment = local.environment("worker") | own | {"FAXLINE_METRICS__WORKER_PORT": str(port)}
    local.add(name, [sys.executable, "-m", "faxline_worker", "worker", "--threads", "20"], environment)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"IFAX_URL": "http://127.0.0.1:1/v1"}, "connection refused"),
        ({"ACCOUNTS__DEFAULT__TOKEN": "a-token-that-nobody-knows"}, "Invalid API key"),
    ],
)
def test_a_worker_that_alone_fails_steps_back_and_no_fax_of_400_fails(
    start: Start, wait_until: Callable[..., Any], changes: dict[str, str], why: str
) -> None:
    with start() as (local, line):
        push(local, 20)
        wait_until(lambda: delivered(line, 20), timeout=30)
        beside(local, "worker-bad", **changes)
        wait_until(lambda: local.ready("worker-bad"), timeout=30)
        paused: Counter[str] = Counter()

        def fails() -> bool:
            paused[line.account_state().paused] += 1
            status, checks = readiness(local, "worker-bad")
            return status == 503 and why in str(checks.get("account default"))

        first = 20
        for _ in range(19):  # until it has had its turn, and 400 in all
            push(local, 20, first)
            first += 20
            wait_until(lambda: fails() or delivered(line, first), timeout=30)  # noqa: B023 - called at once
        wait_until(lambda: delivered(line, first), timeout=60)
        unharmed(line, 400)
        wait_until(fails, timeout=30)
        assert set(paused) == {""}
