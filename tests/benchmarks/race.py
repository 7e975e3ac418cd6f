"""One contender's run: a bulk backlog under the limits, and urgent faxes that come meanwhile."""

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from faxline_local.processes import wait_for
from faxline_local.stack import DEFAULT, Local
from tests.benchmarks.commands import CommandCount
from tests.benchmarks.contenders import Contender, Faxline
from tests.benchmarks.expectations import Expectations, ExpectedStart
from tests.benchmarks.figures import (
    Spread,
    admitted,
    first_arrivals,
    sent_twice,
    share_of_quota,
    spread_of,
    waits,
)
from tests.benchmarks.pushes import UrgentPushes, bulk_names

FIRST_SECONDS = 60.0
"""In which the first request must arrive."""
LOOK_SECONDS = 0.25
"""Between two looks at the sandbox's statistics."""


@dataclass(frozen=True)
class Race:
    """What came of one contender."""

    contender: str
    pushed: int
    accepted: int
    twice: int
    """Faxes that were accepted more than once."""
    seconds: float
    """From the first arrival to the end."""
    quota: float | None
    windows: int
    """The whole windows over which the share of the quota is taken."""
    most_in_window: int
    rate_limited: Mapping[str, int]
    """429s by the limit that was broken."""
    urgent: Spread | None
    """Seconds from the push to the arrival; one still waiting counts with its wait so far."""
    urgent_waiting: int
    commands_per_fax: float
    cpu_seconds_per_fax: float
    """Of all processes together, the server and the sandbox included."""
    expected_start: ExpectedStart | str | None


def run_race(contender: Contender, directory: Path) -> Race:
    """Run one contender for its time, or until everything is accepted."""
    cpu = _cpu_seconds()
    with contender.parts(directory) as local:
        contender.begin(local)
        try:
            with CommandCount(local.redis_url) as count:
                measured = _measure(contender, local, count)
        finally:
            contender.end()
    return replace(measured, cpu_seconds_per_fax=(_cpu_seconds() - cpu) / max(1, measured.accepted))


def _measure(contender: Contender, local: Local, count: CommandCount) -> Race:
    scale = contender.scale
    names = bulk_names(scale.backlog)
    step = max(1, len(names) // scale.samples)
    expectations = Expectations(count.client, names[::step][: scale.samples])
    with UrgentPushes(contender.push_urgent, scale.urgent_every) as urgent:
        contender.push_backlog(names)
        if isinstance(contender, Faxline) and expectations.available:
            expectations.look()
        first = _first_arrival(local)
        _await_accepted(local, len(names), first + scale.seconds)
        urgent.stop()
        _await_accepted(local, len(names) + len(urgent.pushed), first + scale.seconds)
    until = time.time()
    commands = count.read()
    stats, ledger = local.stats()[DEFAULT], local.ledger()
    arrivals = admitted(local.arrivals()[DEFAULT])
    arrived = first_arrivals(ledger)
    if len(arrived) >= len(names) + len(urgent.pushed):
        until = max(arrived.values())
    quota = share_of_quota(arrivals, requests=scale.requests, window=scale.window, until=until)
    return Race(
        contender=contender.name,
        pushed=len(names) + len(urgent.pushed),
        accepted=len(arrived),
        twice=sent_twice(ledger),
        seconds=until - first,
        quota=quota[0] if quota else None,
        windows=quota[1] if quota else 0,
        most_in_window=stats["max_in_window"],
        rate_limited=stats["rate_limited"],
        urgent=spread_of(waits(urgent.pushed, arrived, until)),
        urgent_waiting=len(urgent.pushed.keys() - arrived.keys()),
        commands_per_fax=commands / max(1, len(arrived)),
        cpu_seconds_per_fax=0.0,  # known when all processes have ended
        expected_start=expectations.compare(arrived) if isinstance(contender, Faxline) else None,
    )


def _first_arrival(local: Local) -> float:
    if not wait_for(lambda: bool(local.stats()[DEFAULT]["requests"]), FIRST_SECONDS):
        raise TimeoutError(f"no request came in {FIRST_SECONDS:g} s")
    first: float = local.arrivals()[DEFAULT][0]["at"]
    return first


def _await_accepted(local: Local, faxes: int, until: float) -> None:
    wait_for(lambda: local.stats()[DEFAULT]["accepted"] >= faxes, until - time.time(), every=LOOK_SECONDS)


def _cpu_seconds() -> float:
    """Of this process's children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
