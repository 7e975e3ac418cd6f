"""The model behind `ops/capacity.md`: what a fleet of accounts needs, from measured unit costs.

What is assumed stands in `Assumptions`, and nowhere else; capacity_page.py writes the tables.
"""

import heapq
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DAY = 86_400.0
BROKER = 2
"""Connections of a dispatcher or a worker to the broker's database, of the same server."""


@dataclass(frozen=True)
class Assumptions:
    """The assumptions about the fleet. Rates are per second, durations in seconds, sizes in bytes."""

    rate: float = 1000 / 3600
    answer: float = 1.0
    answers: tuple[float, float] = (0.5, 2.0)
    threads: int = 40
    full: float = 0.6
    group: int = 200
    document: int = 200_000
    record: int = 3000
    backlog: float = 3600.0
    retention: float = DAY
    long_retention: float = 30 * DAY
    memory: float = 64e9
    link: float = 1.25e9
    clients: int = 10_000
    fleet: tuple[int, ...] = (10, 100, 200, 1000, 2000, 5000, 10_000)

    def rows(self) -> list[tuple[str, str]]:
        """The rows of the table `assumed`."""
        days, long = self.retention / DAY, self.long_retention / DAY
        gigabit = self.link * 8 / 1e9
        return [
            ("an account at full quota", "1000 faxes an hour, evenly: 0.278 a second, one receipt each"),
            ("iFax answers", f"after {self.answer:g} s, unless stated otherwise"),
            ("a worker", f"one process of {self.threads} threads"),
            ("a part is full", f"at {self.full:.0%} of a core, of its threads, memory, link or connections"),
            (
                "a shard",
                f"{self.group} accounts with a Redis, 2 dispatchers, workers and webhooks of their own",
            ),
            ("records and audit are kept", f"{days:g} day; the default is {long:g} days"),
            (
                "a fax that has ended",
                f"{self.record / 1000:g} KB of record, jobId, events, audit (`make bench-drain`: 2 to 3)",
            ),
            ("waiting at any time", f"the faxes of {self.backlog / 3600:g} hour, each with a document"),
            ("a document", f"10 pages, {self.document / 1000:g} KB, of its own"),
            ("a Redis", f"{self.memory / 1e9:g} GB, {gigabit:g} Gbit/s, `maxclients` {self.clients:,}"),
        ]


@dataclass(frozen=True)
class Line:
    """A cost that grows with a dispatcher's accounts: `base` + `each` · accounts."""

    base: float
    each: float

    def at(self, accounts: float) -> float:
        """The cost with this many accounts."""
        return self.base + self.each * accounts


def line(few: tuple[float, float], many: tuple[float, float]) -> Line:
    """The line through two points (accounts, cost). A falling cost is noise, so the line never falls."""
    each = max(0.0, (many[1] - few[1]) / (many[0] - few[0]))
    return Line(max(0.0, few[1] - each * few[0]) if each else (few[1] + many[1]) / 2, each)


@dataclass(frozen=True)
class Costs:
    """Unit costs, by name as in the section `fleet`: of a fax, and of an idle account, a second."""

    fax: Mapping[str, Line]
    account: Mapping[str, float]
    connections: Mapping[str, int]
    series: Mapping[str, float]
    resident: Mapping[str, Line]
    scrape: Mapping[str, float]

    def cpu(self, part: str, accounts: float, rate: float, *, group: float | None = None) -> float:
        """CPU milliseconds a second of a process, for this many accounts and faxes a second."""
        name = f"CPU ms {part}"
        return self.account.get(name, 0.0) * accounts + rate * self.fax[name].at(group or accounts)


