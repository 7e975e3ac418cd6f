"""Nodes of a cluster that say what a test has them say."""

import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from redis.crc import key_slot

Words = tuple[bytes, ...]
OK = b"+OK\r\n"
QUEUED = b"+QUEUED\r\n"


def bulk(text: str) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text.encode())


def array(*items: bytes) -> bytes:
    return b"*%d\r\n" % len(items) + b"".join(items)


def number(value: int) -> bytes:
    return b":%d\r\n" % value


def error(text: str) -> bytes:
    return f"-{text}\r\n".encode()


def slot(key: str) -> int:
    return key_slot(key.encode())


class Node:
    """One node. `answer` may be replaced: what it returns is sent, and None closes the connection."""

    def __init__(self, cluster: "Cluster", place: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.said: list[Words] = []
        """What clients sent, without what a connection begins with, and without questions for the slots."""
        self.asked = 0
        """How often somebody asked who owns the slots."""
        self.connections: list[list[Words]] = []
        """The same as `said`, by connection."""
        self.answer: Callable[[Words], bytes | None] = lambda _: bulk("here")
        self.slots = cluster.slots
        """The answer to CLUSTER SLOTS."""
        self._server = _Server(place, _Talk)
        self._server.node = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def reply(self, words: Words, connection: list[Words]) -> bytes | None:
        name = words[0].upper()
        if name == b"CLIENT":
            return OK
        if name == b"CLUSTER":
            self.asked += 1
            return self.slots()
        self.said.append(words)
        connection.append(words)
        if name == b"ASKING":
            return OK
        return self.answer(words)

    def stop(self) -> None:
        """Refuse connections and close those there are."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for talk in list(self._server.talks):
            talk.connection.close()


class Cluster:
    """Nodes, of which the first owns all slots at the beginning."""

    def __init__(self) -> None:
        self.nodes = [Node(self), Node(self)]
        self.owners: list[Node | None] = [self.nodes[0]] * 16384

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def give(self, key: str, node: Node) -> None:
        """Give the slot of a key to a node."""
        self.owners[slot(key)] = node

    def take(self, key: str) -> None:
        """Take the slot of a key from its node: none serves it."""
        self.owners[slot(key)] = None

    def slots(self) -> bytes:
        """The answer to CLUSTER SLOTS."""
        ranges: list[bytes] = []
        first = 0
        for at in range(1, len(self.owners) + 1):
            if at == len(self.owners) or self.owners[at] is not self.owners[first]:
                if (owner := self.owners[first]) is not None:
                    place = array(bulk("127.0.0.1"), number(owner.port), bulk("id"))
                    ranges.append(array(number(first), number(at - 1), place))
                first = at
        return array(*ranges)

    def says(self, word: str, key: str, node: Node) -> bytes:
        """MOVED or ASK to another node."""
        return error(f"{word} {slot(key)} 127.0.0.1:{node.port}")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 100
    node: Node

    def __init__(self, *args: Any) -> None:
        self.talks: list[_Talk] = []
        super().__init__(*args)


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast("_Server", self.server)
        server.talks.append(self)
        said: list[Words] = []
        server.node.connections.append(said)
        try:
            while words := self._words():
                reply = server.node.reply(words, said)
                if reply is None:
                    return
                self.wfile.write(reply)
        except (OSError, ValueError):
            pass  # either side has closed it

    def _words(self) -> Words:
        count = self.rfile.readline()[1:]
        words = []
        for _ in range(int(count or 0)):
            size = int(self.rfile.readline()[1:])
            words.append(self.rfile.read(size + 2)[:-2])
        return tuple(words)


@contextmanager
def scripted() -> Iterator[Cluster]:
    """Two nodes that speak RESP on the loopback."""
    cluster = Cluster()
    try:
        yield cluster
    finally:
        for node in cluster.nodes:
            node.stop()


def refusing(times: int, refusal: bytes, then: bytes) -> Callable[[Words], bytes]:
    """Answer with a refusal so many times, and then something else."""
    left = iter(range(times))
    return lambda _: refusal if next(left, None) is not None else then


def named(said: Sequence[Words]) -> list[str]:
    """The commands' names."""
    return [words[0].decode() for words in said]
