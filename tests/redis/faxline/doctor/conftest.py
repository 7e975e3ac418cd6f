"""A server that the doctor looks at, with its settings as they were before each test."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from tests.stage.doctor_looks import SETTINGS, Look, checks


@pytest.fixture(scope="module")
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url(0)) as made:
        made.flushdb()
        yield made


@pytest.fixture
def results(server: RedisServer, client: Any) -> Iterator[Look]:
    """Check by check what the doctor says, after some CONFIG SET."""
    before = {name: client.config_get(name)[name] for name in SETTINGS}

    def look(**config: str) -> dict[str, tuple[str, str]]:
        for name, value in config.items():
            client.config_set(name.replace("_", "-"), value)
        return checks(server.url(0))

    yield look
    for name, value in before.items():
        client.config_set(name, value)
