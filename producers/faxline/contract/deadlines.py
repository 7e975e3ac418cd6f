"""How long a question to Redis may take in all, with connecting, redis-py's retries and pauses between them.

redis-py has a timeout for each read and write of a connection, so that a server that hangs takes their sum.
A connection of ours (`faxline.contract.primary_connections`) takes what is left of the question's time
instead, and our backoff ends the retries with it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from redis import TimeoutError as RedisTimeoutError
from redis.backoff import ExponentialWithJitterBackoff

ANSWER = 5.0
"""Seconds within which Redis answers, beside what it was asked to wait."""
TRY = 2.5
"""Seconds of them for one try: a connection that was cut in silence is then made anew."""
RATE = 1_000_000.0
"""Bytes that go to Redis in a second more: a large document on a slow way is no hang."""
GRACE = 0.5
"""Seconds that a question gets in any case, and an answer that was to come at the end of the time."""


@dataclass(slots=True)
class _Deadline:
    """The time of one question: its end, the longest try, and what its size adds to both."""

    until: float
    each: float
    way: float = 0.0

    @property
    def left(self) -> float:
        return self.until + self.way - time.monotonic()


_current: ContextVar[_Deadline | None] = ContextVar("faxline_deadline", default=None)


@contextmanager
def answered(waits: float, until: float | None) -> Iterator[None]:
    """Within this, one question has its time.

    Args:
        waits: seconds that Redis is asked to wait before it answers.
        until: when the caller's time is over, by the monotonic clock; None never.
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
    """Whether a question's time is running."""
    return _current.get() is not None


def within(own: float | None) -> float | None:
    """A connection's own timeout, or less where less of the question's time is left."""
    deadline = _current.get()
    if deadline is None:
        return own
    left = max(0.001, min(deadline.left, deadline.each + deadline.way))
    return left if own is None else min(own, left)


def allow_for(command: bytes | Sequence[bytes]) -> None:
    """A packed command that is large takes its time on the way; sent again, the same."""
    if (deadline := _current.get()) is not None:
        size = len(command) if isinstance(command, bytes) else sum(map(len, command))
        deadline.way = max(deadline.way, size / RATE)


class Backoff(ExponentialWithJitterBackoff):
    """The pauses between the tries, as long as the question's time lasts."""

    def compute(self, failures: int) -> float:
        """Seconds to pause.

        Raises:
            redis.TimeoutError: the question's time would be over.
        """
        pause = super().compute(failures)
        deadline = _current.get()
        if deadline is not None and pause >= deadline.left:
            raise RedisTimeoutError("no answer in time")
        return pause
