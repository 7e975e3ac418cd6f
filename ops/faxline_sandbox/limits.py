"""The three limits of an account, judged when a request arrives (docs/ifax.md, Limits).

Whole nanoseconds and whole numbers throughout: at a boundary the answer is exact, not a matter of rounding.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from faxline_sandbox.config import Limits

LimitName = Literal["concurrency", "window", "burst"]
LIMIT_NAMES: tuple[LimitName, ...] = ("concurrency", "window", "burst")

_SECOND = 10**9


@dataclass(frozen=True)
class Excess:
    """A request that is one too many.

    Args:
        limit: the first limit it breaks, in the order of `LIMIT_NAMES`.
        retry_after: whole seconds, 1 or more, after which that limit has room again if nobody else takes it.
    """

    limit: LimitName
    retry_after: int


class LimitKeeper:
    """Counts one account's requests with an exact sliding log, the open requests and a token bucket.

    A request that a limit refuses takes no place in the log and no token. Every other request does, however
    it ends.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._window = max(1, round(limits.window * _SECOND))
        self._log: deque[int] = deque()
        # The bucket in units of 1/window of a token: it gains `requests` units each nanosecond, exactly.
        self._full = limits.burst * self._window
        self._level = self._full
        self._now: int | None = None
        self._open = 0
        self.max_concurrent = 0
        """The most requests open at once so far, a refused one counted while it arrives."""
        self.max_in_window = 0
        """The most admitted requests that any window has held so far."""

    def arrive(self, at: int) -> Excess | None:
        """Judge a request; one that is admitted (None) must be ended by `leave`.

        Args:
            at: when its first byte arrived, in nanoseconds of a monotonic clock. A request whose head came
                slowly is judged after later ones; it counts from the latest arrival judged so far.
        """
        if self._now is None:
            self._now = at
        at = max(at, self._now)
        self._level = min(self._full, self._level + (at - self._now) * self._limits.requests)
        self._now = at
        while self._log and self._log[0] <= at - self._window:
            self._log.popleft()
        self.max_concurrent = max(self.max_concurrent, self._open + 1)
        excess = self._excess(at)
        if excess is None:
            self._open += 1
            self._log.append(at)
            self._level -= self._window
            self.max_in_window = max(self.max_in_window, len(self._log))
        return excess

    def leave(self) -> None:
        """The answer of an admitted request is written, or its connection is gone."""
        self._open -= 1

    def _excess(self, at: int) -> Excess | None:
        if self._open >= self._limits.concurrency:
            return Excess("concurrency", 1)
        if len(self._log) >= self._limits.requests:
            return Excess("window", _seconds(self._log[0] + self._window - at))
        if self._level < self._window:
            missing = self._window - self._level
            return Excess("burst", _seconds(-(-missing // self._limits.requests)))
        return None


def _seconds(nanoseconds: int) -> int:
    """Whole seconds, rounded up, at least 1, for Retry-After."""
    return max(1, -(-nanoseconds // _SECOND))
