"""The iterators that `events` returns. Unlike a generator, they go on after they raised `EventsMissed`."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, Self

from faxline.contract.errors import EventsMissed, NotShared
from faxline.contract.events import Event
from faxline.steps.commands import Followed, Steps
from faxline.steps.drivers import drive, drive_async, run_async


class Events(Iterator[Event]):
    """An iterator over events. It is not for several threads: call `events` in each.

    Close it, or use it in a `with`, to give unhandled events of a consumer group back at once.

    Example:
        >>> with line.events(group="billing") as events:
        ...     first = next(events)
    """

    def __init__(self, client: Any, following: Steps[None]) -> None:
        self._followed = drive(client, following)
        self._process = os.getpid()

    def __next__(self) -> Event:
        if os.getpid() != self._process:
            raise NotShared(
                "another process reads these events: call `events` in each process, after the fork"
            )
        return _event_or_raise(next(self._followed))

    def close(self) -> None:
        """End the iteration. In a consumer group, the last event is not acknowledged."""
        if os.getpid() == self._process:
            self._followed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncEvents(AsyncIterator[Event]):
    """An asynchronous iterator over events.

    `async for event in line.events()` begins when the first event is asked for, and
    `events = await line.events()` at once. Close it, or use it in an `async with`, to give unhandled events
    of a consumer group back at once.

    Example:
        >>> async with await line.events(group="billing") as events:
        ...     first = await anext(events)
    """

    def __init__(
        self,
        client: Callable[[], Any],
        begin: Steps[Steps[None]],
        words: Callable[[Steps[Any]], Steps[Any]],
        is_open: Callable[[Any], bool],
    ) -> None:
        self._client = client
        self._begin = begin
        self._words = words
        self._is_open = is_open
        self._followed: AsyncGenerator[Followed, None] | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        return self._opened().__await__()

    async def _opened(self) -> Self:
        if self._followed is None:
            client = self._client()
            following = await run_async(client, self._words(self._begin))
            self._followed = drive_async(client, self._words(following), lambda: self._is_open(client))
        return self

    async def __anext__(self) -> Event:
        await self._opened()
        assert self._followed is not None  # noqa: S101 - as just done
        return _event_or_raise(await anext(self._followed))

    async def aclose(self) -> None:
        """End the iteration. In a consumer group, the last event is not acknowledged."""
        if self._followed is not None:
            await self._followed.aclose()

    async def __aenter__(self) -> Self:
        return await self._opened()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _event_or_raise(followed: Followed) -> Event:
    if isinstance(followed, EventsMissed):
        raise followed
    return followed
