"""What the doctor finds with the server: every check is made to fail."""

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.doctor.server_checks import server_checks
from faxline.reading.server_facts import server_facts
from faxline.steps.drivers import run
from faxline_local.processes import wait_for
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from tests.stage.doctor_looks import KEYS, Look, checks

ROOMY = str(1 << 30)


def test_a_server_that_keeps_what_it_is_told_is_well(results: Look) -> None:
    found = results(appendfsync="always", maxmemory=ROOMY)
    names = (
        *("faxline", "redis", "version", "append-only file", "eviction", "memory", "largest value"),
        *("replication", "clock"),
    )
    assert {found[name][0] for name in names} == {"ok"}


@pytest.mark.parametrize(
    ("config", "check", "result", "fix"),
    [
        ({"appendonly": "no"}, "append-only file", "fail", "set appendonly yes"),
        ({"appendfsync": "everysec"}, "append-only file", "warn", "set appendfsync always"),
        ({"appendfsync": "no"}, "append-only file", "fail", "set appendfsync always"),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction", "fail", "set maxmemory-policy noeviction"),
        ({"proto_max_bulk_len": "512mb"}, "largest value", "warn", "set proto-max-bulk-len 32mb"),
        ({"maxmemory": "0"}, "memory", "warn", "set maxmemory"),
        ({"maxmemory": str(1 << 50)}, "memory", "warn", "lower it"),
        ({"min_replicas_to_write": "1"}, "replication", "fail", "start one"),
    ],
)
def test_a_server_that_is_set_otherwise_is_told_with_the_fix(
    results: Look, config: dict[str, str], check: str, result: str, fix: str
) -> None:
    found = results(**config)[check]
    assert found[0] == result
    assert fix in found[1]


@pytest.mark.parametrize(("room", "result"), [(1.1, "warn"), (1.0, "fail")])
def test_memory_that_is_almost_full_is_told(results: Look, client: Any, room: float, result: str) -> None:
    used = int(client.info("memory")["used_memory"])
    assert results(maxmemory=str(round(used * room)))["memory"][0] == result


def test_a_server_that_has_hardly_room_for_another_client_is_told(results: Look, client: Any) -> None:
    assert "clients" not in results()
    most = int(client.info("clients")["connected_clients"]) + 1
    assert results(maxclients=str(most))["clients"][0] == "warn"


def test_an_append_only_file_that_cannot_be_written_anew_is_told(server: RedisServer, client: Any) -> None:
    folder = Path(client.config_get("dir")["dir"]) / client.config_get("appenddirname")["appenddirname"]
    hidden = folder.with_name("hidden")

    def rewritten(status: str) -> bool:
        info = client.info("persistence")
        return info["aof_last_bgrewrite_status"] == status and not info["aof_rewrite_in_progress"]

    folder.rename(hidden)
    folder.write_text("a file in its place")
    try:
        with contextlib.suppress(redis.ResponseError):  # perhaps it says so at once
            client.execute_command("BGREWRITEAOF")
        assert wait_for(lambda: rewritten("err"), 30)
        found = checks(server.url(0))["append-only file"]
    finally:
        folder.unlink()
        hidden.rename(folder)
    assert found[0] == "fail"
    assert "its disk" in found[1]
    client.execute_command("BGREWRITEAOF")
    assert wait_for(lambda: rewritten("ok"), 30)


def test_a_replica_is_no_place_for_the_state_and_a_primary_must_not_write_without_one(
    server: RedisServer, client: Any, server_binary: ServerBinary, results: Look
) -> None:
    host, port = server.url(0).split("//")[1].split("/")[0].split(":")
    with RedisServer(binary=server_binary) as other, redis.Redis.from_url(other.url(0)) as replica:
        replica.replicaof(host, port)
        assert wait_for(lambda: server_facts(client).replicas == 1, 30)
        assert checks(other.url(0))["replication"][0] == "fail"
        assert results()["replication"][0] == "warn"
        late = results(min_replicas_to_write="1")["replication"]
        assert (late[0], late[1].endswith("set min-replicas-max-lag 1")) == ("warn", True)
        alone = results(min_replicas_max_lag="1")["replication"]
        assert (alone[0], alone[1].endswith("run 2 replicas")) == ("warn", True)
        with RedisServer(binary=server_binary) as third, redis.Redis.from_url(third.url(0)) as another:
            another.replicaof(host, port)
            assert wait_for(lambda: server_facts(client).replicas == 2, 30)
            assert checks(server.url(0))["replication"] == ("ok", "2 connected")
            assert checks(server.url(0), replicas=1)["replication"] == ("ok", "2 connected")
            needs_another = checks(server.url(0), replicas=2)["replication"]
            assert (needs_another[0], needs_another[1].endswith("run 3 replicas")) == ("warn", True)
            stands = checks(server.url(0), replicas=3)["replication"]
            assert (stands[0], "FAXLINE_REDIS_REPLICAS is 3" in stands[1]) == ("fail", True)


def test_a_file_whose_end_redis_would_read_on_by_itself_is_told(
    results: Look, server_binary: ServerBinary
) -> None:
    found = results(appendfsync="always", aof_load_truncated="yes")["append-only file"]
    if server_binary.name == "valkey":  # it leaves all of the transaction out
        assert found == ("ok", "on, appendfsync always")
    else:
        assert found[0] == "warn"
        assert found[1].endswith("set aof-load-truncated no")


@pytest.mark.parametrize(("shift", "word"), [(-60.0, "ahead of"), (60.0, "behind")])
def test_a_clock_that_is_another_than_ours_is_told(client: Any, shift: float, word: str) -> None:
    found = {check.name: check for check in run(client, server_checks(lambda: time.time() + shift))}
    assert str(found["clock"].result) == "warn"
    assert word in found["clock"].text


def test_a_server_open_to_all_on_its_machine_is_told(results: Look) -> None:
    result, text = results()["user"]
    assert result == "warn"
    assert "without a password, open to all on this machine" in text
    assert "rights" not in results()
    assert not any(name.startswith("rights of") for name in results())  # none of our users is there


def test_ids_that_are_used_up_are_told_and_that_a_stream_was_replaced_lately(
    server: RedisServer, client: Any
) -> None:
    assert checks(server.url(0))["streams of default"] == ("ok", "there is room for new ids")
    last = f"{2**64 - 1}-{2**64 - 1}"
    for words in ((), ("MAXLEN", "0")):
        client.delete(KEYS.intake)
        client.execute_command("XADD", KEYS.intake, *words, last, "send", "{}")
        result, text = checks(server.url(0))["streams of default"]
        assert (result, "nobody can push" in text) == ("fail", True)
    client.delete(KEYS.intake)
    seconds, _ = client.time()
    client.hset(KEYS.account_state, "replaced_at:status", seconds * 1000)
    result, text = checks(server.url(0))["streams of default"]
    assert result == "warn"
    assert "status ran out of ids and was replaced at" in text
    assert "as the webhook" in text
    client.hset(KEYS.account_state, "replaced_at:status", (seconds - 8 * 86_400) * 1000)
    assert checks(server.url(0))["streams of default"][0] == "ok"
