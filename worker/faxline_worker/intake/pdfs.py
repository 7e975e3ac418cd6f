"""How the PDFs of an account's entries are opened: at once, or apart from the others."""

from faxline.contract.pdf_process import PdfPages
from faxline.contract.pdf_reader import SHARED


class OpenLater(Exception):  # noqa: N818 - no error
    """An entry's PDF is opened later, apart from the others."""


class Pdfs:
    """How the PDFs of an account's entries are opened: at once, whatever it takes."""

    def count(self, data: bytes) -> PdfPages:
        """Open one.

        Raises:
            OpenLater: the entry is to be passed to `later`.
            PdfReaderUnavailable: no child process can be started; it says nothing about the document.
        """
        return SHARED.count(data)

    def later(self, entry: str) -> None:
        """Have the entry taken later."""

    def waits(self, entry: str) -> bool:
        """Whether the entry is to be taken later."""
        del entry
        return False
