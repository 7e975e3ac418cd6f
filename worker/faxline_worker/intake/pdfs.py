"""Opens the PDFs of an account's entries, at once or on another thread."""

from faxline.contract.pdf.process import PdfPages
from faxline.contract.pdf.reader import SHARED


class OpenLater(Exception):
    """An entry's PDF takes long: the entry is taken later, on another thread."""


class Pdfs:
    """Opens the PDFs of an account's entries at once, however long each takes."""

    def count(self, data: bytes) -> PdfPages:
        """Count the pages of a PDF.

        Raises:
            OpenLater: the PDF takes long; pass the entry to `later`.
            PdfReaderUnavailable: no child process can be started. This says nothing about the document.
        """
        return SHARED.count(data)

    def later(self, entry: str) -> None:
        """Queue an entry for another thread."""

    def waits(self, entry: str) -> bool:
        """Whether an entry is queued for another thread."""
        del entry
        return False
