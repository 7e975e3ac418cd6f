"""The webhook on a cluster: a node that does not answer holds up no webhook of another one."""

import asyncio
import threading

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.receipts.status_writer import RedisStatusWriter
from faxline_worker.state.redis_clients import async_state_client
from tests.scripted_nodes import Words, bulk, scripted

FIELDS = {"kind": b"receipt", "body": b"{}"}


def test_webhooks_of_a_node_that_answers_do_not_wait_for_one_that_does_not() -> None:
    came, goes_on = threading.Event(), threading.Event()

    def add(words: Words) -> bytes:
        return bulk("1-1") if words[0] == b"XADD" else b"+PONG\r\n"

    def add_late(words: Words) -> bytes:
        if words[0] == b"XADD":
            came.set()
            goes_on.wait()
        return add(words)

    async def scenario(url: str) -> None:
        client = async_state_client(url, socket_timeout=60.0)
        await client.ping()
        writer = RedisStatusWriter(client, RedisKeys("acme").status, timeout=60.0)
        late = asyncio.create_task(writer.add("default", FIELDS))
        await asyncio.to_thread(came.wait)
        try:
            async with asyncio.timeout(10.0):
                await writer.add("acme", FIELDS)
            assert not late.done()
        finally:
            goes_on.set()
            await late
            await client.aclose()

    with scripted() as cluster:
        first, second = cluster.nodes
        cluster.give(RedisKeys("acme").status, second)
        first.answer, second.answer = add_late, add
        asyncio.run(scenario(cluster.url))
