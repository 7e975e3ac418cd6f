"""What `ops/capacity.md` is computed from: the costs of faxes and accounts, and a larger run beside them."""

import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from faxline_local.stack import Local
from tests.benchmarks.speed.endpoint import Stub
from tests.benchmarks.speed.rounds import Field
from tests.benchmarks.speed.sheet import Section, median
from tests.benchmarks.speed.size import QUOTA, Size
from tests.benchmarks.speed.steady import SOON, Steady, run_steady
from tests.benchmarks.speed.ways import ENDLESS, FREE

THREADS = 40
WIDE: Mapping[str, str] = {"LIMITS__REQUESTS": "1000000", "LIMITS__BURST": "100000"}
"""Limits that hold nothing, and every script looks at all of them."""
BLOCKS = 200
FEW = 20


def run_fleet(size: Size, logs: Path) -> Section:
    """Some accounts and many at one rate; idle dispatchers; accounts at full quota; the disk."""
    section = Section("fleet")
    few, many = size.fleet
    answers = ("--answer-seconds", "0.05", "0.3")
    for count in (few, many):
        options = (*ENDLESS, *SOON, *answers)
        found = _run(logs / f"{count}", size, count, count * size.fleet_rate, settings=WIDE, sandbox=options)
        section.details[f"{count} accounts"] = facts(found)
    for count in size.dispatched:
        found = _run(logs / f"idle-{count}", size, count, 0.0, workers=0, webhooks=0)
        section.details[f"a dispatcher alone, {count} accounts"] = facts(found)
    # The limits of iFax itself, here and in the sandbox: nothing is scaled.
    found = _run(logs / "quota", size, size.at_quota, size.at_quota * QUOTA, sandbox=(*SOON, *answers))
    section.details["at full quota"] = facts(found)
    assert found.busy is not None
    section.add(
        f"faxes a second of {size.at_quota} accounts at full quota", found.busy.faxes / found.busy.seconds
    )
    for name, value in found.busy.each_second().items():
        if name.startswith("CPU"):
            section.add(f"… {name} a second", value)
    _disk(section, size, logs)
    return section


def _run(
    logs: Path,
    size: Size,
    count: int,
    rate: float,
    *,
    settings: Mapping[str, str] | None = None,
    **parts: Any,
) -> Steady:
    settings = {"METRICS__FAILURES_FROM_ZERO": "false", **(settings or {})}  # as is advised for many accounts
    accounts = [f"a{i:05}" for i in range(count)]
    with Local(logs, threads=THREADS, accounts=accounts, settings=settings, **parts) as local:
        return run_steady(
            local, accounts, rate, idle=size.idle, warm=size.fleet_warm, seconds=size.fleet_seconds
        )


def facts(found: Steady) -> dict[str, Any]:
    """A run for the JSON."""
    facts_of_run: dict[str, Any] = {
        "accounts": found.accounts,
        "idle": found.idle.each_second(),
        "resident bytes": dict(found.resident),
        "connections": dict(found.connections),
        "series": dict(found.series),
        "CPU seconds a scrape": dict(found.scrape),
        "Redis bytes": found.memory,
    }
    if found.busy is not None:
        facts_of_run |= {
            "faxes a second": found.busy.faxes / found.busy.seconds,
            "seconds": found.busy.seconds,
            "busy": found.busy.each_second(),
        }
    return facts_of_run


def _disk(section: Section, size: Size, logs: Path) -> None:
    """What it costs that Redis waits for the disk."""
    syncs: list[float] = []
    with tempfile.TemporaryFile() as file:
        for _ in range(BLOCKS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            syncs.append(time.perf_counter() - began)
    section.add("fdatasync of 4 KB, median", 1000 * median(syncs), "ms")
    accounts = [f"a{i:02}" for i in range(min(FEW, size.accounts))]
    modes: tuple[Literal["everysec", "always"], ...] = ("everysec", "always")
    for mode in modes:
        with (
            closing(Stub(logs)) as stub,
            Local(
                logs / mode,
                webhooks=0,
                threads=THREADS,
                accounts=accounts,
                settings={**FREE, "IFAX_URL": stub.url},
                appendfsync=mode,
            ) as local,
        ):
            one = Field(local, stub).faxline(accounts, size.faxes, mode, registered=True)
        section.add(f"faxes a second without limits, appendfsync {mode}", one.a_second)
        section.add(f"… CPU ms a fax of Redis, {mode}", one.cpu_ms("redis"))
