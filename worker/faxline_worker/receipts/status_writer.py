"""Writes receipts onto the accounts' status streams, many in one round trip."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Protocol

import redis.asyncio
from redis.exceptions import ResponseError

from faxline.contract.redis_keys import RedisKeys
from faxline.steps.replicas import NOT_ASKED, Confirmation
from faxline_worker.receipts.recent_receipts import RecentReceipts
from faxline_worker.state.redis_clients import TooFewReplicasError, adds_nothing, took_nothing

STORE_TIMEOUT = 5.0
"""Seconds for storing a webhook; iFax does not wait for ever either."""
LOT = 64
"""Webhooks that go to Redis in one round trip at the most: 4 MiB."""
_Waiting = tuple[str, Mapping[str, bytes], "asyncio.Future[None]"]
"""The stream, the entry, and who waits for it."""


class StatusWriter(Protocol):
    """Where verified webhooks are kept."""

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        """Add an entry to the account's status stream.

        Raises:
            redis.exceptions.RedisError, OSError: it is not, or perhaps not, stored.
        """

    async def ping(self) -> None:
        """Return if `add` has someone to talk to.

        Raises:
            redis.exceptions.RedisError, OSError: it has not.
        """


class RedisStatusWriter:
    """Keeps webhooks on Redis. Its Redis user needs XADD on the status streams and `@connection`, no more.

    One command costs this process as much as all the rest of a webhook. So what comes while others are on
    their way to Redis goes with the next lot, one round trip for all of it; what comes alone goes at once.

    Args:
        client: of the state's database; the caller closes it.
        probed: the stream of which `ping` asks whether it could be added to.
        timeout: seconds that a lot may take.
        confirmation: how many replicas must have a lot before iFax is answered.
        recent: what was stored lately; the client calls its `connected`.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        probed: str,
        timeout: float = STORE_TIMEOUT,
        confirmation: Confirmation = NOT_ASKED,
        recent: RecentReceipts | None = None,
    ) -> None:
        self._client = client
        self._probed = probed
        self._timeout = timeout
        self._confirmation = confirmation
        self._recent = recent or RecentReceipts()
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        """Add an entry to the account's status stream, see `StatusWriter`."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_stream(account), fields, stored))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await stored

    async def ping(self) -> None:
        """Return if Redis would take an entry, see `StatusWriter`."""
        try:
            await self._client.execute_command(*adds_nothing(self._probed))  # type: ignore[no-untyped-call]
        except ResponseError as error:
            took_nothing(error)

    async def repeat(self) -> None:
        """Store again what was stored lately, where a connection has been made anew.

        Raises:
            redis.exceptions.RedisError, OSError: it is not, or perhaps not, stored; the next call does it.
        """
        await self._client.ping()  # a connection that was lost is noticed by this
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

    async def _write(self) -> None:
        """Write until nobody waits. Between the last look and the end nobody else can run."""
        try:
            await asyncio.sleep(0)  # what came in the same moment goes with the first
            while self._waiting:
                lot = [self._waiting.popleft() for _ in range(min(LOT, len(self._waiting)))]
                lot = [
                    one for one in lot if not one[2].done()
                ]  # who gave up was answered, and iFax comes again
                if lot:
                    await self._write_lot(lot)
        finally:
            self._writing = None

    async def _write_lot(self, lot: Sequence["_Waiting"]) -> None:
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
        except Exception as error:  # noqa: BLE001 - whoever waits is told
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


@cache
def _stream(account: str) -> str:
    """The account's status stream; only accounts that are configured come here, so they are few."""
    return RedisKeys(account).status
