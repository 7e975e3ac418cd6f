"""Bounds the log lines that strangers cause, who may send what the webhook refuses as often as they like."""

import time
from collections.abc import Callable
from dataclasses import dataclass

LINES = 60
"""The most lines of an account in a span."""
SPAN = 60.0
"""Seconds."""


@dataclass
class _Account:
    since: float
    lines: int = 0
    left_out: int = 0


class LineLimit:
    """Lets each account have LINES log lines in a SPAN, and counts what is left out. Not thread-safe.

    Args:
        now: the clock, in seconds.

    Example:
        >>> limit = LineLimit()
        >>> [limit.take("north") for _ in range(62)][-2:]
        [None, None]
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._accounts: dict[str, _Account] = {}

    def take(self, account: str) -> int | None:
        """Take a line.

        Args:
            account: a name of the settings, or the one word for all others: each is remembered.

        Returns:
            How many were left out in the span before, which this line begins anew; None if this one is to be.
        """
        found = self._accounts.get(account)
        before = 0
        if found is None or found.since + SPAN <= self._now():
            before = found.left_out if found else 0
            found = self._accounts[account] = _Account(self._now())
        if found.lines >= LINES:
            found.left_out += 1
            return None
        found.lines += 1
        return before
