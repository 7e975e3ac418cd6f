"""The producer of a run: pushes each fax at its time, whatever happens to Redis."""

import io
import threading
import time
from collections.abc import Iterator, Sequence

import pypdfium2

from faxline import FaxLine, QueueUnavailable
from faxline_chaos.faults import Fax

URL = "https://example.com/chaos.pdf"
"""Of a fax without a document; the sandbox never fetches it."""
AGAIN = 0.1
"""Seconds until the next push of a fax that Redis did not take."""


def pushes(faxes: Sequence[Fax], times: Sequence[float]) -> Iterator[Fax]:
    """Each fax, when its time (seconds from now) has come."""
    pause, begun = threading.Event(), time.monotonic()
    for fax, at in zip(faxes, times, strict=True):
        pause.wait(max(0.0, begun + at - time.monotonic()))
        yield fax


class Producer(threading.Thread):
    """Pushes each fax at its time; while Redis is away again and again, with the same id."""

    def __init__(self, url: str, faxes: Sequence[Fax], times: Sequence[float]) -> None:
        super().__init__(name="producer", daemon=True)
        self._url = url
        self._faxes = faxes
        self._times = times
        self._document = ("letter.pdf", _pdf())

    def run(self) -> None:
        """Push all."""
        with FaxLine(self._url) as line:
            for fax in pushes(self._faxes, self._times):
                while not self._pushed(line, fax):
                    threading.Event().wait(AGAIN)

    def _pushed(self, line: FaxLine, fax: Fax) -> bool:
        try:
            line.send(
                to=fax.number,
                files=[self._document if fax.document else URL],
                id=fax.id,
                subject=fax.id,
                priority=fax.priority,
                in_doubt=fax.policy,
            )
        except QueueUnavailable:
            return False
        return True


def _pdf() -> bytes:
    """A document of two pages."""
    document = pypdfium2.PdfDocument.new()
    for _ in range(2):
        document.new_page(595, 842)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()
