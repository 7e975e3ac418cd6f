"""A failover under those who are at work: each client's connections are warm before it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from faxline import AsyncFaxLine, FaxLine
from faxline.contract.connections.sentinels import AsyncSentinels, Sentinels
from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.redis_access import Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.state.entry_checks import check_adds
from faxline_worker.state.redis_clients import (
    async_state_client,
    broker_client,
    check_writes,
    state_client,
    unserved,
)
from tests.sentinels import Watched

KEYS = RedisKeys("default")
THREADS = 3


@pytest.fixture
def watched(server_binary: ServerBinary, access: Access) -> Iterator[Watched]:
    with Watched(server_binary, access) as running:
        yield running


def persistently(work: Callable[[], Any]) -> Any:
    """What the work gives: as all of ours it goes on while the server is away, and ends by another error."""
    pause = threading.Event()
    for _ in range(400):
        try:
            return work()
        except redis.RedisError as error:
            if not unserved(error):
                raise
            pause.wait(0.05)
    raise AssertionError("the server stayed away")


class Warm:
    """Threads that each keep a connection of their own, a blocking reader, and one on an event loop."""

    def __init__(self, watched: Watched) -> None:
        self.client = state_client(watched.url("worker"), name="worker", threads=True)
        self.broker = broker_client(watched.url("worker", 1))
        self.line = FaxLine(watched.url("producer"))
        self.pool = ThreadPoolExecutor(THREADS)
        self.reader = ThreadPoolExecutor(1)
        self.ends = threading.Event()
        self.together = threading.Barrier(THREADS)
        self.loop = asyncio.Runner()
        self.async_client = async_state_client(watched.url("webhook"))
        self.async_line = AsyncFaxLine(watched.url("producer"))

    def __enter__(self) -> Self:
        self.all_write("before")
        self.waiting = self.reader.submit(persistently, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.set()
        self.pool.shutdown()
        self.reader.shutdown()
        self.loop.run(self.async_client.aclose())
        self.loop.run(self.async_line.close())
        self.loop.close()
        for client in (self.client, self.broker, self.line):
            client.close()

    def _take(self) -> Any:
        reply: Any = None
        while reply is None and not self.ends.is_set():
            reply = self.broker.blpop(["wake-ups:faxline"], 1)
        return reply and reply[1]

    def all_write(self, word: str) -> None:
        """Each writes something, by the connection that it has."""

        def on_a_thread(number: int) -> None:
            self.together.wait(30)
            persistently(lambda: self.client.xadd(KEYS.events, {"event": f"{word}-{number}"}))

        list(self.pool.map(on_a_thread, range(THREADS)))
        persistently(lambda: self.broker.rpush("wake-ups:other", word))

        def push() -> str:
            try:
                return self.line.push("cancel", {"id": word})
            except Exception as error:
                raise RedisConnectionError from error

        persistently(push)

        async def store() -> None:
            for _ in range(400):
                try:
                    await self.async_client.xadd(KEYS.status, {"body": word})
                    await self.async_line.push("cancel", {"id": f"async-{word}"})
                except Exception:  # noqa: BLE001 - while nobody is the primary
                    await asyncio.sleep(0.05)
                else:
                    return

        self.loop.run(store())


def words_on(server: RedisServer) -> set[str]:
    """The words that `Warm.all_write` wrote to a server, without the numbers of its repetitions."""
    with redis.Redis.from_url(server.url()) as client, redis.Redis.from_url(server.url(1)) as broker:
        streams = (KEYS.events, KEYS.intake, KEYS.status)
        entries = [fields for stream in streams for _, fields in client.xrange(stream)]
        words = [
            *(word for fields in entries for word in fields.values()),
            *broker.lrange("wake-ups:other", 0, -1),
        ]
    return {word.decode() for word in words}


def await_all(warm: Warm, watched: Watched) -> None:
    """Wait until what each of them writes is with the new primary; what they wrote before it is, too."""

    def with_it() -> bool:
        warm.all_write("after")
        return words_on(watched.primary) >= of("before") | of("after")

    assert wait_for(with_it, 30)


def of(word: str) -> set[str]:
    pushed = {f'{{"id": "{name}"}}' for name in (word, f"async-{word}")}
    return {word, *pushed, *(f"{word}-{i}" for i in range(THREADS))}


@pytest.mark.slow
def test_all_who_were_at_work_go_on_with_the_new_primary_after_a_planned_failover(watched: Watched) -> None:
    old = watched.primary
    with Warm(watched) as warm:
        watched.fail_over()
        watched.await_another(old)
        await_all(warm, watched)
        assert check_writes(warm.client)
        persistently(lambda: warm.broker.rpush("wake-ups:faxline", "wake"))
        assert warm.waiting.result(30) == b"wake"


def cut_off(watched: Watched) -> None:
    """Neither the replica nor a Sentinel reaches the primary any more; clients do."""
    with redis.Redis.from_url(watched.primary.url()) as client:
        for user in ("replica", "sentinel"):
            client.execute_command("ACL", "SETUSER", user, "off")
            client.execute_command("CLIENT", "KILL", "USER", user)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "frozen", "cut off"])
def test_all_who_were_at_work_go_on_with_the_new_primary_when_the_old_one_is(
    how: str, watched: Watched
) -> None:
    old = watched.primary
    with Warm(watched) as warm:
        ends: dict[str, Callable[[], None]] = {
            "killed": old.kill,
            "frozen": old.pause,
            "cut off": lambda: cut_off(watched),
        }
        ends[how]()
        warm.all_write("meanwhile")
        watched.await_another(old)
        await_all(warm, watched)
        assert check_writes(warm.client)
        persistently(lambda: warm.broker.rpush("wake-ups:faxline", "wake"))
        assert warm.waiting.result(30) == b"wake"
        if how == "frozen":
            old.resume()


@pytest.mark.slow
def test_a_client_leaves_a_primary_that_has_too_few_replicas_as_soon_as_there_is_another(
    server_binary: ServerBinary, access: Access
) -> None:
    options = {"min-replicas-to-write": "1", "min-replicas-max-lag": "1"}
    with Watched(server_binary, access, replicas=2, options=options) as watched, Warm(watched) as warm:
        old = watched.primary
        cut_off(watched)
        watched.await_another(old)
        await_all(warm, watched)


def test_a_server_that_takes_no_writes_is_not_ready(server_binary: ServerBinary) -> None:
    with RedisServer(binary=server_binary) as server, state_client(server.url(), threads=True) as client:
        assert check_writes(client)
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(redis.RedisError, match="NOREPLICAS") as caught:
            check_writes(client)
        assert unserved(caught.value)
        client.config_set("min-replicas-to-write", 0)
        client.replicaof("127.0.0.1", server.port)
        with pytest.raises(redis.RedisError, match="READONLY") as caught:
            check_writes(client)
        assert unserved(caught.value)
        client.replicaof("NO", "ONE")
        client.config_set("maxmemory", 1)
        assert check_writes(client)  # what is inside goes on


def test_a_server_that_takes_no_receipts_is_not_ready_and_asking_adds_none(
    server_binary: ServerBinary,
) -> None:
    with RedisServer(binary=server_binary) as server, state_client(server.url()) as client:
        assert check_adds(client, KEYS.status)
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(redis.RedisError, match="NOREPLICAS"):
            check_adds(client, KEYS.status)
        client.config_set("min-replicas-to-write", 0)
        client.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            check_adds(client, KEYS.status)
        assert not client.exists(KEYS.status)


class Said:
    """A Sentinel that says always the same, or nothing."""

    def __init__(
        self, epoch: int, port: int | None, *, down: bool = False, state_port: int | None = None
    ) -> None:
        self.reply: Any = None
        if port is not None:
            state: dict[str, Any] = {
                "is_master": True,
                "is_sdown": down,
                "is_odown": down,
                "config-epoch": epoch,
            }
            state |= {"ip": "10.0.0.1", "port": state_port or port}
            self.reply = [state, (b"10.0.0.1", port)]
        self.asked = 0

    def pipeline(self, **_: object) -> "Said":
        return self

    def __enter__(self) -> Self:
        return self

    __aenter__: Any = None

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda _: None

    def execute(self, **_: object) -> Any:
        self.asked += 1
        if self.reply is None:
            raise redis.ConnectionError
        return self.reply


def sentinels(*said: Said) -> Sentinels:
    asked = Sentinels([])
    asked.sentinels += said  # type: ignore[arg-type]
    return asked


def test_the_newest_configuration_counts_whoever_answers_first() -> None:
    assert sentinels(Said(3, 1), Said(4, 2), Said(3, 1)).discover_master("faxes") == ("10.0.0.1", 2)


def test_a_sentinel_that_takes_the_primary_for_dead_is_believed_only_about_the_next() -> None:
    with pytest.raises(redis.ConnectionError, match="faxes"):
        sentinels(Said(3, 1, down=True)).discover_master("faxes")
    promoted = Said(4, 2, down=True, state_port=1)
    assert sentinels(promoted).discover_master("faxes") == ("10.0.0.1", 2)


def test_a_silent_sentinel_rests_unless_nobody_else_answers() -> None:
    silent, other = Said(3, None), Said(3, 1)
    asked = sentinels(silent, other)
    for _ in range(3):
        assert asked.discover_master("faxes") == ("10.0.0.1", 1)
    assert (silent.asked, other.asked) == (1, 3)
    silent.reply, other.reply = other.reply, None
    assert asked.discover_master("faxes") == ("10.0.0.1", 1)


def test_an_older_configuration_is_believed_only_if_most_sentinels_say_so() -> None:
    first, second, third = Said(4, 2), Said(4, 2), Said(4, 2)
    asked = sentinels(first, second, third)
    assert asked.discover_master("faxes") == ("10.0.0.1", 2)
    first.reply, second.reply, third.reply = None, None, Said(3, 1).reply
    with pytest.raises(redis.ConnectionError):
        asked.discover_master("faxes")  # it was cut off together with the old primary
    for said in (first, second, third):
        said.reply = Said(0, 7).reply  # they were set up anew
    assert asked.discover_master("faxes") == ("10.0.0.1", 7)


def test_where_the_primary_is_is_asked_once_for_all_who_want_to_know() -> None:
    one = Said(3, 1)
    asked = sentinels(one)
    assert not any(asked.moved("faxes", ("10.0.0.1", 1)) for _ in range(100))
    assert one.asked == 1
    assert asked.moved("faxes", ("10.0.0.1", 9))


def test_the_asyncio_twin_is_of_one_mind() -> None:
    class AsyncSaid(Said):
        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def execute(self, **_: object) -> Any:
            return super().execute()

    asked = AsyncSentinels([])
    said: list[Any] = [AsyncSaid(3, None), AsyncSaid(3, 1), AsyncSaid(4, 2)]
    asked.sentinels += said
    assert asyncio.run(asked.discover_master("faxes")) == ("10.0.0.1", 2)
    assert asyncio.run(asked.moved("faxes", ("10.0.0.1", 1)))
