"""A line in another process, by fork or by spawn, and on another event loop."""

import asyncio
import gc
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator
from typing import Any
from warnings import catch_warnings

import pytest
import redis
import redis.asyncio

from faxline import AsyncFaxLine, FaxLine, Keyring, NotShared
from faxline.contract.sealing.keyring import new_key
from faxline.testing import AsyncMemoryLine, MemoryLine

TO, URL = "+12345678901", "https://example.com/a.pdf"


def push(line: FaxLine, name: str) -> None:
    line.send(to=TO, files=[URL], id=name)


def push_async(line: AsyncFaxLine, name: str) -> None:
    asyncio.run(_send(line, name))


async def _send(line: AsyncFaxLine, name: str) -> None:
    await line.send(to=TO, files=[URL], id=name)
    await line.close()


@pytest.fixture
def line(redis_url: str) -> Iterator[FaxLine]:
    with FaxLine(redis_url, "acme", keys=Keyring.read(new_key())) as made:
        push(made, "first")  # so there is a connection
        yield made


def entries(line: FaxLine, client: redis.Redis) -> int:
    return int(client.xlen(line.keys.intake))


@pytest.mark.parametrize("kind", [FaxLine, AsyncFaxLine])
def test_a_line_is_pickled_with_all_that_it_was_made_with(redis_url: str, kind: type[Any]) -> None:
    made = kind(
        redis_url,
        "acme",
        document_ttl=60,
        keys=Keyring.read(new_key("a")),
        replicas=1,
        replicas_timeout=2.0,
        region="DE",
    )
    again = pickle.loads(pickle.dumps(made))  # noqa: S301 - just made
    assert type(again) is kind
    assert again._context.keys.account == "acme"
    assert again._context.document_ttl == 60_000
    assert again._context.confirmation == made._context.confirmation
    assert again._context.region == "DE"
    assert again._arguments[2].key("a") == made._arguments[2].key("a")


def test_a_process_that_was_spawned_goes_on_with_the_line(line: FaxLine, redis_client: redis.Redis) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=push, args=(line, "spawned"))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert entries(line, redis_client) == 2


def test_a_process_that_was_forked_goes_on_with_the_line_and_so_does_its_parent(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    events = line.events(group="g", timeout=1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            push(line, "forked")
            with pytest.raises(NotShared, match="call `events` in each process"):
                next(events)
            code = 0
        finally:
            os._exit(code)
    push(line, "parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(events) == []
    assert entries(line, redis_client) == 3


def use_on_several_loops(url: str) -> str:
    made = AsyncFaxLine(url)

    async def send(name: str) -> None:
        await made.send(to=TO, files=[URL], id=name)

    asyncio.run(send("first"))  # which leaves its connections open
    push_async(made, "second")
    push_async(made, "third")
    threads = [threading.Thread(target=push_async, args=(made, f"thread-{n}")) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made.keys.intake


def test_an_asyncio_line_works_on_one_event_loop_after_another_and_on_two_at_once(
    redis_url: str, redis_client: redis.Redis
) -> None:
    with catch_warnings(action="ignore", category=ResourceWarning):  # of the first loop's connections
        intake = use_on_several_loops(redis_url)
        gc.collect()
    assert redis_client.xlen(intake) == 5


def test_a_client_of_ones_own_stays_on_its_loop_and_a_line_without_a_url_in_its_process(
    redis_url: str,
) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    made = AsyncFaxLine(client)

    async def send() -> None:
        await made.send(to=TO, files=[URL])
        await client.aclose()

    asyncio.run(send())
    with pytest.raises(NotShared, match="make the line from a URL"):
        asyncio.run(send())
    for each in (made, MemoryLine()):
        with pytest.raises(NotShared, match="make it from a URL, or one in each process"):
            pickle.dumps(each)


def test_an_asyncio_line_in_memory_works_on_any_loop() -> None:
    made = AsyncMemoryLine()
    for name in ("a", "b"):
        asyncio.run(_send(made, name))
    assert len(made.entries) == 2
