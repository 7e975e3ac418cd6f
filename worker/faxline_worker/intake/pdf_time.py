"""Limits the time that an account's PDFs take on the shared intake thread."""

from collections.abc import Callable
from hashlib import sha256

from faxline.contract.pdf.process import PdfPages

REMEMBERED = 100
"""Number of PDFs that are remembered."""
FREE = 0.002
"""Seconds of the shared thread that each PDF may take without being counted."""
SHARE, SAVED, OWED = 0.05, 0.5, 3.0
"""An account's budget beyond that: a fraction of the time, and the most seconds of credit and of debt."""


class TimeShare:
    """An account's budget on the thread that takes the entries of all accounts.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left, self._at = SAVED, clock()

    def used_up(self) -> bool:
        """Whether the budget is spent."""
        now = self._clock()
        self._left = min(SAVED, self._left + SHARE * (now - self._at))
        self._at = now
        return self._left <= 0

    def take(self, seconds: float) -> None:
        """Charge the seconds that a document took to open."""
        self._left = max(-OWED, self._left - max(0.0, seconds - FREE))


class HopelessPdfs:
    """The latest PDFs that hit their time limit. A PDF that comes in many faxes hits it once."""

    def __init__(self) -> None:
        self._found: dict[bytes, PdfPages] = {}

    def find(self, data: bytes) -> PdfPages | None:
        """The result of the PDF's only try; None if it is not remembered."""
        return self._found.get(sha256(data).digest()) if self._found else None

    def add(self, data: bytes, found: PdfPages) -> None:
        """Remember a PDF's result. The oldest is dropped if there are too many."""
        self._found[sha256(data).digest()] = found
        if len(self._found) > REMEMBERED:
            del self._found[next(iter(self._found))]
