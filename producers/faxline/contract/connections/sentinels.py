"""Find the primary by asking all Sentinels."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import redis
import redis.asyncio.sentinel
import redis.sentinel

Address: TypeAlias = tuple[str, int]

LOOK = 0.5
"""Seconds between two searches for the primary."""
REST = 10.0
"""Seconds during which a silent Sentinel is not asked, while others answer."""
_NOBODY = "no Sentinel that answers knows a primary of {!r}"


class _Round:
    """One round of questions: iterate over the Sentinels, and call `heard` with the replies of each.

    Args:
        sentinels: all Sentinels.
        resting: the ids of the Sentinels that are asked only if the others do not know the primary.
        newest: the newest configuration in an earlier round.
    """

    def __init__(self, sentinels: Sequence[Any], resting: set[int], newest: int) -> None:
        self._sentinels = sentinels
        self._resting = resting
        self._newest = newest
        self._answers: list[tuple[int, Address] | None] = []
        self.silent: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        yield from (each for each in self._sentinels if id(each) not in self._resting)
        if self.found is None:
            yield from (each for each in self._sentinels if id(each) in self._resting)

    @property
    def found(self) -> tuple[int, Address] | None:
        """The newest configuration, and the primary's address in it.

        A Sentinel that was cut off together with the old primary still names the old one, and may answer
        first. A configuration older than the newest known one counts if most Sentinels have it: they were set
        up again.
        """
        newest = max((answer for answer in self._answers if answer is not None), default=None)
        most = len(self._answers) * 2 > len(self._sentinels)
        return newest if newest is not None and (most or newest[0] >= self._newest) else None

    def heard(self, replies: Sequence[Any]) -> None:
        """Take the replies of a Sentinel to SENTINEL MASTER and GET-MASTER-ADDR-BY-NAME."""
        state, named = replies
        if isinstance(state, redis.ResponseError) or not named:
            self._answers.append(None)  # this Sentinel does not know the service
            return
        address: Address = (_text(named[0]), int(named[1]))
        # During a failover it names the new primary while its other fields still describe the old one.
        alive = state["is_master"] and not state["is_sdown"] and not state["is_odown"]
        promoted = address != (state["ip"], state["port"])
        self._answers.append((state["config-epoch"], address) if alive or promoted else None)


class _Primary:
    """The address of the primary, as the Sentinels last named it."""

    def __init__(self, sentinels: Sequence[Any]) -> None:
        self._sentinels = sentinels
        self._rests: dict[int, float] = {}
        self._newest = -1
        self._asked = -LOOK
        self._asking = threading.Lock()
        self.address: Address | None = None

    @contextmanager
    def looking(self) -> Iterator[bool]:
        """Whether to ask the Sentinels now. Only one caller does at a time."""
        if time.monotonic() - self._asked < LOOK or not self._asking.acquire(blocking=False):
            yield False
            return
        try:
            yield True
        finally:
            self._asking.release()

    def round(self) -> _Round:
        """Begin a round."""
        self._asked = now = time.monotonic()
        self._rests = {each: until for each, until in self._rests.items() if until > now}
        return _Round(self._sentinels, set(self._rests), self._newest)

    def learn(self, asked: _Round) -> Address | None:
        """Store and return the address that a round found, if any."""
        until = time.monotonic() + REST
        self._rests = {id(each): until for each in asked.silent} | self._rests
        if asked.found is None:
            return None
        self._newest, self.address = asked.found
        return self.address


class Sentinels(redis.sentinel.Sentinel):
    """Ask every Sentinel, and use the newest configuration."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self._primary = _Primary(self.sentinels)

    def discover_master(self, service_name: str) -> Address:
        """The primary's address.

        Raises:
            redis.sentinel.MasterNotFoundError: no Sentinel that answers knows a primary.
        """
        asked = self._primary.round()
        for sentinel in asked:
            try:
                with sentinel.pipeline(transaction=False) as pipe:
                    asked.heard(_queue_reads(pipe, service_name).execute(raise_on_error=False))
            except (redis.ConnectionError, redis.TimeoutError):
                asked.silent.append(sentinel)
        if (address := self._primary.learn(asked)) is None:
            raise redis.sentinel.MasterNotFoundError(_NOBODY.format(service_name))
        return address

    def moved(self, service_name: str, address: Address) -> bool:
        """Whether the primary is elsewhere. The Sentinels are asked at most every LOOK seconds."""
        with self._primary.looking() as again:
            if again:
                with suppress(redis.ConnectionError):
                    self.discover_master(service_name)
        return self._primary.address not in {None, address}


class AsyncSentinels(redis.asyncio.sentinel.Sentinel):
    """The asyncio twin of `Sentinels`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self._primary = _Primary(self.sentinels)

    async def discover_master(self, service_name: str) -> Address:
        """The primary's address; see `Sentinels`."""
        asked = self._primary.round()
        for sentinel in asked:
            try:
                async with sentinel.pipeline(transaction=False) as pipe:
                    asked.heard(await _queue_reads(pipe, service_name).execute(raise_on_error=False))
            except (redis.ConnectionError, redis.TimeoutError):
                asked.silent.append(sentinel)
        if (address := self._primary.learn(asked)) is None:
            raise redis.asyncio.sentinel.MasterNotFoundError(_NOBODY.format(service_name))
        return address

    async def moved(self, service_name: str, address: Address) -> bool:
        """Whether the primary is elsewhere; see `Sentinels`."""
        with self._primary.looking() as again:
            if again:
                with suppress(redis.ConnectionError):
                    await self.discover_master(service_name)
        return self._primary.address not in {None, address}


class Pool(redis.sentinel.SentinelConnectionPool):
    """A pool that also closes its connections to the Sentinels when it is closed."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections, those in use only when all is closed."""
        super().disconnect(inuse_connections)
        if inuse_connections:
            self.sentinel_manager.close()


class AsyncPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """The asyncio twin of `Pool`."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections, those in use only when all is closed."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            await self.sentinel_manager.aclose()


def _queue_reads(pipe: Any, service: str) -> Any:
    pipe.sentinel_master(service)
    pipe.sentinel_get_master_addr_by_name(service)
    return pipe


def _text(word: Any) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
