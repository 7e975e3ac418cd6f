"""A server that stalls for 20 seconds in the middle of a run, and goes on."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

from faxline import FaxLine, JobState
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local

SANDBOX = ("--call-seconds", "0.2", "--page-seconds", "0.02", "--answer-seconds", "0.1", "0.4")
MORE = ("--time-scale", "0.005", "--window", "60", "--burst", "400", "--requests", "5000")
SETTINGS = {"LIMITS__WINDOW": "60", "LIMITS__BURST": "400", "LIMITS__REQUESTS": "5000", "WAKE_LEASE": "2"}
STALL = 20.0


def test_faxes_are_delivered_once_though_the_server_stalled_in_the_middle(
    server_binary: ServerBinary, tmp_path: Path, wait_until: Any
) -> None:
    with Local(tmp_path, workers=2, settings=SETTINGS, sandbox=SANDBOX + MORE, binary=server_binary) as local:
        names = [f"stall-{i}" for i in range(100)]
        with FaxLine(local.redis_url) as line:
            for name in names:
                line.send(to="+12025550123", files=["https://example.com/a.pdf"], id=name, subject=name)
        wait_until(lambda: len(local.ledger()) >= 20, timeout=30)
        local.server.pause()
        threading.Event().wait(STALL)  # the stall itself: nothing is awaited here
        local.server.resume()
        with FaxLine(local.redis_url) as line:
            states = Counter(line.wait(name, timeout=90).state for name in names)
        assert states == {JobState.DELIVERED: 100}
        assert Counter(fax["subject"] for fax in local.ledger()) == dict.fromkeys(names, 1)
        assert all(part.process.poll() is None for part in local.parts)
    assert set(local.exit_codes.values()) == {0}
