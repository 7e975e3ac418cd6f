"""What the intake takes: pushes a second, and registrations a second by one dispatcher."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pypdfium2
import redis

from faxline import Fax, FaxLine
from faxline.contract.pdf.reader import SHARED
from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.redis_server import RedisServer
from faxline_local.stack import DEFAULT, Local
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.pushes import URL, bulk_names, fax
from tests.benchmarks.speed.sheet import Section, Wanted, median
from tests.benchmarks.speed.size import Size
from tests.benchmarks.speed.usage import Usage
from tests.benchmarks.speed.ways import FREE
from tests.hostile_files import ONE_PAGE, pdf

PAGE = 500
PATIENCE = 300.0
OPENINGS = 200


def run_intake(size: Size, logs: Path) -> Section:
    """Pushes by hand and by the library, then registrations beside a sketch without checks."""
    section = Section("intake")
    pushed: dict[str, list[float]] = {"packed": [], "redis-py": [], "send_many": []}
    sketched, registered = [], []
    for i in range(size.rounds):
        with RedisServer() as server, redis.Redis.from_url(server.url(0)) as client:
            payloads = [json.dumps({"id": name, "fax": fax(name)}) for name in bulk_names(size.entries)]
            pages = _packed(RedisKeys(DEFAULT).intake, payloads)
            pushed["packed"].append(
                _a_second(size.entries, partial(_write, server.port, pages, size.entries))
            )
            client.flushdb()
            pushed["redis-py"].append(_a_second(size.entries, partial(_xadds, client, payloads)))
            sketched.append(_sketch(server.port, size.entries))
        with RedisServer() as server, redis.Redis.from_url(server.url(0)) as client:
            few = max(1, size.entries // 5)
            pushed["send_many"].append(_a_second(few, partial(_send_many, client, few)))
        registered.append(_registrations(size, logs / f"{i}"))
    section.add("entries pushed a second, XADD pipelined", median(pushed["packed"]), wanted=Wanted(50_000))
    section.add("… by redis-py's pipeline", median(pushed["redis-py"]))
    section.add("… by the library's send_many, every fax checked", median(pushed["send_many"]))
    section.add(
        "registrations a second, one dispatcher",
        median([rate for rate, _ in registered]),
        baseline=median(sketched),
        beside="sketch without checks",
        wanted=Wanted(10_000),
    )
    for size_kb in (100, 1000):
        here, apart = _openings(size_kb)
        section.add(
            f"opening a PDF of {size_kb} KB in a child process",
            apart,
            "ms",
            baseline=here,
            beside="in this one",
        )
        section.add("… more than in this one", apart - here, "ms", wanted=Wanted(2, most=True))
    for part in ("dispatcher", "redis"):
        section.add(
            f"CPU ms an entry, {part}", median([cpu[part] for _, cpu in registered]) * 1000 / size.entries
        )
    return section


def _openings(size_kb: int) -> tuple[float, float]:
    """Milliseconds to open a PDF and count its pages, in this process and in a warm child: the medians."""
    content = bytes(size_kb * 1000)
    data = pdf([*ONE_PAGE, b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content)])
    timed: dict[Callable[[bytes], object], list[float]] = {_pages_here: [], SHARED.count: []}
    for _ in range(OPENINGS):
        for count, took in timed.items():
            began = time.perf_counter()
            count(data)
            took.append(1000 * (time.perf_counter() - began))
    return median(timed[_pages_here]), median(timed[SHARED.count])


def _pages_here(data: bytes) -> int:
    with closing(pypdfium2.PdfDocument(data)) as document:
        return len(document)


def _a_second(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _xadds(client: redis.Redis, payloads: list[str]) -> None:
    intake = RedisKeys(DEFAULT).intake
    for start in range(0, len(payloads), PAGE):
        with client.pipeline(transaction=False) as pipe:
            for payload in payloads[start : start + PAGE]:
                pipe.xadd(intake, {"send": payload})
            pipe.execute()


def _packed(key: str, payloads: list[str]) -> list[bytes]:
    """The same commands in their final form: what is measured then is the server."""

    def command(*words: bytes) -> bytes:
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)

    commands = [command(b"XADD", key.encode(), b"*", b"send", payload.encode()) for payload in payloads]
    return [b"".join(commands[start : start + PAGE]) for start in range(0, len(commands), PAGE)]


def _write(port: int, pages: list[bytes], count: int) -> None:
    """Send them, page by page, and read an answer to each command."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        answers, left = 0, count
        for page in pages:
            link.sendall(page)
            answers += min(PAGE, left)
            left -= PAGE
            while answers > 0:
                answers -= link.recv(1 << 16).count(b"$")


def _send_many(client: redis.Redis, count: int) -> None:
    faxes = [Fax(to=fax(name)["faxNumber"], files=[URL], id=name, subject=name) for name in bulk_names(count)]
    FaxLine(client).send_many(faxes)


def _sketch(port: int, count: int) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.speed.sketch", str(port), str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _registrations(size: Size, logs: Path) -> tuple[float, dict[str, float]]:
    """A second, and the CPU seconds of each part: a backlog waits, then a dispatcher goes on."""
    intake = RedisKeys(DEFAULT).intake
    with (
        Local(logs, workers=0, webhooks=0, settings=FREE) as local,
        redis.Redis.from_url(local.redis_url) as client,
    ):
        dispatcher = local.part(local.names("dispatcher")[0])
        push_entries(client, DEFAULT, bulk_names(PAGE))  # scripts and caches
        _await_empty(client, intake)
        dispatcher.pause()
        push_entries(client, DEFAULT, [f"more-{i}" for i in range(size.entries)])
        usage = Usage({"dispatcher": [dispatcher.process.pid]}, {"redis": local.server.pid})
        began = time.perf_counter()
        dispatcher.resume()
        _await_empty(client, intake)
        return size.entries / (time.perf_counter() - began), usage.seconds()


def _await_empty(client: redis.Redis, key: str) -> None:
    if not wait_for(lambda: client.xlen(key) == 0, PATIENCE, every=0.02):
        raise TimeoutError(f"{client.xlen(key)} entries are left on {key} after {PATIENCE:g} s")
