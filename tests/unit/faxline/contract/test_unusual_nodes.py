"""What the clients of a cluster do about nodes that say what a well kept one does not."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline.contract.connections import cluster_topology
from faxline.contract.connections.redis_url import connect, connect_async
from faxline.steps.redis_errors import cause_of
from faxline_worker.state.scripts import Script
from tests.scripted_nodes import Cluster, Node, array, bulk, error, named, number, scripted, slot

KEY, OTHER = "fax:{default}:account", "fax:{acme}:account"
ALL = 16384


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Two nodes, which are asked for the slots as often as somebody wants to know them."""
    monkeypatch.setattr(cluster_topology, "EVERY", 0.0)
    with scripted() as cluster:
        for node in cluster.nodes:
            node.answer = lambda _: bulk("here")
        yield cluster


def get(client: Any) -> Any:
    return client.get(KEY)


def queued(client: Any) -> Any:
    pipe = client.pipeline(transaction=False)
    pipe.get(KEY)
    pipe.get(OTHER)
    return pipe.execute()


def whole(client: Any) -> Any:
    pipe = client.pipeline(transaction=True)
    pipe.get(KEY)
    return pipe.execute()


def test_a_node_that_lost_its_memory_and_knows_no_other_is_not_believed(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes
    cluster.owners = [second] * ALL
    first.slots = array
    assert run(cluster.url, get, queued) == [b"here", [b"here", b"here"]]
    assert not first.said


def test_nodes_of_which_nobody_made_a_cluster_are_told_as_such(run: Any, cluster: Cluster) -> None:
    for node in cluster.nodes:
        node.slots = array
    with pytest.raises(redis.ConnectionError) as refused:
        run(cluster.url, get)
    assert cause_of(refused.value).startswith("has no slots")


@pytest.mark.parametrize("call", [get, queued], ids=["a command", "a pipeline"])
def test_a_slot_that_nobody_owned_for_a_moment_is_found_as_soon_as_somebody_does(
    run: Any, cluster: Cluster, call: Any
) -> None:
    first, second = cluster.nodes
    cluster.give(OTHER, second)
    cluster.take(KEY)
    ring = iter(range(1000))

    def mended() -> bytes:
        if next(ring) == 2:
            cluster.give(KEY, first)
        return cluster.slots()

    for node in cluster.nodes:
        node.slots = mended
    run(cluster.url, call)
    assert named(first.said) == ["GET"]


@pytest.mark.parametrize("call", [get, queued, whole], ids=["a command", "a pipeline", "a transaction"])
def test_a_slot_that_nobody_owns_is_told_after_a_while_and_found_later(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, call: Any
) -> None:
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.1)
    first, second = cluster.nodes
    cluster.give(OTHER, second)
    cluster.take(KEY)
    with pytest.raises(redis.exceptions.ClusterDownError):
        run(cluster.url, call)
    assert not first.said


@pytest.fixture
def twin(cluster: Cluster) -> Iterator[Node]:
    """A node that has the port of the first one, as in most clusters, on another host; it owns all slots."""
    twin = Node(cluster, ("127.0.0.2", cluster.nodes[0].port))
    twin.answer = lambda _: bulk("there")
    yield twin
    twin.stop()


def nameless(twin: Node, host: bytes) -> bytes:
    place = array(host, number(twin.port), bulk("id"), array(bulk("ip"), bulk("127.0.0.2")))
    return array(array(number(0), number(ALL - 1), place))


def test_a_node_without_the_name_that_is_preferred_is_reached_by_its_address(
    run: Any, cluster: Cluster, twin: Node
) -> None:
    first, second = cluster.nodes
    first.slots = second.slots = lambda: nameless(twin, bulk("?"))
    assert run(cluster.url, get) == [b"there"]


