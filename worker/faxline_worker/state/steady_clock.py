"""The steady clock of an account, as a process follows it by a clock of its own (lua/lib/steady.lua).

Redis' clock may step; the monotonic clock of a process does not. Each reply of the scripts about the limits
tells the account's steady clock, so each call can tell what it must be by now, and a script sees that TIME
stepped.
"""

from collections.abc import Callable

DRIFT = 200e-6
"""How much two clocks that do not step may differ in their rates."""


class SteadyClock:
    """What one process knows of it.

    Args:
        monotonic: seconds, by a clock that does not step; None for a process that has none, which tells
            nothing.
    """

    def __init__(self, monotonic: Callable[[], float] | None) -> None:
        self._monotonic = monotonic
        self._base: tuple[float, float] | None = None
        """Milliseconds that the steady clock is ahead of ours at the most, and when (s) that was found."""

    def asked(self) -> float:
        """The moment at which a script is called, for `learn`; seconds."""
        return self._monotonic() if self._monotonic is not None else 0.0

    def learn(self, asked: float, steady: int | None) -> None:
        """Learn the clock (ms) from the reply of a script that was called at a moment; None: it did not look.

        It ran after it was called, so the clock was no further ahead of ours than this; and the least that
        was found counts, for it was found by the quickest call.
        """
        if self._monotonic is None or steady is None:
            return
        found = steady - asked * 1000
        known = self._ahead(asked)
        self._base = (found if known is None else min(found, known), asked)

    def _ahead(self, now: float) -> float | None:
        if self._base is None:
            return None
        ahead, since = self._base
        return ahead + max(0.0, now - since) * 1000 * DRIFT

    def now(self) -> int | str:
        """The latest that the clock can be now (ms); "" until a script returned it."""
        if self._monotonic is None or self._base is None:
            return ""
        now = self._monotonic()
        return round(now * 1000 + (self._ahead(now) or 0.0))
