"""The bodies of the calls (ifax-api, Send Fax, Cancel Scheduled Fax, Resend Fax)."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CHUNK = 48 * 1024
"""Bytes of a document encoded at a time; a multiple of three, so that the pieces join."""


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON body in pieces, of a known length, encoded as it is sent."""

    parts: tuple[bytes | memoryview, ...]
    """Text as it is (bytes), and documents that are base64-encoded on the way (memoryview)."""

    @property
    def length(self) -> int:
        """Bytes on the wire."""
        return sum(-(-len(p) // 3) * 4 if isinstance(p, memoryview) else len(p) for p in self.parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, memoryview):
                for start in range(0, len(part), CHUNK):
                    yield base64.b64encode(part[start : start + CHUNK])
            else:
                yield part


def send_body(
    request: Mapping[str, Any], document: Callable[[str], bytes], *, caller_id: str | None = None
) -> Body:
    """The body of fax-send.

    Args:
        request: the checked request; a file may name a `document` by its digest.
        document: gives a document's bytes by `sha256:<hex>`.
        caller_id: the account's, used where the request names none.
    """
    whole = dict(request)
    if caller_id and not whole.get("callerId"):
        whole["callerId"] = caller_id
    files = whole.pop("faxData")
    parts: list[bytes | memoryview] = [_text(whole)[:-1] + b',"faxData":[']
    for i, file in enumerate(files):
        rest = {name: value for name, value in file.items() if name != "document"}
        text = (b"," if i else b"") + _text(rest)
        if "document" in file:
            parts += [text[:-1] + b',"fileData":"', memoryview(document(file["document"])), b'"}']
        else:
            parts.append(text)
    return Body((*parts, b"]}"))


def resend_body(request: Mapping[str, Any]) -> Body:
    """The body of fax-resend: {jobId, faxNumber}."""
    return Body((_text(request),))


def cancel_body(job_id: int) -> Body:
    """The body of fax-cancel."""
    return Body((_text({"jobId": job_id}),))


def _text(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
