"""The stream of an open page ends with its session, and a session has only a few."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from faxline_archive.database import open_database
from faxline_console.access.people import Person, Role
from faxline_console.access.store import ConsoleStore
from faxline_console.pages.live import MOST, LivePages
from tests.consoles import QUICK

if TYPE_CHECKING:
    from faxline_console.live.watch import Live


class Busy:
    """Accounts on which something happens whenever it is let."""

    def __init__(self) -> None:
        self.happens = asyncio.Event()

    async def changes(self, _: Person) -> AsyncGenerator[int]:
        while True:
            await self.happens.wait()
            yield 1
            await asyncio.sleep(0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsoleStore]:
    store = ConsoleStore(open_database(f"sqlite:///{tmp_path / 'console.db'}", writes=True), hasher=QUICK)
    store.add_user(Person("ada", Role.OPERATOR))
    yield store
    store.engine.dispose()


async def open_stream(pages: LivePages, store: ConsoleStore, token: str) -> AsyncIterator[Any]:
    request = Request({"type": "http", "headers": []})
    request.state.session = store.session(token)
    response = await pages.stream(request)
    assert isinstance(response, StreamingResponse)
    stream = aiter(response.body_iterator)
    assert await anext(stream) == "retry: 5000\n\n"
    return stream


@pytest.mark.parametrize("busy", [False, True])
def test_a_stream_ends_when_its_session_ends_however_much_happens(store: ConsoleStore, busy: bool) -> None:
    async def look() -> list[str]:
        live = Busy()
        if busy:
            live.happens.set()
        pages = LivePages(cast("Live", live), store, alive=0.01)
        stream = await open_stream(pages, store, store.begin_session("ada"))
        seen = [await anext(stream)]
        while ": alive\n\n" not in seen:
            seen.append(await anext(stream))
        store.end_sessions("ada")
        return seen + [told async for told in stream]

    seen = asyncio.run(asyncio.wait_for(look(), 30))
    assert ("event: changed\ndata: 1\n\n" in seen) is busy


def test_of_too_many_streams_of_a_session_the_oldest_ends(store: ConsoleStore) -> None:
    async def look() -> None:
        live = Busy()
        pages = LivePages(cast("Live", live), store)
        token, other = store.begin_session("ada"), store.begin_session("ada")
        another = await open_stream(pages, store, other)
        streams = [await open_stream(pages, store, token) for _ in range(MOST + 1)]
        assert [told async for told in streams[0]] == []
        live.happens.set()
        for stream in (another, *streams[1:]):
            assert await anext(stream) == "event: changed\ndata: 1\n\n"
            await cast("AsyncGenerator[str]", stream).aclose()
        assert pages._open == {}

    asyncio.run(asyncio.wait_for(look(), 30))
