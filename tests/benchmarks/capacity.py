"""The model behind `ops/capacity.md`: what a fleet of accounts needs, from measured unit costs.

What is assumed stands in `Assumptions`, and nowhere else; capacity_page.py writes the tables.
"""

import heapq
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DAY = 86_400.0


@dataclass(frozen=True)
class Assumptions:
    """What the fleet is taken to be. Rates are a second, durations seconds, sizes bytes."""

    rate: float = 1000 / 3600
    answer: float = 1.0
    answers: tuple[float, float] = (0.5, 2.0)
    threads: int = 40
    full: float = 0.6
    group: int = 200
    document: int = 200_000
    backlog: float = 3600.0
    retention: float = DAY
    long_retention: float = 30 * DAY
    memory: float = 64e9
    link: float = 1.25e9
    clients: int = 10_000
    fleet: tuple[int, ...] = (10, 100, 200, 1000, 2000, 5000, 10_000)

    def rows(self) -> list[tuple[str, str]]:
        """For the table."""
        days, long = self.retention / DAY, self.long_retention / DAY
        gigabit = self.link * 8 / 1e9
        return [
            ("an account at full quota", "1000 faxes an hour, evenly: 0.278 a second, one receipt each"),
            ("iFax answers", f"after {self.answer:g} s, where nothing else is said"),
            ("a worker", f"one process of {self.threads} threads"),
            ("a part is full", f"at {self.full:.0%} of a core, of its threads, memory, link or connections"),
            ("a group", f"{self.group} accounts to a dispatcher (`FAXLINE_ACCOUNTS`) and to its stand-in"),
            ("records and audit are kept", f"{days:g} day; the default is {long:g} days"),
            ("waiting at any time", f"the faxes of {self.backlog / 3600:g} hour, each with a document"),
            ("a document", f"10 pages, {self.document / 1000:g} KB, of its own"),
            ("a Redis", f"{self.memory / 1e9:g} GB, {gigabit:g} Gbit/s, `maxclients` {self.clients:,}"),
        ]


@dataclass(frozen=True)
class Line:
    """A cost that grows with the accounts that a dispatcher has: `base` + `each` · accounts."""

    base: float
    each: float

    def at(self, accounts: float) -> float:
        """With so many accounts."""
        return self.base + self.each * accounts


def line(few: tuple[float, float], many: tuple[float, float]) -> Line:
    """Through two points (accounts, cost); it does not fall, for what falls is noise."""
    each = max(0.0, (many[1] - few[1]) / (many[0] - few[0]))
    return Line(max(0.0, few[1] - each * few[0]) if each else (few[1] + many[1]) / 2, each)


@dataclass(frozen=True)
class Costs:
    """Unit costs, by name as in the section `fleet`: of a fax, and of an idle account, a second."""

    fax: Mapping[str, Line]
    account: Mapping[str, float]
    left: float
    connections: Mapping[str, int]
    series: Mapping[str, float]
    resident: Mapping[str, Line]
    scrape: Mapping[str, float]

    def cpu(self, part: str, accounts: float, rate: float, *, group: float | None = None) -> float:
        """CPU ms a second of a part, for so many faxes a second of so many accounts."""
        name = f"CPU ms {part}"
        return self.account.get(name, 0.0) * accounts + rate * self.fax[name].at(group or accounts)


def costs_of(runs: Mapping[str, Any]) -> Costs:
    """From the runs of the section `fleet`."""
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
        left=many["bytes a fax left in Redis"],
        connections=few["connections"],
        series={part: n / many["accounts"] for part, n in many["series"].items()},
        resident={part: grows("resident bytes", part) for part in many["resident bytes"]},
        scrape={part: n / many["accounts"] for part, n in many["CPU seconds a scrape"].items()},
    )


@dataclass(frozen=True)
class Fleet:
    """What so many accounts at full quota need. Whole numbers of processes, without those that stand in."""

    accounts: int
    rate: float
    calls: float
    workers: int
    dispatchers: int
    webhooks: int
    redis: float
    memory: float
    long_memory: float
    documents: float
    link: float
    aof: float
    clients: int
    series: float


def fleet(costs: Costs, given: Assumptions, accounts: int) -> Fleet:
    """The needs of a fleet; its dispatchers have a group each."""
    rate = accounts * given.rate
    core = 1000 * given.full
    group = min(accounts, given.group)
    workers = max(
        _up(rate * given.answer / (given.threads * given.full)),
        _up(costs.cpu("worker", 0, rate, group=group) / core),
    )
    dispatchers = max(
        _up(accounts / given.group), _up(costs.cpu("dispatcher", accounts, rate, group=group) / core)
    )
    webhooks = _up(costs.cpu("webhook", 0, rate, group=group) / core)
    documents = given.document * rate
    clients = (
        workers * costs.connections["faxline-worker"]
        + (workers + 2 * dispatchers) * 2
        + 2 * dispatchers * costs.connections["faxline-dispatcher"]
        + webhooks * costs.connections["faxline-webhook"]
    )
    told = costs.series
    series = (
        accounts * (told["worker"] * workers + told["webhook"] * webhooks) + accounts * told["dispatcher"] * 2
    )
    return Fleet(
        accounts=accounts,
        rate=rate,
        calls=rate * given.answer,
        workers=workers,
        dispatchers=dispatchers,
        webhooks=webhooks,
        redis=costs.cpu("redis", accounts, rate, group=group) / core,
        memory=rate * given.retention * costs.left,
        long_memory=rate * given.long_retention * costs.left,
        documents=documents * given.backlog,
        link=rate * (costs.fax["bytes to Redis"].at(group) + given.document),
        aof=rate * (costs.fax["AOF bytes"].at(group) + given.document),
        clients=clients,
        series=series,
    )


def _up(value: float) -> int:
    return max(1, -int(-value // 1))


def waits(threads: int, rate: float, least: float, most: float, *, calls: int = 40_000) -> float:
    """Seconds that a fax waits for a thread (p99), simulated: arrivals at random, answers evenly between."""
    draw = random.Random(1)  # noqa: S311 - no secret
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
    """How many accounts cost as much as the bound; the cost grows with them."""
    low, high = 0.0, 1e7
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= bound else (low, middle)
    return low
