"""The stream of server-sent events by which an open page learns that it is old."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.access.sessions import Session
from faxline_console.access.store import ConsoleStore
from faxline_console.live.watch import Live

ALIVE = 20.0
"""Seconds after which a comment keeps the connection open, and the session is looked at again."""
MOST = 6
"""The most streams of a session; the oldest makes room. A browser opens none for a page that nobody sees."""
LONGEST = 600.0
"""Seconds after which a stream ends. A browser opens the next, which looks at the session again."""


class LivePages:
    """The stream.

    Args:
        live: what has changed.
        store: the sessions.
        alive: seconds after which a session is looked at again.
    """

    def __init__(self, live: Live, store: ConsoleStore, alive: float = ALIVE) -> None:
        self._live = live
        self._store = store
        self._alive = alive
        self._open: dict[str, list[asyncio.Future[None]]] = {}

    def pages(self) -> list[Page]:
        """The address."""
        return [Page("/live", Right.READ, self.stream, by_itself=True)]

    async def stream(self, request: Request) -> Response:
        """An event `changed` whenever something has happened; its data is how many faxes are new."""
        changes = self._live.changes(person_of(request))
        return StreamingResponse(
            self._events(changes, request.state.session),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    async def _events(self, changes: AsyncGenerator[int], session: Session) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        until, look = now + LONGEST, now + self._alive
        coming: asyncio.Future[int] = asyncio.ensure_future(anext(changes))
        ending = self._begin(session)
        yield "retry: 5000\n\n"
        try:
            while now < until and not ending.done():
                either: set[asyncio.Future[Any]] = {coming, ending}
                left = min(look, until) - now
                await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if (now := loop.time()) >= look:
                    if not await run_in_threadpool(self._store.goes_on, session):
                        break
                    look = now + self._alive
                    yield ": alive\n\n"
                if coming.done():
                    queued = coming.result()
                    coming = asyncio.ensure_future(anext(changes))
                    yield f"event: changed\ndata: {queued}\n\n"
        finally:
            self._end(session, ending)
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            await changes.aclose()

    def _begin(self, session: Session) -> asyncio.Future[None]:
        """Count a stream of a session. When there are too many, the oldest ends."""
        own = self._open.setdefault(session.token, [])
        own.append(asyncio.get_running_loop().create_future())
        if len(own) > MOST:
            own.pop(0).set_result(None)
        return own[-1]

    def _end(self, session: Session, one: asyncio.Future[None]) -> None:
        own = self._open.get(session.token, [])
        if one in own:
            own.remove(one)
        if not own:
            self._open.pop(session.token, None)
