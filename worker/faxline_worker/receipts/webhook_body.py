"""Receives the body of a webhook, limited in size, and feeds it to the proofs while it is read."""

import json

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from faxline_worker.receipts.multipart import MultipartFields
from faxline_worker.receipts.webhook_proofs import Examination

BODY_LIMIT = 64 * 1024
"""The most bytes of a webhook's body."""
FORM_LIMIT = 20_000_000
"""The most bytes of a form's body, of which only the fields are held in memory."""
BODY_TIMEOUT = 10.0
"""Seconds for the whole body."""


class WebhookBody:
    """A request's body. Of a form, only the fields are kept.

    Args:
        proofs: gets each piece of the body, to verify its signature.
        boundary: the boundary of a form; None for any other body.
    """

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
        """The body as it came; of a form, its fields as JSON."""
        return bytes(self._whole) if self._form is None else json.dumps(self._form.fields()).encode()


async def receive_body(scope: Scope, receive: Receive, body: WebhookBody) -> bool:
    """Read the request's body; False as soon as it is over its limit.

    Raises:
        ClientDisconnect: the client closed the connection.
    """
    try:
        announced = int(header_of(scope, b"content-length") or 0)
    except ValueError:  # no number, or too many digits for Python; the bytes are counted anyway
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
        del message  # it holds a copy of the piece, and the next may take a while
    return True


def header_of(scope: Scope, name: bytes) -> bytes | None:
    """The first header of a name, which must be in lower case, as ASGI has them; None if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None
