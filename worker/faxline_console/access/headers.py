"""What every answer says to browsers, and how large a request may be."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script or style, nothing from elsewhere, in no frame."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends our own forms with the origin null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
LARGEST = 21_000_000
"""Bytes of a request: a fax of 20 MB (docs/ifax.md), and its form."""
SIGN_IN = 16_384
"""Bytes of a request at the sign-in, which anybody may send."""


class TooLargeError(Exception):
    """A request's body is longer than LARGEST."""


class Headers:
    """Adds the headers, and refuses bodies that are too large. Pages are not cached; assets are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asset = scope["path"].startswith("/static/")
        largest = SIGN_IN if scope["path"].startswith("/sign-in") else LARGEST
        read = 0

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "max-age=3600" if asset else "no-store")
                message["headers"] = headers.raw
            await send(message)

        async def count() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > largest:
                raise TooLargeError
            return message

        await self._app(scope, count, add)
