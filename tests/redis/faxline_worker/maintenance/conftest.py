"""A scene whose Redis can go back, and processes that notice."""

from collections.abc import Callable, Iterator

import pytest
import redis

from faxline_worker.maintenance import rollback_watch as rollback
from tests.stage.rollbacks import Process, Server
from tests.stage.scene import Scene


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    known = Server()
    monkeypatch.setattr(rollback, "_run_of", lambda _: known.run)
    return known


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


@pytest.fixture
def process(scene: Scene, server: Server) -> Iterator[Callable[[], Process]]:
    """Starts a process."""
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(scene, server))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def a(process: Callable[[], Process]) -> Process:
    return process()


@pytest.fixture
def b(process: Callable[[], Process]) -> Process:
    return process()
