"""The library's logic without its I/O: a generator that asks, and a driver that gets the answers.

A function of the logic returns `Steps`: it yields a question, is sent the reply (or has the error thrown into
it), and returns its result. `faxline.steps.drivers` asks with or without asyncio, so no logic stands twice.
Steps that follow the events yield each `Event` on their way, too, and `EventsMissed` where some are gone.
`Closing` is thrown into them there when nobody follows any more.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from faxline.contract.errors import EventsMissed
from faxline.contract.events import Event
from faxline.contract.redis_keys import AccountKeys
from faxline.contract.sealing.seals import Seals
from faxline.steps.redis_errors import is_full
from faxline.steps.replicas import NOT_ASKED, Confirmation

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One command.

    Attributes:
        call: is given the client and calls one of its methods.
        pushes: something is pushed, which the text of an error tells.
        blocks: seconds for which Redis may wait before it answers.
    """

    call: Callable[[Any], Any]
    pushes: bool = False
    blocks: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands in one round trip; the reply is the list of theirs.

    Attributes:
        fill: is given a pipeline and queues them.
        transaction: whether they are carried out as one.
        pushes: as above.
        confirmation: how many replicas must have it, of a transaction; the replies are then as Redis gives
            them, not as the client's methods do.
    """

    fill: Callable[[Any], object]
    transaction: bool = False
    pushes: bool = False
    confirmation: Confirmation = NOT_ASKED


@dataclass(frozen=True, slots=True)
class Work:
    """What takes its time beside Redis (files are read, PDFs opened): not on an event loop."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Until:
    """No question: when the caller's time is over, by the monotonic clock. Those that follow keep to it."""

    at: float | None


class Closing(Exception):  # noqa: N818 - no error: it never leaves the drivers
    """Nobody follows the events any more. The steps may ask on, and yield no event."""


Question: TypeAlias = Ask | Batch | Work | Until
Followed: TypeAlias = Event | EventsMissed
Steps: TypeAlias = Generator[Question | Followed, Any, _T]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the steps of one line rest on.

    Attributes:
        keys: the account's.
        document_ttl: milliseconds that a document is kept from its last push.
        longest: seconds that one read may block; a quiet stream is no dead server.
        seals: what entries and documents are sealed with.
        confirmation: how many replicas must have what is pushed.
        region: the country of numbers that name none.
        place: where Redis is, for messages, such as `host:port`.
    """

    keys: AccountKeys
    document_ttl: int
    longest: float
    seals: Seals
    confirmation: Confirmation = NOT_ASKED
    region: str | None = None
    place: str = ""

    @property
    def account(self) -> str:
        """The account's name."""
        return self.keys.account

    def left(self, until: float | None) -> float:
        """Seconds until a time of the monotonic clock; where there is none, what one read may block."""
        return self.longest if until is None else until - time.monotonic()

    def block(self, left: float) -> int:
        """Milliseconds that the next read may block, with so many seconds left; 1 at least."""
        return max(1, round(min(left, self.longest) * 1000))


def at_one_moment(fill: Callable[[Any], object]) -> Steps[list[Any]]:
    """The replies to what is queued on a pipeline, as of one moment.

    A Redis that is full refuses a transaction even if it only reads: then they are of moments close together.
    """
    try:
        replies: list[Any] = yield Batch(fill, transaction=True)
    except Exception as error:
        if not is_full(error):
            raise
        replies = yield Batch(fill)
    return replies
