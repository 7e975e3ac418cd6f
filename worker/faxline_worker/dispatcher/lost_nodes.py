"""Which nodes of a cluster were lost a moment ago, so that only their own accounts wait for them.

A call to a node that hangs takes half a minute to fail. A thread that works for the accounts of all nodes
must not wait so for each account, and again each time. So what failed is noted, for all threads of the
dispatcher, and the node's accounts rest until it answers a PING with a short timeout.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import redis
from structlog.typing import FilteringBoundLogger

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_slots import slot_of
from faxline.contract.connections.cluster_url import Address
from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline.steps.redis_errors import trouble
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.store import Store

REST = 0.5
"""Seconds until what failed is tried again."""
ASKED = 5.0
"""Seconds between two questions to a node that did not answer. One takes a second at most."""


class BrokerAwayError(redis.ConnectionError):
    """The broker is away, which is no node of the cluster."""


class LostNodes:
    """For many threads. On one server nothing rests: `lost` leaves every error to its caller.

    Args:
        client: of the state's database.
        log: gets a line when a node is lost, and when it answers again.
        clock: monotonic seconds.

    Example:
        >>> if not nodes.rest("acme"):
        ...     try:
        ...         store.state()
        ...     except redis.RedisError as error:
        ...         if not nodes.lost("acme", error):
        ...             raise
    """

    def __init__(
        self, client: redis.Redis, log: FilteringBoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = client if isinstance(client, ClusterClient) else None
        self._log = log
        self._clock = clock
        self._until: dict[Address | str, float] = {}
        """Until when nodes, and single accounts, are not tried."""
        self._lock = threading.Lock()

    def rest(self, account: str) -> float:
        """For how long (s) an account is not to be tried. 0.0: try it.

        May ask the account's node whether it answers, which takes a second at most.

        Args:
            account: its name, or `ACCOUNTS` for what belongs to none.
        """
        if self._cluster is None or not self._until:
            return 0.0
        node, now = self._node(account), self._clock()
        with self._lock:
            left = max(self._until.get(each, now) - now for each in (node, account))
            if left > 0:
                return left
            self._until.pop(account, None)
            if node not in self._until:
                return 0.0
            self._until[node] = now + ASKED  # the others need not ask
        if not isinstance(node, str) and not self._cluster.topology.answers(node):
            self._cluster.topology.refresh()
            return ASKED
        with self._lock:
            self._until.pop(node, None)
        self._log.info("a node of Redis answers again", host=_text(node))
        return 0.0

    def lost(self, account: str, error: Exception) -> bool:
        """Note that a call for an account failed.

        Returns:
            Whether the account's node or slot is at fault, and the others go on. If not, raise the error.
        """
        if self._cluster is None or isinstance(error, BrokerAwayError) or not unserved(error):
            return False
        away = isinstance(error, redis.ConnectionError | redis.TimeoutError)
        where = self._node(account) if away else account
        with self._lock:
            new = where not in self._until
            self._until[where] = self._clock() + REST
        if new and away:
            self._log.warning(
                "a node of Redis is away: its accounts wait", host=_text(where), error=trouble(error)
            )
        return True

    def attempt(self, account: str, work: Callable[[], object]) -> bool:
        """Do something for an account, and return whether it is done: not if its node is away.

        Raises:
            redis.RedisError: `work` raised it, and not because the node is away.
        """
        if self.rest(account):
            return False
        try:
            work()
        except redis.RedisError as error:
            if not self.lost(account, error):
                raise
            return False
        return True

    def by_node(self, stores: Iterable[Store]) -> Iterable[Sequence[Store]]:
        """The stores of the accounts of each node; on one server all."""
        found: defaultdict[Any, list[Store]] = defaultdict(list)
        for store in stores:
            found[self._node(store.account) if self._cluster is not None else ""].append(store)
        return found.values()

    def _node(self, account: str) -> Address | str:
        """Where an account is. If no node has its slot, the account's name."""
        assert self._cluster is not None  # noqa: S101 - the callers have looked
        return self._cluster.topology.slots.find(_slot(account)) or account


def _text(node: Address | str) -> str:
    return node if isinstance(node, str) else f"{node[0]}:{node[1]}"


@cache
def _slot(account: str) -> int | None:
    """The slot of an account. Only configured accounts come here, so the cache stays small."""
    return slot_of(("XLEN", ACCOUNTS if account == ACCOUNTS else RedisKeys(account).intake))
