"""Replaces a stream that ran out of ids, without losing an entry.

A client that may XADD may choose the id of its entry. After an id in the far future few ids or none are left,
and nobody can add to the stream any more (lua/lib/streams.lua). Each dispatcher checks all accounts in turn,
and checks an account at once if it reads such an id.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.state.store import Store

AHEAD = 86_400.0
"""An id this far (s) ahead of the clock is in the far future; as in lua/lib/streams.lua."""
WRITERS = {"intake": "producer, operator", "status": "webhook", "orders": "operator"}
"""The Redis users, besides the daemon's own, that may add to a stream (ops/redis/users.acl)."""


class StreamWatch:
    """Checks and replaces streams. Thread-safe; any number of dispatchers may run it at once.

    Args:
        stores: the state of every account, by name.
        metrics: count the replaced streams.
        log: gets the Redis users that may have added the id.
    """

    def __init__(
        self,
        stores: Mapping[str, Store],
        metrics: DispatcherMetrics,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._stores = stores
        self._metrics = metrics
        self._log = log
        self._offset = time.time() - time.monotonic()  # until Redis' clock is known

    def is_ahead(self, entry: Any) -> bool:
        """Whether an entry's id is more than a day ahead of Redis' clock."""
        now = time.monotonic() + self._offset
        return int(entry.partition(b"-")[0]) / 1000 > now + AHEAD

    def look(self, account: str, beat: Callable[[], None] = lambda: None) -> bool:
        """Check the streams of an account, and replace those out of ids. Returns whether any was.

        Raises:
            redis.RedisError: Redis is away or refuses the command.
        """
        check = self._stores[account].streams.check()
        self._offset = check.now / 1000 - time.monotonic()
        age = max(0.0, (check.now - check.oldest) / 1000) if check.oldest is not None else 0.0
        if check.entries:
            self._metrics.labels.serve(account)
        if self._metrics.labels.serves(account):
            self._metrics.set_intake(account, entries=check.entries, oldest=age)
        for name in check.replace:
            self._replace(account, name, beat)
        return bool(check.replace)

    def _replace(self, account: str, name: str, beat: Callable[[], None]) -> None:
        moved, left = 0, True
        while left:
            beat()
            done = self._stores[account].streams.replace(name)
            if done.replaced is not None:
                stream: Any = name
                self._metrics.stream_replaced(account, stream)
                self._log.error(
                    "a stream ran out of ids and was replaced: an entry had an id in the far future",
                    account=account,
                    stream=name,
                    entry=done.replaced,
                    users=WRITERS[name],
                )
            moved, left = moved + done.moved, done.left
        self._log.warning("entries moved to the new stream", account=account, stream=name, count=moved)
