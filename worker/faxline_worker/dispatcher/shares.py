"""Which accounts this dispatcher serves: its share of all, by the heartbeats of the dispatchers at work."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from faxline.contract.redis_keys import ACCOUNT_NAME
from faxline.reading.processes import Process, ProcessState, units_to_text
from faxline_worker.config.live_accounts import Update
from faxline_worker.dispatcher.served import Served
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.state.units import ALL, MANY, OwnUnits, digest_of, digests_of, share_lists, unit_of
from faxline_worker.wakeups.broker import WakeBroker

TROUBLED = 60.0
"""Seconds for which a dispatcher that was at work keeps its share while it is not ready. Otherwise the first
one that recovers from a failover of Redis would begin with all accounts."""

NAMED = 20
"""The most accounts whose folders cannot be read that a heartbeat names."""


class Shares:
    """Keeps `Served` up to date. Thread-safe.

    One or two dispatchers serve all accounts. More of them share the accounts. A unit is left only to those
    that have the same accounts in it. So an account is never left to one that does not know it, or drains
    it: a machine may have a new folder later than others, and a deployment a directory of another's path.

    Args:
        served: the accounts that this dispatcher serves.
        metrics: the dispatcher's metrics.
        process: the name of this dispatcher in its heartbeat.
        broker: sends the wake-ups, to a list for each unit if accounts are many.
        group: what the dispatchers that share their accounts have in common (`LiveAccounts.group`).
        clock: monotonic seconds.
        broken: the folders of accounts that cannot be read now (`LiveAccounts.broken`).
    """

    def __init__(  # noqa: PLR0917 - each is one
        self,
        served: Served,
        metrics: DispatcherMetrics,
        process: str,
        group: str,
        broker: WakeBroker,
        clock: Callable[[], float] = time.monotonic,
        broken: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._served = served
        self._metrics = metrics
        self._group = group
        self._broker = broker
        self._accounts: Sequence[str] = list(served)
        self._known = digests_of(self._accounts)
        self._draining: frozenset[str] = frozenset()
        self._process = process
        self._own = OwnUnits(process)
        self._units = ALL
        self._clock = clock
        self._broken = broken
        self._worked: dict[str, float] = {}
        """When dispatchers were at work last."""
        self._lock = threading.Lock()
        self.slowest_look = 0.0
        """The longest that a worker takes from one look at the accounts' folders to the next, in seconds."""
        metrics.set_accounts_served(len(served))

    def heartbeat_fields(self) -> dict[str, str | list[str]]:
        """What the heartbeat says about the share of this dispatcher."""
        fields: dict[str, str | list[str]] = {
            "shares": self._group,
            "units": units_to_text(self._units),
            "known": self._known,
        }
        lacks = sorted(self._lacks())[:NAMED]
        return fields | ({"lacks": lacks} if lacks else {})

    def _lacks(self) -> set[str]:
        """The accounts that cannot be served here, because nobody could read their folders yet."""
        return {name for name in self._broken() if ACCOUNT_NAME.fullmatch(name)}.difference(self._accounts)

    def follow(self, update: Update, draining: frozenset[str]) -> None:
        """Serve accounts that were added, drain those that were removed, and leave those that are drained."""
        with self._lock:
            self._accounts, self._draining = list(update.settings.accounts), draining
            self._known = digests_of(name for name in self._accounts if name not in draining)
            self._apply(update.renewed)

    def saw(self, processes: Sequence[Process]) -> None:
        """Share the accounts among the dispatchers at work."""
        now = self._clock()
        peers = [one for one in processes if one.role == "dispatcher" and one.shares == self._group]
        others = [one for one in peers if one.at_work]
        worked = self._worked | {one.name: now for one in others}
        self._worked = {name: at for name, at in worked.items() if now - at < TROUBLED}
        troubled = [one for one in peers if one.state is ProcessState.NOT_READY and not one.gone]
        looks = (one.looks for one in processes if one.role == "worker" and not one.gone)
        self.slowest_look = max(looks, default=0.0)
        workers = [process for process in processes if process.role == "worker" and process.at_work]
        with self._lock:
            self._broker.grouped = len(self._accounts) > MANY and share_lists(workers)
            sharing = {one.name: one for one in others}
            sharing |= {one.name: one for one in troubled if one.name in self._worked}
            self._units = self._own.saw(sharing, lambda name, unit: self._agrees(sharing[name], unit))
            self._apply()
            self._metrics.set_accounts_unowned(self._count_unowned(others))

    def _agrees(self, other: Process, unit: int) -> bool:
        """Whether another dispatcher has the same accounts in a unit; an older one does not say."""
        return not other.known or digest_of(unit, other.known) == digest_of(unit, self._known)

    def _count_unowned(self, others: Iterable[Process]) -> int:
        """How many accounts no dispatcher at work serves: none has their unit, or who has it lacks them."""
        lacks = self._lacks()  # what its heartbeat says of itself may be older, and is cut
        others = [one for one in others if one.name != self._process]

        def is_served(name: str) -> bool:
            unit = unit_of(name)
            return (unit in self._units and name not in lacks) or any(
                unit in one.units and name not in one.lacks and (name in lacks or self._agrees(one, unit))
                for one in others
            )

        return sum(not is_served(name) for name in lacks.union(self._accounts))

    def _apply(self, changed: Iterable[str] = ()) -> None:
        names = [name for name in self._accounts if unit_of(name) in self._units]
        new, gone = self._served.serve(names, self._draining.intersection(names), changed)
        labels = self._metrics.labels
        for name in () if labels.many else new:
            labels.serve(name)
        labels.drop(gone)  # another dispatcher exports what it reads
        self._metrics.set_accounts_served(len(names))
