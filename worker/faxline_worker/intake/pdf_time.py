"""The processor time that the PDFs of an account may take before they are opened apart."""

from collections.abc import Callable
from hashlib import sha256

from faxline.contract.pdf_process import PdfPages

REMEMBERED = 100
"""PDFs that are remembered."""
FREE = 0.002
"""Seconds that any PDF may take of the thread that serves all accounts."""
SHARE, SAVED, OWED = 0.05, 0.5, 3.0
"""What an account's PDFs may take beyond: a share of the time; seconds saved up, and owed, at the most."""


class TimeShare:
    """What an account may still take of the time of the thread that serves all accounts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left, self._at = SAVED, clock()

    def used_up(self) -> bool:
        """Whether nothing of the share is left."""
        now = self._clock()
        self._left = min(SAVED, self._left + SHARE * (now - self._at))
        self._at = now
        return self._left <= 0

    def take(self, seconds: float) -> None:
        """Count a document that took so many seconds to open."""
        self._left = max(-OWED, self._left - max(0.0, seconds - FREE))


class HopelessPdfs:
    """The latest PDFs that took all of their time in vain: one that comes in many faxes takes it once."""

    def __init__(self) -> None:
        self._found: dict[bytes, PdfPages] = {}

    def find(self, data: bytes) -> PdfPages | None:
        """What opening this one told, where it is one of them."""
        return self._found.get(sha256(data).digest()) if self._found else None

    def add(self, data: bytes, found: PdfPages) -> None:
        """Remember one; the oldest goes where there are too many."""
        self._found[sha256(data).digest()] = found
        if len(self._found) > REMEMBERED:
            del self._found[next(iter(self._found))]
