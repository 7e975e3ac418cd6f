"""Request bodies: read within the size limit, from JSON or a form to one object, without `_method`.

A form carries text, so `faxData` and `faxNumber` may be JSON in it and `jobId`
is digits.
"""

import json
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from faxline_sandbox.answers import Refusal

MAX_REQUEST = 20_000_000
"""The most bytes of a request's body (docs/ifax.md, Limits: 20MB, read as 20,000,000)."""

Fields = dict[str, Any]


async def read_body(receive: Receive, announced: str | None) -> bytes:
    """The body, counted while it is read.

    Args:
        receive: the ASGI request's `receive`.
        announced: the header Content-Length; a body that announces itself too large is not read.

    Raises:
        Refusal: -3005, it is larger than `MAX_REQUEST`.
        ClientDisconnect: the client disconnected before the end.
    """
    if announced is not None and announced.isdecimal() and int(announced) > MAX_REQUEST:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > MAX_REQUEST:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def read_fields(body: bytes, content_type: str) -> Fields:
    """The request's parameters, without `_method`.

    Args:
        body: the body as sent.
        content_type: JSON (also when it is empty), a urlencoded form or a multipart form.

    Raises:
        Refusal: -2, the body has another type, is damaged, or simulates another method than POST.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in {"", "application/json"}:
        fields = _from_json(body)
    elif kind == "application/x-www-form-urlencoded":
        fields = _from_form(_pairs(body))
    elif kind == "multipart/form-data":
        fields = _from_form(_parts(body, content_type))
    else:
        raise Refusal("Content-Type: must be application/json")
    method = fields.pop("_method", "POST")
    if not isinstance(method, str) or method.upper() != "POST":
        raise Refusal("_method: only POST can be simulated here")
    return fields


def _too_large() -> Refusal:
    return Refusal("the request must not be larger than 20 MB", code=-3005)


def _from_json(body: bytes) -> Fields:
    if not body.strip():
        return {}
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal("the body is not JSON") from None
    if not isinstance(fields, dict):
        raise Refusal("the body must be a JSON object")
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise Refusal("the body is no urlencoded form") from None


def _parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    parts = message.get_payload()
    if not isinstance(parts, list) or message.defects:
        raise Refusal("the body is no multipart form")
    return [_part(part) for part in parts if isinstance(part, Message)]


def _part(part: Message) -> tuple[str, str]:
    name = part.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise Refusal("a part of the form has no name")
    if part.get_filename() is not None:
        raise Refusal(f"{name}: files go into faxData as fileUrl or fileData, not into a part of the form")
    payload = part.get_payload(decode=True)
    try:
        return name, payload.decode() if isinstance(payload, bytes) else ""
    except UnicodeDecodeError:
        raise Refusal(f"{name}: is not UTF-8") from None


def _from_form(pairs: list[tuple[str, str]]) -> Fields:
    fields: Fields = {}
    for name, text in pairs:
        if name in fields:
            raise Refusal(f"{name}: is there twice")
        value: Any = text
        if name == "faxData" or (name == "faxNumber" and text.startswith("[")):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                raise Refusal(f"{name}: must be JSON in a form") from None
        elif name == "jobId" and text.isascii() and text.isdecimal() and len(text) < 20:  # noqa: PLR2004 - 64 bits
            value = int(text)
        fields[name] = value
    return fields
