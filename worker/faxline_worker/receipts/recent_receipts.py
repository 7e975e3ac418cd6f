"""What the webhook stored lately: stored again where Redis may have lost it.

iFax was answered 204 and does not come again, so a receipt that a Redis loses which goes back to an older
state (rollback.py) is known to nobody else until a worker has applied it. The webhook's user may do nothing
but add, and so cannot look. So when a connection was lost and is made anew, all of the last minute goes in
once more: a receipt is applied once, however often it comes.
"""

import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

KEPT = 60.0
"""Seconds."""
MOST, BYTES = 5_000, 8_000_000
"""Receipts, and bytes of them, that are remembered at the most."""

Stored = tuple[str, Mapping[str, bytes]]
"""A stream, and an entry of it."""


class RecentReceipts:
    """Of one webhook process. For one event loop.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: deque[tuple[float, Stored]] = deque()
        self._size = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self._anew = False

    async def connected(self, connection: Any) -> None:
        """A connection has been made: log in. For `redis_connect_func`.

        One that the pool adds beside the others tells nothing; one that comes again had been lost.
        """
        await connection.on_connect_check_health(check_health=False)
        self._anew = self._anew or connection in self._known
        self._known.add(connection)

    def stored(self, stream: str, fields: Mapping[str, bytes]) -> None:
        """An entry was stored."""
        if fields.get("kind") == b"malformed":
            return
        now = self._clock()
        self._kept.append((now, (stream, fields)))
        self._size += len(fields["body"])
        while self._kept and (len(self._kept) > MOST or self._size > BYTES or self._kept[0][0] < now - KEPT):
            self._size -= len(self._kept.popleft()[1][1]["body"])

    def take_due(self) -> list[Stored]:
        """What is to be stored again now; where that fails, `not_repeated` makes it due again."""
        if not self._anew:
            return []
        self._anew = False
        since = self._clock() - KEPT
        return [entry for at, entry in self._kept if at >= since]

    def not_repeated(self) -> None:
        """What was due did not arrive."""
        self._anew = True
