"""Sockets whose every operation has a deadline, and a watch that cuts a connection at its deadline."""

import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import httpcore

from faxline_worker.ifax.errors import (
    ProxyFailedError,
    ProxyTimeoutError,
    SlowAnswerError,
    UntrustedError,
)
from faxline_worker.ifax.route import Proxy, open_tunnel

LINGER = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut(connection: socket.socket) -> None:
    """Shut both directions down. The writer notices at the next byte, and closes the socket."""
    with suppress(OSError):  # it is closed, or was never connected
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # SSLSocket's own would drop the TLS state


def left_of(deadline: float | None, over: type[Exception]) -> float | None:
    """Seconds until a deadline; None if there is no deadline.

    Raises:
        Exception: `over`, if the deadline has passed.
    """
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise over("the call's time is over")
    return left


class _Watch:
    """Cuts connections at their deadlines. Its thread starts with the first connection."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, socket.socket]] = {}
        self._changed = threading.Condition()
        self._looks_at = math.inf
        self._thread: threading.Thread | None = None

    def keep(self, name: int, connection: socket.socket, deadline: float) -> None:
        """Watch a connection until `let_go` or its deadline."""
        with self._changed:
            self._kept[name] = deadline, connection
            if deadline < self._looks_at:
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="deadlines", daemon=True)
                self._thread.start()

    def let_go(self, name: int) -> None:
        """Watch a connection no longer."""
        with self._changed:
            self._kept.pop(name, None)

    def _look(self) -> None:
        while True:
            with self._changed:
                # `let_go` does not wake this thread, which saves each call time. It may wake once in vain.
                self._looks_at = min((deadline for deadline, _ in self._kept.values()), default=math.inf)
                left = self._looks_at - time.monotonic()
                if left > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                    continue
                over = [name for name, (deadline, _) in self._kept.items() if deadline <= self._looks_at]
                cut = [self._kept.pop(name)[1] for name in over]
            for connection in cut:
                _cut(connection)


class DeadlineBackend(httpcore.NetworkBackend):
    """Makes connections. Each `timeout` is a deadline, a `time.monotonic()` moment."""

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
        """Connect by the deadline `timeout`, through the proxy if there is one."""
        del local_address, socket_options  # the pool sets none
        if self._proxy is None:
            return DeadlineStream(self._reach(host, port, timeout), self._watch)
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
        return DeadlineStream(stream, self._watch)

    def _reach(self, host: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        """Connect to one of a host's addresses."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(error) from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        failure: Exception = httpcore.ConnectError("the name has no address")
        for tried, address in enumerate(addresses):
            left = left_of(timeout, httpcore.ConnectTimeout)
            # An address that does not answer must leave time for the others.
            share = left / (len(addresses) - tried) if left is not None else None
            try:
                return self._system.connect_tcp(address, port, share, socket_options=[LINGER])
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class DeadlineStream(httpcore.NetworkStream):
    """A connection. Each `timeout` is a deadline, a `time.monotonic()` moment."""

    def __init__(self, stream: httpcore.NetworkStream, watch: _Watch) -> None:
        self._stream = stream
        self._answering = False
        self._watch = watch
        self._watched = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read by the deadline `timeout`."""
        self._unwatch()
        try:
            data = self._stream.read(max_bytes, left_of(timeout, httpcore.ReadTimeout))
        except httpcore.ReadTimeout:
            if self._answering:
                raise SlowAnswerError from None
            raise
        self._answering = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write by the deadline `timeout`."""
        self._answering = False
        connection: socket.socket = self._stream.get_extra_info("socket")
        self._keep_watch(connection, timeout)
        rest = memoryview(buffer)
        while rest:  # httpcore's own loop would give each round the whole time
            left = left_of(timeout, httpcore.WriteTimeout)
            try:
                connection.settimeout(left)
                rest = rest[connection.send(rest) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection and stop watching it."""
        self._unwatch()
        self._stream.close()

    def _keep_watch(self, connection: socket.socket, deadline: float | None) -> None:
        """Cut the connection at the deadline, unless an answer is read or it is closed first."""
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
        """Begin TLS by the deadline `timeout`."""
        left = left_of(timeout, httpcore.ConnectTimeout)
        try:
            return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._watch)
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise UntrustedError(error.__cause__.verify_message) from None
            raise

    def get_extra_info(self, info: str) -> Any:
        """Pass the question on to the inner stream."""
        return self._stream.get_extra_info(info)
