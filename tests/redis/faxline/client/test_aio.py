"""`AsyncFaxLine` on a real server: what asyncio adds to what holds of every line."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
import redis
import redis.asyncio

from faxline import AsyncFaxLine, Fax, JobNotFound, JobState, QueueUnavailable
from faxline.contract.page_count import open_document
from faxline.contract.redis_keys import RedisKeys
from faxline.sending import documents as documents_module

TO = "+12345678901"
URL = "https://example.com/a.pdf"
KEYS = RedisKeys("default")


def emit(client: redis.Redis, job: str, state: str) -> None:
    """Write an event, and the job's record with its state, as the daemon would."""
    client.hset(KEYS.job(job), mapping={"state": state, "n": "0"})
    fields: Any = {"event": f"fax.{state}", "job": job, "at": 1, "data": json.dumps({})}
    client.xadd(KEYS.events, fields)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it is Redis that is looked at
            await asyncio.sleep(0.01)


def blocked(client: redis.Redis) -> bool:
    clients: Any = client.client_list()
    return any(other["cmd"] == "xread" and "b" in other["flags"] for other in clients)


def test_files_are_read_and_opened_off_the_event_loop(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(data: bytes) -> Any:
        begun.set()
        assert go_on.wait(20), "the event loop waits for the file"
        return open_document(data)

    monkeypatch.setattr(documents_module, "open_document", slow)

    async def main() -> None:
        async with AsyncFaxLine(redis_url) as line:
            sending = asyncio.create_task(line.send_many([Fax(to=TO, files=[("a.txt", b"x")])]))
            await until(begun.is_set)
            go_on.set()
            assert len((await sending).jobs) == 1

    asyncio.run(main())


def test_a_wait_can_be_canceled_and_the_line_goes_on(redis_url: str, redis_client: redis.Redis) -> None:
    async def main() -> None:
        async with AsyncFaxLine(redis_url) as line:
            for _ in range(3):
                waiting = asyncio.create_task(line.wait("a", timeout=60))
                await until(lambda: blocked(redis_client))
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await until(lambda: not blocked(redis_client))
                with pytest.raises(JobNotFound):
                    await line.job("a")
            waiting = asyncio.create_task(line.wait("a", timeout=60))
            await until(lambda: blocked(redis_client))
            emit(redis_client, "a", "delivered")
            assert (await waiting).state is JobState.DELIVERED

    asyncio.run(main())


def test_many_waits_run_beside_each_other_on_one_line(redis_url: str, redis_client: redis.Redis) -> None:
    async def main() -> None:
        names = [f"job-{i}" for i in range(20)]
        async with AsyncFaxLine(redis_url) as line:
            waits = [asyncio.create_task(line.wait(name, timeout=60)) for name in names]
            await until(lambda: blocked(redis_client))
            for name in names:
                emit(redis_client, name, "delivered")
            assert [job.id for job in await asyncio.gather(*waits)] == names

    asyncio.run(main())


def test_a_quiet_stream_costs_one_blocking_read(redis_url: str, redis_client: redis.Redis) -> None:
    async def main() -> list[Any]:
        async with AsyncFaxLine(redis_url) as line:
            return [event async for event in line.events(timeout=0.3)]

    redis_client.config_resetstat()
    assert asyncio.run(main()) == []
    stats: Any = redis_client.info("commandstats")
    assert stats["cmdstat_xread"]["calls"] <= 2


def test_events_begin_when_awaited_or_with_the_first_one_asked_for(
    redis_url: str, redis_client: redis.Redis
) -> None:
    async def main() -> None:
        async with AsyncFaxLine(redis_url) as line:
            at_once, later = await line.events(timeout=20), line.events(timeout=20)
            emit(redis_client, "a", "queued")
            async with aclosing(at_once), aclosing(later):
                first = asyncio.ensure_future(anext(later))
                assert (await anext(at_once)).job == "a"
                await until(lambda: blocked(redis_client))
                emit(redis_client, "b", "queued")
                assert (await first).job == "b"

    asyncio.run(main())


def test_an_event_that_was_not_finished_comes_again(redis_url: str, redis_client: redis.Redis) -> None:
    async def main() -> None:
        async with AsyncFaxLine(redis_url) as line:
            for name in ("a", "b"):
                emit(redis_client, name, "queued")
            async with aclosing(line.events(group="billing", timeout=20)) as events:
                assert [(await anext(events)).job, (await anext(events)).job] == ["a", "b"]
            assert [e.job async for e in line.events(group="billing", timeout=0.1)] == ["b"]
            assert [e.job async for e in line.events(group="billing", timeout=0.1)] == []

    asyncio.run(main())


def test_a_client_of_the_users_own_is_left_open(redis_url: str) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            async with AsyncFaxLine(client) as line:
                await line.send(to=TO, files=[URL])
            assert await client.xlen(KEYS.intake) == 1

    asyncio.run(main())


def test_a_client_that_decodes_replies_is_refused(redis_url: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url, decode_responses=True)
    with pytest.raises(ValueError, match="decode"):
        AsyncFaxLine(client)


def test_a_redis_that_is_away_is_told_for_every_call(free_port: int) -> None:
    async def main() -> None:
        async with AsyncFaxLine(f"redis://127.0.0.1:{free_port}/0") as line:
            calls: list[Callable[[], Awaitable[Any]]] = [
                lambda: line.send(to=TO, files=[URL]),
                lambda: line.job("a"),
                lambda: line.wait("a", timeout=1),
                line.events,
                lambda: anext(line.events(group="g")),
                line.jobs,
                line.account_state,
            ]
            for call in calls:
                with pytest.raises(QueueUnavailable) as caught:
                    await call()
                assert caught.value.__suppress_context__

    asyncio.run(main())
