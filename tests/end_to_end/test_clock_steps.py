"""Redis' clock steps while faxes are on their way."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.stepping_clock import COMPILER, SteppingClock

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_server(
        "steps its clock, by which the nodes of a cluster would take one another for dead"
    ),
]

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


@pytest.mark.parametrize("wrong", [-600, 600])
def test_faxes_go_on_at_the_limits_pace_while_redis_clock_is_wrong_and_when_it_is_right_again(
    server_binary: ServerBinary, tmp_path: Path, wait_until: Callable[..., Any], wrong: int
) -> None:
    if COMPILER is None:
        pytest.skip("needs Linux and a C compiler")
    clock = SteppingClock(tmp_path / "clock")
    with Local(
        tmp_path,
        workers=2,
        dispatchers=2,
        settings=SETTINGS,
        sandbox=SANDBOX,
        binary=server_binary,
        server_environment=clock.environment,
    ) as local:
        with FaxLine(local.redis_url) as line:
            for i in range(FAXES):
                line.send(to=f"+1202{6_000_000 + i}", files=[URL], id=f"fax-{i}", subject=f"fax-{i}")
            wait_until(lambda: len(local.ledger()) >= 10)
            clock.step(wrong)
            wait_until(lambda: len(local.ledger()) >= 30, timeout=20, message="it stands while it is wrong")
            clock.step(0)
            wait_until(lambda: len(local.ledger()) >= FAXES, timeout=30, message="it stands when it is right")
            states = Counter(line.wait(f"fax-{i}", timeout=30).state for i in range(FAXES))
            texts = [check.text for check in line.checks() if check.name == "clock"]
        assert states == {JobState.DELIVERED: FAXES}
        assert Counter(f["subject"] for f in local.ledger()) == {f"fax-{i}": 1 for i in range(FAXES)}
        assert set(local.stats()["default"]["rate_limited"].values()) == {0}
        assert any("stepped" in text for text in texts), texts
    assert set(local.exit_codes.values()) == {0}
