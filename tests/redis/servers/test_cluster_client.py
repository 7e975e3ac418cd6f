"""The clients of a cluster on a real one: while slots move, and when a primary dies."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline.contract.connections.redis_url import connect, connect_async
from faxline_local.redis_cluster import RedisCluster
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary

pytestmark = pytest.mark.slow

KEYS = [f"fax:{{{name}}}:account" for name in ("default", "acme", "globex", "initech")]


def test_commands_pipelines_and_transactions_reach_the_accounts_wherever_they_are(
    redis_cluster: RedisCluster,
) -> None:
    with connect(redis_cluster.url(), protocol=2) as client:
        for key in KEYS:
            client.delete(key)  # others use the cluster, too
            client.hset(key, "name", key)
        pipe = client.pipeline(transaction=False)
        for key in KEYS:
            pipe.hgetall(key)
            pipe.time()
        assert pipe.execute()[::2] == [{b"name": key.encode()} for key in KEYS]
        pipe = client.pipeline(transaction=True)
        pipe.time().hgetall(KEYS[0]).hset(KEYS[0], "a", "b")
        assert pipe.execute()[1:] == [{b"name": KEYS[0].encode()}, 1]
        assert {redis_cluster.owner_of(key).port for key in KEYS} <= {
            node.get_connection_kwargs()["port"] for node in client.nodes
        }


def test_asyncio_does_the_same(redis_cluster: RedisCluster) -> None:
    async def run() -> Any:
        async with connect_async(redis_cluster.url(), protocol=2) as client:
            pipe = client.pipeline(transaction=False)
            for key in KEYS:
                pipe.hset(key, "again", key)
                pipe.hget(key, "again")
            return await pipe.execute()

    assert asyncio.run(run())[1::2] == [key.encode() for key in KEYS]


@pytest.mark.parametrize("user", ["producer", "webhook", "dispatcher", "worker", "operator", "archive"])
def test_each_user_may_ask_who_owns_the_slots(redis_cluster: RedisCluster, user: str) -> None:
    with connect(redis_cluster.url(user), protocol=2) as client:
        assert len(client.nodes) == 3


def test_each_command_runs_once_while_slots_move(redis_cluster: RedisCluster) -> None:
    """Each thread counts in its account, and lists the numbers: one more or less shows."""
    done, stop = dict.fromkeys(KEYS, 0), threading.Event()

    def count(client: redis.Redis, key: str) -> None:
        while not stop.is_set():
            if done[key] % 2:
                client.eval(
                    "redis.call('RPUSH', KEYS[2], ARGV[1]) return redis.call('INCR', KEYS[1])",
                    *(2, f"{key}:count", f"{key}:list"),
                    done[key],
                )
            else:
                pipe = client.pipeline(transaction=True)
                pipe.incr(f"{key}:count")
                pipe.rpush(f"{key}:list", done[key])
                pipe.execute()
            done[key] += 1

    with connect(redis_cluster.url(), protocol=2) as client:
        client.delete(*[f"{KEYS[0]}:count", f"{KEYS[0]}:list"])
        threads = [threading.Thread(target=count, args=(client, key)) for key in KEYS]
        for thread in threads:
            thread.start()
        primaries = {redis_cluster.owner_of(key).port: redis_cluster.owner_of(key) for key in KEYS}
        try:
            for target in [*primaries.values(), *primaries.values()]:
                for key in KEYS:
                    redis_cluster.move(key, target)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for key in KEYS:
            assert done[key] > 0
            assert client.get(f"{key}:count") == str(done[key]).encode()
            assert client.lrange(f"{key}:list", 0, -1) == [str(n).encode() for n in range(done[key])]


def test_a_primary_that_dies_is_followed_to_its_replica(
    server_binary: ServerBinary, wait_until: Callable[..., Any]
) -> None:
    with RedisCluster(binary=server_binary) as cluster, connect(cluster.url(), protocol=2) as client:
        for key in KEYS:
            client.set(key, "1")
        old = cluster.owner_of(KEYS[0])
        client.wait(1, 5000)
        with redis.Redis.from_url(old.url()) as itself:
            itself.wait(1, 5000)
        old.kill()

        def goes_on() -> bool:
            try:
                return bool(client.incr(KEYS[0]) >= 2)
            except redis.RedisError:
                return False

        wait_until(goes_on, timeout=60)
        assert cluster.owner_of(KEYS[0]) is not old
        assert all(client.get(key) for key in KEYS)


@pytest.mark.parametrize("replicas", [1, 2])
def test_where_writing_demands_a_replica_it_goes_on_after_a_failover_with_two_and_stops_with_one(
    server_binary: ServerBinary, wait_until: Callable[..., Any], replicas: int
) -> None:
    options = {"min-replicas-to-write": "1", "min-replicas-max-lag": "1"}
    with (
        RedisCluster(binary=server_binary, replicas=replicas, options=options) as cluster,
        connect(cluster.url(), protocol=2) as client,
    ):
        client.set(KEYS[0], "1")
        old = cluster.owner_of(KEYS[0])
        old.kill()
        wait_until(lambda: cluster.owner_of(KEYS[0]) is not old, timeout=60)

        def increase() -> Any:
            try:
                return client.incr(KEYS[0])
            except redis.RedisError as error:
                return str(error)

        if replicas == 1:
            wait_until(lambda: "Not enough good replicas" in str(increase()), timeout=60)
            old.restart()
        wait_until(lambda: isinstance(increase(), int), timeout=60)


def test_names_are_followed_and_a_node_without_one_or_without_memory_hinders_nobody(
    server_binary: ServerBinary, wait_until: Callable[..., Any]
) -> None:
    with RedisCluster(binary=server_binary) as cluster:
        nameless, *others = cluster.servers
        for server in cluster.servers:
            cluster.ask(server, "CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
        for server in others:
            cluster.ask(server, "CONFIG", "SET", "cluster-announce-hostname", "localhost")
        forgetful = cluster.servers[-1]

        def hosts(server: RedisServer) -> list[bytes]:
            return sorted(primary[0] for _, _, primary, *_ in cluster.ask(server, "CLUSTER", "SLOTS"))

        known = [b"?", b"localhost", b"localhost"]
        wait_until(lambda: all(hosts(server) == known for server in cluster.servers), timeout=60)
        cluster.ask(forgetful, "CLUSTER", "RESET", "HARD")
        url = f"redis+cluster://127.0.0.1:{forgetful.port},127.0.0.1:{nameless.port}"
        with connect(url, protocol=2) as client:
            pipe = client.pipeline(transaction=False)
            for key in KEYS:
                client.set(key, key)
                pipe.get(key)
            assert pipe.execute() == [key.encode() for key in KEYS]
            places = {node.get_connection_kwargs()["host"] for node in client.nodes}
        assert places == {"localhost", "127.0.0.1"}
