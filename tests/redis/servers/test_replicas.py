"""FAXLINE_REDIS_REPLICAS: a push, a receipt and a mark count once so many replicas have them."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import AsyncFaxLine, Fax, FaxLine, NotReplicated, PushInterrupted, QueueUnavailable
from faxline.contract.redis_keys import RedisKeys
from faxline.steps.replicas import Confirmation
from faxline_local.processes import wait_for
from faxline_local.redis_access import Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.ifax import Answer, Decision
from faxline_worker.receipts.status_writer import RedisStatusWriter
from faxline_worker.state.redis_clients import TooFewReplicasError, async_state_client, unserved
from faxline_worker.state.results import Mark
from tests.stage.scene import Scene
from tests.stage.submitting import submitter

KEYS = RedisKeys("default")
WAITS: dict[str, Any] = {"replicas": 1, "replicas_timeout": 0.1}
ASKED = Confirmation(1, 0.1)
NUMBER, FILES = "+12025550123", [("a.txt", b"A letter.")]


class Pair:
    """A primary and its replica; the replica may be frozen, so that it confirms nothing."""

    def __init__(self, primary: RedisServer, replica: RedisServer) -> None:
        self.primary = primary
        self.replica = replica
        self.url = primary.url(0, "producer")

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.primary.url())


@pytest.fixture(scope="module")
def servers(server_binary: ServerBinary, access: Access) -> Iterator[Pair]:
    more = {"repl-diskless-sync-delay": "0", "masteruser": "replica"}
    more["masterauth"] = access.passwords["replica"]
    with (
        RedisServer(binary=server_binary, access=access, options=more) as primary,
        RedisServer(binary=server_binary, access=access, options=more) as replica,
    ):
        with redis.Redis.from_url(replica.url()) as client:
            client.replicaof("127.0.0.1", primary.port)
        with redis.Redis.from_url(primary.url()) as client:
            # Valkey calls a replica online before it has read the primary's file.
            assert wait_for(lambda: client.set("x", "y") and client.wait(1, 1000) == 1, 30)
        yield Pair(primary, replica)


@pytest.fixture
def pair(servers: Pair) -> Iterator[Pair]:
    yield servers
    servers.replica.resume()
    with servers.client as client:
        client.flushall()


def test_a_push_that_a_replica_has_is_as_any_other(pair: Pair) -> None:
    with FaxLine(pair.url, **WAITS) as line, pair.client as client:
        job = line.send(to=NUMBER, files=FILES, id="one")
        assert line.send_many([Fax(to=NUMBER, files=FILES, id=f"many-{i}") for i in range(3)]).jobs[2].entry
        assert client.xlen(KEYS.intake) == 4
        assert job.entry == client.xrange(KEYS.intake)[0][0].decode()
        assert client.keys(KEYS.upload("*"))


def test_a_push_that_no_replica_has_raises_and_says_that_it_is_stored(pair: Pair) -> None:
    pair.replica.pause()
    with FaxLine(pair.url, **WAITS) as line, pair.client as client:
        with pytest.raises(NotReplicated, match=r"0 of 1 replica has it after 0.1 s.*same id is safe"):
            line.send(to=NUMBER, files=FILES, id="one")
        with pytest.raises(NotReplicated):
            line.cancel("one")
        with pytest.raises(PushInterrupted, match=r"0 of 1 replica .*0 of 2 faxes were certainly pushed"):
            line.send_many([Fax(to=NUMBER, files=FILES, id=f"many-{i}") for i in range(2)])
        assert client.xlen(KEYS.intake) == 4


def test_the_asyncio_twin_waits_too(pair: Pair) -> None:
    async def push(name: str) -> str | None:
        async with AsyncFaxLine(pair.url, **WAITS) as line:
            return (await line.send(to=NUMBER, files=FILES, id=name)).entry

    assert asyncio.run(push("one"))
    pair.replica.pause()
    with pytest.raises(NotReplicated):
        asyncio.run(push("two"))


def test_a_push_that_is_refused_is_told_as_without_replicas(pair: Pair) -> None:
    with FaxLine(pair.url, **WAITS) as line, pair.client as client:
        client.set(KEYS.intake, "no stream")
        with pytest.raises(Exception, match=r"Redis at .* refused"):
            line.cancel("one")


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_of_the_callers_own_waits_as_well(pair: Pair, protocol: int) -> None:
    own = redis.Redis.from_url(pair.url, protocol=protocol)
    with own, FaxLine(own, **WAITS) as line:
        assert line.push("cancel", {"id": "one"})


def test_receipts_that_no_replica_has_are_none_and_all_who_wait_are_told(pair: Pair) -> None:
    async def store(count: int) -> list[BaseException | None]:
        client = async_state_client(pair.primary.url(0, "webhook"))
        try:
            writer = RedisStatusWriter(client, [KEYS.account], confirmation=ASKED)
            adds = (writer.add("default", {"body": b"%d" % i}) for i in range(count))
            return await asyncio.gather(*adds, return_exceptions=True)
        finally:
            await client.aclose()

    assert asyncio.run(store(3)) == [None] * 3
    pair.replica.pause()
    refused = asyncio.run(store(2))
    assert all(isinstance(error, TooFewReplicasError) for error in refused)


@pytest.fixture
def scene(pair: Pair) -> Iterator[Scene]:
    with pair.client as client:
        yield Scene(client, REDIS_REPLICAS="1", REDIS_REPLICAS_TIMEOUT="0.1")


def turn(scene: Scene) -> Mock:
    """One turn of a worker; the call to iFax, which begins with the mark."""

    def sent(_endpoint: Any, _token: str, _body: Any, mark: Callable[[], None], **_about: Any) -> Answer:
        mark()
        return call()  # type: ignore[no-any-return]

    call = Mock(return_value=Answer(Decision.ACCEPTED, 200, None, "accepted", "", 77, None))
    submitter(scene.store, Mock(timeout=5.0, rate=250_000, call=sent), patience=60).turn("")
    return call


def test_only_a_push_that_the_replicas_have_is_missed_where_redis_went_back(pair: Pair, scene: Scene) -> None:
    scene.push("had")
    pair.replica.pause()
    scene.push("not had")
    scene.store.intake.cancel(scene.intake("cancel"), "had")
    assert [action.item()["job"] for action in scene.store.memory.after("0-0").actions] == ["had"]


def test_a_job_whose_mark_no_replica_has_goes_back_to_its_place_without_an_attempt(
    pair: Pair, scene: Scene
) -> None:
    scene.push("one", request='{"faxData":[]}')
    pair.replica.pause()
    assert not turn(scene).called
    record = scene.record("one")
    assert (record["state"], record["attempt"]) == ("queued", "0")
    assert not any(map(scene.client.exists, (scene.keys.permits, scene.keys.answers)))  # no limit counts it
    pair.replica.resume()
    assert turn(scene).called
    assert scene.state("one") == "submitted"


def test_a_mark_that_is_there_already_is_written_and_asked_about_again(pair: Pair, scene: Scene) -> None:
    scene.push("one")
    admitted = scene.admit()
    pair.replica.pause()
    for _ in range(2):  # Valkey says yes to a connection that has written nothing
        scene.client.connection_pool.disconnect()
        with pytest.raises(TooFewReplicasError, match="0 of 1"):
            scene.store.submission.mark(admitted)
    pair.replica.resume()
    assert scene.store.submission.mark(admitted) is Mark.MARKED


def test_a_mark_is_confirmed_also_where_the_script_is_not_known_yet(pair: Pair, scene: Scene) -> None:
    scene.push("one")
    admitted = scene.admit()
    scene.client.script_flush()
    assert scene.store.submission.mark(admitted) is Mark.MARKED
    scene.client.script_flush()
    pair.replica.pause()
    with pytest.raises(TooFewReplicasError):
        scene.store.submission.mark(admitted)


def test_without_replicas_no_command_is_added(redis_url: str) -> None:
    with FaxLine(redis_url) as line, redis.Redis.from_url(redis_url) as client:
        client.config_resetstat()
        line.push("cancel", {"id": "one"})
        assert "cmdstat_wait" not in client.info("commandstats")


def test_the_errors_say_that_the_caller_may_go_on() -> None:
    assert unserved(TooFewReplicasError())
    assert unserved(redis.ResponseError("Command # 1 (SET a b) of pipeline caused error: MISCONF no file"))
    assert unserved(redis.exceptions.NoScriptError("No matching script."))
    with pytest.raises(ValueError, match="replicas"):
        FaxLine("redis://127.0.0.1:1/0", replicas=-1)


def test_a_server_that_takes_no_writes_is_not_taken_for_a_user_without_a_right(
    server_binary: ServerBinary,
) -> None:
    with RedisServer(binary=server_binary) as server, redis.Redis.from_url(server.url()) as client:
        client.config_set("min-replicas-to-write", 1)
        for line in (FaxLine(server.url()), FaxLine(client), FaxLine(server.url(), **WAITS)):
            with line, pytest.raises(QueueUnavailable, match=r"too few replicas .*same id is safe"):
                line.cancel("one")
        client.config_set("min-replicas-to-write", 0)
        client.replicaof("127.0.0.1", server.port)
        with FaxLine(client) as line, pytest.raises(QueueUnavailable, match="it is a replica"):
            line.cancel("one")
