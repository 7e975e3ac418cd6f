"""`python -m tests.benchmarks.speed.load SETUP`: POSTs over kept connections as fast as they are answered.

It speaks HTTP/1.1 on bare sockets, for it must cost less than what it measures. It prints one line of JSON.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What is asked.

    Args:
        url: an http URL.
        headers: of every request.
        bodies: sent in turn.
        connections: at once.
        seconds: for which it goes on.
    """

    url: str
    headers: Mapping[str, str]
    bodies: tuple[tuple[str, Mapping[str, str]], ...]
    """Each with headers of its own."""
    connections: int
    seconds: float


@dataclass(frozen=True)
class Answers:
    """What came back.

    Attributes:
        statuses: how many answers by their status.
        a_second: answers a second.
    """

    statuses: Mapping[str, int]
    a_second: float


def run_load(load: Load) -> Answers:
    """Run it in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.speed.load"],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        check=True,
    )
    return Answers(**json.loads(done.stdout.splitlines()[-1]))


class _Caller(asyncio.Protocol):
    def __init__(self, requests: list[bytes], statuses: dict[str, int], until: float) -> None:
        self._requests = requests
        self._statuses = statuses
        self._until = until
        self._n = 0
        self._data = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self._data, 0, end)
        if len(self._data) < end + 4 + (int(found[1]) if found else 0):
            return
        status = self._data[9:12].decode()
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._data = b""
        if time.monotonic() >= self._until:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(exc)

    def _send(self) -> None:
        self._transport.write(self._requests[self._n])
        self._n = (self._n + 1) % len(self._requests)


async def call(load: Load) -> Answers:
    """Call until the time is over."""
    parts = urlsplit(load.url)
    head = [
        f"POST {parts.path} HTTP/1.1",
        f"host: {parts.netloc}",
        *(f"{k}: {v}" for k, v in load.headers.items()),
    ]
    requests = []
    for body, headers in load.bodies:
        own = [f"content-length: {len(body.encode())}", *(f"{k}: {v}" for k, v in headers.items())]
        requests.append(("\r\n".join([*head, *own]) + "\r\n\r\n" + body).encode())
    statuses: dict[str, int] = {}
    loop, began = asyncio.get_running_loop(), time.monotonic()
    callers = []
    for i in range(load.connections):
        share = requests[i % len(requests) :] + requests[: i % len(requests)]
        make: Any = lambda share=share: _Caller(share, statuses, began + load.seconds)  # noqa: E731
        assert parts.hostname
        assert parts.port
        _, caller = await loop.create_connection(make, parts.hostname, parts.port)
        callers.append(caller)
    await asyncio.gather(*(caller.over for caller in callers))
    return Answers(statuses, sum(statuses.values()) / (time.monotonic() - began))


def main() -> None:
    """Do what standard input says."""
    payload = json.loads(sys.stdin.read())
    payload["bodies"] = tuple((body, headers) for body, headers in payload["bodies"])
    answers = asyncio.run(call(Load(**payload)))
    print(json.dumps(asdict(answers)))


if __name__ == "__main__":
    main()
