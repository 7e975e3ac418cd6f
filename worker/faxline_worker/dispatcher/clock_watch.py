"""Notices steps of Redis' clock by comparing it with a clock that does not step."""

SLACK = 1.0
"""A difference of more than so many seconds from one look to the next is a step."""


class ClockWatch:
    """Compares Redis' clock with the monotonic clock of this process, in seconds."""

    def __init__(self) -> None:
        self._ahead: tuple[float, float] | None = None
        """The least and the most by which Redis' clock can have been ahead of ours at the last look."""

    def look(self, before: float, theirs: float, after: float) -> float:
        """How far Redis' clock stepped since the last look; negative is back, 0 is no step.

        Args:
            before: our clock when Redis was asked.
            theirs: Redis' clock.
            after: our clock when the answer came.
        """
        least, most = theirs - after, theirs - before
        known, self._ahead = self._ahead, (least, most)
        if known is None:
            return 0.0
        step = max(0.0, least - known[1]) + min(0.0, most - known[0])
        return step if abs(step) > SLACK else 0.0
