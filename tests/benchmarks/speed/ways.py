"""What the way of a fax costs Redis: commands and round trips, from the push to the final event."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from faxline import EventName
from faxline.contract.redis_keys import RedisKeys
from faxline_local.stack import DEFAULT, Local
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.pushes import bulk_names
from tests.benchmarks.speed.monitor import Breakdown, Counts, Monitor, break_down, client_names, script_names
from tests.benchmarks.speed.sheet import Section, Wanted
from tests.benchmarks.speed.size import Size

RATE = 25
"""Faxes a second that the limits let through."""
WINDOW = 20
PATIENCE = 60.0
OWN = "benchmark"
BOUND: Mapping[str, str] = {
    "LIMITS__REQUESTS": str(RATE * WINDOW),
    "LIMITS__WINDOW": str(WINDOW),
    "LIMITS__BURST": "50",
}
FREE: Mapping[str, str] = {
    "LIMITS__REQUESTS": "0",
    "LIMITS__CONCURRENCY": "0",
    "LIMITS__BURST": "0",
    "NUMBERS__CONCURRENT": "0",
}
"""No limits and no lines."""
ENDLESS = ("--requests", "100000000", "--window", "1", "--concurrency", "100000", "--burst", "100000000")
SOON = ("--answer-seconds", "0", "0.05", "--call-seconds", "0.2", "--page-seconds", "0")
LEAST = 0.005
"""Commands a fax; what is less frequent is left out of the tables."""


@dataclass(frozen=True)
class Way:
    """What a number of faxes cost."""

    faxes: int
    commands: dict[str, int]
    trips: int
    idle_commands: float
    """A second, of all processes together with nothing to do."""
    idle_trips: float
    seconds: float
    breakdown: Breakdown


def run_way(size: Size, logs: Path, settings: Mapping[str, str], sandbox: tuple[str, ...]) -> Way:
    """Push faxes by XADD, follow each to its receipt, and count."""
    names = bulk_names(size.way)
    with (
        Local(logs, settings=settings, sandbox=sandbox) as local,
        redis.Redis.from_url(local.redis_url, client_name=OWN) as client,
        redis.Redis.from_url(local.redis_url, client_name="producer") as producer,
    ):
        producer.ping()
        quiet = min(size.idle, 5.0)
        counts = Counts(client)
        time.sleep(quiet)
        idle_commands, idle_trips = counts.read()
        with Monitor(local.server.port) as monitor:
            counts, began = Counts(client), time.monotonic()
            push_entries(producer, DEFAULT, names)
            looks = follow(client, DEFAULT, EventName.DELIVERED, len(names))
            commands, trips = counts.read()
            seconds = time.monotonic() - began
            clients = client_names(client)
        commands["xread"] -= looks  # the benchmark's own
        return Way(
            faxes=len(names),
            commands={name: n for name, n in sorted(commands.items(), key=lambda pair: -pair[1]) if n > 0},
            trips=trips - looks,
            idle_commands=sum(idle_commands.values()) / quiet,
            idle_trips=idle_trips / quiet,
            seconds=seconds,
            breakdown=break_down(monitor.commands(), script_names(), clients, OWN),
        )


def follow(client: redis.Redis, account: str, name: EventName, count: int) -> int:
    """Wait until an account has so many events of a name; how many commands that took."""
    key, last, left, looks = RedisKeys(account).events, "0", count, 0
    give_up = time.monotonic() + PATIENCE
    while left > 0:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{left} of {count} faxes have no event {name}")
        looks += 1
        reply: Any = client.xread({key: last}, block=1000)
        for _, entries in reply:
            last = entries[-1][0]
            found = sum(fields[b"event"] == name.encode() for _, fields in entries)
            left -= found
            if found:
                give_up = time.monotonic() + PATIENCE
    return looks


def run_ways(size: Size, logs: Path) -> Section:
    """The way under limits that hold it, as it is set up by default; and without limits and lines."""
    section = Section("commands")
    bound = (
        *("--requests", str(RATE * WINDOW), "--window", str(WINDOW)),
        *("--concurrency", "20", "--burst", "50"),
    )
    ways = {
        "limits and lines on": run_way(size, logs / "bound", BOUND, (*bound, *SOON)),
        "limits and lines off": run_way(size, logs / "free", FREE, (*ENDLESS, *SOON)),
    }
    for i, (name, way) in enumerate(ways.items()):
        total = sum(way.commands.values())
        wanted = (Wanted(45, most=True), Wanted(8, most=True)) if i == 0 else (None, None)
        section.add(f"Redis commands a fax, {name}", total / way.faxes, wanted=wanted[0])
        section.add(f"round trips a fax, {name}", way.trips / way.faxes, wanted=wanted[1])
        busy = way.seconds
        section.add(
            "… less what idle processes ask for meanwhile", (total - way.idle_commands * busy) / way.faxes
        )
        section.add("… likewise the round trips", (way.trips - way.idle_trips * busy) / way.faxes)
        section.add("commands a second while idle, all processes", way.idle_commands)
        found = way.breakdown
        section.details |= {
            f"{name}: commands a fax": _each(way, way.commands),
            f"{name}: commands a fax by script (EVALSHA included)": _each(way, found.by_script),
            f"{name}: calls of a script a fax": _each(way, found.calls),
            f"{name}: inside of scripts": _each(way, found.inner),
            f"{name}: outside of scripts": _each(way, found.plain),
            f"{name}: round trips a fax by client, as MONITOR has them": _each(way, found.trips),
        }
    return section


def _each(way: Way, counts: Mapping[str, int]) -> dict[str, float]:
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return {name: round(count / way.faxes, 3) for name, count in ordered if count / way.faxes >= LEAST}
