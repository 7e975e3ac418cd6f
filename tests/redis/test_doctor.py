"""What the doctor finds, on real servers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.keys import INTAKE_GROUP
from faxline_worker.redis_server import RedisServer, ServerBinary


@pytest.fixture(scope="module")
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as running:
        yield running


@pytest.fixture
def results(server: RedisServer) -> Iterator[Callable[..., dict[str, tuple[str, str]]]]:
    """Check by check what the doctor says, after some CONFIG SET."""
    with redis.Redis.from_url(server.url(0)) as client, FaxLine(server.url(0)) as line:
        client.flushdb()
        before = {
            name: client.config_get(name)[name] for name in ("appendonly", "maxmemory-policy", "maxmemory")
        }

        def look(**config: str) -> dict[str, tuple[str, str]]:
            for name, value in config.items():
                client.config_set(name.replace("_", "-"), value)
            return {check.name: (str(check.result), check.text) for check in line.checks()}

        yield look
        for name, value in before.items():
            client.config_set(name, value)


def test_a_server_that_keeps_what_it_is_told_is_well(results: Callable[..., Any]) -> None:
    found = results(appendfsync="always")
    assert {found[name][0] for name in ("redis", "version", "append-only file", "eviction", "memory")} == {
        "ok"
    }


def test_a_server_that_may_lose_faxes_fails_and_the_fix_is_named(results: Callable[..., Any]) -> None:
    found = results(appendonly="no", maxmemory_policy="allkeys-lru")
    assert found["append-only file"] == ("fail", "it is off, a restart loses faxes: set appendonly yes")
    assert found["eviction"][0] == "fail"
    assert "noeviction" in found["eviction"][1]


def test_memory_that_is_almost_full_is_a_warning(results: Callable[..., Any], server: RedisServer) -> None:
    with redis.Redis.from_url(server.url(0)) as client:
        used = int(client.info("memory")["used_memory"])
    assert results(maxmemory=str(round(used * 1.05)))["memory"][0] == "warn"


def test_a_missing_dispatcher_is_told(results: Callable[..., Any]) -> None:
    assert results()["dispatcher of default"][0] == "fail"


def test_a_paused_account_and_its_doubts_are_told_with_the_command_that_helps(
    results: Callable[..., Any], server: RedisServer
) -> None:
    with redis.Redis.from_url(server.url(0)) as client, FaxLine(server.url(0)) as line:
        client.xgroup_create(line.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
        client.hset(line.keys.account_state, "paused", "operator")
        found = results()["account default"]
    assert found == ("warn", "paused by an operator: faxline accounts resume default")
