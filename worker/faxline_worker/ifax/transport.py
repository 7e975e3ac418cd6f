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
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import httpx

from faxline_worker.ifax.errors import (
    NoRouteError,
    ProxyFailedError,
    ProxyTimeoutError,
    RefusedError,
    SlowAnswerError,
    TlsError,
    UnknownNameError,
    UntrustedError,
)
from faxline_worker.ifax.route import Proxy, open_tunnel

LINGER = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

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
        self._backend = _Backend(proxy)
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
        # The pool waits for so many seconds; _Backend and _Stream take their timeouts as the deadline itself.
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


def _cut(connection: socket.socket) -> None:
    """End both directions; the one who writes finds out at the next byte, and closes."""
    with suppress(OSError):  # it is closed, or was never whole
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS's own would forget that it was TLS


def _left(deadline: float | None, over: type[Exception]) -> float | None:
    """Seconds until the deadline.

    Raises:
        Exception: `over`, if none are left.
    """
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise over("the call's time is over")
    return left


class _Watch:
    """Cuts connections whose deadline comes while they are kept; its thread begins with the first."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, socket.socket]] = {}
        self._changed = threading.Condition()
        self._looks_at = math.inf
        self._thread: threading.Thread | None = None

    def keep(self, name: int, connection: socket.socket, deadline: float) -> None:
        """Keep a connection until `let_go`, or its deadline."""
        with self._changed:
            self._kept[name] = deadline, connection
            if deadline < self._looks_at:
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="deadlines", daemon=True)
                self._thread.start()

    def let_go(self, name: int) -> None:
        """It is in time."""
        with self._changed:
            self._kept.pop(name, None)

    def _look(self) -> None:
        while True:
            with self._changed:
                # What was let go meanwhile makes it look once in vain, and no call pays for waking it.
                self._looks_at = min((deadline for deadline, _ in self._kept.values()), default=math.inf)
                left = self._looks_at - time.monotonic()
                if left > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                    continue
                over = [name for name, (deadline, _) in self._kept.items() if deadline <= self._looks_at]
                cut = [self._kept.pop(name)[1] for name in over]
            for connection in cut:
                _cut(connection)


class _Backend(httpcore.NetworkBackend):
    """Connects; its `timeout` is the deadline."""

    def __init__(self, proxy: Proxy | None) -> None:
        self._system = httpcore.SyncBackend()
        self._watch = _Watch()
        self._proxy = proxy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        del local_address, socket_options  # the pool has none
        if self._proxy is None:
            return _Stream(self._reach(host, port, timeout), self._watch)
        try:
            stream = self._reach(self._proxy.host, self._proxy.port, timeout)
        except httpcore.ConnectTimeout:
            raise ProxyTimeoutError from None
        except httpcore.ConnectError:
            raise ProxyFailedError from None
        try:
            open_tunnel(stream, self._proxy, host, port, timeout)
        except BaseException:
            stream.close()
            raise
        return _Stream(stream, self._watch)

    def _reach(self, host: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        """A connection to one of a host's addresses."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(error) from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        failure: Exception = httpcore.ConnectError("the name has no address")
        for tried, address in enumerate(addresses):
            left = _left(timeout, httpcore.ConnectTimeout)
            # An address that swallows packets leaves the others their share.
            share = left / (len(addresses) - tried) if left is not None else None
            try:
                return self._system.connect_tcp(address, port, share, socket_options=[LINGER])
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection; its operations' `timeout` is the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, watch: _Watch) -> None:
        self._stream = stream
        self._answering = False
        self._watch = watch
        self._watched = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._unwatch()
        try:
            data = self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))
        except httpcore.ReadTimeout:
            if self._answering:
                raise SlowAnswerError from None
            raise
        self._answering = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._answering = False
        connection: socket.socket = self._stream.get_extra_info("socket")
        self._keep_watch(connection, timeout)
        rest = memoryview(buffer)
        while rest:  # the library's own loop would give each turn the whole time
            left = _left(timeout, httpcore.WriteTimeout)
            try:
                connection.settimeout(left)
                rest = rest[connection.send(rest) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._unwatch()
        self._stream.close()

    def _keep_watch(self, connection: socket.socket, deadline: float | None) -> None:
        """Cut the connection at the deadline, unless an answer is read or it is closed before."""
        if not self._watched and deadline is not None:
            self._watched = True
            self._watch.keep(id(self), connection, deadline)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._watch.let_go(id(self))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        try:
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._watch)
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise UntrustedError(error.__cause__.verify_message) from None
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
