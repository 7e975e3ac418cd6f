"""Documents: named by their SHA-256 digest, opened to count their pages."""

import hashlib
import struct
import threading
from collections.abc import Sequence

from faxline.errors import EntryRejected, Rejection

_PDFIUM = threading.Lock()
"""pdfium is not thread-safe."""
_MOST_IFDS = 10_000


def digest(data: bytes) -> str:
    """A document's name: `sha256:` and its digest in lower-case hexadecimal."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def page_count(data: bytes, member: str, file_name: str = "") -> int:
    """How many pages a document has: PDF and TIFF are opened, anything else counts as one.

    A file that calls itself .pdf or .tif and is neither is broken; it would be refused by iFax.

    Raises:
        EntryRejected: bad_document: empty, encrypted or broken.
    """
    if not data:
        raise EntryRejected(member, Rejection.BAD_DOCUMENT, "the document is empty")
    if b"%PDF-" in data[:1024]:
        return _pdf_pages(data, member)
    if data[:4] in {b"II*\0", b"MM\0*"}:
        return _tiff_pages(data, member)
    if file_name.lower().endswith((".pdf", ".tif", ".tiff")):
        raise EntryRejected(
            member, Rejection.BAD_DOCUMENT, "the content is not what the name says; is it broken?"
        )
    return 1


def _pdf_pages(data: bytes, member: str) -> int:
    import pypdfium2  # noqa: PLC0415 - a library with a binary; only where a PDF is opened

    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            why = "is encrypted" if "password" in str(error).lower() else "is broken"
            raise EntryRejected(member, Rejection.BAD_DOCUMENT, f"the PDF {why}") from None
        try:
            pages = len(document)
        finally:
            document.close()
    if pages == 0:
        raise EntryRejected(member, Rejection.BAD_DOCUMENT, "the PDF has no pages")
    return pages


def _tiff_pages(data: bytes, member: str) -> int:
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
        pages = 0
    if pages == 0:
        raise EntryRejected(member, Rejection.BAD_DOCUMENT, "the TIFF is broken or empty")
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
