"""A rolling restart: a worker ends in the middle of its calls."""

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

THREADS = 7
SETTINGS = {"LIMITS__CONCURRENCY": str(2 * THREADS), "WAKE_LEASE": "2", "SWEEP": "2"}
SANDBOX = ("--answer-seconds", "2", "3", "--call-seconds", "0.1", "--page-seconds", "0.02")


def test_a_worker_that_is_told_to_end_more_than_once_finishes_its_calls_and_nothing_turns_in_doubt(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    jobs = [f"rolling-{i}" for i in range(20)]
    with (
        make_local(tmp_path, workers=2, threads=THREADS, settings=SETTINGS, sandbox=SANDBOX) as local,
        FaxLine(local.url_of("producer")) as line,
        connect(local.redis_url) as client,
    ):
        for i, job in enumerate(jobs):
            line.send(to=f"+1202{6_000_000 + i}", files=["https://example.com/a.pdf"], id=job, subject=job)
        wait_until(lambda: client.zcard(line.keys.permits) == 2 * THREADS, timeout=30)
        ending = next(part for part in local.parts if part.name.startswith("worker"))
        ending.ask_to_stop()
        wait_until(lambda: "worker stops" in ending.log.read_text())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            ending.process.send_signal(number)
        assert ending.process.wait(40) == 0
        log = ending.log.read_text()
        assert log.partition("worker stops")[2].count("iFax answered") <= THREADS
        assert Counter(line.wait(job, timeout=60).state for job in jobs) == {JobState.DELIVERED: 20}
        names = Counter(event.name for event in line.events(after="0", timeout=0.1))
        assert names == {"fax.queued": 20, "fax.submitted": 20, "fax.delivered": 20}
        assert Counter(fax["subject"] for fax in local.ledger()) == dict.fromkeys(jobs, 1)
        assert client.zcard(line.keys.permits) == 0
    assert set(local.exit_codes.values()) == {0}
