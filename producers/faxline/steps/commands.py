"""The library's logic without its I/O, so that `FaxLine` and `AsyncFaxLine` share it.

A function of the logic is a generator of `Steps`: it yields a `Step` (a command, a pipeline, work for a
thread), receives the reply or the error, and returns its result. `faxline.steps.drivers` carries the steps
out, with or without asyncio.

Steps that follow the events also yield each `Event`, and `EventsMissed` where the stream dropped some. A
driver throws `Closing` into them once nobody reads the events any more.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from faxline.contract.errors import EventsMissed
from faxline.contract.events import Event
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals
from faxline.steps.redis_errors import is_full
from faxline.steps.replicas import NOT_ASKED, Confirmation

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        call: calls one method of the client that it is given.
        pushes: whether it adds an entry to a stream; error messages then say that pushing again is safe.
        blocks: seconds that Redis may wait before it answers.
    """

    call: Callable[[Any], Any]
    pushes: bool = False
    blocks: float = 0.0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Several commands in one round trip. The reply is the list of their replies.

    Attributes:
        fill: queues the commands on the pipeline that it is given.
        transaction: whether they run as one transaction.
        pushes: as of `Command`.
        id: that of the one entry that is pushed. Errors name it, because it may have been made for this push.
        confirmation: how many replicas must have a transaction. With it the replies are raw, as Redis sends
            them, and not parsed by the client's methods.
    """

    fill: Callable[[Any], object]
    transaction: bool = False
    pushes: bool = False
    id: str | None = None
    confirmation: Confirmation = NOT_ASKED


@dataclass(frozen=True, slots=True)
class RunInThread:
    """Slow work without Redis, such as reading files and opening PDFs. It never runs on an event loop."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the caller's time ends, by the monotonic clock. All later steps keep to it; it has no reply."""

    at: float | None


class Closing(Exception):
    """Nobody reads the events any more. The steps may send further commands, but yield no event."""


Step: TypeAlias = Command | Pipeline | RunInThread | Deadline
Followed: TypeAlias = Event | EventsMissed
Steps: TypeAlias = Generator[Step | Followed, Any, _T]


@dataclass(frozen=True, slots=True)
class Context:
    """What the steps of one line need to know.

    Attributes:
        keys: the names of the account's Redis keys.
        document_ttl: milliseconds that a document is kept after its last push.
        longest: seconds that one read may block. It is below the socket timeout, so that a quiet stream does
            not look like a dead server.
        seals: seals entries and documents.
        confirmation: how many replicas must confirm a push.
        region: the country of numbers without a country code, such as `DE`.
        place: the address of Redis for error messages, such as `host:port`.
        in_cluster: whether Redis is a cluster.
        visit: the orders of another account, which is told of each order: of an account that was removed
            nobody reads them. Empty: the account's own are read.
    """

    keys: RedisKeys
    document_ttl: int
    longest: float
    seals: Seals
    confirmation: Confirmation = NOT_ASKED
    region: str | None = None
    place: str = ""
    in_cluster: bool = False
    visit: str = ""

    @property
    def account(self) -> str:
        """The account's name."""
        return self.keys.account

    def left(self, until: float | None) -> float:
        """Seconds until `until` (monotonic clock); without it, the seconds that one read may block."""
        return self.longest if until is None else until - time.monotonic()

    def block(self, left: float) -> int:
        """Milliseconds that the next read may block when `left` seconds remain; at least 1."""
        return max(1, round(min(left, self.longest) * 1000))


def at_one_moment(fill: Callable[[Any], object]) -> Steps[list[Any]]:
    """Read several things as of one moment, in a transaction.

    A full Redis refuses even a transaction that only reads. The commands then run without one.
    """
    try:
        replies: list[Any] = yield Pipeline(fill, transaction=True)
    except Exception as error:
        if not is_full(error):
            raise
        replies = yield Pipeline(fill)
    return replies
