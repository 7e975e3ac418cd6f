"""HTTP/1.1 with a deadline for the whole call.

httpx gives each operation a timeout of its own, so a server that sends or takes one byte a second can hold a
call for ever. Here each connect, handshake, read and write gets only the time that is left, so a request ends
by its deadline whatever the server does. Only name resolution has its own limit; it runs before the first
byte. If the body's source hangs, so that the request is incomplete at its deadline, a watch cuts the
connection. One thread watches all connections.

Sockets are closed with SO_LINGER 0: the system discards unsent bytes, instead of sending them for minutes
after the call ended or this process was killed. So the deadline also ends the request on the wire, except for
bytes already on their way.
"""

import errno
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpcore
import httpx

from faxline_worker.ifax.errors import (
    NoDescriptorsError,
    NoRouteError,
    RefusedError,
    TlsError,
    UnknownNameError,
)
from faxline_worker.ifax.route import Proxy
from faxline_worker.ifax.sockets import DeadlineBackend

ERRORS: Mapping[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.TimeoutException: httpx.TimeoutException,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.NetworkError: httpx.NetworkError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.ProtocolError: httpx.ProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
}
"""httpcore's exceptions and their counterparts in httpx. ConnectionNotAvailable never leaves the pool."""


class DeadlineTransport(httpx.BaseTransport):
    """Sends requests that carry `extensions={"deadline": moment}`, with one connection for each thread.

    Threads that shared one pool of httpcore would mostly wait for its lock.

    Args:
        idle: seconds after which an unused connection is closed.
        ssl_context: the trusted certificates; by default those of certifi. The environment is not read.
        proxy: the HTTP proxy; by default none.
    """

    def __init__(
        self, *, idle: float, ssl_context: ssl.SSLContext | None = None, proxy: Proxy | None = None
    ) -> None:
        self._idle = idle
        self._ssl = ssl_context or httpx.create_ssl_context(trust_env=False)
        self._backend = DeadlineBackend(proxy)
        self._own = threading.local()
        self._pools: list[httpcore.ConnectionPool] = []

    def _pool(self) -> httpcore.ConnectionPool:
        """This thread's pool."""
        pool: httpcore.ConnectionPool | None = getattr(self._own, "pool", None)
        if pool is None:
            pool = self._own.pool = httpcore.ConnectionPool(
                ssl_context=self._ssl,
                max_connections=1,
                keepalive_expiry=self._idle,
                network_backend=self._backend,
            )
            self._pools.append(pool)
        return pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, which ends by the `time.monotonic()` moment in its extension `deadline`.

        If there is a `connect_deadline`, the connection must be made by then.

        Raises:
            httpx.TransportError: like httpx's own transport.
            ProxyRefusedError, ProxyTimeoutError, ProxyFailedError, UntrustedError: no connection was made, so
                nothing was sent.
            SlowAnswerError: the answer began but did not end in time. Reading its body may raise this, too.
        """
        deadline: float = request.extensions["deadline"]
        # The pool's timeout is in seconds. The backend and its streams take theirs as deadlines.
        timeouts = {"pool": max(deadline - time.monotonic(), 0.0)}
        timeouts |= dict.fromkeys(("read", "write"), deadline)
        timeouts["connect"] = request.extensions.get("connect_deadline", deadline)
        with _httpx_errors():
            response = self._pool().handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={**request.extensions, "timeout": timeouts},
                )
            )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_AnswerStream(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools:
            pool.close()


@contextmanager
def _httpx_errors() -> Iterator[None]:
    try:
        yield
    except httpcore.ConnectError as error:
        raise _connect_error(error)("") from None
    except tuple(ERRORS) as error:
        kind = next(kind for kind in type(error).__mro__ if kind in ERRORS)
        raise ERRORS[kind](kind.__name__) from None  # its text may quote a header


def _connect_error(error: httpcore.ConnectError) -> type[httpx.ConnectError]:
    """The kind of a failed connection, by the system's error inside httpcore's."""
    match error.args[0] if error.args else None:
        case socket.gaierror() | UnicodeError():
            return UnknownNameError
        case ssl.SSLError():
            return TlsError
        case ConnectionRefusedError():
            return RefusedError
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH | errno.ENETDOWN):
            return NoRouteError
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return NoDescriptorsError
        case _:
            return httpx.ConnectError


class _AnswerStream(httpx.SyncByteStream):
    """The body of an answer, as it arrives."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
