"""What the tests of the clients do with one, by both kinds."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from faxline.contract.connections.redis_url import connect, connect_async


def threads(url: str, *calls: Callable[[Any], Any]) -> list[Any]:
    with connect(url, protocol=2) as client:
        return [call(client) for call in calls]


def loop(url: str, *calls: Callable[[Any], Any]) -> list[Any]:
    async def run() -> list[Any]:
        async with connect_async(url, protocol=2) as client:
            return [await call(client) for call in calls]

    return asyncio.run(run())


@pytest.fixture(params=[threads, loop])
def run(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    """Does something with a client, by threads and by asyncio."""
    function: Callable[..., list[Any]] = request.param
    return function
