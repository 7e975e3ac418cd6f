"""Clients of a Redis in memory (fakeredis). An observer, here the daemon, is called around each command."""

from collections.abc import Mapping
from typing import Any, Protocol

import redis
import redis.asyncio

try:
    from fakeredis import FakeAsyncRedisConnection, FakeRedisConnection, FakeServer
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "faxline.testing needs fakeredis: pip install '.[testing]' in the checkout", name="fakeredis"
    ) from None

__all__ = ["AsyncMemoryClient", "MemoryClient", "MemoryServer", "Observer"]

_USER = "memory"
_INFO: Mapping[str, Any] = {
    "redis_version": "7.0.0",
    "aof_enabled": 1,
    "maxmemory_policy": "noeviction",
    "used_memory": 0,
    "maxmemory": 0,
}
_CONFIG: Mapping[str, str] = {
    "appendfsync": "always",
    "aof-load-truncated": "no",
    "min-replicas-max-lag": "1",
    "proto-max-bulk-len": "33554432",
}
"""A server that passes `FaxLine.checks`: it keeps what it accepts."""


class Observer(Protocol):
    """Something that is called around every command of an observed client."""

    def before(self) -> None:
        """Called just before a command runs."""

    def after(self) -> None:
        """Called after a command has run, or when it begins to block."""


class MemoryServer:
    """The Redis of one line. No other line reaches it.

    Attributes:
        unobserved: a client for the observer itself.
    """

    def __init__(self) -> None:
        self._server = FakeServer(version=(7,))
        self.unobserved: Any = redis.Redis(
            connection_pool=self._pool(redis.ConnectionPool, FakeRedisConnection)
        )
        self.unobserved.acl_setuser(_USER, enabled=True, nopass=True, keys=["*"], commands=["+@all"])

    def client(self, observer: Observer) -> "MemoryClient":
        """A client for threads."""
        pool = self._pool(redis.ConnectionPool, _Observed, observer=observer, username=_USER)
        return MemoryClient(connection_pool=pool)

    def client_async(self, observer: Observer) -> "AsyncMemoryClient":
        """A client for one event loop."""
        pool = self._pool(redis.asyncio.ConnectionPool, _ObservedAsync, observer=observer, username=_USER)
        return AsyncMemoryClient(connection_pool=pool)

    # No socket timeout: nothing hangs in memory, and with one redis-py calls asyncio.wait_for, which loses
    # cancellations before Python 3.12.
    def _pool(self, kind: Any, connection: type, **options: Any) -> Any:
        return kind(
            connection_class=connection, server=self._server, protocol=2, socket_timeout=None, **options
        )


class _Observed(FakeRedisConnection):
    """A connection that calls an observer around its commands."""

    def __init__(self, *args: Any, observer: Observer, **options: Any) -> None:
        super().__init__(*args, **options)
        self._observer = observer

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        self._observer.before()
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
        try:
            self._observer.after()
        except BaseException:
            self.disconnect()  # type: ignore[no-untyped-call] # its reply stays unread
            raise


class _ObservedAsync(FakeAsyncRedisConnection):
    """Its asyncio twin."""

    def __init__(self, *args: Any, observer: Observer, **options: Any) -> None:
        super().__init__(*args, **options)
        self._observer = observer

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        self._observer.before()
        await super().send_packed_command(command, check_health)
        try:
            self._observer.after()
        except BaseException:
            await self.disconnect()
            raise


def _configured(names: tuple[str, ...]) -> dict[str, str]:
    return {name: _CONFIG[name] for name in names if name in _CONFIG}


def _no_such_user() -> redis.ResponseError:
    return redis.ResponseError("ERR User not found")


class MemoryClient(redis.Redis):
    """A client that answers what fakeredis 2.41 does not know: INFO, CONFIG GET and ACL DRYRUN."""

    def info(self, *_: Any, **__: Any) -> Any:
        return dict(_INFO)

    def config_get(self, *names: str) -> Any:  # type: ignore[override]
        return _configured(names)

    def acl_dryrun(self, *_: Any) -> Any:  # type: ignore[override]
        raise _no_such_user()


class AsyncMemoryClient(redis.asyncio.Redis):
    """Its asyncio twin."""

    async def info(self, *_: Any, **__: Any) -> Any:
        return dict(_INFO)

    async def config_get(self, *names: str) -> Any:  # type: ignore[override]
        return _configured(names)

    async def acl_dryrun(self, *_: Any) -> Any:  # type: ignore[override]
        raise _no_such_user()
