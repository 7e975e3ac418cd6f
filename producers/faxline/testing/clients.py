"""Clients of the Redis in memory, for a thread and for an event loop."""

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

from faxline.testing.memory import Memory


class Shared:
    """A memory, its lock, and who waits for something new on it."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.changed = threading.Condition()
        self.listeners: set[Callable[[], object]] = set()

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """Carry out one command."""
        return self.call_all([(name, args, options)])[0]

    def call_all(self, calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> list[Any]:
        """Carry out several, with nothing between them."""
        with self.changed:
            before = self.memory.additions
            replies = [getattr(self.memory, name)(*args, **options) for name, args, options in calls]
            if self.memory.additions != before:
                self.tell()
            return replies

    def tell(self) -> None:
        """Wake those who wait for something new on a stream."""
        with self.changed:
            self.changed.notify_all()
            for listener in self.listeners:
                listener()


class _Client:
    """What a client says of itself."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def get_encoder(self) -> Any:
        return SimpleNamespace(decode_responses=False)

    def get_connection_kwargs(self) -> dict[str, Any]:
        return {}


class _Pipeline:
    """Commands that wait to be carried out together."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **options: self._calls.append((name, args, options))


class Pipeline(_Pipeline):
    """Of a thread's client."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self) -> list[Any]:
        """The replies."""
        return self._shared.call_all(self._calls)


class AsyncPipeline(_Pipeline):
    """Of an event loop's client."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def execute(self) -> list[Any]:
        """The replies."""
        await asyncio.sleep(0)
        return self._shared.call_all(self._calls)


class MemoryClient(_Client):
    """For a thread: a read blocks until there is something, or its time is over."""

    def pipeline(self, *, transaction: bool) -> Pipeline:
        return Pipeline(self._shared)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, block: int | None = None, **options: Any) -> Any:
            until = time.monotonic() + (block or 0) / 1000
            with self._shared.changed:
                while not (reply := self._shared.call(name, *args, **options)) and block is not None:
                    left = until - time.monotonic()
                    if left <= 0:
                        break
                    self._shared.changed.wait(left)
                return reply

        return call


class AsyncMemoryClient(_Client):
    """For an event loop: the same, awaited."""

    def pipeline(self, *, transaction: bool) -> AsyncPipeline:
        return AsyncPipeline(self._shared)

    async def aclose(self) -> None:
        """There is nothing to close."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*args: Any, block: int | None = None, **options: Any) -> Any:
            await asyncio.sleep(0)
            if block is None:
                return self._shared.call(name, *args, **options)
            loop, news = asyncio.get_running_loop(), asyncio.Event()

            def listener() -> None:
                loop.call_soon_threadsafe(news.set)

            until = time.monotonic() + block / 1000
            with self._shared.changed:
                self._shared.listeners.add(listener)
            try:
                while True:
                    news.clear()
                    reply = self._shared.call(name, *args, **options)
                    left = until - time.monotonic()
                    if reply or left <= 0:
                        return reply
                    try:
                        await asyncio.wait_for(news.wait(), left)
                    except TimeoutError:
                        return reply
            finally:
                with self._shared.changed:
                    self._shared.listeners.discard(listener)

        return call
