"""Reads the intake streams for one dispatcher, never much at a time, and takes over what others left.

An entry may carry a document, or be made to harm, and its size is not known before it is read. So a read that
waits brings two entries an account at the most; where more are waiting, a script brings them until they are
large enough (lua/read_intake.lua). What was given out before comes four at a time; one that was given out
twice without an end comes alone, so that it takes no other along; and one that was given out more than
`MOST_TIMES` is set aside without being read (lua/set_aside_unread.lua).

How often an entry was given out is written down when it is claimed, as its former count and one more. So a
claim that is tried again after a lost reply counts once, and an entry of this very dispatcher, which lives,
does not count at all: it was Redis that was away.
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
from faxline_worker.state.intake_entries import MOST_TIMES, Delivery, Entry, size_of
from faxline_worker.state.store import Store

FIRST = 2
"""Entries an account that a read brings for which it waited: where there are more, the script brings them."""
BATCH = 500
"""Entries that the script brings at once, at the most."""
LARGE = 8_000_000
"""Bytes that it brings at once, and up to four entries more."""
AGAIN = 4
"""Entries that are taken over at once."""
ALONE = 2
"""One that was given out so often before is taken over alone."""
LOOK = 100
"""Entries without an end that one look finds."""
STREAMS = 20_000
"""Streams a second that are named in reads, at the most. A read names those of all accounts, and where
something comes all the time, to ask for a thousand streams for each would cost more than what came."""
SHORT = 0.05
"""Seconds until the next look where no account is to be read."""
SHORTEST = 0.005
"""Seconds that a read is held back for that reason at least; with few accounts none is."""


def held_back(asked: float, streams: int) -> float:
    """Seconds until the next read of so many streams, where the last was asked at that moment (monotonic)."""
    left = asked + streams / STREAMS - time.monotonic()
    return left if left >= SHORTEST else 0.0


class IntakeReader:
    """One dispatcher's.

    Args:
        client: a client whose socket timeout outlasts a read that waits.
        stores: the state of every account, by name.
        intakes: take the entries, likewise.
        metrics: the dispatcher's.
        log: likewise.
        consumer: this dispatcher's name in the consumer group, which no other ever has.
        takeover: seconds after which another dispatcher's unfinished entries are taken over.
        took: called with an account of which entries were taken, and the last of these.
        stopping: set when there is no time for more.
        loop: of the thread that reads.
        full: whether of an account so much waits elsewhere that no more is to be read.
    """

    def __init__(
        self,
        client: redis.Redis,
        stores: Mapping[str, Store],
        intakes: Mapping[str, Intake],
        metrics: DispatcherMetrics,
        log: structlog.stdlib.BoundLogger,
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
        """The accounts of which more entries wait than were read, as far as known."""

    def begin(self) -> None:
        """Take this dispatcher's entries whose reply was lost, or that Redis did not let it finish."""
        self._more = dict.fromkeys(self._stores)
        for name in self._stores:
            self._take_pending(name, 0, self._consumer)

    def read(self, block: float) -> None:
        """Take what comes next; where nothing waits, wait so many seconds for it."""
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
        if brought > LARGE:  # there may be as much in each account: none is read with others then
            self._more = dict.fromkeys(self._stores)

    def leave(self) -> None:
        """Leave the groups, unless something is left for another dispatcher to take over.

        Raises:
            redis.RedisError: Redis is away or refuses us.
        """
        for store in self._stores.values():
            if not store.deliveries.pending("-", 1, consumer=self._consumer):
                self._client.xgroup_delconsumer(store.keys.intake, INTAKE_GROUP, self._consumer)

    def _take(self, name: str, entries: Sequence[Entry]) -> None:
        if entries:
            self._intakes[name].take(entries)
            self._took(name, entries[-1][0])

    def _read_on(self, name: str) -> None:
        self._loop.beat()
        entries, more = self._stores[name].deliveries.read(self._consumer, BATCH, LARGE)
        if not more:
            del self._more[name]
        self._take(name, entries)

    def _take_over(self, name: str) -> None:
        """Take the entries that a dispatcher left unfinished; strike dispatchers that are gone."""
        self._loop.beat()
        store, idle = self._stores[name], round(self._takeover * 1000)
        self._take_pending(name, idle)
        for other in self._client.xinfo_consumers(store.keys.intake, INTAKE_GROUP):
            gone = other["pending"] == 0 and other["idle"] > max(idle * 20, 600_000)
            if gone and other["name"] != self._consumer.encode():
                self._client.xgroup_delconsumer(store.keys.intake, INTAKE_GROUP, other["name"])

    def _take_pending(self, name: str, idle: int, consumer: str | None = None) -> None:
        """Take what has been without an end for so long (ms), of one dispatcher or of all."""
        deliveries, after, taken = self._stores[name].deliveries, "-", 0
        found = [Delivery("", "", 0)] * LOOK
        while len(found) == LOOK and not self._stopping.is_set():
            found = deliveries.pending(after, LOOK, idle=idle, consumer=consumer)
            if found:
                after = "(" + found[-1].entry
                taken += self._take_again(name, found, idle)
        if taken and consumer is None:
            self._log.warning("intake entries taken over", account=name, count=taken)

    def _take_again(self, name: str, found: Sequence[Delivery], idle: int) -> int:
        """Take those that were given out before; how many were."""
        gone, taken, waits = self._set_aside(name, found), 0, self._intakes[name].pdfs.waits
        for some in _apart(one for one in found if one.entry not in gone and not waits(one.entry)):
            self._loop.beat()
            if self._stopping.is_set():
                break
            first, entries = some[0], [one.entry for one in some]
            times = first.times + (first.consumer != self._consumer)
            deliveries = self._stores[name].deliveries
            if first.times >= ALONE:
                claimed = deliveries.claim_alone(self._consumer, entries[0], idle=idle, times=times)
            else:
                claimed = deliveries.claim(self._consumer, entries, idle=idle, times=times)
            taken += len(claimed)
            self._take(name, claimed)
        return taken

    def _set_aside(self, name: str, found: Sequence[Delivery]) -> set[str]:
        """Set aside unopened what was given out too often; which was."""
        often = [one.entry for one in found if one.times > MOST_TIMES and one.consumer != self._consumer]
        gone = self._stores[name].deliveries.set_aside_unread(often) if often else []
        reason = str(Rejection.DELIVERED_TOO_OFTEN)
        self._metrics.taken(name, len(gone))
        for entry in gone:
            self._metrics.outcome(name, "rejected")
            self._metrics.failure(name, "intake", None, reason)
            self._log.error("entry set aside unopened", account=name, entry=entry, reason=reason)
        return set(gone)


def _apart(found: Iterable[Delivery]) -> Iterable[list[Delivery]]:
    """What is claimed together: a few of one dispatcher's that were given out once, or one alone."""
    some = list[Delivery]()
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
