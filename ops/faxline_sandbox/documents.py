"""Attached files: what kind one is, by its name and its first bytes, and how many pages it has."""

import struct
from collections.abc import Callable, Mapping
from functools import partial

from faxline_sandbox.pdf_pages import pdf_pages

LINES_A_PAGE = 60
"""Lines of plain text on a page; a form feed begins a new page."""
_MOST_DIRECTORIES = 10_000


class NotThisFormat(Exception):
    """The bytes are not what the file's name says, or are damaged."""


def page_count(name: str, data: bytes) -> int:
    """The number of a file's pages; 0 if it has none.

    Args:
        name: the file's name. Its extension decides its type: .pdf, .tif, .tiff, .png, .jpg, .jpeg or .txt in
            any case.
        data: its bytes.

    Raises:
        NotThisFormat: another extension, or bytes that are something else, or a damaged or locked file.
    """
    count = _COUNTERS.get(extension(name))
    if count is None:
        raise NotThisFormat
    return count(data) if data else 0


def extension(name: str) -> str:
    """The part of a file's name after the last dot, in lower case; empty if there is no dot."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def _pdf_pages(data: bytes) -> int:
    pages = pdf_pages(data) if b"%PDF-" in data[:1024] else None
    if pages is None:
        raise NotThisFormat
    return pages


def _tiff_pages(data: bytes) -> int:
    """The image file directories on the chain that begins in the header (TIFF 6.0, section 2)."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise NotThisFormat
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + "I", data, 4)
        while offset:
            if offset in seen or len(seen) == _MOST_DIRECTORIES:
                raise NotThisFormat
            seen.add(offset)
            (entries,) = struct.unpack_from(order + "H", data, offset)
            (offset,) = struct.unpack_from(order + "I", data, offset + 2 + 12 * entries)
    except struct.error:
        raise NotThisFormat from None
    return len(seen)


def _image_page(magic: bytes, data: bytes) -> int:
    if not data.startswith(magic):
        raise NotThisFormat
    return 1


def _text_pages(data: bytes) -> int:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotThisFormat from None
    if "\0" in text:
        raise NotThisFormat
    return sum(
        max(1, -(-len(part.splitlines()) // LINES_A_PAGE)) for part in text.removesuffix("\f").split("\f")
    )


_COUNTERS: Mapping[str, Callable[[bytes], int]] = {
    "pdf": _pdf_pages,
    "tif": _tiff_pages,
    "tiff": _tiff_pages,
    "png": partial(_image_page, b"\x89PNG\r\n\x1a\n"),
    "jpg": partial(_image_page, b"\xff\xd8\xff"),
    "jpeg": partial(_image_page, b"\xff\xd8\xff"),
    "txt": _text_pages,
}
EXTENSIONS = frozenset(_COUNTERS)
