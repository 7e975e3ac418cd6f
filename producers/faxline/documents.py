"""Documents: named by their SHA-256 digest, opened to count their pages."""

import hashlib
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from faxline.errors import EntryRejected, Rejection

_PDFIUM = threading.Lock()
"""pdfium is not thread-safe."""
_MOST_IFDS = 10_000


def digest(data: bytes) -> str:
    """A document's name: `sha256:` and its digest in lower-case hexadecimal."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening a document told, so that a thousand faxes of it open it once.

    Attributes:
        size: its bytes.
        pages: how many it has; 0 where it has a fault.
        known: whether it is a PDF or a TIFF by its content.
        fault: why iFax would refuse it, or nothing.
    """

    size: int
    pages: int
    known: bool
    fault: str = ""

    def count(self, member: str, file_name: str = "") -> int:
        """How many pages it has under this name.

        A file that calls itself .pdf or .tif and is neither is broken; it would be refused by iFax.

        Raises:
            EntryRejected: bad_document: empty, encrypted or broken.
        """
        fault = self.fault
        if not fault and not self.known and file_name.lower().endswith((".pdf", ".tif", ".tiff")):
            fault = "the content is not what the name says; is it broken?"
        if fault:
            raise EntryRejected(member, Rejection.BAD_DOCUMENT, fault)
        return self.pages


def open_document(data: bytes) -> Opened:
    """Open it: of PDF and TIFF the pages are counted, anything else counts as one."""
    known, pages, fault = True, 0, ""
    if not data:
        fault = "the document is empty"
    elif b"%PDF-" in data[:1024]:
        pages, fault = _pdf_pages(data)
    elif data[:4] in {b"II*\0", b"MM\0*"}:
        pages = _tiff_pages(data)
        fault = "" if pages else "the TIFF is broken or empty"
    else:
        known, pages = False, 1
    return Opened(len(data), pages, known, fault)


def page_count(data: bytes, member: str, file_name: str = "") -> int:
    """How many pages a document has. Raises as `Opened.count` does."""
    return open_document(data).count(member, file_name)


def _pdf_pages(data: bytes) -> tuple[int, str]:
    import pypdfium2  # noqa: PLC0415 - a library with a binary; only where a PDF is opened

    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            return 0, f"the PDF {'is encrypted' if 'password' in str(error).lower() else 'is broken'}"
        try:
            pages = len(document)
        finally:
            document.close()
    return pages, "" if pages else "the PDF has no pages"


def _tiff_pages(data: bytes) -> int:
    order = "<" if data[:2] == b"II" else ">"
    pages, seen = 0, set[int]()
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        while at and at not in seen and pages < _MOST_IFDS:
            seen.add(at)
            pages += 1
            (entries,) = struct.unpack_from(order + "H", data, at)
            (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * entries)
    except struct.error:
        return 0
    return pages


def selected_pages(selections: Sequence[str] | None, pages: int, member: str) -> int:
    """How many pages a selection such as ["1-5", "2"] sends.

    Raises:
        EntryRejected: bad_value: a selected page is not in the document.
    """
    if not selections:
        return pages
    chosen = 0
    for selection in selections:
        first, _, last = selection.partition("-")
        end = int(last or first)
        if end > pages:
            raise EntryRejected(
                member, Rejection.BAD_VALUE, f"page {end} is selected, but the document has {pages}"
            )
        chosen += end - int(first) + 1
    return chosen
