"""The webhook on a cluster: a node that does not answer holds up no webhook of another one."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.observability.http_server import Note
from faxline_worker.processes.webhook import NodesAway
from faxline_worker.receipts.status_writer import RedisStatusWriter
from faxline_worker.state.entry_checks import away_to_add
from faxline_worker.state.redis_clients import async_state_client, state_client
from tests.scripted_nodes import Cluster, Words, bulk, error, scripted

FIELDS = {"kind": b"receipt", "body": b"{}"}


def test_webhooks_of_a_node_that_answers_do_not_wait_for_one_that_does_not() -> None:
    came, goes_on = threading.Event(), threading.Event()

    def add(words: Words) -> bytes:
        return bulk("1-1") if words[0] == b"XADD" else b"+PONG\r\n"

    def add_late(words: Words) -> bytes:
        if words[0] == b"XADD":
            came.set()
            goes_on.wait()
        return add(words)

    async def scenario(url: str) -> None:
        client = async_state_client(url, socket_timeout=60.0)
        await client.ping()
        writer = RedisStatusWriter(client, ["acme"], timeout=60.0)
        late = asyncio.create_task(writer.add("default", FIELDS))
        await asyncio.to_thread(came.wait)
        try:
            async with asyncio.timeout(10.0):
                await writer.add("acme", FIELDS)
            assert not late.done()
        finally:
            goes_on.set()
            await late
            await client.aclose()

    with scripted() as cluster:
        first, second = cluster.nodes
        cluster.give(RedisKeys("acme").status, second)
        first.answer, second.answer = add_late, add
        asyncio.run(scenario(cluster.url))


ACCOUNTS = ("default", "acme")
STREAMS = [RedisKeys(account).status for account in ACCOUNTS]


def probed(words: Words, answer: bytes) -> bytes:
    return answer if words[0] == b"XADD" else b"+PONG\r\n"


def takes(words: Words) -> bytes:
    """What a server answers to the probe if it would take an entry."""
    return probed(words, error("ERR The ID specified in XADD must be greater than 0-0"))


def refuses(words: Words) -> bytes:
    return probed(words, error("READONLY You can't write against a read only replica."))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Each account is on a node of its own; both would take entries."""
    with scripted() as made:
        made.give(STREAMS[1], made.nodes[1])
        for node in made.nodes:
            node.answer = takes
        yield made


Look = Callable[[Cluster], list[str]]


def ping(cluster: Cluster) -> list[str]:
    """Which nodes the webhook's own probe finds away."""

    async def scenario() -> list[str]:
        client = async_state_client(cluster.url, socket_timeout=60.0)
        try:
            async with asyncio.timeout(20.0):  # the probe itself gives up on a node that hangs
                return list(await RedisStatusWriter(client, ACCOUNTS).ping())
        finally:
            await client.aclose()

    return asyncio.run(scenario())


def probe(cluster: Cluster) -> list[str]:
    """Which nodes the monitoring port's probe finds away."""
    client = state_client(cluster.url, socket_timeout=0.3)
    try:
        return away_to_add(client, STREAMS)
    finally:
        client.close()


LOOKS = pytest.mark.parametrize("look", [ping, probe])


@LOOKS
def test_a_webhook_is_ready_while_any_node_of_its_accounts_takes_entries_and_names_the_others(
    cluster: Cluster, look: Look
) -> None:
    assert look(cluster) == []
    for node, other in (cluster.nodes, reversed(cluster.nodes)):
        node.answer = refuses
        assert look(cluster) == [f"127.0.0.1:{node.port}"]
        node.answer, other.answer = takes, takes


@LOOKS
def test_a_node_that_hangs_is_named_as_one_that_is_away(cluster: Cluster, look: Look) -> None:
    goes_on = threading.Event()

    def hang(words: Words) -> bytes:
        if words[0] == b"XADD":
            goes_on.wait()
        return takes(words)

    first, _ = cluster.nodes
    first.answer = hang
    try:
        assert look(cluster) == [f"127.0.0.1:{first.port}"]
    finally:
        goes_on.set()


@LOOKS
def test_a_webhook_is_not_ready_if_no_node_takes_entries(cluster: Cluster, look: Look) -> None:
    for node in cluster.nodes:
        node.answer = refuses
    with pytest.raises(redis.RedisError):
        look(cluster)


@LOOKS
def test_a_node_that_gave_an_account_away_is_not_away(cluster: Cluster, look: Look) -> None:
    first, second = cluster.nodes
    second.answer = lambda words: probed(words, cluster.says("MOVED", STREAMS[1], first))
    assert look(cluster) == []


@LOOKS
def test_a_webhook_is_ready_while_no_node_serves_one_account_but_not_if_none_serves_any(
    cluster: Cluster, look: Look
) -> None:
    for stream in STREAMS:
        assert look(cluster) == []
        cluster.take(stream)
    with pytest.raises(redis.RedisError):
        look(cluster)


def test_the_nodes_that_are_away_are_logged_when_they_change() -> None:
    log = Mock()
    nodes = NodesAway(log)
    assert nodes.found([]) is True
    for _ in range(2):
        found = nodes.found(["10.0.0.1:6379"])
        assert isinstance(found, Note)
        assert "10.0.0.1:6379" in found
    assert nodes.found([]) is True
    assert (log.warning.call_count, log.info.call_count) == (1, 1)
