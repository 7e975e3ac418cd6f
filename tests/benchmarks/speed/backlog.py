"""A million queued jobs: what each costs in memory, and whether anything takes longer because of them."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import redis

from faxline_local.redis_server import RedisServer
from faxline_worker.intake.registrar import AT_ONCE
from tests.benchmarks.figures import percentile
from tests.benchmarks.speed.jobs import Maker
from tests.benchmarks.speed.monitor import script_names
from tests.benchmarks.speed.sheet import Section, Wanted
from tests.benchmarks.speed.size import Size
from tests.benchmarks.speed.starts import ROLES, ready_after
from tests.benchmarks.speed.ways import FREE

SLOW = 20_000
"""Microseconds from which a command counts as slow."""
PAGE = 10_000
SMALL, LARGE = "small", "default"
SCANS = ("keys", "scan", "hscan", "sscan")
"""What goes through all keys or jobs. A dispatcher that starts reads `delayed` once, in pages (ZSCAN)."""


def run_backlog(size: Size, logs: Path) -> Section:
    """Fill one account through `register`, beside a small one on the same server, and look at both."""
    section = Section("backlog")
    with RedisServer() as empty:
        before = ready_after(empty, logs / "empty", size.rounds)
    with RedisServer() as server, redis.Redis.from_url(server.url(0)) as client:
        client.config_set("slowlog-log-slower-than", SLOW)
        client.config_set("slowlog-max-len", 1000)
        makers = {name: Maker(client, name, FREE) for name in (SMALL, LARGE)}
        makers[SMALL].register([f"small-{i}" for i in range(size.few)])
        memory = _used(client)
        began = time.monotonic()
        slow = SlowCommands(client)
        for start in range(0, size.jobs, PAGE):
            makers[LARGE].register([f"job-{i}" for i in range(start, min(size.jobs, start + PAGE))])
            slow.look()
        section.add(
            "jobs registered a second, one caller without checks", size.jobs / (time.monotonic() - began)
        )
        section.add(
            f"Redis memory a job, of {size.jobs:,}",
            (_used(client) - memory) / size.jobs,
            "bytes",
            wanted=Wanted(1024, most=True),
        )
        _admissions(section, size, makers)
        after = ready_after(server, logs / "full", size.rounds)
        for role in ROLES:
            for what, unit, now, then in zip(
                ("from exec to ready", "CPU until ready"), ("s", "s"), after[role], before[role], strict=True
            ):
                section.add(f"{role}, {what}", now, unit, baseline=then, beside="on an empty server")
        slow.look()
        section.add(
            "the longest command (0: none took 20 ms)",
            _longest(slow.all),
            "ms",
            wanted=Wanted(SLOW / 1000, most=True),
        )
        section.add("… but for while Redis rewrote its append-only file", _longest(slow.undisturbed), "ms")
        section.add("rewrites of the append-only file meanwhile", slow.rewrites)
        section.add("the last fork for one, in which Redis stood still", slow.fork, "ms")
        batches = sorted(makers[LARGE].batches)
        section.add(f"register, p50 of a batch of {AT_ONCE}", 1000 * percentile(batches, 0.5), "ms")
        slow_commands = [(row["duration"] / 1000, name_of(row["command"])) for row in slow.all]
        section.details["slow commands, ms"] = [
            f"{ms:.0f} {name}" for ms, name in sorted(slow_commands, reverse=True)
        ]
        section.details["slow commands, how many"] = dict(
            Counter(name for _, name in slow_commands).most_common()
        )
        stats: Any = client.info("commandstats")
        scans = {name: int(stats[f"cmdstat_{name}"]["calls"]) for name in SCANS if f"cmdstat_{name}" in stats}
        section.add("KEYS and scans", sum(scans.values()), wanted=Wanted(0, most=True))
        section.details["KEYS and scans"] = scans
    return section


class SlowCommands:
    """The slow log, and which of it came while a child of the server rewrote its append-only file.

    The child shares the server's memory, so what is written meanwhile is copied first; and it takes a core.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._seen: set[int] = set()
        self.all: list[dict[str, Any]] = []
        self.undisturbed: list[dict[str, Any]] = []
        self._begun = self._rewrites()
        self.rewrites = 0
        self.fork = 0.0
        """Milliseconds."""

    def _rewrites(self) -> tuple[int, bool]:
        info: Any = self._client.info("persistence")
        return int(info.get("aof_rewrites", 0)), bool(info.get("aof_rewrite_in_progress"))

    def look(self) -> None:
        """Take what has come since the last look."""
        done, under_way = self._rewrites()
        disturbed = under_way or self._begun[1] or done != self._begun[0]
        self.rewrites += done - self._begun[0]
        self._begun = done, under_way
        stats: Any = self._client.info("stats")
        self.fork = stats["latest_fork_usec"] / 1000
        rows: Any = self._client.slowlog_get(1000)
        fresh = [row for row in rows if row["id"] not in self._seen]
        self._seen |= {row["id"] for row in fresh}
        self.all += fresh
        if not disturbed:
            self.undisturbed += fresh


def _admissions(section: Section, size: Size, makers: dict[str, Maker]) -> None:
    """Turn by turn, so that whatever else happens on the machine happens to both."""
    found: dict[str, list[float]] = {name: [] for name in makers}
    for i in range(size.admissions + size.admissions // 10):
        for name, maker in makers.items():
            admitted, seconds = maker.admit()
            maker.release(admitted)
            if i >= size.admissions // 10:  # the first of them warm up
                found[name].append(seconds)
    for share in (0.5, 0.99):
        small, large = (1000 * percentile(sorted(found[name]), share) for name in (SMALL, LARGE))
        section.add(
            f"admit, p{100 * share:g}",
            large,
            "ms",
            baseline=small,
            beside=f"with {size.few:,} jobs",
            wanted=Wanted(1.2, most=True, of="ratio"),
        )


def name_of(command: bytes) -> str:
    """A command of the slow log by its name, or that of its script."""
    words = command.decode("utf-8", "replace").split()
    return script_names().get(words[1], "a script") if words[0].upper().startswith("EVAL") else words[0]


def _used(client: redis.Redis) -> int:
    info: Any = client.info("memory")
    return int(info["used_memory"])


def _longest(slow: list[dict[str, Any]]) -> float:
    """Milliseconds; 0 where none was as long as the slow log's threshold."""
    return max((row["duration"] / 1000 for row in slow), default=0.0)