def costs_of(runs: Mapping[str, Any]) -> Costs:
    """Compute the unit costs from the runs of the section `fleet`."""
    by_count = sorted((run for run in runs.values() if "busy" in run), key=lambda run: int(run["accounts"]))
    few, many = by_count[0], by_count[1]
    alone = sorted((run for run in runs.values() if "busy" not in run), key=lambda run: int(run["accounts"]))

    def of_a_fax(run: Mapping[str, Any], name: str) -> tuple[float, float]:
        return run["accounts"], (run["busy"][name] - run["idle"].get(name, 0.0)) / run["faxes a second"]

    def of_an_account(name: str) -> float:
        least, most = alone[0], alone[-1]
        if least is most:
            return float(least["idle"][name]) / float(least["accounts"])
        return line((least["accounts"], least["idle"][name]), (most["accounts"], most["idle"][name])).each

    def grows(read: str, part: str) -> Line:
        return line((few["accounts"], few[read][part]), (many["accounts"], many[read][part]))

    return Costs(
        fax={name: line(of_a_fax(few, name), of_a_fax(many, name)) for name in few["busy"]},
        account={name: of_an_account(name) for name in alone[0]["idle"] if "sandbox" not in name},
        connections=few["connections"],
        series={part: n / many["accounts"] for part, n in many["series"].items()},
        resident={part: grows("resident bytes", part) for part in many["resident bytes"]},
        scrape={part: n / many["accounts"] for part, n in many["CPU seconds a scrape"].items()},
    )


@dataclass(frozen=True)
class Fleet:
    """What so many accounts at full quota need, in shards: each a Redis with its own parts and some accounts.

    Args:
        accounts, rate: how many, and their faxes a second.
        shards: how many; what begins with `shard_` is of one that is full.
        shard_workers: by their threads or their cores, without the one that stands in.
        shard_webhooks: likewise.
        dispatcher, redis: how much of a core each of a shard has to do.
        shard_memory: bytes of Redis: records and documents.
        shard_link, shard_aof: bytes a second to Redis, and to its file.
        shard_clients: connections to a Redis, those that stand in included.
        workers, memory, series: of all shards; those that stand in are among the workers and series.
    """

    accounts: int
    rate: float
    shards: int
    shard_workers: int
    shard_webhooks: int
    dispatcher: float
    redis: float
    shard_memory: float
    shard_link: float
    shard_aof: float
    shard_clients: int
    workers: int
    memory: float
    series: float


def fleet(costs: Costs, given: Assumptions, accounts: int) -> Fleet:
    """Compute what a fleet of this many accounts needs."""
    shards, group = _up(accounts / given.group), min(accounts, given.group)
    rate, core = group * given.rate, 1000 * given.full
    by_threads = rate * given.answer / (given.threads * given.full)
    workers = max(_up(by_threads), _up(costs.cpu("worker", 0, rate, group=group) / core))
    webhooks = _up(costs.cpu("webhook", 0, rate, group=group) / core)
    memory = rate * (given.retention * given.record + given.backlog * given.document)
    each = costs.connections
    clients = (workers + 1) * (each["faxline-worker"] + BROKER) + 2 * (each["faxline-dispatcher"] + BROKER)
    own = costs.series
    series = group * (own["worker"] * (workers + 1) + own["webhook"] * (webhooks + 1) + own["dispatcher"] * 2)
    return Fleet(
        accounts=accounts,
        rate=accounts * given.rate,
        shards=shards,
        shard_workers=workers,
        shard_webhooks=webhooks,
        dispatcher=costs.cpu("dispatcher", group, rate) / 1000,
        redis=costs.cpu("redis", group, rate) / 1000,
        shard_memory=memory,
        shard_link=rate * (costs.fax["bytes to Redis"].at(group) + given.document),
        shard_aof=rate * (costs.fax["AOF bytes"].at(group) + given.document),
        shard_clients=clients + (webhooks + 1) * each["faxline-webhook"],
        workers=shards * (workers + 1),
        memory=shards * memory,
        series=shards * series,
    )


def _up(value: float) -> int:
    return max(1, -int(-value // 1))


def waits(threads: int, rate: float, least: float, most: float, *, calls: int = 40_000) -> float:
    """Seconds that a fax waits for a thread (p99), simulated: arrivals at random, answers evenly between."""
    draw = random.Random(1)
    free = [0.0] * threads
    now, found = 0.0, []
    for _ in range(calls):
        now += draw.expovariate(rate)
        begins = max(now, heapq.heappop(free))
        heapq.heappush(free, begins + draw.uniform(least, most))
        found.append(begins - now)
    found.sort()
    return found[len(found) * 99 // 100]


def most_accounts(cost: Callable[[float], float], bound: float) -> float:
    """The number of accounts whose cost reaches a bound. The cost must grow with the accounts."""
    low, high = 0.0, 1e7
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= bound else (low, middle)
    return low
