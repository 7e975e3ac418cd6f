"""The webhook stores again what it stored lately, where Redis may have lost it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_local.redis_access import Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.receipts.recent_receipts import BYTES, KEPT, RecentReceipts
from faxline_worker.receipts.status_writer import RedisStatusWriter
from faxline_worker.state.redis_clients import async_state_client

STATUS = RedisKeys("default").status


def receipt(number: int, kind: bytes = b"receipt") -> dict[str, bytes]:
    return {"body": b'{"jobId": %d}' % number, "kind": kind, "at": b"1"}


def stored(server: RedisServer) -> list[bytes]:
    with redis.Redis.from_url(server.url()) as client:
        entries: Any = client.xrange(STATUS)
    return [fields[b"body"] for _, fields in entries]


@pytest.mark.parametrize("frozen", [False, True])
def test_what_a_redis_lost_that_went_back_is_stored_again(
    server_binary: ServerBinary, access: Access, tmp_path: Path, frozen: bool
) -> None:
    async def scenario(server: RedisServer) -> None:
        recent = RecentReceipts()
        client = async_state_client(server.url(0, "webhook"), connected=recent.connected)
        writer = RedisStatusWriter(client, ["default"], recent=recent, timeout=2)
        await writer.add("default", receipt(1))
        server.copy_data(tmp_path / "copy")
        await writer.add("default", receipt(2))
        await writer.add("default", receipt(3, b"malformed"))
        await writer.repeat()
        assert stored(server) == [b'{"jobId": %d}' % n for n in (1, 2, 3)]
        server.restore_data(tmp_path / "copy")
        if frozen:  # it fails at first
            with pytest.raises((redis.RedisError, OSError)):
                await writer.repeat()
        server.restart()
        await _until(writer.repeat)
        assert stored(server) == [b'{"jobId": %d}' % n for n in (1, 1, 2)]
        await writer.repeat()
        assert len(stored(server)) == 3
        await client.aclose()

    with RedisServer(binary=server_binary, access=access) as server:
        asyncio.run(scenario(server))


async def _until(step: Callable[[], Awaitable[None]]) -> None:
    for _ in range(50):
        try:
            return await step()
        except (redis.RedisError, OSError):
            await asyncio.sleep(0.1)
    return None


def test_a_connection_more_is_no_reason_to_store_them_again(redis_url: str) -> None:
    async def scenario() -> None:
        recent = RecentReceipts()
        client = async_state_client(redis_url, connected=recent.connected)
        await client.ping()
        recent.stored("s", receipt(1))
        async with client.client() as held:  # so the next command needs another
            await held.ping()
            await client.ping()
            assert recent.take_due() == []
            assert held.connection is not None
            await held.connection.disconnect()
            await held.ping()
        assert [fields["body"] for _, fields in recent.take_due()] == [b'{"jobId": 1}']
        await client.aclose()

    asyncio.run(scenario())


def test_only_the_last_ones_are_kept() -> None:
    now = 0.0
    recent = RecentReceipts(clock=lambda: now)
    recent.stored("s", receipt(1))
    now = KEPT + 1
    recent.stored("s", receipt(2))
    recent.not_repeated()
    assert [fields["body"] for _, fields in recent.take_due()] == [b'{"jobId": 2}']
    assert recent.take_due() == []
    for number in range(3):
        recent.stored("s", receipt(number) | {"body": bytes(BYTES // 2)})
    recent.not_repeated()
    assert len(recent.take_due()) == 2


def test_what_was_stored_lately_is_due_again_once_when_slots_of_a_cluster_have_moved() -> None:
    recent = RecentReceipts(clock=lambda: 0.0)
    recent.stored(STATUS, receipt(1))
    recent.moved(0)
    assert recent.take_due() == []
    recent.moved(1)
    assert recent.take_due() == [(STATUS, receipt(1))]
    recent.moved(1)
    assert recent.take_due() == []
