"""Results by polling, with real processes: whoever is killed, every fax ends, within the share of calls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faxline import Fax, FaxLine
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

FAXES, WINDOW, REQUESTS = 40, 10, 200
SANDBOX = (
    *("--profile", "field", "--call-seconds", "0.5", "--page-seconds", "0.02"),
    *("--answer-seconds", "0.01", "0.05", "--time-scale", "0.001"),
    *("--window", str(WINDOW), "--requests", str(REQUESTS), "--burst", "50", "--concurrency", "20"),
)
SETTINGS = {
    "LIMITS__REQUESTS": str(REQUESTS),
    "LIMITS__WINDOW": str(WINDOW),
    "POLL__SCHEDULE": "[1,2,4]",
    "HTTP_TIMEOUT": "3",
    "LEASE_GRACE": "1",
    "SWEEP": "1",
    "WAKE_LEASE": "1",
    "TAKEOVER": "2",
}


def push(local: Local, n: int) -> None:
    """So many faxes, each to a number of its own."""
    with FaxLine(local.url_of("producer")) as line:
        line.send_many(
            Fax(to=f"+1202{2_000_000 + i}", files=["https://example.com/a.pdf"], id=f"fax-{i}")
            for i in range(n)
        )


def within_the_share(local: Local, share: float) -> bool:
    """Whether iFax got no more questions in any window than their share of the requests, and refused none."""
    arrivals = local.arrivals()["default"]
    asked = [one["at"] for one in arrivals if one["call"] == "fax-status"]
    most = max(sum(at <= other < at + WINDOW for other in asked) for at in asked)
    return most <= share * REQUESTS and not any(one["limit"] for one in arrivals)


def ended(line: FaxLine) -> dict[str, int]:
    jobs = line.account_state().jobs
    return {state: jobs[state] for state in ("delivered", "failed", "canceled", "unconfirmed") if jobs[state]}


def test_with_polling_alone_every_fax_ends_though_workers_and_dispatchers_are_killed(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with (
        make_local(
            tmp_path,
            workers=2,
            dispatchers=2,
            webhooks=0,
            settings=SETTINGS | {"RESULTS": "poll"},
            sandbox=SANDBOX,
        ) as local,
        FaxLine(local.url_of("operator")) as line,
    ):
        push(local, FAXES)
        for done, role in ((8, "worker"), (16, "dispatcher"), (24, "worker")):
            wait_until(lambda done=done: line.account_state().jobs["delivered"] >= done, timeout=60)
            part = local.part(local.names(role)[0])
            part.kill()
            part.start()
        wait_until(lambda: sum(ended(line).values()) == FAXES, timeout=120)
        assert ended(line) == {"delivered": FAXES}
        assert len(local.ledger()) == FAXES
        assert within_the_share(local, 0.2)


def test_with_both_a_webhook_that_comes_twice_and_an_answer_count_once(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with (
        make_local(
            tmp_path,
            settings=SETTINGS | {"RESULTS": "both", "POLL__SCHEDULE": "[0.4,0.6,1]"},
            sandbox=SANDBOX,
        ) as local,
        FaxLine(local.url_of("operator")) as line,
    ):
        local.control("POST", "webhook-faults", {"action": "double", "times": None})
        push(local, 30)
        wait_until(lambda: ended(line) == {"delivered": 30}, timeout=60)
        events = [event.job for event in line.events(after="0", timeout=1) if event.name == "fax.delivered"]
        assert sorted(events) == sorted({f"fax-{i}" for i in range(30)})
