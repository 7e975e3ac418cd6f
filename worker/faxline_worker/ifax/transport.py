"""HTTP/1.1 over sockets of which every operation ends by the call's deadline.

httpx gives each operation a timeout of its own, so a server that sends one byte a second, or takes one, holds
a call for as long as it likes. Here the time that is left bounds each connect, handshake, read and write, so
that a request is over by its deadline whatever the server does. Only the resolver of names has its own limit;
it runs before the first byte. A request that is not whole by its deadline, because what gives its body does
not come back, is cut off by a watch, one thread for all of them.

A socket is closed with SO_LINGER 0: the system throws away what it has not sent yet, instead of sending it on
for minutes after a call was given up, or after this process was killed. So the deadline also ends the life of
the request on the wire, up to what is already on its way.
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
"""httpcore's exceptions as httpx's; ConnectionNotAvailable never leaves its pool."""


class DeadlineTransport(httpx.BaseTransport):
    """Connections for requests that carry `extensions={"deadline": moment}`, one for each thread.

    Threads that share a pool of httpcore's wait for its lock more than for anything else.

    Args:
        idle: seconds after which an unused connection is not used any more.
        ssl_context: what to trust; by default the certificates of certifi. The environment is not read.
        proxy: what makes a tunnel to every server; by default there is none.
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
        """This thread's."""
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
        """Send a request, which is over at the `time.monotonic()` moment of its deadline.

        Its connection stands by the `connect_deadline`, where there is one.

        Raises:
            httpx.TransportError: as httpx's own transport does.
            ProxyRefusedError, ProxyTimeoutError, ProxyFailedError, UntrustedError: there is no connection, so
                nothing was sent.
            SlowAnswerError: the answer had begun and its time is over; also while its body is read.
        """
        deadline: float = request.extensions["deadline"]
        # The pool waits for so many seconds; the backend and its streams take their timeouts as the deadline
        # itself.
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
    """Why no connection was made, by the error of the system that httpcore's is made of."""
    match error.args[0] if error.args else None:
        case socket.gaierror() | UnicodeError():
            return UnknownNameError
        case ssl.SSLError():
            return TlsError
        case ConnectionRefusedError():
            return RefusedError
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH | errno.ENETDOWN):
            return NoRouteError
        case _:
            return httpx.ConnectError


class _AnswerStream(httpx.SyncByteStream):
    """The body of an answer as it comes."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
