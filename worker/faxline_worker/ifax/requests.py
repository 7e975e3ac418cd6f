"""Builds the bodies of the calls (docs/ifax.md, Calls)."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from faxline_worker.ifax.errors import DocumentAlteredError

CHUNK = 48 * 1024
"""Bytes of a document that are encoded at a time: a multiple of three, so that the base64 texts join."""
PIECE = 5 * CHUNK
"""Bytes of a document that are read at a time (240 KiB)."""
SMALL = 64 * 1024
"""A body of up to this many bytes is sent as one piece."""

PARAMETERS = (
    "faxNumber",
    "callerId",
    "templateId",
    "smartDocumentId",
    "subject",
    "from_name",
    "to_name",
    "message",
    "send_at",
    "faxQuality",
)
"""The members of fax-send besides faxData (docs/ifax.md, Calls)."""
FILE = ("fileName", "fileUrl", "fileData", "pages")
"""The members of a file (docs/ifax.md, Calls)."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that is read while it is sent.

    Attributes:
        size: its size in bytes.
        read: returns the bytes from a start up to an end; raises a CallError if it cannot return all of them.
        sha256: the digest that the content must have, in hexadecimal; empty if it was checked before.
    """

    size: int
    read: Callable[[int, int], bytes] = field(repr=False)
    sha256: str = ""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Make a document from its bytes."""
        return cls(len(data), lambda start, end: data[start:end])


@dataclass(frozen=True, slots=True, repr=False)
class Body:
    """A JSON body of known length. It can be iterated over more than once.

    Documents are read and encoded piece by piece while they are sent, so a call holds one piece and never a
    whole document or body.

    Attributes:
        parts: bytes that are sent unchanged, and documents that are sent as base64.
    """

    parts: tuple[bytes | Document, ...]

    def __len__(self) -> int:
        """The number of bytes that are sent, the Content-Length."""
        return sum(-(-p.size // 3) * 4 if isinstance(p, Document) else len(p) for p in self.parts)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces; a small body is one piece."""
        if len(self) <= SMALL:
            yield b"".join(self._pieces())
        else:
            yield from self._pieces()

    def __repr__(self) -> str:
        return f"Body({len(self)} bytes)"

    def _pieces(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Document):
                yield from _encoded(part)
            else:
                yield part


def send_body(
    request: Mapping[str, Any], document: Callable[[str], Document], *, caller_id: str | None = None
) -> Body:
    """Build the body of fax-send from the documented members that are not null.

    Args:
        request: the checked request, with one faxNumber. A file may name its `document` by the digest.
        document: opens a document by `sha256:<hex>`.
        caller_id: the account's sender number, used if the request has no callerId.

    Raises:
        Exception: whatever `document` raises.
    """
    whole = _members({"callerId": caller_id, **_members(request, PARAMETERS)}, PARAMETERS)
    # An empty member is written last and its closing characters are cut off, so that its content can follow.
    parts: list[bytes | Document] = [_text({**whole, "faxData": []})[:-2]]
    for i, file in enumerate(request["faxData"]):
        comma, members = b"," if i else b"", _members(file, FILE)
        if "document" in file:
            text = _text({**members, "fileData": ""})
            parts += [comma + text[:-2], document(file["document"]), text[-2:]]
        else:
            parts.append(comma + _text(members))
    return Body((*parts, b"]}"))


def resend_body(request: Mapping[str, Any]) -> Body:
    """Build the body of fax-resend: jobId, and faxNumber if the fax goes to another number."""
    return Body((_text(_members(request, ("jobId", "faxNumber"))),))


def job_body(job_id: int) -> Body:
    """Build the body of fax-cancel or fax-status: the jobId."""
    return Body((_text({"jobId": job_id}),))


def _encoded(document: Document) -> Iterator[bytes]:
    """Encode a document piece by piece. The last piece comes only if the whole matches the digest.

    Raises:
        DocumentAlteredError: the document does not match its digest.
    """
    found = hashlib.sha256()
    for start in range(0, document.size, PIECE):
        end = min(start + PIECE, document.size)
        piece = memoryview(document.read(start, end))
        if document.sha256:
            found.update(piece)
            if end == document.size and found.hexdigest() != document.sha256:
                raise DocumentAlteredError
        for at in range(0, len(piece), CHUNK):
            yield base64.b64encode(piece[at : at + CHUNK])


def _members(whole: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: whole[name] for name in names if whole.get(name) is not None}


def _text(value: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8. A lone surrogate, which UTF-8 cannot encode, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
