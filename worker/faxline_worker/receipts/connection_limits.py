"""The webhook's door: how long a connection may take, and how many there may be.

uvicorn bounds neither. It waits for ever for a first byte, for the rest of a header, and for a client that
does not read its answer; and it queues requests that come before the last one is answered without a bound,
so that one client that sends them on and on stops the process for seconds. Anybody can reach the webhook, so
each connection has a deadline here, and beyond a ceiling those that have waited for longest make room.
Whoever has sent a whole request is served, and whoever has just come has a moment to send it.

A ceiling for each address would lock iFax out where all of it comes through one reverse proxy. So there is
only this: while an address has more than half of all places, it is one of its own that makes room.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from structlog.stdlib import BoundLogger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faxline_worker.config.listeners import Webhook
from faxline_worker.observability.metrics.labels import ConnectionClosed
from faxline_worker.observability.metrics.webhook import WebhookMetrics

HEAD_LIMIT = 16 * 1024
"""Bytes of a request's line and headers that are read at most."""
PIPELINED = 16
"""Requests that may wait for the answers before theirs. Proxies do not send so, and iFax has no reason to."""
ANSWER_TIMEOUT = 15.0
"""Seconds that a request may take beyond its body's time; three times what Redis is given to store it."""
BACKLOG = 2048
"""Connections that the system accepts before we do, so that they may come in one burst."""
MOMENT = 0.25
"""Seconds beyond the ceiling until room is made: a request that came with its connection is read by then."""
OTHER_FILES = 100
"""Open files beside the connections: Redis', the log's, those of the libraries."""
QUIET = 60.0
"""Seconds between two lines about a door that is full."""


class TooManyRequestsError(Exception):
    """A client does not wait for its answers; uvicorn takes it for a request that is no HTTP."""


@dataclass(frozen=True)
class Bounds:
    """What a connection may take.

    Args:
        connections: how many there may be.
        header: seconds from the connection, or from a later request's first byte, to the end of its headers.
        body: seconds for the body.
        idle: seconds between two requests.
    """

    connections: int
    header: float
    body: float
    idle: float


@dataclass(frozen=True, eq=False)
class _Phase:
    """What a connection is at, how many seconds that may take, and whether it waits for its client."""

    seconds: float
    why: ConnectionClosed
    waits: bool = True


