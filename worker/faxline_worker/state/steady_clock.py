"""Follows the steady clock of an account with a monotonic clock (lua/lib/steady.lua).

Redis' clock may step; the monotonic clock of a process does not. Each script about the limits returns the
account's steady clock. The process passes the expected value to its next call, so the script notices if TIME
has stepped.
"""

from collections.abc import Callable

DRIFT = 200e-6
"""The most by which the rates of two clocks may differ."""
CUT = 2
"""The most (ms) that is lost where the scripts and `now` cut a time to whole milliseconds."""


class SteadyClock:
    """The steady clock of an account, as one process knows it.

    Args:
        monotonic: returns monotonic seconds. None turns this off: `now` is always "".
    """

    def __init__(self, monotonic: Callable[[], float] | None) -> None:
        self._monotonic = monotonic
        self._base: tuple[float, float] | None = None
        """The most (ms) by which the steady clock is ahead of ours, and when (s) that was measured."""

    def asked(self) -> float:
        """The moment (s) at which a script is called, for `learn`."""
        return self._monotonic() if self._monotonic is not None else 0.0

    def learn(self, asked: float, steady: int | None) -> None:
        """Learn the clock from the reply of a script.

        The script ran after `asked`, so the difference between the two is an upper bound of how far the clock
        is ahead of ours. The smallest bound counts: it comes from the quickest call.

        Args:
            asked: when the script was called (s).
            steady: the steady clock in its reply (ms); None if the reply has none.
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
        """What the clock (ms) shows about now; "" until a script has returned it."""
        if self._monotonic is None or self._base is None:
            return ""
        now = self._monotonic()
        return round(now * 1000 + (self._ahead(now) or 0.0))

    def latest(self) -> int | str:
        """The greatest value (ms) that the clock can have now; "" until a script has returned it."""
        now = self.now()
        return now + CUT if isinstance(now, int) else now
