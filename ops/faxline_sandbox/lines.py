"""The lines of numbers: how many faxes each can receive at once. Further calls are busy."""

from collections import Counter


class Lines:
    """The lines of every number.

    Args:
        default: the lines of a number without its own setting; 0 means no limit.
    """

    def __init__(self, default: int) -> None:
        self._default = default
        self._own: dict[str, int] = {}
        self._taken: Counter[str] = Counter()

    def give(self, number: str, lines: int | None) -> None:
        """Set how many lines a number has; 0 means no limit, None restores the default."""
        if lines is None:
            self._own.pop(number, None)
        else:
            self._own[number] = lines

    def of(self, number: str) -> int:
        """How many lines a number has; 0 means no limit."""
        return self._own.get(number, self._default)

    def taken(self, number: str) -> int:
        """How many faxes a number is receiving."""
        return self._taken[number]

    def take(self, number: str) -> bool:
        """Take a line, to be freed later; False if all are busy."""
        lines = self.of(number)
        if lines and self._taken[number] >= lines:
            return False
        self._taken[number] += 1
        return True

    def free(self, number: str) -> None:
        """Free a line."""
        self._taken[number] -= 1
        if not self._taken[number]:
            del self._taken[number]
