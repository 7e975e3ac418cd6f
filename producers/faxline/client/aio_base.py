"""What the asyncio line is made of: one client for each event loop, and the docstrings of its twin."""

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable
from typing import Any, Self, TypeVar

from redis.asyncio.retry import Retry

from faxline.client.base import CONNECTION, Base
from faxline.contract.connections.deadlines import Backoff
from faxline.contract.connections.redis_url import connect_async
from faxline.contract.errors import NotShared
from faxline.steps.commands import Steps
from faxline.steps.drivers import run_async, translate_errors

_T = TypeVar("_T")
_C = TypeVar("_C", bound=type)


def twin_of(blocking: type) -> Callable[[_C], _C]:
    """Give each public method without a docstring the one of the method of the same name in `blocking`."""

    def document(cls: _C) -> _C:
        for name, method in vars(cls).items():
            if not name.startswith("_") and method.__doc__ is None:
                method.__doc__ = getattr(blocking, name).__doc__
        return cls

    return document


class Asynchronous(Base):
    """A line whose steps run on the caller's event loop.

    A line made from a URL has a client of its own for each event loop. A client of the caller's belongs to
    the event loop that uses it first.
    """

    _clients: dict[AbstractEventLoop, Any]
    _used: bool

    def _here(self) -> Any:
        """Return the client of the running event loop.

        Raises:
            NotShared: the caller's client belongs to another event loop.
        """
        loop = get_running_loop()
        if loop not in self._clients:
            if self._used and self._url is None:
                raise NotShared(
                    "the client of this line belongs to another event loop: make the line from a URL, or one "
                    "in each loop"
                )
            open_ones = {each: client for each, client in self._clients.items() if not each.is_closed()}
            if self._used and self._url is not None:
                self._client = connect_to(self._url)
            self._clients, self._used = open_ones | {loop: self._client}, True
        return self._clients[loop]

    def _is_open(self, client: Any) -> bool:
        return self._url is None or self._clients.get(get_running_loop()) is client

    async def close(self) -> None:
        """Close the connections that this line opened on this event loop."""
        client = self._clients.pop(get_running_loop(), None)
        if self._url is not None and client is not None:
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[_T], right: str = "") -> _T:
        return await run_async(self._here(), translate_errors(steps, right, self._context.place))


def connect_to(url: str) -> Any:
    """Return an asyncio client for a Redis URL, with the timeouts and retries of a line."""
    return connect_async(url, **CONNECTION, retry=Retry(Backoff(base=0.05, cap=1.0), 3))
