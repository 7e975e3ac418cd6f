"""The webhook's limiter: its deadlines and its ceiling, by a clock of the tests and over real sockets."""

import asyncio
import resource
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from faxline_chaos.slow import hold
from faxline_local.processes import free_port, wait_for
from faxline_worker.receipts import connection_limits as module
from faxline_worker.receipts.connection_ceiling import BACKLOG, OTHER_FILES, places
from faxline_worker.receipts.connection_limits import (
    ANSWER_TIMEOUT,
    HEAD_LIMIT,
    MOMENT,
    Bounds,
    ConnectionLimiter,
)

BOUNDS = Bounds(connections=4, header=10, body=20, idle=70)
SPARE = 3


class Clock:
    """An event loop's clock and timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        self._timers.append((self.now + delay, callback))
        return callback

    def go(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self._timers if timer[0] <= end]:
            timer = min(due, key=lambda timer: timer[0])
            self._timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = end


@dataclass(eq=False)
class FakeConnection:
    """What a limiter sees of a connection."""

    loop: Clock
    address: str
    phase: Any = None
    deadline: float = 0.0
    head: int = 0
    closed: bool = False

    @property
    def transport(self) -> Any:
        return self

    def abort(self) -> None:
        self.closed = True


@dataclass
class Limited:
    """A limiter, and who is in."""

    clock: Clock = field(default_factory=Clock)
    counted: Counter[str] = field(default_factory=Counter)
    warned: int = 0

    def __post_init__(self) -> None:
        self.limiter = ConnectionLimiter(
            BOUNDS, SPARE, lambda reason: self.counted.update([reason]), self._tell
        )

    def _tell(self) -> None:
        self.warned += 1

    def come(self, address: str = "a", phase: str = "") -> Any:
        connection: Any = FakeConnection(self.clock, address)
        self.limiter.enter(connection)
        if phase and connection.phase is not None:
            self.limiter.moved(connection, getattr(self.limiter, phase))
        return connection

    def come_many(self, count: int, address: str = "a", phase: str = "") -> list[Any]:
        found = []
        for _ in range(count):
            found.append(self.come(address, phase))
            self.clock.go(0.001)
        return found


@pytest.fixture
def limited() -> Limited:
    return Limited()


def closed(connections: list[Any]) -> list[bool]:
    return [connection.closed for connection in connections]


@pytest.mark.parametrize(
    ("phase", "seconds", "reason"),
    [
        ("", BOUNDS.header, "header"),
        ("idle", BOUNDS.idle, "idle"),
        ("body", BOUNDS.body + ANSWER_TIMEOUT, "request"),
        ("answer", BOUNDS.body + ANSWER_TIMEOUT, "request"),
    ],
)
def test_whatever_a_connection_is_at_has_its_time(
    limited: Limited, phase: str, seconds: float, reason: str
) -> None:
    connection = limited.come(phase=phase)
    limited.clock.go(seconds - 0.1)
    assert (connection.closed, len(limited.limiter)) == (False, 1)
    limited.clock.go(1.2)  # it is looked at once a second
    assert (connection.closed, len(limited.limiter)) == (True, 0)
    assert limited.counted == {reason: 1}


def test_what_a_connection_is_at_next_has_a_time_of_its_own(limited: Limited) -> None:
    connection = limited.come()
    for phase in ("answer", "idle", "header", "body", "answer", "idle"):
        limited.clock.go(9)
        limited.limiter.moved(connection, getattr(limited.limiter, phase))
    assert not connection.closed
    limited.clock.go(BOUNDS.idle + 1)
    assert connection.closed


def test_beyond_the_ceiling_those_that_have_waited_for_longest_make_room_and_it_is_told_once(
    limited: Limited,
) -> None:
    connections = limited.come_many(6)
    assert closed(connections) == [False] * 6  # for a moment
    limited.clock.go(MOMENT)
    assert closed(connections) == [True, True, False, False, False, False]
    limited.come_many(1)
    limited.clock.go(MOMENT)
    assert (limited.counted, limited.warned, len(limited.limiter)) == ({"crowded": 3}, 1, BOUNDS.connections)


def test_whoever_has_sent_a_whole_request_is_served_also_beyond_the_ceiling(
    limited: Limited,
) -> None:
    old = limited.come_many(4)
    new = limited.come_many(2, phase="answer")
    limited.clock.go(MOMENT)
    assert (closed(old), closed(new)) == ([True, True, False, False], [False, False])


@pytest.mark.parametrize("phase", ["", "idle", "body"])
def test_it_waits_whose_request_is_not_whole(limited: Limited, phase: str) -> None:
    old = limited.come_many(4, phase=phase)
    limited.come()
    limited.clock.go(MOMENT)
    assert closed(old) == [True, False, False, False]


def test_where_all_others_are_served_it_is_the_newcomer_who_is_closed(limited: Limited) -> None:
    served = limited.come_many(4, phase="answer")
    new = limited.come()
    limited.clock.go(MOMENT)
    assert (closed(served), new.closed) == ([False] * 4, True)


def test_far_beyond_the_ceiling_room_is_made_at_once(limited: Limited) -> None:
    connections = limited.come_many(BOUNDS.connections + SPARE + 2)
    assert sum(closed(connections)) == 2
    assert len(limited.limiter) == BOUNDS.connections + SPARE


def test_an_address_that_has_more_than_half_makes_room_itself_and_any_has_it_all_while_it_is_alone(
    limited: Limited,
) -> None:
    ifax = limited.come("ifax")
    greedy = limited.come_many(5, "greedy")
    limited.clock.go(MOMENT)
    assert not ifax.closed  # though it has waited for longest
    assert closed(greedy) == [True, True, False, False, False]
    proxy = Limited()
    proxy.come_many(4, "proxy")
    assert not proxy.come("proxy", "answer").closed


def test_who_went_is_not_counted_any_more(limited: Limited) -> None:
    for connection in limited.come_many(4, phase="answer") + limited.come_many(3, "b"):
        limited.limiter.leave(connection)
        limited.limiter.leave(connection)
    assert len(limited.limiter) == 0
    connections = limited.come_many(4)
    limited.clock.go(MOMENT)
    assert closed(connections) == [False] * 4
    assert limited.counted == {}


# --- how many files may be open


@pytest.mark.parametrize(
    ("soft", "hard", "expected", "raised"),
    [
        (20_000, 20_000, (1000, BACKLOG), None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, (1000, BACKLOG), None),
        (1024, resource.RLIM_INFINITY, (1000, BACKLOG), 1000 + 2 * BACKLOG + OTHER_FILES),
        (1024, 100_000, (1000, BACKLOG), 1000 + 2 * BACKLOG + OTHER_FILES),
        (1024, 1024, (462, 231), 1024),
        (256, 256, (78, 39), 256),
        (16, 16, (2, 1), 16),
    ],
)
def test_there_are_no_more_connections_than_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch,
    soft: int,
    hard: int,
    expected: tuple[int, int],
    raised: int | None,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, limits: asked.append(limits))
    assert places(1000) == expected
    assert asked == ([(raised, hard)] if raised is not None else [])


def test_where_the_limit_cannot_be_raised_there_are_as_many_as_it_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_which: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 1_000_000))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert places(1000) == (462, 231)


# --- over real sockets


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers `/read` when the body is whole, `/hang` never, and all else at once."""
    if scope["path"] == "/hang":
        await asyncio.Event().wait()
    more = scope["path"] == "/read"
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(bounds: Bounds) -> Iterator[tuple[int, Counter[str], ConnectionLimiter]]:
    counted: Counter[str] = Counter()
    limiter = ConnectionLimiter(bounds, BACKLOG, lambda reason: counted.update([reason]))
    port = free_port()
    config = uvicorn.Config(
        app,
        http=limiter.protocol,
        ws="none",
        lifespan="off",
        port=port,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_for(lambda: server.started, 30)
    try:
        yield port, counted, limiter
    finally:
        server.should_exit = True
        thread.join()


PATIENT = Bounds(connections=100, header=60, body=60, idle=60)


def read_to_the_end(connection: socket.socket) -> bytes:
    got = b""
    while data := connection.recv(65536):
        got += data
    return got


def test_a_request_that_is_never_answered_ends_by_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.1)
    with serving(Bounds(connections=100, header=0.4, body=0.3, idle=60)) as (port, counted, limiter):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            with suppress(ConnectionResetError):
                assert read_to_the_end(connection) == b""
        assert wait_for(lambda: len(limiter) == 0, 30)
    assert counted == {"request": 1}


