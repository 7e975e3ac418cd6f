"""Many accounts at a steady rate: what they and their faxes cost each part, and what they cost when idle."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from typing import Any

import httpx
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.stack import Local
from tests.benchmarks.processes import group_of
from tests.benchmarks.pushes import fax
from tests.benchmarks.speed.monitor import Counts
from tests.benchmarks.speed.usage import Usage, resident

ROLES = ("dispatcher", "worker", "webhook")
TICK = 0.05
PATIENCE = 120.0
SETTLE = 2.0
"""Seconds between two looks at whether all are delivered."""
SOON = ("--call-seconds", "0.2", "--page-seconds", "0")


@dataclass(frozen=True)
class Span:
    """What some seconds cost.

    Args:
        seconds: how many.
        faxes: that went the whole way meanwhile.
        cpu: seconds of each part.
        commands, trips: of Redis, inside scripts too; reads from connections.
        received, sent: bytes that Redis received and sent.
        aof: bytes by which the append-only file grew.
    """

    seconds: float
    faxes: int
    cpu: Mapping[str, float]
    commands: Mapping[str, int]
    trips: int
    received: int
    sent: int
    aof: int

    def each_second(self) -> dict[str, float]:
        """Each of these, a second; CPU in milliseconds."""
        found = {f"CPU ms {part}": 1000 * used for part, used in self.cpu.items()}
        found |= {"commands": sum(self.commands.values()), "round trips": self.trips}
        found |= {"bytes to Redis": self.received, "bytes from Redis": self.sent, "AOF bytes": self.aof}
        return {name: value / self.seconds for name, value in found.items()}


@dataclass(frozen=True)
class Steady:
    """One run.

    Args:
        accounts: how many.
        idle, busy: the costs with nothing to do, and with the faxes.
        resident: bytes in memory of each part's largest process, at the end.
        connections: to Redis by their name, of all processes of that name.
        series: samples of each part's `/metrics`.
        scrape: CPU seconds of the part for one scrape.
        memory: bytes that Redis uses, when idle.
    """

    accounts: int
    idle: Span
    busy: Span | None
    resident: Mapping[str, int]
    connections: Mapping[str, int]
    series: Mapping[str, int]
    scrape: Mapping[str, float]
    memory: int


def _push(client: redis.Redis, accounts: Sequence[str], rate: float, seconds: float, mark: str) -> int:
    """Push faxes for so long at a steady rate, to one account after the other; how many."""
    keys = [RedisKeys(name).intake for name in accounts]
    pushed, count, began = 0, round(rate * seconds), time.monotonic()
    while pushed < count:
        time.sleep(TICK)
        due = min(count, int((time.monotonic() - began) * rate))
        with client.pipeline(transaction=False) as pipe:
            for i in range(pushed, due):
                entry = {"id": f"{mark}-{i}", "fax": fax(f"{mark}-{i}")}
                pipe.xadd(keys[i % len(keys)], {"send": dumps(entry)})
            pipe.execute()
        pushed = due
    return count


class Watch:
    """The costs of all parts from now on."""

    def __init__(self, local: Local, client: redis.Redis) -> None:
        self._client = client
        groups = {role: [local.part(name).process.pid for name in local.names(role)] for role in ROLES}
        groups = {role: leaders for role, leaders in groups.items() if leaders}
        groups["sandbox"] = [local.part("sandbox").process.pid]
        self._counts = Counts(client)
        self._begun = self._look()
        self._usage = Usage(groups, {"redis": local.server.pid})
        self._at = time.monotonic()

    def read(self, faxes: int = 0, own: int = 0) -> Span:
        """The costs so far, of so many faxes; less so many HGETs of the benchmark's own."""
        seconds, cpu = time.monotonic() - self._at, self._usage.seconds()
        commands, trips = self._counts.read()
        if own:
            commands["hget"] -= own
        received, sent, aof = (now - then for now, then in zip(self._look(), self._begun, strict=True))
        return Span(seconds, faxes, cpu, commands, trips, received, sent, aof)

    def _look(self) -> tuple[int, int, int]:
        stats: Any = self._client.info("stats")
        aof: Any = self._client.info("persistence")
        received, sent = int(stats["total_net_input_bytes"]), int(stats["total_net_output_bytes"])
        return received, sent, int(aof.get("aof_current_size", 0))


def run_steady(
    local: Local, accounts: Sequence[str], rate: float, *, idle: float, warm: float, seconds: float
) -> Steady:
    """Watch the processes for some seconds with nothing to do, then while faxes come at a rate, if any."""
    with redis.Redis.from_url(local.redis_url, client_name="benchmark") as client:
        time.sleep(warm)
        watch = Watch(local, client)
        time.sleep(idle)
        nothing = watch.read()
        memory = _memory(client)
        busy = None
        if rate:
            _push(client, accounts, rate, warm, "warm")
            _await_the_ends(client, accounts, before := round(rate * warm))
            watch = Watch(local, client)
            count = _push(client, accounts, rate, seconds, "steady")
            busy = _all_of_it(watch, client, accounts, count, before)
        pids = {role: [local.part(name).process.pid for name in local.names(role)] for role in ROLES}
        largest = {
            role: max(resident(pid) for leader in leaders for pid in group_of(leader))
            for role, leaders in pids.items()
            if leaders
        }
        rows: Any = client.client_list()
        names = Counter(row["name"] or "unnamed" for row in rows)
        series, scrape = {}, {}
        for role in largest:
            used = Usage({role: pids[role][:1]}, {})
            page = httpx.get(
                f"http://127.0.0.1:{local.metrics[local.names(role)[0]]}/metrics", timeout=PATIENCE
            )
            scrape[role] = used.seconds()[role]
            series[role] = sum(not line.startswith("#") for line in page.text.splitlines())
        return Steady(len(accounts), nothing, busy, largest, names, series, scrape, memory)


def _memory(client: redis.Redis) -> int:
    found: Any = client.info("memory")
    return int(found["used_memory"])


def _delivered(client: redis.Redis, accounts: Sequence[str]) -> int:
    with client.pipeline(transaction=False) as pipe:
        for name in accounts:
            pipe.hget(RedisKeys(name).account_state, "done:delivered")
        return sum(int(found or 0) for found in pipe.execute())


def _await_the_ends(client: redis.Redis, accounts: Sequence[str], count: int) -> None:
    """Wait until so many faxes are delivered; whatever else becomes of one is an error."""
    if not wait_for(lambda: _delivered(client, accounts) >= count, PATIENCE, every=0.5):
        raise TimeoutError(f"{_delivered(client, accounts)} of {count} are delivered after {PATIENCE:g} s")


def _all_of_it(watch: Watch, client: redis.Redis, accounts: Sequence[str], count: int, before: int) -> Span:
    """What so many faxes cost to the last one's end, `before` others having ended before."""
    for looks in range(round(PATIENCE / SETTLE)):
        time.sleep(SETTLE)
        span = watch.read(count, own=looks * len(accounts))
        if _delivered(client, accounts) >= before + count:
            return span
    raise TimeoutError(f"{_delivered(client, accounts) - before} of {count} are delivered")
