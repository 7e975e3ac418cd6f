"""Read the intake streams for one dispatcher, in small portions, and take over entries that others left.

An entry may hold a document or be malicious, and its size is unknown until it is read. Therefore:

- A blocking read fetches at most two entries per account. If more are waiting, a script fetches them up to a
  total size (lua/read_intake.lua).
- Pending entries are claimed in small groups, or alone if they may be at fault (leftovers.py).
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import redis
import structlog

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.dispatcher.intake_bell import IntakeBell
from faxline_worker.dispatcher.leftovers import Leftovers
from faxline_worker.intake.registrar import Intake
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.pulse import Loop
from faxline_worker.state.account_starts import ask_each
from faxline_worker.state.intake_entries import Entry, size_of
from faxline_worker.state.store import Store

FIRST = 2
"""The most entries per account of a blocking read. If more are waiting, the script fetches them."""
BATCH = 500
"""The most entries that the script fetches at once."""
LARGE = 8_000_000
"""The script stops at this many bytes, or up to four entries later."""
STREAMS = 20_000
"""The most streams per second that reads may name. A read names the streams of all accounts. With a thousand
accounts and steady traffic, naming them for every entry would cost more than the entries."""
SHORT = 0.05
"""The pause if no account may be read (s)."""
SHORTEST = 0.005
"""A read is not delayed by less than this (s), so with few accounts it is never delayed."""


def read_delay(asked: float, streams: int) -> float:
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
        bell: IntakeBell | None = None,
    ) -> None:
        self._client = client
        self._stores = dict(stores)
        """Those that are read."""
        self._intakes = intakes
        self._consumer = consumer
        self._took = took
        self._stopping = stopping
        self._loop = loop
        self._full = full
        self._bell = bell
        self._accounts = {store.keys.intake.encode(): name for name, store in stores.items()}
        self._asked = 0.0
        self._named = 0
        self._more: dict[str, None] = {}
        """The accounts that may have more entries than the last read fetched."""
        self._has_read = False
        self._leftovers = Leftovers(
            *(client, self._stores, intakes, metrics, log),
            consumer=consumer,
            takeover=takeover,
            take=self._take,
            stopping=stopping,
            loop=loop,
        )

    def begin(self) -> None:
        """Claim this dispatcher's own pending entries: a reply was lost, or Redis failed before the end."""
        if self._has_read:  # otherwise nothing is pending yet
            self._leftovers.take_own()
        self._more = self._waiting(self._stores.values())

    def follow(self, stores: Mapping[str, Store]) -> None:
        """Read these accounts from now on. Their consumer groups must exist."""
        new = [store for name, store in stores.items() if name not in self._stores]
        self._stores.clear()
        self._stores.update(stores)
        self._accounts = {store.keys.intake.encode(): name for name, store in stores.items()}
        self._more = {name: None for name in self._more if name in stores} | self._waiting(new)

    def read(self, block: float) -> None:
        """Take the next entries; if there are none, wait up to `block` seconds for them."""
        self._has_read = True
        self._stopping.wait(read_delay(self._asked, self._named))
        self._asked = time.monotonic()
        self._leftovers.take_over_some()
        for name in list(self._more):
            if not self._full(name):
                self._read_on(name)
        if self._bell is not None and not self._bell.retired:
            self._await_bell(self._bell, block)
            return
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
            self._more = self._waiting(self._stores.values())

    def _await_bell(self, bell: IntakeBell, block: float) -> None:
        """Wait until an account has entries, and note which have."""
        waits = [self._full(name) for name in self._more]
        rung = bell.wait(block if not waits else SHORT if all(waits) else 0.0)
        self._more |= dict.fromkeys(name for name in rung if name in self._stores)
        self._loop.well()

    def leave(self) -> None:
        """Leave the consumer groups, except those in which entries of this dispatcher are pending.

        Raises:
            redis.RedisError: Redis is unavailable or refuses the command.
        """
        kept = self._leftovers.pending(self._stores.values(), consumer=self._consumer)
        left = [store.keys.intake for name, store in self._stores.items() if name not in kept]
        for _ in ask_each(
            self._client,
            left,
            lambda pipe, stream: pipe.xgroup_delconsumer(stream, INTAKE_GROUP, self._consumer),
        ):
            self._loop.beat()

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

    def _waiting(self, stores: Iterable[Store]) -> dict[str, None]:
        """Those of these accounts that have entries on their streams."""
        self._loop.beat()
        asked = list(stores)
        lengths = ask_each(self._client, asked, lambda pipe, store: pipe.xlen(store.keys.intake))
        return {store.account: None for store, n in zip(asked, lengths, strict=True) if n}