class Door:
    """All connections of a webhook process. Of its event loop's thread only.

    Args:
        bounds: what they may take.
        spare: connections beyond the ceiling that there may be for a moment.
        count: is told of each connection that is closed here.
        crowded: is told that the ceiling is reached, once in a while.
    """

    def __init__(
        self,
        bounds: Bounds,
        spare: int,
        count: Callable[[ConnectionClosed], None],
        crowded: Callable[[], None] = lambda: None,
    ) -> None:
        self._most = bounds.connections
        self._spare = spare
        whole = bounds.body + ANSWER_TIMEOUT  # the app ends a slow body earlier, with a 408
        self.header = _Phase(bounds.header, "header")
        """A request has begun, or the first one is still to come."""
        self.idle = _Phase(bounds.idle, "idle")
        """A request was answered, and no other has begun."""
        self.body = _Phase(whole, "request")
        """The headers are whole, the body is not."""
        self.answer = _Phase(whole, "request", waits=False)
        """The request is whole, its answer is not."""
        self._every = min(1.0, bounds.header / 4, bounds.idle / 4)
        self._count = count
        self._crowded = crowded
        self._told_at = -QUIET
        self._all: dict[_Guest, None] = {}
        self._waiting: dict[_Guest, None] = {}
        """Those without a whole request, the one that has waited for longest first."""
        self._sweep: asyncio.TimerHandle | None = None
        self._trim: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many there are; any thread may ask."""
        return len(self._all)

    @property
    def protocol(self) -> Any:
        """What uvicorn takes as its `http`."""
        return partial(_Guest, self)

    def enter(self, guest: "_Guest") -> None:
        """Somebody has connected."""
        self._all[guest] = None
        self.moved(guest, self.header)
        if self._sweep is None:
            self._sweep = guest.loop.call_later(self._every, self._look)
        if len(self._all) > self._most + self._spare:
            self.close(next(iter(self._waiting)), "crowded")
        elif len(self._all) > self._most and self._trim is None:
            self._trim = guest.loop.call_later(MOMENT, self._make_room)

    def moved(self, guest: "_Guest", phase: _Phase) -> None:
        """A connection is at something else now."""
        guest.phase = phase
        guest.head = 0
        guest.deadline = guest.loop.time() + phase.seconds
        self._waiting.pop(guest, None)
        if phase.waits:
            self._waiting[guest] = None

    def leave(self, guest: "_Guest") -> None:
        """It is over."""
        guest.phase = None
        self._all.pop(guest, None)
        self._waiting.pop(guest, None)

    def close(self, guest: "_Guest", why: ConnectionClosed) -> None:
        """Close a connection at once; what it was to be sent still is thrown away."""
        self.leave(guest)
        self._count(why)
        guest.transport.abort()

    def _make_room(self) -> None:
        """Close those that have waited for longest, down to the ceiling or to those that do not wait."""
        self._trim = None
        excess = max(0, len(self._all) - self._most)
        [(address, held)] = Counter(guest.address for guest in self._waiting).most_common(1) or [("", 0)]
        own = [guest for guest in self._waiting if guest.address == address]
        greedy = own[: max(0, held - self._most // 2)]
        for guest in list(dict.fromkeys([*greedy, *self._waiting]))[:excess]:
            self.close(guest, "crowded")
        if excess and time.monotonic() - self._told_at >= QUIET:
            self._told_at = time.monotonic()
            self._crowded()

    def _look(self) -> None:
        """Close those whose time is over."""
        self._sweep = None
        for guest in list(self._all):
            if guest.phase is not None and guest.deadline <= guest.loop.time():
                self.close(guest, guest.phase.why)
        if self._all:
            loop = next(iter(self._all)).loop
            self._sweep = loop.call_later(self._every, self._look)


class _Guest(HttpToolsProtocol):
    """A connection: uvicorn's protocol, which tells the door what it is at."""

    phase: _Phase | None = None
    """None before and after its time here."""
    deadline = 0.0
    """By the event loop's clock."""
    head = 0
    """Bytes of a request without whole headers so far."""
    address = ""

    def __init__(self, door: Door, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._door = door

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._door.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._now(self._door.header)
        if self.phase is self._door.header:
            self.head += len(data)
            if self.head > HEAD_LIMIT:
                self._door.close(self, "header")

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            if self.phase is not None:
                self._door.close(self, "pipelined")
            raise TooManyRequestsError  # it ends the parser, which is in the middle of many
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._now(self._door.idle)

    def _now(self, between: _Phase) -> None:
        """Tell the door where it changed; `between` is what it is at unless a request is under way."""
        cycle, phase = self.cycle, between
        if cycle is not None and not cycle.response_complete:
            phase = self._door.body if cycle.more_body else self._door.answer
        if phase is not self.phase and self.phase is not None:
            self._door.moved(self, phase)


def open_door(settings: Webhook, metrics: WebhookMetrics, log: BoundLogger) -> tuple[Door, int]:
    """The door of this process, with its metrics and its log.

    Returns:
        The door, and how many connections the system may accept before it does.
    """
    most, backlog = places(settings.connections)
    if most < settings.connections:
        log.warning("fewer open files are allowed than FAXLINE_WEBHOOK__CONNECTIONS needs", limit=most)

    def crowded() -> None:
        text = "all connections of the webhook are in use: those that have waited for longest are closed"
        log.warning(text, limit=most)

    timeouts = (settings.header_timeout, settings.body_timeout, settings.idle_timeout)
    bounds = Bounds(most, *(timeout.total_seconds() for timeout in timeouts))
    door = Door(bounds, min(most, backlog), metrics.connection_closed, crowded)
    metrics.watch_connections(lambda: len(door))
    return door, backlog


def places(wanted: int) -> tuple[int, int]:
    """How many connections there may be, by how many files may be open; it raises that as far as it may.

    Args:
        wanted: by the settings.

    Returns:
        The connections, and how many the system may accept before we do: they are open files as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 2 * BACKLOG + OTHER_FILES  # one lot is let in for a moment while the next one comes
    files = needed if soft == resource.RLIM_INFINITY else soft
    if files < needed:
        granted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):  # macOS has a ceiling of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
            files = granted
    if files >= needed:
        return wanted, BACKLOG
    left = max(4, files - OTHER_FILES)
    backlog = min(BACKLOG, left // 4)
    return min(wanted, left - 2 * backlog), backlog
