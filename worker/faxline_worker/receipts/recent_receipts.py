"""Remembers the webhooks stored lately, and stores them again if Redis may have lost them.

iFax was answered 204 and does not send a webhook again. If Redis goes back to an older state before a worker
has applied the receipt, nobody else knows it (docs/architecture/redis.md, "A Redis that goes back"). The
webhook's Redis user may only add, so it cannot look. Instead, when a connection was lost and made again, the
last minute's webhooks are stored again. That does no harm, because a receipt is applied once, however often
it comes.
"""

import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

KEPT = 60.0
"""Seconds that a webhook is remembered."""
MOST, BYTES = 5_000, 8_000_000
"""The most webhooks, and the most bytes of them, that are remembered."""

Stored = tuple[str, Mapping[str, bytes]]
"""A stream and the fields of an entry."""


class RecentReceipts:
    """The webhooks that one process stored lately. For one event loop.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: deque[tuple[float, Stored]] = deque()
        self._size = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self._anew = False
        self._changes = 0

    async def connected(self, connection: Any) -> None:
        """Log in on a connection that was just made. For redis-py's `redis_connect_func`.

        A connection that is new to the pool says nothing. One that was made before had been lost.
        """
        await connection.on_connect_check_health(check_health=False)
        self._anew = self._anew or connection in self._known
        self._known.add(connection)

    def moved(self, changes: int) -> None:
        """How many slots of a cluster have moved until now. If it is more than before, a node may be lost."""
        self._anew = self._anew or changes != self._changes
        self._changes = changes

    def stored(self, stream: str, fields: Mapping[str, bytes]) -> None:
        """Remember an entry that was stored."""
        if fields.get("kind") == b"malformed":
            return
        now = self._clock()
        self._kept.append((now, (stream, fields)))
        self._size += len(fields["body"])
        while self._kept and (len(self._kept) > MOST or self._size > BYTES or self._kept[0][0] < now - KEPT):
            self._size -= len(self._kept.popleft()[1][1]["body"])

    def take_due(self) -> list[Stored]:
        """Return the entries that are to be stored again now. If that fails, call `not_repeated`."""
        if not self._anew:
            return []
        self._anew = False
        since = self._clock() - KEPT
        return [entry for at, entry in self._kept if at >= since]

    def not_repeated(self) -> None:
        """Make the entries due again, after storing them failed."""
        self._anew = True
