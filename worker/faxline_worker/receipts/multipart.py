"""Reads the fields of a multipart/form-data body piece by piece, and skips its files.

Some webhooks of inbound faxes carry the fax's PDF. Faxline needs only their fields. So memory holds one piece
of the body and the fields, however large a file is.
"""

import json
import re
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

FIELDS = 8 * 1024
"""The most bytes of all fields together; the rest is ignored."""
PARTS = 100
"""The most parts; the rest is ignored. A stranger's body may have a million."""
_HEADERS = 4 * 1024
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{1,70}")


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart/form-data body; None if the body is of another type or names none.

    Args:
        content_type: the value of the header Content-Type.
    """
    message = Message()
    message["Content-Type"] = content_type
    found = message.get_boundary()
    if message.get_content_type() != "multipart/form-data" or found is None:
        return None
    boundary = found.encode("latin-1", "replace")
    return boundary if _BOUNDARY.fullmatch(boundary) else None


class MultipartFields:
    """Takes a body piece by piece, and returns its fields.

    Args:
        boundary: the boundary that the header Content-Type names.

    Example:
        form = MultipartFields(b"x")
        form.feed(body)
        form.fields()  # {"jobId": "7"}
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._held = b"\r\n"  # so that the first delimiter looks like the others
        self._in_headers = False
        self._name: str | None = None
        self._value = bytearray()
        self._kept = 0
        self._parts = 0
        self._fields: dict[str, bytes] = {}
        self._over = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece. Never raises, whatever the body holds."""
        self._held += piece
        while not self._over and (self._read_headers() if self._in_headers else self._read_part()):
            pass
        if self._over:
            self._held = b""

    def fields(self) -> dict[str, Any]:
        """The fields by name, the first of each name. If `data` is JSON, its value is parsed."""
        fields: dict[str, Any] = {
            name: value.decode("utf-8", "replace") for name, value in self._fields.items()
        }
        try:
            inner = json.loads(fields.get("data", ""))
        except (ValueError, RecursionError):
            return fields
        return fields | {"data": inner}

    def _read_part(self) -> bool:
        """Read up to the next delimiter; False if more of the body is needed."""
        end = self._held.find(self._delimiter)
        if end < 0:
            end = max(0, len(self._held) - len(self._delimiter))
            self._take(self._held[:end])
            self._held = self._held[end:]
            return False
        rest = end + len(self._delimiter)
        if len(self._held) < rest + 2:
            return False
        self._take(self._held[:end])
        if self._name is not None:
            self._fields.setdefault(self._name, bytes(self._value))
        self._name, self._value = None, bytearray()
        self._over = self._held.startswith(b"--", rest)
        self._held, self._in_headers = self._held[rest:], True
        return not self._over

    def _read_headers(self) -> bool:
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            self._over = len(self._held) > _HEADERS
            return False
        self._parts += 1
        if self._parts > PARTS:
            self._over = True
            return False
        message = BytesHeaderParser().parsebytes(self._held[:end].lstrip())
        name = message.get_param("name", header="content-disposition")
        self._name = name if isinstance(name, str) and message.get_filename() is None else None
        self._kept += len(self._name or "")
        self._held, self._in_headers = self._held[end + 4 :], False
        return True

    def _take(self, content: bytes) -> None:
        if self._name is None:
            return
        content = content[: max(0, FIELDS - self._kept)]
        self._kept += len(content)
        self._value += content
