"""Live pages: one read for all viewers, each told of its own accounts only."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.people import Person, Role
from faxline_console.live.lines import Lines
from faxline_console.live.watch import Live
from tests.consoles import Console

ALL = Person("ada", Role.OPERATOR)
SOUTH = Person("bob", Role.OPERATOR, frozenset({"south"}))
RADIOLOGY = Person("eve", Role.OPERATOR, department=("department", "radiology"))


def happens(client: redis.Redis, account: str, name: str = "fax.queued") -> None:
    fields: Any = {"event": name, "job": "a", "at": 1, "data": json.dumps({})}
    client.xadd(RedisKeys(account).events, fields)


async def blocked(client: redis.Redis, count: int) -> None:
    """Wait until so many reads wait at the server."""
    while int(client.info("clients")["blocked_clients"]) != count:  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(0.01)


def test_a_viewer_is_told_of_its_own_accounts_and_a_department_gets_no_count(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    async def look(console: Console) -> tuple[int, int, bool]:
        live = Live(console.lines, pause=0.01, block=0.3)
        streams = [live.changes(person) for person in (ALL, RADIOLOGY, SOUTH)]
        waits = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await blocked(redis_client, 1)
        happens(redis_client, "north")
        told = await asyncio.wait_for(asyncio.gather(*waits[:2]), 10)
        happens(redis_client, "north")
        assert await asyncio.wait_for(anext(streams[0]), 10) == 1  # a whole turn later
        south = waits[2].done()
        await close(streams, waits)
        return told[0], told[1], south

    with Console(redis_url, tmp_path) as console:
        assert console.runner.run(look(console)) == (1, 0, False)


@pytest.mark.parametrize("first", [["gone", "north"], []], ids=["one is gone", "none is left"])
def test_accounts_that_go_while_they_are_read_do_not_end_what_open_pages_are_told(
    redis_url: str,
    redis_client: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: list[str],
) -> None:
    """The first look names an account that the lines know no more, or none at all."""
    looks, known = [first], Lines.accounts
    monkeypatch.setattr("faxline_console.live.watch.RETRY", 0.01)

    async def look(console: Console) -> int:
        live = Live(console.lines, pause=0.01, block=0.3)
        names = known.__get__(console.lines)
        monkeypatch.setattr(Lines, "accounts", property(lambda _: looks.pop() if looks else names))
        stream = live.changes(ALL)
        wait = asyncio.ensure_future(anext(stream))
        await asyncio.wait_for(blocked(redis_client, 1), 10)
        happens(redis_client, "north")
        told = await asyncio.wait_for(wait, 10)
        await close([stream], [])
        return told

    with Console(redis_url, tmp_path) as console:
        assert console.runner.run(look(console)) == 1
    assert not looks


async def close(streams: list[AsyncGenerator[int]], waits: Sequence[asyncio.Future[int]]) -> None:
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    for stream in streams:
        await stream.aclose()


def test_a_hundred_viewers_cost_one_read_and_none_costs_nothing(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    async def look(console: Console) -> None:
        live = Live(console.lines, pause=0.01, block=0.3)
        streams = [live.changes(ALL) for _ in range(100)]
        waits = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await blocked(redis_client, 1)
        happens(redis_client, "south", "fax.delivered")
        told = await asyncio.wait_for(asyncio.gather(*waits), 10)
        assert told == [0] * 100
        await close(streams, [])
        await blocked(redis_client, 0)

    with Console(redis_url, tmp_path) as console:
        console.runner.run(look(console))


def test_a_viewer_who_comes_while_the_read_of_the_last_one_still_ends_is_told(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    async def look(console: Console) -> int:
        live, begun, ends = Live(console.lines, pause=0.01, block=0.3), asyncio.Event(), asyncio.Event()
        turn = live._turn

        async def slow(after: dict[str, str]) -> dict[str, str]:
            try:
                begun.set()
                return await asyncio.get_running_loop().create_future() or after
            finally:
                await ends.wait()

        live._turn = slow  # type: ignore[method-assign]
        first, second = live.changes(ALL), live.changes(ALL)
        wait = asyncio.ensure_future(anext(first))
        await begun.wait()
        await close([first], [wait])
        live._turn = turn  # type: ignore[method-assign]
        coming = asyncio.ensure_future(anext(second))
        await blocked(redis_client, 1)
        happens(redis_client, "north")
        told = await asyncio.wait_for(coming, 10)
        ends.set()
        await close([second], [])
        return told

    with Console(redis_url, tmp_path) as console:
        assert console.runner.run(asyncio.wait_for(look(console), 30)) == 1


@pytest.mark.parametrize("name", ["viewer", "clerk"])
def test_the_stream_needs_a_session(redis_url: str, tmp_path: Path, name: str) -> None:
    with Console(redis_url, tmp_path) as console:
        person = console.person(name)
        person.cookies.clear()
        assert person.get("/live").status_code == 303
