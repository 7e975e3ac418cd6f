"""Read the intake streams for one dispatcher, in small portions, and take over entries that others left.

An entry may hold a document or be malicious, and its size is unknown until it is read. Therefore:

- A blocking read fetches at most two entries per account. If more are waiting, a script fetches them up to a
  total size (lua/read_intake.lua).
- Pending entries are claimed four at a time. An entry that was delivered twice without being finished is
  claimed alone, so that it harms no other entry.
- An entry that was delivered more than `MOST_TIMES` is set aside unread (lua/set_aside_unread.lua).

A claim sets the delivery count to the former count plus one. So a claim that is repeated after a lost reply
counts once. An entry that this dispatcher claims again from itself does not count: the dispatcher is alive,
so Redis was the cause.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import redis
import structlog

from faxline.contract.errors import Rejection
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.intake.registrar import Intake
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.pulse import Loop
from faxline_worker.state.intake_entries import MOST_TIMES, Entry, PendingEntry, size_of
from faxline_worker.state.store import Store

FIRST = 2
"""The most entries per account of a blocking read. If more are waiting, the script fetches them."""
BATCH = 500
"""The most entries that the script fetches at once."""
LARGE = 8_000_000
"""The script stops at this many bytes, or up to four entries later."""
AGAIN = 4
"""The most entries that are claimed together."""
ALONE = 2
"""An entry that was delivered at least this often is claimed alone."""
LOOK = 100
"""The most pending entries that one call lists."""
STREAMS = 20_000
"""The most streams per second that reads may name. A read names the streams of all accounts. With a thousand
accounts and steady traffic, naming them for every entry would cost more than the entries."""
SHORT = 0.05
"""The pause if no account may be read (s)."""
SHORTEST = 0.005
"""A read is not delayed by less than this (s), so with few accounts it is never delayed."""


def held_back(asked: float, streams: int) -> float:
    """How long to delay the next read (s), after one of `streams` streams at `asked` (monotonic seconds)."""
    left = asked + streams / STREAMS - time.monotonic()
    return left if left >= SHORTEST else 0.0


class IntakeReader:
    """Reads the intake streams of all accounts for one dispatcher.

    Args:
        client: a client whose socket timeout is longer than a blocking read.
        stores: the state of every account, by name.
        intakes: what registers the entries, by account name.
        metrics: the dispatcher's metrics.
        log: the dispatcher's logger.
        consumer: this dispatcher's name in the consumer group; unique for ever.
        takeover: how long (s) another dispatcher's entries may stay pending before they are claimed.
        took: called with an account and the id of the last entry that was taken.
        stopping: set when the dispatcher stops; no more entries are taken then.
        loop: the heartbeat of the reading thread.
        full: whether an account has so much waiting that it is not read for now.
    """

    def __init__(
        self,
        client: redis.Redis,
        stores: Mapping[str, Store],
        intakes: Mapping[str, Intake],
        metrics: DispatcherMetrics,
        log: structlog.typing.FilteringBoundLogger,
        *,
        consumer: str,
        takeover: float,
        took: Callable[[str, str], object],
        stopping: threading.Event,
        loop: Loop,
        full: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._client = client
        self._stores = stores
        self._intakes = intakes
        self._metrics = metrics
        self._log = log
        self._consumer = consumer
        self._takeover = takeover
        self._took = took
        self._stopping = stopping
        self._loop = loop
        self._full = full
        self._accounts = {store.keys.intake.encode(): name for name, store in stores.items()}
        self._asked = self._took_over = 0.0
        self._named = 0
        self._more = dict.fromkeys(stores)
        """The accounts that may have more entries than the last read fetched."""

    def begin(self) -> None:
        """Claim this dispatcher's own pending entries: a reply was lost, or Redis failed before the end."""
        self._more = dict.fromkeys(self._stores)
        for name in self._stores:
            self._take_pending(name, 0, self._consumer)

    def read(self, block: float) -> None:
        """Take the next entries; if there are none, wait up to `block` seconds for them."""
        self._stopping.wait(held_back(self._asked, self._named))
        self._asked = time.monotonic()
        if self._asked - self._took_over > self._takeover:
            self._took_over = self._asked
            for name in self._stores:
                self._take_over(name)
        for name in list(self._more):
            if not self._full(name):
                self._read_on(name)
        streams: Any = {
            store.keys.intake: ">" for name, store in self._stores.items() if not self._full(name)
        }
        self._named = len(streams)
        if not streams:
            self._stopping.wait(SHORT)
        more = any(self._stores[name].keys.intake in streams for name in self._more)
        wait = None if more else round(block * 1000)
        reply = streams and self._client.xreadgroup(
            INTAKE_GROUP, self._consumer, streams, count=FIRST, block=wait
        )
        self._loop.well()
        brought = 0
        for stream, entries in cast(
            "list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", reply or []
        ):
            name = self._accounts[stream]
            brought += sum(size_of(fields) for _, fields in entries)
            if len(entries) == FIRST:
                self._more[name] = None
            self._take(name, [(entry.decode(), fields) for entry, fields in entries])
        if brought > LARGE:  # each account may have as much, so read them one by one
            self._more = dict.fromkeys(self._stores)

    def leave(self) -> None:
        """Leave the consumer groups, except those in which entries of this dispatcher are pending.

        Raises:
            redis.RedisError: Redis is unavailable or refuses the command.
        """
        for store in self._stores.values():
            if not store.intake_entries.pending("-", 1, consumer=self._consumer):
                self._client.xgroup_delconsumer(store.keys.intake, INTAKE_GROUP, self._consumer)

    def _take(self, name: str, entries: Sequence[Entry]) -> None:
        if entries:
            self._intakes[name].take(entries)
            self._took(name, entries[-1][0])

    def _read_on(self, name: str) -> None:
        self._loop.beat()
        entries, more = self._stores[name].intake_entries.read(self._consumer, BATCH, LARGE)
        if not more:
            del self._more[name]
        self._take(name, entries)

    def _take_over(self, name: str) -> None:
        """Claim entries that other dispatchers left pending, and remove dispatchers that are gone."""
        self._loop.beat()
        store, idle = self._stores[name], round(self._takeover * 1000)
        self._take_pending(name, idle)
        for other in self._client.xinfo_consumers(store.keys.intake, INTAKE_GROUP):
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
