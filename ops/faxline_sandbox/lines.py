"""How many faxes each number can receive at once: a line that is taken is busy for everybody else."""

from collections import Counter


class Lines:
    """The lines of every number.

    Args:
        default: of a number that was given none of its own; 0 is endless.
    """

    def __init__(self, default: int) -> None:
        self._default = default
        self._own: dict[str, int] = {}
        self._taken: Counter[str] = Counter()

    def give(self, number: str, lines: int | None) -> None:
        """Decide how many lines a number has, 0 for endless; None gives it the default again."""
        if lines is None:
            self._own.pop(number, None)
        else:
            self._own[number] = lines

    def of(self, number: str) -> int:
        """How many lines a number has; 0 is endless."""
        return self._own.get(number, self._default)

    def taken(self, number: str) -> int:
        """How many faxes a number is receiving."""
        return self._taken[number]

    def take(self, number: str) -> bool:
        """Take a line; False when all are busy. What is taken must be freed."""
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
