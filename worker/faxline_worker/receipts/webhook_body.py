"""The body of a webhook as it comes in: bounded in size and time, and proved while it is read."""

import json

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from faxline_worker.receipts.multipart import MultipartFields
from faxline_worker.receipts.webhook_proofs import Examination

BODY_LIMIT = 64 * 1024
"""Bytes of a webhook's body that are read at most."""
FORM_LIMIT = 20_000_000
"""Bytes of a form's body that are read at most; no more of it is held than its fields."""
BODY_TIMEOUT = 10.0
"""Seconds in which the whole body must have come."""


class WebhookBody:
    """A request's body, held as it is, or of a form (one with a boundary) its fields alone."""

    def __init__(self, proofs: Examination, boundary: bytes | None) -> None:
        self._proofs = proofs
        self.size = 0
        self.limit = BODY_LIMIT if boundary is None else FORM_LIMIT
        self._form = None if boundary is None else MultipartFields(boundary)
        self._whole = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        if self.size > self.limit:
            return
        self._proofs.feed(piece)
        if self._form is None:
            self._whole += piece
        else:
            self._form.feed(piece)

    def content(self) -> bytes:
        """The body as JSON: as it came, or made of the fields of a form."""
        return bytes(self._whole) if self._form is None else json.dumps(self._form.fields()).encode()


async def receive_body(scope: Scope, receive: Receive, body: WebhookBody) -> bool:
    """Feed the request's body; False as soon as it is known to be over its limit.

    Raises:
        ClientDisconnect: the client went away.
    """
    try:
        announced = int(header_of(scope, b"content-length") or 0)
    except ValueError:  # nonsense, or more digits than Python reads: what comes is counted anyway
        announced = 0
    if announced > body.limit:
        return False
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body.feed(message.get("body", b""))
        if body.size > body.limit:
            return False
        more = message.get("more_body", False)
        del message  # it holds a copy, and the next may let us wait
    return True


def header_of(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this name, which is in lower case as ASGI has them."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None
