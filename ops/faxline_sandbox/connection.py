"""The connection of a request: when the request's first byte came, and how to cut it.

ASGI has neither. So uvicorn runs a protocol of ours that passes both to the app in the request's scope.
"""

import asyncio
import socket
import struct
import time
from typing import Any, cast

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

EXTENSION = "faxline_sandbox.connection"

_LINGER_NOT = struct.pack("ii", 1, 0)  # on, for 0 seconds: closing sends RST and throws unsent bytes away


class Connection:
    """One request's connection.

    Args:
        transport: the transport of the protocol.
        arrived: when the request's first byte came, in nanoseconds of `time.monotonic_ns`.
    """

    def __init__(self, transport: asyncio.Transport, arrived: int) -> None:
        self._transport = transport
        self.arrived = arrived

    def cut(self) -> None:
        """Reset the connection: the client gets RST and no further byte."""
        if not self._transport.is_closing():
            endpoint: socket.socket = self._transport.get_extra_info("socket")
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()


class SandboxProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, with a `Connection` in every scope's extensions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._app = self.app
        self.app = cast("Any", self._with_connection)
        self._arrived: int | None = None

    def data_received(self, data: bytes) -> None:
        """Note the time of a request's first byte, then go on."""
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._arrived = time.monotonic_ns()
        super().data_received(data)

    async def _with_connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A pipelined request came while the one before it was being answered. It counts from its turn.
        arrived, self._arrived = self._arrived, None
        connection = Connection(self.transport, arrived or time.monotonic_ns())
        scope.setdefault("extensions", {})[EXTENSION] = connection
        await self._app(cast("Any", scope), cast("Any", receive), cast("Any", send))
