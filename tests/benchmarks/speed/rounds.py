"""One round of the throughput: faxes that wait are sent as fast as they can be."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from faxline import FaxLine
from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.stack import Local
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.speed.bare import Bare
from tests.benchmarks.speed.endpoint import Endpoint, Stub
from tests.benchmarks.speed.sheet import median
from tests.benchmarks.speed.usage import Usage

PATIENCE = 300.0


@dataclass(frozen=True)
class Round:
    """What came of it.

    Args:
        faxes: that were sent.
        a_second: from the first to the last.
        cpu: seconds of each part.
    """

    faxes: int
    a_second: float
    cpu: Mapping[str, float]

    def cpu_ms(self, *parts: str) -> float:
        """CPU milliseconds a fax, of some parts or all."""
        return 1000 * sum(self.cpu[name] for name in parts or self.cpu) / self.faxes


def middle(rounds: Sequence[Round]) -> Round:
    """The medians of some rounds."""
    return Round(
        rounds[0].faxes,
        median([one.a_second for one in rounds]),
        {name: median([one.cpu[name] for one in rounds]) for name in rounds[0].cpu},
    )


def account_names(count: int) -> list[str]:
    """Names of so many accounts."""
    return [f"a{i:02}" for i in range(count)]


def shares(accounts: Sequence[str], faxes: int, mark: str) -> dict[str, list[str]]:
    """Subjects of so many faxes, shared out among the accounts."""
    each = -(-faxes // len(accounts))
    return {name: [f"{mark}-{name}-{i}" for i in range(each)] for name in accounts}


class Field:
    """The parts that a round needs.

    Args:
        local: the daemon and its server.
        endpoint: where the faxes go.
        bare: the baseline's worker, where there is one; it stands still but in its own rounds.
    """

    def __init__(self, local: Local, endpoint: Endpoint, bare: Bare | None = None) -> None:
        self._local = local
        self._endpoint = endpoint
        self._bare = bare
        self._daemon = [
            local.part(name) for role in ("dispatcher", "worker", "webhook") for name in local.names(role)
        ]
        if bare is not None:
            bare.part.pause()

    def faxline(self, accounts: Sequence[str], faxes: int, mark: str, *, registered: bool) -> Round:
        """Push faxes and let the daemon send them.

        Args:
            registered: they wait in the ready sets; else in the intake streams.
        """
        with redis.Redis.from_url(self._local.redis_url) as client:
            lines = [FaxLine(client, account=name) for name in accounts]
            if registered:
                for line in lines:
                    line.pause(by="benchmark")
            else:
                self._stand_still()
            for account, names in shares(accounts, faxes, mark).items():
                push_entries(client, account, names)
            if registered:
                keys = [RedisKeys(name).intake for name in accounts]
                _await(lambda: not any(client.xlen(key) for key in keys), "the intake is not empty")
                return self._watch(
                    self._parts(), lambda: [line.resume(by="benchmark") for line in lines], faxes
                )
            return self._watch(self._parts(), self._go_on, faxes)

    def plain(self, accounts: Sequence[str], faxes: int, mark: str) -> Round:
        """Push as many messages and let the bare actor send them, while the daemon stands still."""
        assert self._bare is not None
        bare = self._bare
        self._stand_still()
        try:
            pushed = shares(accounts, faxes, mark)
            bare.push([(name, subject) for name, subjects in pushed.items() for subject in subjects])
            groups = {"worker": [bare.part.process.pid]}
            return self._watch(groups, bare.part.resume, faxes)
        finally:
            bare.part.pause()
            self._go_on()

    def _stand_still(self) -> None:
        for part in self._daemon:
            part.pause()

    def _go_on(self) -> None:
        for part in self._daemon:
            part.resume()

    def _parts(self) -> dict[str, list[int]]:
        roles = [role for role in ("worker", "dispatcher", "webhook") if self._local.names(role)]
        return {
            role: [self._local.part(name).process.pid for name in self._local.names(role)] for role in roles
        }

    def _watch(self, groups: Mapping[str, list[int]], begin: Callable[[], Any], faxes: int) -> Round:
        endpoint = self._endpoint
        if isinstance(endpoint, Stub):
            endpoint.forget()
        before = endpoint.count()
        usage = Usage(
            {**groups, endpoint.name: [endpoint.part.process.pid]}, {"redis": self._local.server.pid}
        )
        begin()
        _await(lambda: endpoint.count() >= before + faxes, "not all faxes are sent")
        cpu = usage.seconds()
        seen = endpoint.seen_since(before)
        return Round(seen.count, (seen.count - 1) / max(1e-9, seen.last - seen.first), cpu)


def _await(condition: Callable[[], bool], failure: str) -> None:
    if not wait_for(condition, PATIENCE, every=0.05):
        raise TimeoutError(f"{failure} after {PATIENCE:g} s ({time.ctime()})")