def test_a_client_that_sends_on_and_on_is_closed_before_its_requests_pile_up() -> None:
    with serving(PATIENT) as (port, counted, limiter):
        assert asyncio.run(hold(port, "requests on and on"))
        assert wait_for(lambda: len(limiter) == 0, 30)
    assert counted == {"pipelined": 1}


def test_a_header_has_a_bound_in_size_as_well() -> None:
    with serving(PATIENT) as (port, counted, _):
        assert asyncio.run(hold(port, "an endless header"))
        with socket.create_connection(("127.0.0.1", port)) as connection:
            long = b"x" * (HEAD_LIMIT - 100)
            connection.sendall(
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: " + long + b"\r\n\r\n"
            )
            assert read_to_the_end(connection).endswith(b"ok")
    assert counted == {"header": 1}


def test_requests_that_come_together_are_answered_in_turn_and_then_the_connection_is_idle() -> None:
    one = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
    with serving(Bounds(connections=100, header=60, body=60, idle=0.3)) as (port, counted, _):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall((one + b"x") * 3 + one)
            connection.sendall(b"x")
            assert read_to_the_end(connection).count(b"ok") == 4
        assert counted == {"idle": 1}


def test_an_upgrade_does_not_lead_past_the_door() -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    with serving(Bounds(connections=100, header=0.3, body=60, idle=0.3)) as (port, _, limiter):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(
                upgrade + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b"101" not in read_to_the_end(connection)
        assert wait_for(lambda: len(limiter) == 0, 30)


def test_a_connection_that_is_closed_while_it_is_served_does_not_come_back() -> None:
    with serving(PATIENT) as (port, _, limiter):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
            assert wait_for(lambda: len(limiter) == 1, 30)
        assert wait_for(lambda: len(limiter) == 0, 30)
    assert not limiter._waiting
