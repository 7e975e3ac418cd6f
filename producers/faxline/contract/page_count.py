"""Opens documents to count their pages, and names them by their SHA-256 digest."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.sealing.stream import is_sealed

if TYPE_CHECKING:
    from faxline.contract.pdf.process import Limit, PdfPages

REQUEST_BYTES = 20_000_000
"""The most bytes of a request, and so of a document: iFax's 20 MB, as the smaller reading has it."""
TOO_LARGE = "20 MB at most as sent (base64); use fileUrl for large files"
_MOST_IFDS = 10_000
_TIFFS = {b"II*\0": "<", b"MM\0*": ">"}
_BIG_TIFFS = {b"II+\0", b"MM\0+"}
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
KNOWN = (".pdf", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif")
"""How the names of files end whose content is compared with them."""


def digest(data: bytes) -> str:
    """Return a document's name: `sha256:` and its digest in lower-case hexadecimal."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check_digest(name: str, data: bytes) -> None:
    """Check that a document matches its name.

    Raises:
        EntryRejected: it does not match (document_altered).
    """
    if digest(data) != name:
        raise EntryRejected(
            "fax.faxData",
            Rejection.DOCUMENT_ALTERED,
            "the stored bytes of a document do not match its digest; store them again",
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """The result of opening a document. It is kept, so that a thousand faxes of one document open it once.

    Attributes:
        size: the size of the document in bytes.
        pages: the number of its pages; 0 if it is invalid.
        known: whether its content is that of a PDF, a TIFF or an image.
        fault: why iFax would refuse it; empty if it is valid.
        limit: the limit that opening it hit, if any.
    """

    size: int
    pages: int
    known: bool
    fault: str = ""
    limit: "Limit | None" = None

    def count(self, member: str, file_name: str = "") -> int:
        """Return the number of pages of the document as a file of this name.

        A file named .pdf or .png whose content is something else is invalid, because iFax would refuse it.

        Raises:
            EntryRejected: the document is empty, encrypted, broken or hits a limit (bad_document), or is too
                large (too_large).
        """
        fault = self.fault
        if not fault and not self.known and file_name.lower().endswith(KNOWN):
            fault = "the content does not match the name; is it broken, or an HTML page?"
        if fault:
            large = self.size > REQUEST_BYTES
            raise EntryRejected(member, Rejection.TOO_LARGE if large else Rejection.BAD_DOCUMENT, fault)
        return self.pages


def open_document(data: bytes, count: "Callable[[bytes], PdfPages] | None" = None) -> Opened:
    """Open a document. The pages of a PDF or TIFF are counted; anything else counts as one page.

    Args:
        data: the document's bytes.
        count: counts the pages of a PDF; by default in the shared child process
            (`faxline.contract.pdf.reader`).

    Raises:
        PdfReaderUnavailable: no child process can be started.
    """
    if fault := _fault(data):
        return Opened(len(data), 0, known=True, fault=fault)
    if b"%PDF-" in data[:1024]:
        pages, fault, limit = (count or _count)(data)
        return Opened(len(data), pages, known=True, fault=fault, limit=limit)
    if data[:4] in _TIFFS:
        pages, fault = _tiff_pages(data)
        return Opened(len(data), pages, known=True, fault=fault)
    return Opened(len(data), 1, known=data.startswith(_IMAGES))


def _fault(data: bytes) -> str:
    """Why a document cannot be sent, judged by its size and its first bytes; "" if it can."""
    if not data:
        return "the document is empty"
    if len(data) > REQUEST_BYTES:
        return TOO_LARGE
    if is_sealed(data):  # once stored, it would look like a sealed document without its key
        return "it begins like a sealed document: send the unsealed content"
    if data[:4] in _BIG_TIFFS:
        return "it is a BigTIFF: save it as a classic TIFF or a PDF"
    return ""


def _count(data: bytes) -> "PdfPages":
    from faxline.contract.pdf.reader import SHARED  # noqa: PLC0415 - only where a PDF is opened

    return SHARED.count(data)


def page_count(data: bytes, member: str, file_name: str = "") -> int:
    """Return the number of pages of a document. Raises like `Opened.count`."""
    return open_document(data).count(member, file_name)


def _tiff_pages(data: bytes) -> tuple[int, str]:
    """Return the number of pages of a TIFF, and why it cannot be sent; "" if it can."""
    order = _TIFFS[data[:4]]
    seen = set[int]()
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        while at:
            if at in seen:
                return 0, "the TIFF's list of pages is a circle: save it again"
            if len(seen) == _MOST_IFDS:
                return 0, f"the TIFF has more than {_MOST_IFDS} pages, or its list of pages is a circle"
            seen.add(at)
            (entries,) = struct.unpack_from(order + "H", data, at)
            if not entries:
                return 0, f"page {len(seen)} of the TIFF is empty: save it again"
            (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * entries)
    except struct.error:
        return 0, "the TIFF is broken: it ends within a page"
    return len(seen), "" if seen else "the TIFF has no page"


class Pages(NamedTuple):
    """How many pages are sent: the least, and the most (None if unknown).

    They differ if selections overlap, because iFax does not document whether it sends such a page once or
    twice.
    """

    least: int
    most: int | None

    def __str__(self) -> str:
        return str(self.least) if self.most == self.least else f"{self.least}-{self.most or ''}"


def selected_pages(selections: Sequence[str] | None, pages: int, member: str) -> tuple[int, int]:
    """Count the pages of a selection such as ["1-5", "2"]: without repeats (5), and with repeats (6).

    Raises:
        EntryRejected: a selected page is not in the document (bad_value).
    """
    if not selections:
        return pages, pages
    spans: list[tuple[int, int]] = []
    for selection in selections:
        first, _, last = selection.partition("-")
        end = int(last or first)
        if end > pages:
            raise EntryRejected(
                member, Rejection.BAD_VALUE, f"page {end} is selected, but the document has {pages}"
            )
        spans.append((int(first), end))
    once = each = reached = 0
    for start, end in sorted(spans):
        once += max(0, end - max(start - 1, reached))
        each += end - start + 1
        reached = max(reached, end)
    return once, each
