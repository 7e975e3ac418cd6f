"""Documents: named by their SHA-256 digest, opened to count their pages."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.sealing.stream import is_sealed

if TYPE_CHECKING:
    from faxline.contract.pdf_process import Limit, PdfPages

REQUEST_BYTES = 20_000_000
"""20 MB, in the smaller of the two readings: the most that a request may have, so no document is larger."""
TOO_LARGE = "20 MB at most as sent (base64); use fileUrl for large files"
_MOST_IFDS = 10_000
_TIFFS = {b"II*\0": "<", b"MM\0*": ">"}
_BIG_TIFFS = {b"II+\0", b"MM\0+"}
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
_KNOWN = (".pdf", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif")


def digest(data: bytes) -> str:
    """A document's name: `sha256:` and its digest in lower-case hexadecimal."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check_digest(name: str, data: bytes) -> None:
    """Hold a document against its name.

    Raises:
        EntryRejected: document_altered: it is another one.
    """
    if digest(data) != name:
        raise EntryRejected(
            "fax.faxData",
            Rejection.DOCUMENT_ALTERED,
            "the bytes that were stored for a document are not those of its digest; store them again",
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening a document told, so that a thousand faxes of it open it once.

    Attributes:
        size: its bytes.
        pages: how many it has; 0 where it has a fault.
        known: whether it is a PDF, a TIFF or an image by its content.
        fault: why iFax would refuse it, or nothing.
        limit: which limit opening it ran into, if any.
    """

    size: int
    pages: int
    known: bool
    fault: str = ""
    limit: "Limit | None" = None

    def count(self, member: str, file_name: str = "") -> int:
        """How many pages it has under this name.

        A file that calls itself .pdf or .png and is nothing of the kind is broken; iFax would refuse it.

        Raises:
            EntryRejected: bad_document: empty, encrypted, broken, or beyond a limit; too_large.
        """
        fault = self.fault
        if not fault and not self.known and file_name.lower().endswith(_KNOWN):
            fault = "the content is not what the name says; is it broken, or a page of HTML?"
        if fault:
            large = self.size > REQUEST_BYTES
            raise EntryRejected(member, Rejection.TOO_LARGE if large else Rejection.BAD_DOCUMENT, fault)
        return self.pages


def open_document(data: bytes, count: "Callable[[bytes], PdfPages] | None" = None) -> Opened:
    """Open it: of PDF and TIFF the pages are counted, anything else counts as one.

    Args:
        data: its bytes.
        count: opens a PDF; by default a child process that this process shares
            (`faxline.contract.pdf_reader`).

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
    """Why it cannot be sent, by its size and its first bytes; nothing where it may be."""
    if not data:
        return "the document is empty"
    if len(data) > REQUEST_BYTES:
        return TOO_LARGE
    if is_sealed(data):  # stored as it is, it would be taken for one whose key is missing
        return "it begins as a sealed document does: give its content"
    if data[:4] in _BIG_TIFFS:
        return "it is a BigTIFF: save it as a classic TIFF or a PDF"
    return ""


def _count(data: bytes) -> "PdfPages":
    from faxline.contract.pdf_reader import SHARED  # noqa: PLC0415 - only where a PDF is opened

    return SHARED.count(data)


def page_count(data: bytes, member: str, file_name: str = "") -> int:
    """How many pages a document has. Raises as `Opened.count` does."""
    return open_document(data).count(member, file_name)


def _tiff_pages(data: bytes) -> tuple[int, str]:
    """How many pages a TIFF has, and why none can be sent."""
    order = _TIFFS[data[:4]]
    seen = set[int]()
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        while at:
            if at in seen:
                return 0, "the TIFF's pages go round in a circle: save it anew"
            if len(seen) == _MOST_IFDS:
                return 0, f"the TIFF has more than {_MOST_IFDS} pages, or goes round in a circle"
            seen.add(at)
            (entries,) = struct.unpack_from(order + "H", data, at)
            if not entries:
                return 0, f"page {len(seen)} of the TIFF is empty: save it anew"
            (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * entries)
    except struct.error:
        return 0, "the TIFF is broken: it ends within a page"
    return len(seen), "" if seen else "the TIFF has no page"


class Pages(NamedTuple):
    """How many pages are sent: at least, and at most or None where nobody knows.

    They differ where selections overlap: iFax does not say whether it sends a page once or each time.
    """

    least: int
    most: int | None

    def __str__(self) -> str:
        return str(self.least) if self.most == self.least else f"{self.least}-{self.most or ''}"


def selected_pages(selections: Sequence[str] | None, pages: int, member: str) -> tuple[int, int]:
    """How many pages a selection such as ["1-5", "2"] sends: each once, and each time that it is named.

    Raises:
        EntryRejected: bad_value: a selected page is not in the document.
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
