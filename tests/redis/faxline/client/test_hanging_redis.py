"""A Redis that hangs: every call ends in the time that it was given, and says so."""

import asyncio
import inspect
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline import AsyncFaxLine, Fax, FaxLine, QueueUnavailable, WaitTimeout
from faxline.contract.connections import deadlines
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary

pytestmark = pytest.mark.slow

TO, URL = "+12345678901", "https://example.com/a.pdf"
CALLS: dict[str, Callable[[Any], Any]] = {
    "send": lambda line: line.send(to=TO, files=[URL]),
    "send_many": lambda line: line.send_many([Fax(to=TO, files=[URL])]),
    "cancel": lambda line: line.cancel("a"),
    "job": lambda line: line.job("a"),
    "group": lambda line: line.group("a"),
    "wait": lambda line: line.wait("a", timeout=0.2),
    "pause": lambda line: line.pause(by="me", timeout=0.2),
    "jobs": lambda line: line.jobs(),
    "events": lambda line: _first(line, timeout=0.2),
    "events of a group": lambda line: _first(line, group="g", timeout=None),
}
LONG = 20.0
"""Seconds; with redis-py's timeouts alone each call took 60."""


def _first(line: Any, **how: Any) -> Any:
    events = line.events(**how)
    return anext(events) if isinstance(line, AsyncFaxLine) else next(events)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer's time is short, so that a test is."""
    monkeypatch.setattr(deadlines, "ANSWER", 0.4)
    monkeypatch.setattr(deadlines, "TRY", 0.2)
    monkeypatch.setattr(deadlines, "GRACE", 0.1)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "url", ["redis://me:x@127.0.0.1:{}/1", "redis+sentinel://127.0.0.1:{},localhost:{}/it"]
)
def test_a_call_to_a_server_that_never_answers_ends_in_its_time(silent: int, call: str, url: str) -> None:
    place = url.replace("{}", str(silent))
    began = time.monotonic()
    with FaxLine(place) as line, pytest.raises(QueueUnavailable, match=r"did not answer|no Sentinel"):
        CALLS[call](line)

    async def ask() -> None:
        async with AsyncFaxLine(place) as line:
            with pytest.raises(QueueUnavailable, match=r"did not answer|no Sentinel"):
                await _awaited(CALLS[call](line))

    asyncio.run(ask())
    assert time.monotonic() - began < LONG


async def _awaited(asked: Any) -> Any:
    return await asked if inspect.isawaitable(asked) else asked


@pytest.mark.usefixtures("quick")
def test_a_server_that_is_stopped_ends_the_call_and_the_line_goes_on_when_it_does(
    server_binary: ServerBinary, wait_until: Callable[..., Any]
) -> None:
    with RedisServer(binary=server_binary) as server, FaxLine(server.url(0)) as line:
        line.send(to=TO, files=[URL], id="a")  # so there is a connection
        server.pause()
        for call in ("send", "wait"):
            with pytest.raises(QueueUnavailable, match="did not answer"):
                CALLS[call](line)
        server.resume()
        with redis.Redis.from_url(server.url(0)) as client:
            wait_until(client.ping)
            line.send(to=TO, files=[URL], id="b")
            assert int(client.xlen(line.keys.intake)) >= 2


def test_a_time_that_is_over_leaves_room_for_an_answer_that_is_on_its_way(redis_url: str) -> None:
    with FaxLine(redis_url) as line:
        assert list(line.events(after="0", timeout=0.01)) == []
        with pytest.raises(WaitTimeout, match="did not end within 0 s"):
            line.wait("a", timeout=0)


def test_a_question_has_its_time_by_what_is_waited_for_and_what_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert deadlines.within(15.0) == 15.0  # outside of a question it is the connection's own
    with deadlines.answered(waits=0.0, until=None):
        assert deadlines.within(15.0) == deadlines.TRY
        assert deadlines.within(1.0) == 1.0
        now += 4.0
        assert deadlines.within(15.0) == 1.0
        deadlines.allow_for([b"x" * 2_000_000])
        deadlines.allow_for([b"x" * 2_000_000])  # sent again
        assert deadlines.within(15.0) == 3.0
    with deadlines.answered(waits=5.0, until=now + 2.0):
        assert deadlines.within(15.0) == 2.5
        backoff = deadlines.Backoff(base=0.05, cap=1.0)
        assert backoff.compute(1) <= 0.1
        now += 2.5
        with pytest.raises(redis.TimeoutError):
            backoff.compute(1)
    with deadlines.answered(waits=0.0, until=now - 60):
        assert deadlines.within(15.0) == deadlines.GRACE
