"""A script that the server runs while its caller does something else."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from faxline_worker.state.redis_clients import state_client
from faxline_worker.state.scripts import Script

COUNT = "return redis.call('INCR', KEYS[1])"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with state_client(redis_url, socket_timeout=2.0) as made:
        yield made


def connections_in_use(client: Any) -> int:
    return len(client.connection_pool._in_use_connections)


def test_a_script_that_was_begun_is_run_once_and_gives_its_reply(client: redis.Redis) -> None:
    reply = Script(client, COUNT).begin(["n"], [])
    assert connections_in_use(client) == 1
    assert reply()[0] == 1
    assert client.get("n") == b"1"
    assert connections_in_use(client) == 0


def test_the_server_has_run_it_before_its_reply_is_asked_for(client: redis.Redis, wait_until: Any) -> None:
    script = Script(client, COUNT)
    script(["n"], [])
    reply = script.begin(["n"], [])
    wait_until(lambda: client.get("n") == b"2")
    assert reply()[0] == 2


def test_one_that_the_server_does_not_know_is_loaded_first(client: redis.Redis) -> None:
    script = Script(client, COUNT)
    script(["n"], [])
    client.script_flush()
    assert script.begin(["n"], [])()[0] == 2


def test_what_it_raises_is_raised_where_its_reply_is_asked_for(client: redis.Redis) -> None:
    script = Script(client, "return redis.error_reply('BAD luck')")
    script_error = script.begin([], [])
    with pytest.raises(redis.ResponseError, match="BAD luck"):
        script_error()
    assert connections_in_use(client) == 0
    assert client.ping()


def test_it_is_run_anew_where_the_connection_is_lost_before_the_reply(
    client: redis.Redis, redis_client: Any
) -> None:
    script = Script(client, COUNT)
    script(["n"], [])
    reply = script.begin(["n"], [])
    for other in redis_client.client_list():
        if other["name"] == "faxline":
            redis_client.client_kill_filter(_id=other["id"])
    assert reply()[0] in {2, 3}  # the first may have been run
    assert connections_in_use(client) == 0


def test_a_server_that_is_away_is_told_where_the_reply_is_asked_for() -> None:
    with state_client("redis://127.0.0.1:1/0") as client:
        reply = Script(client, COUNT).begin(["n"], [])
        with pytest.raises(redis.ConnectionError):
            reply()
        assert connections_in_use(client) == 0
