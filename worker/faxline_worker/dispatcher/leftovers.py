"""Takes the intake entries that are pending: those of this dispatcher, and those that others left.

- Pending entries are claimed four at a time. An entry that was delivered twice without being finished is
  claimed alone, so that it harms no other entry.
- An entry that was delivered more than `MOST_TIMES` is set aside unread (lua/set_aside_unread.lua).

A claim sets the delivery count to the former count plus one. So a claim that is repeated after a lost reply
counts once. An entry that this dispatcher claims again from itself does not count: the dispatcher is alive,
so Redis was the cause.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import redis
from structlog.typing import FilteringBoundLogger

from faxline.contract.errors import Rejection
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.intake.registrar import Intake
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.pulse import Loop
from faxline_worker.state.account_starts import ask_each, slices
from faxline_worker.state.intake_entries import MOST_TIMES, Entry, PendingEntry
from faxline_worker.state.store import Store

AGAIN = 4
"""The most entries that are claimed together."""
ALONE = 2
"""An entry that was delivered at least this often is claimed alone."""
LOOK = 100
"""The most pending entries that one call lists."""
LONGEST_LOOK = 0.05
"""The longest time (s) of one check for entries that other dispatchers left pending."""


class Leftovers:
    """Takes the pending entries for one dispatcher.

    Args:
        client: a client of the state's database.
        stores: the state of every account, by name.
        intakes: what registers the entries, by account name.
        metrics: the dispatcher's metrics.
        log: the dispatcher's logger.
        consumer: this dispatcher's name in the consumer group.
        takeover: how long (s) another dispatcher's entries may stay pending before they are claimed.
        take: takes the claimed entries of an account.
        stopping: set when the dispatcher stops; no more entries are taken then.
        loop: the heartbeat of the reading thread.
    """

    def __init__(
        self,
        client: redis.Redis,
        stores: Mapping[str, Store],
        intakes: Mapping[str, Intake],
        metrics: DispatcherMetrics,
        log: FilteringBoundLogger,
        *,
        consumer: str,
        takeover: float,
        take: Callable[[str, Sequence[Entry]], None],
        stopping: threading.Event,
        loop: Loop,
    ) -> None:
        self._client = client
        self._stores = stores
        self._intakes = intakes
        self._metrics = metrics
        self._log = log
        self._consumer = consumer
        self._takeover = takeover
        self._take = take
        self._stopping = stopping
        self._loop = loop
        self._took_over = 0.0
        self._to_look = deque[Sequence[Store]]()
        """The accounts still to be checked for entries that other dispatchers left."""

    def take_own(self) -> None:
        """Claim this dispatcher's own pending entries: a reply was lost, or Redis failed before the end."""
        for name in self.pending(self._stores.values(), consumer=self._consumer):
            self._take_pending(name, 0, self._consumer)

    def pending(
        self, stores: Iterable[Store], *, idle: int = 0, consumer: str | None = None
    ) -> dict[str, None]:
        """The accounts with pending entries; the arguments are those of `IntakeEntries.pending`."""
        asked = list(stores)
        found = ask_each(
            self._client,
            asked,
            lambda pipe, store: pipe.xpending_range(
                *(store.keys.intake, INTAKE_GROUP, "-", "+", 1), consumername=consumer, idle=idle or None
            ),
        )
        return {store.account: None for store, some in zip(asked, found, strict=True) if some}

    def take_over_some(self) -> None:
        """Check some accounts for entries that other dispatchers left; all accounts once a `takeover`.

        With many accounts a check of all takes seconds. New entries must not wait for so long.
        """
        now = time.monotonic()
        if now - self._took_over > self._takeover and not self._to_look:
            self._took_over = now
            self._to_look.extend(slices(self._stores.values()))
        while self._to_look and not self._stopping.is_set():
            self._take_over(self._to_look[0])
            self._to_look.popleft()
            if time.monotonic() > now + LONGEST_LOOK:
                break

    def _take_over(self, stores: Sequence[Store]) -> None:
        """Claim entries that other dispatchers left pending, and remove dispatchers that are gone."""
        self._loop.beat()
        idle = round(self._takeover * 1000)
        stores = [store for store in stores if store.account in self._stores]  # the others went meanwhile
        for name in self.pending(stores, idle=idle):
            self._take_pending(name, idle)
        asked = ask_each(
            self._client, stores, lambda pipe, store: pipe.xinfo_consumers(store.keys.intake, INTAKE_GROUP)
        )
        for store, others in zip(stores, asked, strict=True):
            for other in others:
                gone = other["pending"] == 0 and other["idle"] > max(idle * 20, 600_000)
                if gone and other["name"] != self._consumer.encode():
                    self._client.xgroup_delconsumer(store.keys.intake, INTAKE_GROUP, other["name"])

    def _take_pending(self, name: str, idle: int, consumer: str | None = None) -> None:
        """Claim entries that have been pending for `idle` ms, from one dispatcher or from all."""
        entries, after, taken = self._stores[name].intake_entries, "-", 0
        found = [PendingEntry("", "", 0)] * LOOK
        while len(found) == LOOK and not self._stopping.is_set():
            found = entries.pending(after, LOOK, idle=idle, consumer=consumer)
            if found:
                after = "(" + found[-1].entry
                taken += self._take_again(name, found, idle)
        if taken and consumer is None:
            self._log.warning("intake entries taken over", account=name, count=taken)

    def _take_again(self, name: str, found: Sequence[PendingEntry], idle: int) -> int:
        """Claim pending entries and take them. Returns how many."""
        gone, taken, waits = self._set_aside(name, found), 0, self._intakes[name].pdfs.waits
        for some in _claim_groups(one for one in found if one.entry not in gone and not waits(one.entry)):
            self._loop.beat()
            if self._stopping.is_set():
                break
            first, entries = some[0], [one.entry for one in some]
            times = first.times + (first.consumer != self._consumer)
            stored = self._stores[name].intake_entries
            if first.times >= ALONE:
                claimed = stored.claim_alone(self._consumer, entries[0], idle=idle, times=times)
            else:
                claimed = stored.claim(self._consumer, entries, idle=idle, times=times)
            taken += len(claimed)
            self._take(name, claimed)
        return taken

    def _set_aside(self, name: str, found: Sequence[PendingEntry]) -> set[str]:
        """Set aside, unopened, the entries that were delivered too often. Returns their ids."""
        often = [one.entry for one in found if one.times > MOST_TIMES and one.consumer != self._consumer]
        gone = self._stores[name].intake_entries.set_aside_unread(often) if often else []
        reason = str(Rejection.DELIVERED_TOO_OFTEN)
        self._metrics.taken(name, len(gone))
        for entry in gone:
            self._metrics.outcome(name, "rejected")
            self._metrics.failure(name, "intake", None, reason)
            self._log.error("entry set aside unopened", account=name, entry=entry, reason=reason)
        return set(gone)


def _claim_groups(found: Iterable[PendingEntry]) -> Iterable[list[PendingEntry]]:
    """Group the entries for a claim: several of one dispatcher that were delivered once, or one alone."""
    some = list[PendingEntry]()
    for one in found:
        if some and (
            len(some) == AGAIN
            or one.times >= ALONE
            or some[0].times >= ALONE
            or one.consumer != some[0].consumer
        ):
            yield some
            some = []
        some.append(one)
    if some:
        yield some
