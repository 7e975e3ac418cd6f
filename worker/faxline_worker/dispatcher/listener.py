"""The thread that listens: receipts, orders and doorbells schedule work for their account."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from faxline_worker.dispatcher.context import BLOCK, PAUSE, DispatcherContext
from faxline_worker.dispatcher.intake_reader import read_delay
from faxline_worker.dispatcher.schedule import Task
from faxline_worker.observability.pulse import Loop
from faxline_worker.state.account_starts import AT_ONCE, ask_each

LISTENED = 100
"""Entries of a stream that one read returns at most. They only say that something came."""
RINGS = 100
"""Entries of a doorbell that are kept at least (lua/lib/bell.lua)."""
GATHER, GATHER_MORE = 0.05, 0.75
"""Seconds in which receipts are gathered for one wake-up: the first ones, and those of a continuous flow."""
FLOW = 1.0
"""Receipts that come within so many seconds of the last ones are a continuous flow."""
REPLACING = 1.0
"""Seconds until a stream that is being replaced is read again."""
START = (Task.RUN_TIMERS, Task.PLAN_WAKEUPS, Task.CHECK_RECEIPTS, Task.ORDERS, Task.TIDY)
"""What is done for each account at the start."""
SPREAD = 1.0
"""Seconds between the starts of one hundred accounts and the next. What comes meanwhile is not to wait for
the timers of ten thousand accounts."""

Entries = Sequence[tuple[bytes, dict[bytes, bytes]]]


@dataclass
class StreamsOfAll:
    """The streams that are read, by key."""

    tasks: dict[str, tuple[Task, str]] = field(default_factory=dict)
    """What an entry schedules, and for which account."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last entry that was read."""
    resting: dict[str, float] = field(default_factory=dict)
    """Until when (monotonic) a stream is not read."""
    gathered: dict[str, float] = field(default_factory=dict)
    """Until when receipts were gathered last."""
    active: set[str] = field(default_factory=set)
    """The accounts that are served and not drained."""


class Listener:
    """Reads the status streams, doorbells and orders of all accounts."""

    def __init__(self, context: DispatcherContext) -> None:
        self._context = context

    def run(self, loop: Loop) -> None:
        """Listen until the dispatcher stops.

        Raises:
            redis.RedisError: Redis is away or refuses. Call `run` again.
        """
        streams, read = StreamsOfAll(), 0.0
        version = self._follow(streams, loop)
        while not self._context.stopping.is_set():
            loop.well()
            if version != self._context.stores.version:
                version = self._follow(streams, loop)
            self._context.stopping.wait(read_delay(read, len(streams.last)))
            read = now = time.monotonic()
            streams.resting = {key: until for key, until in streams.resting.items() if until > now}
            block = min([BLOCK, *(until - now for until in streams.resting.values())])
            asked: Any = {key: entry for key, entry in streams.last.items() if key not in streams.resting}
            if not asked:  # there is no account yet
                self._context.stopping.wait(PAUSE)
                continue
            reply = self._context.client.xread(asked, count=LISTENED, block=max(1, round(block * 1000)))
            for stream, entries in cast("Sequence[tuple[bytes, Entries]]", reply or ()):
                self._came(streams, stream.decode(), entries)

    def _follow(self, streams: StreamsOfAll, loop: Loop) -> int:
        """Listen to the accounts that are served now; the version of these."""
        context, version = self._context, self._context.stores.version
        known = {account for _, account in streams.tasks.values()}
        stores = dict(context.stores)
        for key, (_, account) in list(streams.tasks.items()):
            if account not in stores:
                del streams.tasks[key], streams.last[key]
        new: dict[str, tuple[Task, str]] = {}
        for name, store in stores.items():
            if name not in known:
                new[store.keys.status] = (Task.GATHER_RECEIPTS, name)
                new[store.keys.doorbell] = (Task.PLAN_WAKEUPS, name)
                new[store.keys.orders] = (Task.ORDERS, name)
        for some in context.lost.by_node(
            stores[name] for name in dict.fromkeys(name for _, name in new.values())
        ):
            names = {store.account for store in some}
            keys = [key for key, (_, name) in new.items() if name in names]
            for key, entries in zip(keys, self._newest(some[0].account, keys), strict=True):
                loop.beat()
                known_id = entries and not context.streams.is_ahead(entries[0][0])
                streams.last[key] = entries[0][0] if known_id else "0-0"
        streams.tasks |= new
        active = {name for name in stores if context.stores.takes_faxes(name)}
        started = [name for name in stores if name not in known or name in active - streams.active]
        for i, name in enumerate(started):
            for task in START:
                context.schedule.add((task, name), i // AT_ONCE * SPREAD)
        streams.active = active
        return version

    def _newest(self, account: str, keys: Sequence[str]) -> Sequence[Entries]:
        """The newest entry of streams on one node. None if it is away: they are read from the beginning."""
        lost = self._context.lost
        try:
            if not lost.rest(account):
                return list(
                    ask_each(self._context.client, keys, lambda pipe, key: pipe.xrevrange(key, count=1))
                )
        except redis.RedisError as error:
            if not lost.lost(account, error):
                raise
        return [()] * len(keys)

    def _came(self, streams: StreamsOfAll, key: str, entries: Entries, most: int = LISTENED) -> None:
        schedule = self._context.schedule
        task, account = streams.tasks[key]
        streams.last[key] = entries[-1][0]
        wait = 0.0
        if task is Task.PLAN_WAKEUPS and not _for_room(entries, most):
            schedule.add((Task.RUN_TIMERS, account))
        if task is Task.GATHER_RECEIPTS:
            now = time.monotonic()
            wait = GATHER_MORE if now - streams.gathered.get(key, -FLOW) < FLOW else GATHER
            streams.gathered[key] = streams.resting[key] = now + wait
        schedule.add((task, account), wait)
        if task is not Task.PLAN_WAKEUPS and self._context.streams.is_ahead(entries[-1][0]):
            schedule.add((Task.CHECK_STREAMS, account))
            streams.last[key], streams.resting[key] = "0-0", time.monotonic() + REPLACING


def _for_room(rings: Entries, most: int) -> bool:
    """Whether the doorbell rang only about who may go next, and no ring was missed."""
    return len(rings) < min(RINGS, most) and all(fields.get(b"for") == b"room" for _, fields in rings)
