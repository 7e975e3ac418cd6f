"""The stream of server-sent events by which an open page learns that it is old."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from faxline_console.guard import Page, person_of
from faxline_console.live import Live
from faxline_console.people import Right

ALIVE = 20.0
"""Seconds without an event after which a comment keeps the connection open."""
LONGEST = 600.0
"""Seconds after which a stream ends. A browser opens the next, which looks at the session again."""


class LivePages:
    """The stream.

    Args:
        live: what has changed.
        longest: seconds that a stream lasts.
    """

    def __init__(self, live: Live, longest: float = LONGEST) -> None:
        self._live = live
        self._longest = longest

    def pages(self) -> list[Page]:
        """The address."""
        return [Page("/live", Right.READ, self.stream)]

    async def stream(self, request: Request) -> Response:
        """An event `changed` whenever something has happened; its data is how many faxes are new."""
        changes = self._live.changes(person_of(request))
        return StreamingResponse(
            self._events(changes), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def _events(self, changes: AsyncGenerator[int]) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._longest
        coming = asyncio.ensure_future(anext(changes))
        yield "retry: 5000\n\n"
        try:
            while (left := until - loop.time()) > 0:
                done, _ = await asyncio.wait({coming}, timeout=min(ALIVE, left))
                if done:
                    queued = coming.result()
                    coming = asyncio.ensure_future(anext(changes))
                    yield f"event: changed\ndata: {queued}\n\n"
                else:
                    yield ": alive\n\n"
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            await changes.aclose()
