"""The clients of a cluster, with threads and with asyncio, against nodes that say what the test wants."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline.contract.connections import cluster_topology
from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_client_async import AsyncClusterClient
from faxline.contract.connections.cluster_slots import Course, SlotMap
from faxline.contract.connections.redis_url import connect, connect_async
from tests.scripted_nodes import (
    OK,
    QUEUED,
    Cluster,
    Words,
    array,
    bulk,
    error,
    named,
    number,
    refusing,
    scripted,
)

KEY, OTHER = "fax:{default}:account", "fax:{acme}:account"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with scripted() as cluster:
        cluster.give(OTHER, cluster.nodes[1])
        yield cluster


def get(client: Any) -> Any:
    return client.hgetall(KEY)


def queue(*commands: tuple[Any, ...], transaction: bool = False) -> Callable[[Any], Any]:
    def execute(client: Any) -> Any:
        pipe = client.pipeline(transaction=transaction)
        for command in commands:
            pipe.execute_command(*command)
        return pipe.execute()

    return execute


RECORD, FIELDS = {b"a": b"b"}, array(bulk("a"), bulk("b"))


def test_each_command_goes_to_the_node_that_owns_the_slot_of_its_key(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes
    first.answer = second.answer = lambda words: array(bulk("0"), array()) if words[0] == b"SCAN" else array()
    run(
        cluster.url,
        lambda client: client.get(KEY),
        lambda client: client.get(OTHER),
        lambda client: client.evalsha("0" * 40, 1, OTHER, KEY),
        lambda client: client.execute_command("XREAD", "BLOCK", 1, "STREAMS", OTHER, "$"),
        lambda client: client.execute_command("SCAN", 0, "MATCH", "fax:{acme}:*"),
    )
    assert named(first.said) == ["GET"]
    assert named(second.said) == ["GET", "EVALSHA", "XREAD", "SCAN"]


def test_moved_is_followed_at_once_and_remembered(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes
    first.answer = lambda _: cluster.says("MOVED", KEY, second)
    second.answer = lambda _: FIELDS
    assert run(cluster.url, get, get) == [RECORD, RECORD]
    assert (len(first.said), len(second.said)) == (1, 2)


def test_ask_is_followed_for_one_command_on_one_connection_and_its_reply_is_parsed(
    run: Any, cluster: Cluster
) -> None:
    first, second = cluster.nodes
    first.answer = lambda _: cluster.says("ASK", KEY, second)
    second.answer = lambda _: FIELDS
    assert run(cluster.url, get, get) == [RECORD, RECORD]
    assert len(first.said) == 2
    used = [words for words in second.connections if words]
    assert [named(words) for words in used] == [["ASKING", "HGETALL", "ASKING", "HGETALL"]]


@pytest.mark.parametrize(
    "refusal",
    [
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "CLUSTERDOWN The cluster is down",
        "READONLY You can't write against a read only replica.",
        "NOREPLICAS Not enough good replicas to write.",
        "LOADING Redis is loading the dataset in memory",
    ],
)
def test_a_node_that_does_not_serve_at_the_moment_is_asked_again(
    run: Any, cluster: Cluster, refusal: str
) -> None:
    cluster.nodes[0].answer = refusing(2, error(refusal), FIELDS)
    assert run(cluster.url, get) == [RECORD]
    assert len(cluster.nodes[0].said) == 3


def test_another_refusal_is_raised_at_once(run: Any, cluster: Cluster) -> None:
    cluster.nodes[0].answer = lambda _: error("WRONGTYPE Operation against a key holding the wrong kind")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        run(cluster.url, get)
    assert len(cluster.nodes[0].said) == 1


def test_what_stays_refused_is_raised_after_a_while(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.2)
    cluster.nodes[0].answer = lambda _: error("TRYAGAIN Multiple keys")
    with pytest.raises(redis.exceptions.TryAgainError):
        run(cluster.url, get)
    assert len(cluster.nodes[0].said) > 1


def test_after_a_lost_node_the_others_are_asked_who_took_its_slots(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes

    def die(_: Words) -> None:
        cluster.owners = [second] * 16384

    first.answer = die
    second.answer = lambda _: FIELDS
    assert run(cluster.url, get, get) == [RECORD, RECORD]
    assert (len(first.said), len(second.said)) == (1, 2)


def test_a_node_that_stays_away_is_tried_more_and_more_rarely() -> None:
    course = Course(SlotMap([("127.0.0.1", 1)]), 1, patience=600.0)
    lost = [course.after(redis.ConnectionError("gone"), ("127.0.0.1", 1)) for _ in range(5)]
    refused = [course.after(redis.exceptions.TryAgainError(), ("127.0.0.1", 1)) for _ in range(5)]
    assert lost == [0.05, 0.1, 0.2, 0.4, 0.4]
    assert refused == [0.05] * 5


def test_a_node_that_was_cut_off_and_still_answers_what_held_before_holds_nobody_up(
    run: Any, cluster: Cluster
) -> None:
    first, second = cluster.nodes
    before = cluster.slots()
    second.answer = lambda _: FIELDS

    def lose(_: Words) -> bytes:
        cluster.owners = [second] * 16384
        first.slots = lambda: before
        return error("CLUSTERDOWN The cluster is down")

    first.answer = lose
    assert run(cluster.url, *[get] * 8) == [RECORD] * 8
    assert len(second.said) == 8


def test_nodes_that_are_all_gone_are_told_as_a_lost_connection(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.1)
    for node in cluster.nodes:
        node.answer = lambda _: None
    with pytest.raises(redis.ConnectionError):
        run(cluster.url, get)


def test_a_pipeline_is_sent_in_a_part_for_each_node_and_keeps_its_order(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes
    first.answer, second.answer = lambda _: bulk("1"), lambda _: bulk("2")
    (replies,) = run(cluster.url, queue(("GET", KEY), ("GET", OTHER), ("GET", KEY), ("GET", OTHER)))
    assert replies == [b"1", b"2", b"1", b"2"]
    assert len(first.said) == len(second.said) == 2


def test_of_a_pipeline_only_what_was_redirected_is_sent_again(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes
    third = "fax:{third}:account"
    first.answer = lambda words: cluster.says("MOVED", KEY, second) if words[1] == KEY.encode() else bulk("1")
    second.answer = lambda _: bulk("2")
    (replies,) = run(cluster.url, queue(("GET", third), ("GET", KEY)))
    assert replies == [b"1", b"2"]
    assert [words for words in first.said if words[1] == third.encode()] == [(b"GET", third.encode())]


@pytest.mark.parametrize("refusal", [None, error("CLUSTERDOWN The cluster is down")])
def test_a_part_that_fails_fails_alone(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, refusal: bytes | None
) -> None:
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.1)
    first, second = cluster.nodes
    first.answer, second.answer = lambda _: refusal, lambda _: bulk("2")

    def both(client: Any) -> Any:
        pipe = client.pipeline(transaction=False)
        pipe.get(KEY)
        pipe.get(OTHER)
        return pipe.execute(raise_on_error=False)

    (replies,) = run(cluster.url, both)
    assert isinstance(replies[0], redis.RedisError)
    assert replies[1] == b"2"


@pytest.mark.parametrize("refusal", [None, error("CLUSTERDOWN The cluster is down")])
def test_a_part_that_fails_is_raised_if_errors_are_to_be_raised(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, refusal: bytes | None
) -> None:
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.1)
    first, second = cluster.nodes
    first.answer, second.answer = lambda _: bulk("1"), lambda _: refusal
    lost = redis.ConnectionError if refusal is None else redis.exceptions.ClusterDownError
    with pytest.raises(lost):
        run(cluster.url, queue(("GET", KEY), ("GET", OTHER)))


def test_what_was_given_up_is_not_tried_once_more(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.0)
    first, second = cluster.nodes
    first.answer = lambda words: (
        error("CLUSTERDOWN The cluster is down") if words[0] == b"XADD" else number(0)
    )
    second.answer = lambda words: bulk("2-1") if words[0] == b"XADD" else number(1)

    def both(client: Any) -> Any:
        pipe = client.pipeline(transaction=False)
        pipe.execute_command("XADD", KEY, "*", "a", "b")
        pipe.execute_command("XADD", OTHER, "*", "a", "b")
        pipe.execute_command("WAIT", 1, 100)
        return pipe.execute(raise_on_error=False)

    (replies,) = run(cluster.url, both)
    assert isinstance(replies[0], redis.exceptions.ClusterDownError)
    assert replies[1] == b"2-1"
    assert named(first.said) == ["XADD", "WAIT"]


def transacting(*replies: bytes) -> Callable[[Words], bytes]:
    return lambda words: {b"MULTI": OK, b"EXEC": array(*replies)}.get(words[0], QUEUED)


def refusing_transaction(refusal: bytes) -> Callable[[Words], bytes]:
    aborted = error("EXECABORT Transaction discarded because of previous errors.")
    return lambda words: {b"MULTI": OK, b"EXEC": aborted}.get(words[0], refusal)


@pytest.mark.parametrize("word", ["MOVED", "ASK"])
def test_a_transaction_is_redirected_as_a_whole_and_its_replies_are_parsed(
    run: Any, cluster: Cluster, word: str
) -> None:
    first, second = cluster.nodes
    first.answer = refusing_transaction(cluster.says(word, KEY, second))
    second.answer = transacting(FIELDS, number(1))
    (replies,) = run(cluster.url, queue(("HGETALL", KEY), ("HSET", KEY, "a", "b"), transaction=True))
    assert replies == [RECORD, 1]
    begins = ["ASKING"] if word == "ASK" else []
    assert named(second.said) == [*begins, "MULTI", "HGETALL", "HSET", "EXEC"]


@pytest.mark.parametrize("word", ["MOVED", "ASK"])
def test_multi_and_exec_among_the_commands_are_redirected_as_a_whole_with_their_wait(
    run: Any, cluster: Cluster, word: str
) -> None:
    first, second = cluster.nodes
    refused, done = refusing_transaction(cluster.says(word, KEY, second)), transacting(bulk("1-1"))
    first.answer = lambda words: number(0) if words[0] == b"WAIT" else refused(words)
    second.answer = lambda words: number(2) if words[0] == b"WAIT" else done(words)
    pushing = queue(("MULTI",), ("XADD", KEY, "*", "a", "b"), ("EXEC",), ("WAIT", 1, 100))
    assert run(cluster.url, pushing) == [[b"OK", b"QUEUED", [b"1-1"], 2]]
    begins = ["ASKING"] if word == "ASK" else []
    assert named(second.said) == [*begins, "MULTI", "XADD", "EXEC", "WAIT"]


def test_a_transaction_about_two_slots_is_refused_unsent(run: Any, cluster: Cluster) -> None:
    with pytest.raises(redis.ResponseError, match="CROSSSLOT"):
        run(cluster.url, queue(("GET", KEY), ("GET", OTHER), transaction=True))
    assert cluster.nodes[0].said == cluster.nodes[1].said == []


def test_wait_asks_each_node_that_was_written_to_and_answers_the_smallest(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes
    first.answer = lambda words: number(1) if words[0] == b"WAIT" else bulk("1-1")
    second.answer = lambda words: number(0) if words[0] == b"WAIT" else bulk("2-1")
    adding = queue(("XADD", KEY, "*", "a", "b"), ("XADD", OTHER, "*", "a", "b"), ("WAIT", 1, 100))
    assert run(cluster.url, adding) == [[b"1-1", b"2-1", 0]]


def test_a_command_without_a_key_goes_to_a_primary_and_to_another_one_when_that_is_away(
    run: Any, cluster: Cluster
) -> None:
    first, second = cluster.nodes
    first.answer, second.answer = lambda _: None, lambda _: b"+PONG\r\n"
    assert run(cluster.url, *[lambda client: client.ping()] * 2) == [True, True]
    assert named(second.said) == ["PING", "PING"]


def test_a_command_of_one_word_is_about_a_node_and_goes_to_any(run: Any, cluster: Cluster) -> None:
    for node in cluster.nodes:
        node.answer = lambda _: OK
    assert run(cluster.url, lambda client: client.execute_command("BGREWRITEAOF")) == [True]


def test_the_nodes_are_the_primaries_of_this_moment(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_topology, "EVERY", 0.0)
    first, second = cluster.nodes
    with connect(cluster.url, protocol=2) as client:
        assert isinstance(client, ClusterClient)

        def ports() -> list[int]:
            return [node.get_connection_kwargs()["port"] for node in client.nodes]

        assert sorted(ports()) == sorted([first.port, second.port])
        cluster.owners = [second] * 16384
        assert ports() == [second.port]


def test_slots_that_moved_are_noticed_without_a_command(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_topology, "EVERY", 0.0)
    cluster.nodes[0].answer = cluster.nodes[1].answer = lambda _: b"+PONG\r\n"

    async def run() -> list[int]:
        client = connect_async(cluster.url, protocol=2)
        assert isinstance(client, AsyncClusterClient)
        before = [await client.look_for_changes() for _ in range(2)]
        cluster.owners = [cluster.nodes[1]] * 16384
        after = [await client.look_for_changes() for _ in range(2)]
        await client.aclose()
        return before + after

    assert asyncio.run(run()) == [0, 0, 1, 1]


def test_who_owns_the_slots_is_asked_on_a_connection_that_is_kept(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_topology, "EVERY", 0.0)
    with connect(cluster.url, protocol=2) as client:
        assert isinstance(client, ClusterClient)
        for _ in range(10):
            assert len(client.nodes) == 2
    assert sum(node.asked for node in cluster.nodes) >= 10
    assert [len(node.connections) for node in cluster.nodes] == [1, 1]


def test_of_forty_threads_that_lose_a_node_one_asks_who_took_its_slots(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_topology, "EVERY", 600.0)
    first, second = cluster.nodes
    together = threading.Barrier(40)
    found: list[Any] = []

    def die(_: Words) -> None:
        together.wait(timeout=30)
        cluster.owners = [second] * 16384

    first.answer, second.answer = die, lambda _: FIELDS
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 30.0)
    with connect(cluster.url, protocol=2) as client:
        workers = [threading.Thread(target=lambda: found.append(client.hgetall(KEY))) for _ in range(40)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert found == [RECORD] * 40
    assert first.asked + second.asked == 2  # at the start, and when the node was lost
