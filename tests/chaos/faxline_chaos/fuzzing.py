"""The webhook under fuzz: a real process, raw sockets, and what it stored, logged and holds in memory.

Slow clients of every kind hold connections meanwhile; each must be closed, and hold up nobody.
"""

import asyncio
import random
import re
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx
import redis

from faxline.contract.redis_keys import PROCESSES, SERVING, RedisKeys
from faxline_chaos.requests import MARK, NUMBER, Request, Requests
from faxline_chaos.slow import KINDS, PATIENCE, hold
from faxline_local.processes import wait_for
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import WEBHOOK_SECRET, Local

CONNECTIONS = 32
SLOW = 60
"""Slow clients at once."""
SETTINGS = {"WEBHOOK__HEADER_TIMEOUT": "1", "WEBHOOK__BODY_TIMEOUT": "1", "WEBHOOK__IDLE_TIMEOUT": "3"}
ANSWER_TIMEOUT = 30.0
"""Seconds in which a whole request must be answered; longer than all of the webhook's own timeouts."""
FIRST = 0.12
"""Seconds until the first byte of an answer that may never come; the log tells of an error all the same."""
LULL = 0.02
"""Seconds until the next."""
BATCH = 1000
"""Requests between two looks at the memory and the stream."""
WARM = 0.2
"""The share of the requests after which the memory counts as warm."""
MARGIN = 16 * 1024
"""KiB that the memory may grow after that: the allocator's noise."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\n]*\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_FORBIDDEN = ("Traceback", "Exception in ASGI", MARK, NUMBER, WEBHOOK_SECRET)


@dataclass
class FuzzEnd:
    """What came out.

    Attributes:
        answers: HTTP statuses; `none` where a request that may go unanswered was not answered, `reset` where
            the connection was cut.
        unanswered: whole requests without an answer.
        stored: entries of the status stream.
        unsigned: entries among them whose body was never signed, or signed less often than stored.
        keys: keys that the webhook made besides the status stream and its heartbeat.
        logged: what stands in the log and must not, and how often.
        memory: KiB of the process, a sample each `BATCH` requests.
        closed: slow clients whose connection the webhook ended, by what they did.
        held: those whose connection it did not end.
        left: connections that it still has when all clients are gone.
        alive: whether it is the same process at the end, and ready.
    """

    answers: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    stored: int = 0
    unsigned: int = 0
    keys: list[str] = field(default_factory=list)
    logged: dict[str, int] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)
    closed: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    left: int = 0
    alive: bool = False

    @property
    def warm(self) -> int:
        """KiB after the warm-up: the most of the samples up to then."""
        return max(self.memory[: max(1, int(len(self.memory) * WARM))])

    @property
    def growth(self) -> int:
        """KiB that the memory grew after the warm-up."""
        return self.memory[-1] - self.warm

    def wrong(self) -> list[str]:
        """All that must not be."""
        bad = [f"{n} answers {s}" for s, n in self.answers.items() if s.startswith("5") and s != "503"]
        bad += [f"{self.unanswered} whole requests without an answer"] if self.unanswered else []
        bad += [f"{self.unsigned} unsigned bodies stored"] if self.unsigned else []
        bad += [f"other keys made: {', '.join(self.keys)}"] if self.keys else []
        bad += [f"{n} times in the log: {text!r}" for text, n in self.logged.items() if n]
        bad += [f"memory grew by {self.growth} KiB, more than {MARGIN}"] if self.growth > MARGIN else []
        bad += [f"{n} slow clients not closed: {kind}" for kind, n in self.held.items()]
        bad += [f"{self.left} connections left"] if self.left else []
        return bad + ([] if self.alive else ["the process did not live through it"])


def run_fuzz(count: int, seed: int, folder: Path, *, binary: ServerBinary | None = None) -> FuzzEnd:
    """Send so many requests and look at the end.

    Args:
        count: requests.
        seed: of everything random.
        folder: for the logs.
        binary: the Redis server's.
    """
    with Local(folder, dispatchers=0, workers=0, webhooks=1, settings=SETTINGS, binary=binary) as local:
        part = local.part(local.names("webhook")[0])
        with redis.Redis.from_url(local.redis_url) as client:
            fuzz = _Fuzz(count, Requests(seed, WEBHOOK_SECRET.encode()), client, part.process.pid)
            asyncio.run(fuzz.run(local.webhook_port, random.Random(f"slow:{seed}")))
            wait_for(lambda: connections(local) == 0, PATIENCE)
            fuzz.collect()
            keys = {key.decode() for key in client.scan_iter()}
        end = fuzz.end
        end.keys = sorted(keys - {RedisKeys("default").status, f"{PROCESSES}webhook", f"{SERVING}webhook"})
        end.left = connections(local)
        end.alive = part.process.poll() is None and local.ready(part.name)
    log = part.log.read_text(errors="replace")
    end.logged = {text: log.count(text) for text in _FORBIDDEN}
    return end


def connections(local: Local) -> int:
    """How many the webhook has open, by its own word."""
    url = f"http://127.0.0.1:{local.metrics[local.names('webhook')[0]]}/metrics"
    found = re.search(
        r"^fax_webhook_connections ([0-9.]+)$", httpx.get(url, trust_env=False).text, re.MULTILINE
    )
    assert found is not None
    return int(float(found[1]))


class _Fuzz:
    """The client's side.

    Args:
        count: requests.
        requests: what to send.
        client: of the webhook's database.
        pid: the webhook's process.
    """

    def __init__(self, count: int, requests: Requests, client: redis.Redis, pid: int) -> None:
        self._left = count
        self._requests = requests
        self._client = client
        self._pid = pid
        self._signed: Counter[bytes] = Counter()
        self._stream = RedisKeys("default").status
        self.end = FuzzEnd()

    async def run(self, port: int, chance: random.Random) -> None:
        """Send all requests, over some connections at once, with slow clients beside them."""
        self.end.memory.append(memory_of(self._pid))
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._connection(port))
            for _ in range(SLOW):
                group.create_task(self._slow(port, chance))
        self.end.memory.append(memory_of(self._pid))

    def collect(self) -> None:
        """Look at what was stored, and take it away."""
        while True:
            entries: list[tuple[bytes, dict[bytes, bytes]]] = self._client.xrange(self._stream, count=BATCH)  # type: ignore[assignment]
            if not entries:
                return
            for _, fields in entries:
                digest = sha256(fields[b"body"]).digest()
                self.end.stored += 1
                self.end.unsigned += self._signed[digest] <= 0
                self._signed[digest] -= 1
            self._client.xdel(self._stream, *(entry for entry, _ in entries))

    def _take(self) -> Request | None:
        if not self._left:
            return None
        self._left -= 1
        if self._left % BATCH == 0:
            self.collect()
            self.end.memory.append(memory_of(self._pid))
        request = self._requests.next()
        if request.body is not None:
            self._signed[sha256(request.body).digest()] += 1
        return request

    async def _slow(self, port: int, chance: random.Random) -> None:
        """One slow client after another, until all requests are sent."""
        while self._left:
            kind = chance.choice(list(KINDS))
            ended = self.end.closed if await hold(port, kind) else self.end.held
            ended[kind] += 1

    async def _connection(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (request := self._take()) is not None:
            usable = False
            writer.write(request.raw)
            try:
                usable = await (self._answer(reader) if request.whole else self._rest(reader))
            except ConnectionError:
                self.end.answers["reset"] += 1
            if not usable:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bool:
        """Read the one answer that is due; whether the connection can be used again."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
        except (TimeoutError, asyncio.IncompleteReadError):
            self.end.unanswered += 1
            return False
        self.end.answers[head[9:12].decode()] += 1
        return b"connection: close" not in head.lower()

    async def _rest(self, reader: asyncio.StreamReader) -> bool:
        """Read what comes until a lull, and count the answers in it; the connection is of no further use."""
        got = b""
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(LULL if got else FIRST):
                    chunk = await reader.read(65536)
                if not chunk:
                    break
                got += chunk
        for status in _STATUS.findall(got) or [b"none"]:
            self.end.answers[status.decode()] += 1
        return False


def memory_of(pid: int) -> int:
    """KiB of a process's memory that is resident."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(re.findall(r"VmRSS:\s+([0-9]+) kB", status.read_text())[0])
    return int(subprocess.check_output(["/bin/ps", "-o", "rss=", "-p", str(pid)], text=True))  # macOS
