"""Connections by TLS share a context, which knows the authorities, until a file of theirs changes."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from faxline.contract.connections import tls_contexts
from faxline.contract.connections.redis_url import connect, connect_async
from faxline_local.redis_access import Access, Tls
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from tests.certificates import certified
from tests.conftest import USERS


@pytest.fixture
def server(server_binary: ServerBinary, tls: Tls | None, tmp_path: Path) -> Iterator[RedisServer]:
    if tls is None:
        pytest.skip("this server was built without TLS")
    tls_contexts._made.cache_clear()
    with RedisServer(
        binary=server_binary, access=Access.of(USERS.read_text(), certified(tmp_path))
    ) as server:
        yield server


def ping_async(url: str) -> None:
    async def ping() -> None:
        async with connect_async(url) as client:
            assert await client.ping()

    asyncio.run(ping())


def test_all_connections_to_a_server_share_one_context(server: RedisServer) -> None:
    with connect(server.url()) as one, connect(server.url()) as two:
        for client in (one, two):
            with client.client() as alone:
                assert client.ping()
                assert alone.ping()
    ping_async(server.url())
    ping_async(server.url())
    found = tls_contexts._made.cache_info()
    assert found.misses <= 2  # that of blocking connections, and that of asyncio, whose defaults may differ
    assert found.hits >= 4


def test_a_file_that_changed_is_read_again_by_the_next_connection(
    server: RedisServer, tmp_path: Path
) -> None:
    with connect(server.url()) as client:
        assert client.ping()
        (tmp_path / "other").mkdir()
        other = certified(tmp_path / "other").authority.read_bytes()
        authority = tmp_path / "ca.crt"
        right = authority.read_bytes()
        authority.write_bytes(other)
        os.utime(authority, ns=(1, 1))
        client.connection_pool.disconnect()
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            client.ping()
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            ping_async(server.url())
        authority.write_bytes(right)
        assert client.ping()
    ping_async(server.url())
