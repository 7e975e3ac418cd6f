"""Redis goes away in the middle of a run, and comes back."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

SANDBOX = ("--call-seconds", "0.2", "--page-seconds", "0.02", "--answer-seconds", "0.1", "0.4")
MORE = ("--time-scale", "0.005", "--window", "60", "--burst", "400", "--requests", "5000")
SETTINGS = {"LIMITS__WINDOW": "60", "LIMITS__BURST": "400", "LIMITS__REQUESTS": "5000", "WAKE_LEASE": "2"}


@pytest.mark.parametrize("seconds", [10])
def test_all_faxes_are_delivered_once_though_redis_was_killed_in_the_middle(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Any, seconds: int
) -> None:
    with make_local(
        tmp_path,
        workers=2,
        settings=SETTINGS,
        sandbox=SANDBOX + MORE,
        appendfsync="always",  # as in production: else what was lately written may be lost
    ) as local:
        with FaxLine(local.url_of("producer")) as line:
            for i in range(200):
                url = "https://example.com/a.pdf"
                line.send(
                    to=f"+1202{6_000_000 + i}",
                    files=[url],
                    id=f"away-{i}",
                    subject=f"away-{i}",
                    priority="bulk",
                )
        wait_until(lambda: len(local.ledger()) >= 30, timeout=30)
        for server in local.servers:
            server.kill()
        threading.Event().wait(seconds)  # the outage itself: nothing is awaited here
        for server in local.servers:
            server.restart()
        with FaxLine(local.url_of("producer")) as line:
            states = Counter(line.wait(f"away-{i}", timeout=90).state for i in range(200))
        assert states == {JobState.DELIVERED: 200}
        assert Counter(f["subject"] for f in local.ledger()) == {f"away-{i}": 1 for i in range(200)}
        assert all(part.process.poll() is None for part in local.parts)
    assert set(local.exit_codes.values()) == {0}
