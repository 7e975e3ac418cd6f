"""A worker and a dispatcher with looser limits than the others draw no 429."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline_local.processes import free_port
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

STRICT = {"REQUESTS": "40", "WINDOW": "10", "BURST": "6", "CONCURRENCY": "3"}
LOOSER = {"REQUESTS": "500", "WINDOW": "2", "BURST": "100", "CONCURRENCY": "20"}
FAXES = 80


def program(local: Local, role: str, limits: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    own = {f"FAXLINE_LIMITS__{name}": value for name, value in limits.items()}
    port = {f"FAXLINE_METRICS__{role.upper()}_PORT": str(free_port())}
    return [sys.executable, "-m", "faxline_worker", role], local.environment() | own | port


def test_looser_limits_of_one_worker_and_one_dispatcher_draw_no_429(
    server_binary: ServerBinary, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    sandbox = [word for name, value in STRICT.items() for word in (f"--{name.lower()}", value)]
    with Local(
        tmp_path,
        settings={f"LIMITS__{name}": value for name, value in STRICT.items()},
        sandbox=("--time-scale", "0.005", "--answer-seconds", "0.05", "0.2", *sandbox),
        binary=server_binary,
    ) as local:
        for role in ("worker", "dispatcher"):
            part = local.add(f"looser-{role}", *program(local, role, LOOSER))
            wait_until(
                lambda part=part: "settings differ between processes" in part.log.read_text(), timeout=30
            )
        with FaxLine(local.redis_url) as line:
            for i in range(FAXES):
                line.send(to=f"+1202{6_000_000 + i}", files=["https://example.com/a.pdf"], id=f"fax-{i}")
            states = Counter(line.wait(f"fax-{i}", timeout=60).state for i in range(FAXES))
            texts = [check.text for check in line.checks() if check.failed]
        assert states == {JobState.DELIVERED: FAXES}
        assert set(local.stats()["default"]["rate_limited"].values()) == {0}
        assert any("LIMITS__WINDOW is 10" in text and "looser" not in text for text in texts), texts
