"""Who takes entries: the line in memory, and the dispatcher's intake on a real server."""

from collections.abc import Iterator

import pytest
import redis

from faxline_local.redis_server import RedisServer
from tests.stage.entry_cases import STORED, Begin
from tests.stage.takers import InMemory, InRedis, Taker, document


@pytest.fixture(scope="module")
def daemon(redis_server: RedisServer) -> Iterator[InRedis]:
    with redis.Redis.from_url(redis_server.url(0)) as client:
        yield InRedis(client)


@pytest.fixture(params=["MemoryLine", "the daemon"])
def begin(request: pytest.FixtureRequest, daemon: InRedis) -> Begin:
    """Begin anew: nothing was taken yet, and one document is stored."""

    def empty() -> Taker:
        made: Taker = InMemory()
        if request.param == "the daemon":
            daemon.begin()
            made = daemon
        document(made, STORED)
        return made

    return empty


@pytest.fixture
def taker(begin: Begin) -> Taker:
    return begin()
