"""The time that a command may take in all, with connecting, redis-py's retries and the pauses between them.

redis-py has a timeout for each read and write of a connection, so a server that hangs takes their sum. Our
connections (`primary_connections`) use what is left of the command's time instead, and our backoff ends the
retries with it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from redis import TimeoutError as RedisTimeoutError
from redis.backoff import ExponentialWithJitterBackoff

ANSWER = 5.0
"""Seconds for an answer, in addition to the seconds that Redis is asked to wait."""
TRY = 2.5
"""Seconds of them for one try. A connection that was cut silently is then replaced."""
RATE = 1_000_000.0
"""Bytes for which a command gets one more second, so that a large document does not look like a hang."""
GRACE = 0.5
"""The seconds that a command gets in any case."""


@dataclass(slots=True)
class _Deadline:
    """The time of one command: its end, the longest try, and what its size adds to both."""

    until: float
    each: float
    way: float = 0.0

    @property
    def left(self) -> float:
        return self.until + self.way - time.monotonic()


_current: ContextVar[_Deadline | None] = ContextVar("faxline_deadline", default=None)


@contextmanager
def answered(waits: float, until: float | None) -> Iterator[None]:
    """Limit the time of one command.

    Args:
        waits: seconds that Redis is asked to wait before it answers.
        until: when the caller's time ends, by the monotonic clock; None means never.
    """
    now = time.monotonic()
    end = now + ANSWER + waits
    if until is not None:
        end = min(end, max(until, now) + GRACE if waits else max(until, now + GRACE))
    token = _current.set(_Deadline(end, TRY + waits))
    try:
        yield
    finally:
        _current.reset(token)


def is_bounded() -> bool:
    """Whether the time of a command is limited now."""
    return _current.get() is not None


def within(own: float | None) -> float | None:
    """Return the timeout of a connection, or what is left of the command's time if that is less."""
    deadline = _current.get()
    if deadline is None:
        return own
    left = max(0.001, min(deadline.left, deadline.each + deadline.way))
    return left if own is None else min(own, left)


def allow_for(command: bytes | Sequence[bytes]) -> None:
    """Give a large command more time, for each try."""
    if (deadline := _current.get()) is not None:
        size = len(command) if isinstance(command, bytes) else sum(map(len, command))
        deadline.way = max(deadline.way, size / RATE)


class Backoff(ExponentialWithJitterBackoff):
    """The pauses between the tries, while the command has time left."""

    def compute(self, failures: int) -> float:
        """Return the seconds to pause.

        Raises:
            redis.TimeoutError: the command has no time left for the pause.
        """
        pause = super().compute(failures)
        deadline = _current.get()
        if deadline is not None and pause >= deadline.left:
            raise RedisTimeoutError("no answer in time")
        return pause
