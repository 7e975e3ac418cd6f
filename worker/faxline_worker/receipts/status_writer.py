"""Adds webhooks to the accounts' status streams, many in one round trip."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Protocol

import redis.asyncio
from redis.exceptions import MovedError, ResponseError

from faxline.contract.connections.cluster_client_async import AsyncClusterClient
from faxline.contract.connections.cluster_url import Address
from faxline.contract.redis_keys import RedisKeys
from faxline.steps.replicas import NOT_ASKED, Confirmation
from faxline_worker.receipts.recent_receipts import RecentReceipts
from faxline_worker.state.entry_checks import adds_nothing, took_nothing
from faxline_worker.state.redis_clients import TooFewReplicasError

STORE_TIMEOUT = 5.0
"""Seconds to store a webhook. iFax does not wait for ever."""
PROBE_TIMEOUT = 0.8
"""Seconds to wait for a node that is asked whether it takes entries, less than `/readyz` waits for all."""
LOT = 64
"""The most webhooks in one round trip: 4 MiB."""
_Waiting = tuple[str, Mapping[str, bytes], "asyncio.Future[None]"]
"""A stream, the fields of an entry, and the future of the request that waits for it."""


class StatusWriter(Protocol):
    """Stores verified webhooks."""

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        """Add an entry to the account's status stream.

        Raises:
            redis.exceptions.RedisError, OSError: the entry is not, or perhaps not, stored.
        """

    async def ping(self) -> Sequence[str]:
        """Check that entries could be added. Returns the addresses of the nodes that take none.

        Raises:
            redis.exceptions.RedisError, OSError: no node takes any.
        """


class RedisStatusWriter:
    """Stores webhooks in Redis. Its Redis user needs only XADD on the status streams and `@connection`.

    One command costs this process as much as the rest of a webhook. So webhooks that come while others are
    being written go with the next lot, in one round trip. One that comes alone goes at once. Each node of a
    cluster has lots of its own.

    Args:
        client: a Redis client of the state's database; the caller closes it.
        probed: the accounts that are served, as they are now, whose nodes `ping` checks.
        timeout: seconds for one lot.
        confirmation: how many replicas must have a lot before iFax is answered.
        recent: remembers what was stored; the client calls its `connected`.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        probed: Iterable[str],
        timeout: float = STORE_TIMEOUT,
        confirmation: Confirmation = NOT_ASKED,
        recent: RecentReceipts | None = None,
    ) -> None:
        self._client = client
        self._probed = probed
        self._timeout = timeout
        self._confirmation = confirmation
        self._recent = recent or RecentReceipts()
        self._waiting: defaultdict[Address | None, deque[_Waiting]] = defaultdict(deque)
        self._writing: dict[Address | None, asyncio.Task[None]] = {}

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        """Add an entry to the account's status stream; see `StatusWriter`."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        key = _stream(account)
        node = self._client.node_of(key) if isinstance(self._client, AsyncClusterClient) else None
        self._waiting[node].append((key, fields, stored))
        if node not in self._writing:
            self._writing[node] = asyncio.create_task(self._write(node))
        await stored

    async def ping(self) -> Sequence[str]:
        """Check that Redis would take an entry; see `StatusWriter`."""
        client, streams = self._client, [_stream(account) for account in self._probed]
        if not streams or not isinstance(client, AsyncClusterClient):
            await (_would_take(client, streams[0]) if streams else client.ping())
            return []
        await client.look_at_slots()
        by_node = {client.node_of(stream): stream for stream in streams}
        nodes = {node: client.topology.node(node) for node in by_node if node is not None}
        tries = [_would_take(at, by_node[node]) for node, at in nodes.items()]
        found = await asyncio.gather(*tries, return_exceptions=True)
        errors = {node: error for node, error in zip(nodes, found, strict=True) if error is not None}
        if len(errors) == len(nodes):
            raise next(iter(errors.values()), redis.exceptions.ClusterDownError("no node serves a slot"))
        return [f"{host}:{port}" for host, port in errors]

    async def repeat(self) -> None:
        """Store the latest webhooks again, if a connection was lost and made again.

        Raises:
            redis.exceptions.RedisError, OSError: they are not, or perhaps not, stored. Call again.
        """
        if isinstance(self._client, AsyncClusterClient):
            self._recent.moved(await self._client.look_for_changes())
        else:
            await self._client.ping()  # notices a lost connection
        due = self._recent.take_due()
        try:
            for start in range(0, len(due), LOT):
                async with asyncio.timeout(self._timeout), self._client.pipeline(transaction=False) as pipe:
                    for key, fields in due[start : start + LOT]:
                        pipe.execute_command("XADD", key, "*", *chain.from_iterable(fields.items()))
                    await pipe.execute()
        except BaseException:
            self._recent.not_repeated()
            raise

    async def _write(self, node: Address | None) -> None:
        """Write until nothing waits for a node, so that one that is away holds up no other's.

        No other task can run between the last check and the end.
        """
        waiting = self._waiting[node]
        try:
            await asyncio.sleep(0)  # lets requests of the same moment join the first lot
            while waiting:
                lot = [waiting.popleft() for _ in range(min(LOT, len(waiting)))]
                # A request that timed out was answered 503, and iFax sends it again.
                lot = [one for one in lot if not one[2].done()]
                if lot:
                    await self._write_lot(lot)
        finally:
            del self._writing[node]

    async def _write_lot(self, lot: Sequence[_Waiting]) -> None:
        replies: Sequence[Any]
        try:
            async with asyncio.timeout(self._timeout), self._client.pipeline(transaction=False) as pipe:
                for key, fields, _ in lot:
                    pipe.execute_command("XADD", key, "*", *chain.from_iterable(fields.items()))
                if self._confirmation:
                    self._confirmation.ask(pipe)
                replies = await pipe.execute(raise_on_error=False)
            if self._confirmation:
                *replies, waited = replies
                if missed := self._confirmation.missed(waited):
                    replies = [TooFewReplicasError(missed)] * len(lot)
        except Exception as error:  # noqa: BLE001 - raised in the requests that wait
            replies = [error] * len(lot)
        for (key, fields, stored), reply in zip(lot, replies, strict=True):
            if not isinstance(reply, Exception):
                self._recent.stored(key, fields)
            if stored.done():
                continue
            if isinstance(reply, Exception):
                stored.set_exception(reply)
            else:
                stored.set_result(None)


async def _would_take(client: redis.asyncio.Redis, stream: str) -> None:
    """Check that a server takes an entry, for so long as a probe may wait."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await client.execute_command(*adds_nothing(stream))  # type: ignore[no-untyped-call]
    except MovedError:  # it answers, and another has the slot
        return
    except ResponseError as error:
        took_nothing(error)


@cache
def _stream(account: str) -> str:
    """The account's status stream. Only configured accounts come here, so the cache stays small."""
    return RedisKeys(account).status
