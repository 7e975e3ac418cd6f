"""Whether Redis' clock steps: it is held against a clock that does not."""

SLACK = 1.0
"""Seconds that it may go wrong from one look to the next before it is a step."""


class ClockWatch:
    """Looks at Redis' clock again and again, by the monotonic clock of this process; seconds."""

    def __init__(self) -> None:
        self._ahead: tuple[float, float] | None = None
        """At the last look, the least and the most that Redis' clock can have been ahead of ours."""

    def look(self, before: float, theirs: float, after: float) -> float:
        """How far Redis' clock stepped since the last look; back is less than 0, and 0 is not at all.

        Args:
            before: ours when it was asked.
            theirs: its answer.
            after: ours when the answer was there.
        """
        least, most = theirs - after, theirs - before
        known, self._ahead = self._ahead, (least, most)
        if known is None:
            return 0.0
        step = max(0.0, least - known[1]) + min(0.0, most - known[0])
        return step if abs(step) > SLACK else 0.0
