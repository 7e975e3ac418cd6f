"""Connects for the listener in threads of its own, one for each node: one that hangs delays no other."""

import socket
import threading
from collections import deque
from collections.abc import Hashable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Connector(Generic[_T]):
    """Makes connections. `ask` and `made` are for one thread; close it.

    Example:
        >>> connector = Connector[str]()
        >>> connector.ask("acme", ("10.0.0.1", 6379), client.connection_pool)
        >>> select.select([connector.bell], [], [])
        >>> [(name, connection, error)] = connector.made()
    """

    def __init__(self) -> None:
        self.bell, self._rope = socket.socketpair()
        """Readable once a connection was made, or was not."""
        self.bell.settimeout(0)
        self._rope.settimeout(0)
        self._waiting: dict[Hashable, deque[tuple[_T, Any]]] = {}
        self._made = SimpleQueue[tuple[_T, Any, Exception | None]]()
        self._lock = threading.Lock()
        self._closed = False

    def ask(self, who: _T, node: Hashable, pool: Any) -> None:
        """Have a connection made.

        Args:
            who: for whom; `made` returns it.
            node: where it leads to. Connections to one node are made one after the other.
            pool: the connection pool of the node's client, which says how.
        """
        with self._lock:
            begin = node not in self._waiting
            self._waiting.setdefault(node, deque()).append((who, pool))
        if begin:
            threading.Thread(target=self._work, args=(node,), name="connector", daemon=True).start()

    def made(self) -> list[tuple[_T, Any, Exception | None]]:
        """What came of what was asked: for whom, and the connection, or None and the error."""
        with suppress(BlockingIOError):
            while self.bell.recv(4096):
                pass
        found = []
        while True:
            try:
                found.append(self._made.get_nowait())
            except Empty:
                return found

    def close(self) -> None:
        """Make no more connections, and close those that nobody has taken."""
        with self._lock:
            self._closed = True
            self._waiting = {node: deque() for node in self._waiting}
        for _, connection, _ in self.made():
            if connection is not None:
                connection.disconnect()
        self.bell.close()
        self._rope.close()

    def _work(self, node: Hashable) -> None:
        """Make the connections to a node. If one fails, so do those that wait."""
        while True:
            with self._lock:
                if not self._waiting[node]:
                    del self._waiting[node]
                    return
                asked = [self._waiting[node].popleft()]
            connection, error = None, None
            try:
                connection = asked[0][1].connection_class(**asked[0][1].connection_kwargs)
                connection.connect()
            except Exception as why:  # noqa: BLE001 - the listener judges it
                connection, error = None, why
            with self._lock:
                if error is not None:
                    asked.extend(self._waiting[node])
                    self._waiting[node].clear()
                if self._closed:
                    asked = []
                    if connection is not None:
                        connection.disconnect()
                for who, _ in asked:
                    self._made.put((who, connection, error))
                if asked:
                    self._ring()

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            self._rope.send(b"1")
