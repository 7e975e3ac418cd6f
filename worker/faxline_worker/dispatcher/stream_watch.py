"""A watch on the streams to which others add: one whose ids are used up is replaced, and nothing is lost.

Whoever may XADD may give an id of their own. One of the far future leaves few ids or none behind it, and then
nobody can push any more (lua/lib/streams.lua). Each dispatcher looks at all accounts in turn, and at once at
one where it reads such an id.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.state.store import Store

AHEAD = 86_400.0
"""Seconds; as in lua/lib/streams.lua."""
WRITERS = {"intake": "producer, operator", "status": "webhook", "orders": "operator"}
"""The Redis users that may add to a stream, beside the daemon's own (ops/redis/users.acl)."""


class StreamWatch:
    """Looks and replaces. Thread-safe; any number of dispatchers may do so at once.

    Args:
        stores: the state of every account, by name.
        metrics: where it is counted.
        log: names who could have done it.
    """

    def __init__(
        self,
        stores: Mapping[str, Store],
        metrics: DispatcherMetrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._stores = stores
        self._metrics = metrics
        self._log = log
        self._offset = time.time() - time.monotonic()  # until Redis' clock was seen

    def is_ahead(self, entry: Any) -> bool:
        """Whether an entry's id is a day and more ahead of Redis' clock."""
        now = time.monotonic() + self._offset
        return int(entry.partition(b"-")[0]) / 1000 > now + AHEAD

    def look(self, account: str, beat: Callable[[], None] = lambda: None) -> bool:
        """Look at the streams of an account, and replace those that must be; whether any was.

        Raises:
            redis.RedisError: Redis is away or refuses us.
        """
        check = self._stores[account].streams.check()
        self._offset = check.now / 1000 - time.monotonic()
        age = max(0.0, (check.now - check.oldest) / 1000) if check.oldest is not None else 0.0
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
                    "a stream ran out of ids and was replaced: who may add to it gave one of the far future",
                    account=account,
                    stream=name,
                    entry=done.replaced,
                    users=WRITERS[name],
                )
            moved, left = moved + done.moved, done.left
        self._log.warning("entries moved to the new stream", account=account, stream=name, count=moved)
