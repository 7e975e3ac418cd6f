"""Limits the webhook's connections: how long each may take, and how many there may be.

uvicorn limits neither. It waits for ever for a first byte, for the rest of a header, and for a client that
does not read its answer. It also queues pipelined requests without a limit, so one client that keeps sending
stops the process for seconds. Anybody can reach the webhook, so each connection has a deadline here. Above
the ceiling, the connections that have waited longest are closed. A connection that has sent a whole request
is served, and a new one gets a moment to send it.

A ceiling per address would lock out iFax where everything comes through one reverse proxy. Instead, an
address that holds more than half of all connections loses its own first.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faxline_worker.observability.metrics.labels import ConnectionClosed

HEAD_LIMIT = 16 * 1024
"""The most bytes of a request line and headers."""
PIPELINED = 16
"""The most pipelined requests of a connection. Proxies do not pipeline, and iFax has no reason to."""
ANSWER_TIMEOUT = 15.0
"""Seconds for a request after its body's time: three times the time that Redis has to store it."""
MOMENT = 0.25
"""Seconds above the ceiling before connections are closed: time to read a request that came at once."""
QUIET = 60.0
"""Seconds between two log lines about reaching the ceiling."""


class TooManyRequestsError(Exception):
    """A client pipelines too many requests. uvicorn treats this like an invalid request."""


@dataclass(frozen=True)
class Bounds:
    """The limits of the connections.

    Args:
        connections: the most connections at once.
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
    """A phase of a connection: its time limit, its reason in the metric, and whether the client acts next."""

    seconds: float
    why: ConnectionClosed
    waits: bool = True


class ConnectionLimiter:
    """Admits and closes the connections of a webhook process. For the event loop's thread only.

    Args:
        bounds: the limits.
        spare: connections allowed above the ceiling for a moment.
        count: called with the reason for each connection that is closed here.
        crowded: called when the ceiling is reached, at most once in `QUIET` seconds.
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
        """The headers of a request are incomplete, or the first request has not begun."""
        self.idle = _Phase(bounds.idle, "idle")
        """A request was answered, and the next has not begun."""
        self.body = _Phase(whole, "request")
        """The headers are complete, the body is not."""
        self.answer = _Phase(whole, "request", waits=False)
        """The request is complete, its answer is not."""
        self._every = min(1.0, bounds.header / 4, bounds.idle / 4)
        self._count = count
        self._crowded = crowded
        self._warned_at = -QUIET
        self._all: dict[_Connection, None] = {}
        self._waiting: dict[_Connection, None] = {}
        """Connections without a complete request, the one that has waited longest first."""
        self._sweep: asyncio.TimerHandle | None = None
        self._trim: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """The number of connections. Any thread may ask."""
        return len(self._all)

    @property
    def protocol(self) -> Any:
        """The protocol factory for uvicorn's `http` setting."""
        return partial(_Connection, self)

    def enter(self, connection: "_Connection") -> None:
        """Admit a new connection."""
        self._all[connection] = None
        self.moved(connection, self.header)
        if self._sweep is None:
            self._sweep = connection.loop.call_later(self._every, self._look)
        if len(self._all) > self._most + self._spare:
            self.close(next(iter(self._waiting)), "crowded")
        elif len(self._all) > self._most and self._trim is None:
            self._trim = connection.loop.call_later(MOMENT, self._make_room)

    def moved(self, connection: "_Connection", phase: _Phase) -> None:
        """Note that a connection has entered another phase."""
        connection.phase = phase
        connection.head = 0
        connection.deadline = connection.loop.time() + phase.seconds
        self._waiting.pop(connection, None)
        if phase.waits:
            self._waiting[connection] = None

    def leave(self, connection: "_Connection") -> None:
        """Forget a connection that ended."""
        connection.phase = None
        self._all.pop(connection, None)
        self._waiting.pop(connection, None)

    def close(self, connection: "_Connection", why: ConnectionClosed) -> None:
        """Close a connection at once. Bytes that were not sent yet are discarded."""
        self.leave(connection)
        self._count(why)
        connection.transport.abort()

    def _make_room(self) -> None:
        """Close the connections that have waited longest, down to the ceiling. Complete requests are kept."""
        self._trim = None
        excess = max(0, len(self._all) - self._most)
        [(address, held)] = Counter(connection.address for connection in self._waiting).most_common(1) or [
            ("", 0)
        ]
        own = [connection for connection in self._waiting if connection.address == address]
        greedy = own[: max(0, held - self._most // 2)]
        for connection in list(dict.fromkeys([*greedy, *self._waiting]))[:excess]:
            self.close(connection, "crowded")
        if excess and time.monotonic() - self._warned_at >= QUIET:
            self._warned_at = time.monotonic()
            self._crowded()

    def _look(self) -> None:
        """Close the connections whose deadline has passed."""
        self._sweep = None
        for connection in list(self._all):
            if connection.phase is not None and connection.deadline <= connection.loop.time():
                self.close(connection, connection.phase.why)
        if self._all:
            loop = next(iter(self._all)).loop
            self._sweep = loop.call_later(self._every, self._look)


class _Connection(HttpToolsProtocol):
    """A connection: uvicorn's protocol, which reports its phase to the limiter."""

    phase: _Phase | None = None
    """None before the connection is made and after it ends."""
    deadline = 0.0
    """By the event loop's clock."""
    head = 0
    """Bytes received of incomplete headers."""
    address = ""

    def __init__(self, limiter: ConnectionLimiter, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limiter = limiter

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._limiter.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limiter.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._now(self._limiter.header)
        if self.phase is self._limiter.header:
            self.head += len(data)
            if self.head > HEAD_LIMIT:
                self._limiter.close(self, "header")

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            if self.phase is not None:
                self._limiter.close(self, "pipelined")
            raise TooManyRequestsError  # ends the parser, which holds further requests
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._now(self._limiter.idle)

    def _now(self, between: _Phase) -> None:
        """Report a change of phase. `between` is the phase while no request is under way."""
        cycle, phase = self.cycle, between
        if cycle is not None and not cycle.response_complete:
            phase = self._limiter.body if cycle.more_body else self._limiter.answer
        if phase is not self.phase and self.phase is not None:
            self._limiter.moved(self, phase)
