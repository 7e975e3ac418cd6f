"""Connections that follow the primary. A lost one, or one to a server that is no primary, is replaced.

redis-py asks the Sentinels when it takes a connection from a pool, and never again while the connection is
held. A connection that a thread keeps would return to the old address for ever. An answer such as NOREPLICAS
leaves it with a primary that was cut off. After a planned failover the old primary takes writes for eight
seconds, until the Sentinels reconfigure it, and then loses them. So here a lost connection asks the Sentinels
again, such an answer drops it, and the Sentinels are asked twice a second while it is used.

Our connections also keep to the time of the command that they carry
(`faxline.contract.connections.deadlines`).
"""

from collections.abc import Mapping
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.asyncio.sentinel
import redis.connection
import redis.sentinel

from faxline.contract.connections.deadlines import allow_for, is_bounded, within
from faxline.contract.connections.tls_contexts import AsyncSharedTls, SharedTls

_LOST = ("NOREPLICAS", "UNBLOCKED")
"""The beginnings of error replies for which redis-py has no class."""


class NoWritesError(redis.ConnectionError):
    """The server takes no writes: it is a replica, or has too few of them. The connection was dropped."""


def _instead(error: redis.ResponseError) -> NoWritesError | None:
    """The error to raise if a reply means that another server may be the primary; else None."""
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return NoWritesError(f"READONLY {error}")
    return NoWritesError(str(error)) if str(error).startswith(_LOST) else None


class _Bounded:
    """Limits the timeouts of a connection to the time that its command has left."""

    _socket_timeout: float | None
    _socket_connect_timeout: float | None

    @property
    def socket_timeout(self) -> float | None:
        return within(self._socket_timeout)

    @socket_timeout.setter
    def socket_timeout(self, value: float | None) -> None:
        self._socket_timeout = value

    @property
    def socket_connect_timeout(self) -> float | None:
        return within(self._socket_connect_timeout)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: float | None) -> None:
        self._socket_connect_timeout = value


class _Following(_Bounded):
    """Mixed into redis-py's connections. Drops the connection if a reply shows that it is no primary."""

    def _heed(self) -> None:
        """Set the socket's timeout, because a socket keeps the one that it had last."""
        this: Any = self
        if is_bounded() and this._sock is not None:  # noqa: SLF001 - redis-py has no other way
            this._sock.settimeout(self.socket_timeout)  # noqa: SLF001 - as above

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        allow_for(command)
        self._heed()
        super().send_packed_command(command, check_health)  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        this: Any = self
        self._heed()
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            if (instead := _instead(error)) is None:
                raise
            this.disconnect()
            raise instead from None


class _Asking(_Following):
    """Also asks the Sentinels where the primary is."""

    _greets = False
    """Whether the handshake is under way. The Sentinels are not asked in between its commands."""

    def connect_to(self, address: Any) -> None:
        self._greets = True
        try:
            super().connect_to(address)  # type: ignore[misc]
        finally:
            self._greets = False

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        this: Any = self
        pool = this.connection_pool
        if not self._greets:
            there = (this.host, this.port)
            if this.is_connected and pool.sentinel_manager.moved(pool.service_name, there):
                this.disconnect()
            if not this.is_connected:
                self.connect_to(pool.get_master_address())  # only once, because the caller retries
        super().send_packed_command(command, check_health)


class _FollowingAsync(_Bounded):
    """The asyncio twin of `_Following`."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        allow_for(command)
        await super().send_packed_command(command, check_health)  # type: ignore[misc]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        this: Any = self
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            if (instead := _instead(error)) is None:
                raise
            await this.disconnect()
            raise instead from None


class _AskingAsync(_FollowingAsync):
    """The asyncio twin of `_Asking`."""

    _greets = False

    async def connect_to(self, address: Any) -> None:
        self._greets = True
        try:
            await super().connect_to(address)  # type: ignore[misc]
        finally:
            self._greets = False

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        this: Any = self
        pool = this.connection_pool
        if not self._greets:
            there = (this.host, this.port)
            if this.is_connected and await pool.sentinel_manager.moved(pool.service_name, there):
                await this.disconnect()
            if not this.is_connected:
                await self.connect_to(await pool.get_master_address())
        await super().send_packed_command(command, check_health)


def following(client: Any) -> Any:
    """Make a redis-py client, blocking or asyncio, use such connections from now on."""
    pool = client.connection_pool
    pool.connection_class = _KINDS[pool.connection_class]
    return client


class _Plain(_Following, redis.connection.Connection):
    pass


class _FollowingTls(SharedTls, _Following):
    pass


class _AskingTls(SharedTls, _Asking):
    pass


class _FollowingTlsAsync(AsyncSharedTls, _FollowingAsync):
    pass


class _AskingTlsAsync(AsyncSharedTls, _AskingAsync):
    pass


class _Tls(_FollowingTls, redis.connection.SSLConnection):
    pass


class _Socket(_Following, redis.connection.UnixDomainSocketConnection):
    pass


class _Watched(_Asking, redis.sentinel.SentinelManagedConnection):
    pass


class _WatchedTls(_AskingTls, redis.sentinel.SentinelManagedSSLConnection):
    pass


class _PlainAsync(_FollowingAsync, redis.asyncio.connection.Connection):
    pass


class _TlsAsync(_FollowingTlsAsync, redis.asyncio.connection.SSLConnection):
    pass


class _SocketAsync(_FollowingAsync, redis.asyncio.connection.UnixDomainSocketConnection):
    pass


class _WatchedAsync(_AskingAsync, redis.asyncio.sentinel.SentinelManagedConnection):
    pass


class _WatchedTlsAsync(_AskingTlsAsync, redis.asyncio.sentinel.SentinelManagedSSLConnection):
    pass


_KINDS: Mapping[type, type] = {
    kind.__bases__[1]: kind
    for kind in (
        *(_Plain, _Tls, _Socket, _Watched, _WatchedTls),
        *(_PlainAsync, _TlsAsync, _SocketAsync, _WatchedAsync, _WatchedTlsAsync),
    )
}