def test_moved_to_a_node_without_a_name_goes_where_the_slots_say(
    run: Any, cluster: Cluster, twin: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = cluster.nodes
    looked = list[str]()
    look_up = socket.getaddrinfo

    def note(host: Any, *more: Any, **how: Any) -> Any:
        looked.append(host)
        return look_up(host, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", note)

    def refuse(_: Any) -> bytes:
        first.slots = second.slots = lambda: nameless(twin, bulk("?"))
        return error(f"MOVED {slot(KEY)} ?:{twin.port}")

    first.answer = refuse
    assert run(cluster.url, get, get) == [b"there", b"there"]
    assert len(first.said) == 1
    assert "?" not in looked


def test_ask_to_a_node_without_a_name_waits_until_the_slot_is_there(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes

    def refuse(_: Any) -> bytes:
        if len(first.said) > 1:
            cluster.owners = [second] * ALL
        return error(f"{'ASK' if cluster.owners[0] is first else 'MOVED'} {slot(KEY)} ?:{second.port}")

    first.answer = refuse
    assert run(cluster.url, get) == [b"here"]
    assert named(second.said) == ["GET"]


def test_a_node_that_has_no_name_at_all_is_reached_where_the_asked_one_is(run: Any, cluster: Cluster) -> None:
    first, second = cluster.nodes
    place = array(b"$-1\r\n", number(second.port), bulk("id"))
    first.slots = lambda: array(array(number(0), number(ALL - 1), place))
    assert run(cluster.url, get) == [b"here"]
    assert (len(first.said), len(second.said)) == (0, 1)


def test_nodes_that_send_a_command_round_in_a_circle_are_left_after_a_while(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.3)
    first, second = cluster.nodes
    first.answer = lambda _: cluster.says("MOVED", KEY, second)
    second.answer = lambda _: cluster.says("MOVED", KEY, first)
    with pytest.raises(redis.exceptions.MovedError):
        run(cluster.url, get)
    assert len([*first.said, *second.said]) < 20


@pytest.mark.parametrize(("call", "replies"), [(get, 1), (queued, 2)], ids=["a command", "a pipeline"])
def test_who_has_no_time_for_another_try_goes_elsewhere_the_next_time(
    run: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, call: Any, replies: int
) -> None:
    """As a caller whose time was over when a node that hangs had not answered."""
    monkeypatch.setattr("faxline.contract.connections.redis_url.PATIENCE", 0.0)
    first, second = cluster.nodes
    left = iter([bulk("here")] * replies)

    def die(_: Any) -> bytes | None:
        if (reply := next(left, None)) is None:
            cluster.owners = [second] * ALL
        return reply

    def attempt(client: Any) -> Any:
        try:
            found = call(client)
        except redis.ConnectionError as error:
            return error
        return awaited(found) if asyncio.iscoroutine(found) else found

    async def awaited(found: Any) -> Any:
        try:
            return await found
        except redis.ConnectionError as error:
            return error

    first.answer = die
    before, lost, after = run(cluster.url, attempt, attempt, attempt)
    assert isinstance(lost, redis.ConnectionError)
    assert before == after


def test_who_is_cancelled_while_a_node_hangs_goes_elsewhere_the_next_time(cluster: Cluster) -> None:
    first, second = cluster.nodes
    asked, over = threading.Event(), threading.Event()

    def hang(_: Any) -> None:
        cluster.owners = [second] * ALL
        asked.set()
        over.wait()

    first.answer = hang

    async def run() -> Any:
        async with connect_async(cluster.url, protocol=2, socket_timeout=600) as client:
            lost: asyncio.Task[Any] = asyncio.ensure_future(client.get(KEY))
            await asyncio.to_thread(asked.wait)
            while not lost.done():  # Python 3.11's wait_for, as of the sending, may lose a cancellation
                lost.cancel()
                await asyncio.sleep(0)
            assert lost.cancelled()
            return await asyncio.wait_for(client.get(KEY), 30)

    try:
        assert asyncio.run(run()) == b"here"
    finally:
        over.set()


def test_a_script_is_loaded_on_a_node_that_owns_no_slot_yet(cluster: Cluster) -> None:
    first, second = cluster.nodes
    known = dict.fromkeys(cluster.nodes, False)

    def answer(node: Any) -> Callable[[Any], bytes]:
        def reply(words: Any) -> bytes:
            if words[0] == b"SCRIPT":
                known[node] = True
                return bulk("sha")
            if node is first:
                return cluster.says("ASK", KEY, second)
            return bulk("done") if known[node] else error("NOSCRIPT No matching script.")

        return reply

    for node in cluster.nodes:
        node.answer = answer(node)
    with connect(cluster.url, protocol=2) as client:
        script = Script(client, "return 1")
        assert script([KEY], []) == b"done"
        known[second] = False
        assert script.each([([KEY], []), ([KEY], [])]) == [b"done", b"done"]
