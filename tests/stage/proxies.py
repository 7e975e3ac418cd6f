"""A way to a server that a test can close, let freeze (it accepts and never answers), or let lose answers."""

import contextlib
import selectors
import socket
import threading
from typing import Self


class TcpProxy:
    """Passes bytes on between its port and a server's, in a thread.

    Args:
        target: the server's port on 127.0.0.1.
        loses: the server gets what holds these bytes, and instead of its answer the connection is cut.
        times: how often; None: always.
    """

    def __init__(self, target: int, loses: bytes | None = None, times: int | None = None) -> None:
        self._target = target
        self._loses = loses
        self._times = times
        self._losing = set[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._frozen = threading.Event()
        self._closed = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._drop()
        self._listener.close()
        self._selector.close()

    def freeze(self) -> None:
        """Pass nothing on: connections stay open, new ones are taken, nothing is answered."""
        self._frozen.set()

    def close(self) -> None:
        """Cut all connections, and each new one at once."""
        self._closed.set()

    def open(self) -> None:
        """Let all through again. What was frozen is cut: what was sent meanwhile is not there whole."""
        if self._frozen.is_set():
            self._closed.set()
            while self._peers:
                self._ended.wait(0.01)
        self._frozen.clear()
        self._closed.clear()

    def _run(self) -> None:
        while not self._ended.is_set():
            if self._closed.is_set():
                self._drop()
            for key, _ in self._selector.select(0.02):
                sock: socket.socket = key.fileobj  # type: ignore[assignment]
                if sock is self._listener:
                    self._accept()
                elif sock in self._peers and not self._frozen.is_set():
                    self._pass_on(sock)
            if self._frozen.is_set():
                self._ended.wait(0.02)  # what cannot be passed on is ready all the time

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._closed.is_set():
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((client, server), (server, client)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, sock: socket.socket) -> None:
        other = self._peers[sock]
        with contextlib.suppress(OSError):
            if (data := sock.recv(65536)) and sock not in self._losing:
                if self._loses and self._loses in data and self._times != 0:
                    self._times = self._times and self._times - 1
                    self._losing.add(other)
                other.sendall(data)
                return
        self._forget(sock, other)

    def _forget(self, *pair: socket.socket) -> None:
        for sock in pair:
            if self._peers.pop(sock, None) is not None:
                self._selector.unregister(sock)
                self._losing.discard(sock)
                sock.close()

    def _drop(self) -> None:
        for sock, other in list(self._peers.items()):
            self._forget(sock, other)
