"""The Redis clients on a real server, and on sockets that misbehave as a real one would."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis

from faxline.contract.connections.redis_url import address
from faxline.reading.server_facts import ServerFacts, server_facts
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.state.redis_clients import (
    RETRIES,
    RedisUnreachable,
    async_state_client,
    broker_client,
    check_reachable,
    state_client,
)


class FakeServer:
    """A listener that answers each line-ended command with what `answer` says, None being silence."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[socket.socket] = []
        self.connections = 0
        self.commands: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://:hunter2secret@127.0.0.1:{self._listener.getsockname()[1]}/0"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._links.append(link)
            self._threads.append(threading.Thread(target=self._serve, args=(link,)))
            self._threads[-1].start()

    def _serve(self, link: socket.socket) -> None:
        with link, link.makefile("rb") as lines, contextlib.suppress(OSError):
            while head := lines.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int(lines.readline()[1:])
                    words.append(lines.read(size + 2)[:-2])
                self.commands.append(words[0])
                if (said := self._answer(words[0])) is not None:
                    link.sendall(said)


@pytest.fixture
def fake_server() -> Iterator[Callable[[Callable[[bytes], bytes | None]], FakeServer]]:
    servers: list[FakeServer] = []

    def start(answer: Callable[[bytes], bytes | None]) -> FakeServer:
        servers.append(FakeServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


StartFake = Callable[[Callable[[bytes], bytes | None]], FakeServer]


@pytest.fixture
def own_server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as server:
        yield server


def test_replies_are_bytes_and_each_client_shows_its_name(redis_url: str) -> None:
    with state_client(redis_url, name="faxline-dispatcher") as client:
        client.set("k", "v")
        assert client.get("k") == b"v"
        assert client.client_getname() in {b"faxline-dispatcher", "faxline-dispatcher"}


def test_the_broker_client_works_on_its_own_database(redis_url: str, broker_url: str) -> None:
    with state_client(redis_url) as state, broker_client(broker_url) as broker:
        broker.set("k", "v")
        assert state.get("k") is None


def test_the_asyncio_twin_reads_the_same_data(redis_url: str) -> None:
    async def read() -> bytes | str | None:
        async with async_state_client(redis_url) as client:
            await client.set("k", "v")
            return await client.get("k")

    assert asyncio.run(read()) == b"v"


def test_a_unix_socket_url_is_taken(tmp_path: object) -> None:
    with state_client(f"unix://{tmp_path}/no.sock") as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        assert address(client) == f"{tmp_path}/no.sock"


def test_a_block_longer_than_the_socket_timeout_is_no_timeout_when_it_is_announced(redis_url: str) -> None:
    with state_client(redis_url, socket_timeout=0.2, longest_block=5.0) as client:
        assert not client.xread({"s": "$"}, block=500)


def test_a_block_that_was_not_announced_times_out(redis_url: str) -> None:
    with state_client(redis_url, socket_timeout=0.05) as client, pytest.raises(redis.TimeoutError):
        client.xread({"s": "$"}, block=5000)


def test_a_server_that_accepts_and_never_answers_is_tried_three_times(fake_server: StartFake) -> None:
    server = fake_server(lambda _: None)
    with state_client(server.url, socket_timeout=0.05) as client, pytest.raises(redis.TimeoutError):
        client.ping()
    assert server.connections == RETRIES + 1


def test_a_command_whose_answer_never_comes_is_sent_three_times(fake_server: StartFake) -> None:
    server = fake_server(lambda word: None if word == b"EVALSHA" else b"+OK\r\n")
    with state_client(server.url, socket_timeout=0.05) as client, pytest.raises(redis.TimeoutError):
        client.evalsha("0" * 40, 0)
    assert server.commands.count(b"EVALSHA") == RETRIES + 1


def test_an_error_that_the_server_answers_is_not_tried_again(fake_server: StartFake) -> None:
    server = fake_server(lambda word: b"-OOM no memory\r\n" if word == b"SET" else b"+OK\r\n")
    with state_client(server.url) as client, pytest.raises(redis.ResponseError):
        client.set("k", "v")
    assert server.commands.count(b"SET") == 1


def test_a_client_goes_on_by_itself_after_the_server_was_killed_and_restarted(
    own_server: RedisServer,
) -> None:
    with state_client(own_server.url()) as client:
        client.set("k", "v")
        own_server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("k")
        own_server.restart()
        assert client.get("k") == b"v"


def test_an_asyncio_client_goes_on_by_itself_after_a_restart(own_server: RedisServer) -> None:
    async def run() -> bytes | str | None:
        async with async_state_client(own_server.url()) as client:
            await client.set("k", "v")
            own_server.kill()
            with pytest.raises(redis.ConnectionError):
                await client.get("k")
            own_server.restart()
            return await client.get("k")

    assert asyncio.run(run()) == b"v"


def test_a_server_that_comes_up_late_is_waited_for(own_server: RedisServer) -> None:
    own_server.stop()
    with state_client(own_server.url()) as client:
        waiting = threading.Thread(target=check_reachable, args=(client, 30.0))
        waiting.start()
        own_server.restart()
        waiting.join()
        assert client.ping()


def test_loading_is_waited_out(fake_server: StartFake) -> None:
    pings = 0

    def answer(word: bytes) -> bytes:
        nonlocal pings
        if word != b"PING":
            return b"+OK\r\n"
        pings += 1
        return b"+PONG\r\n" if pings > RETRIES + 2 else b"-LOADING Redis is loading the dataset in memory\r\n"

    with state_client(fake_server(answer).url) as client:
        check_reachable(client, 30)
    assert pings == RETRIES + 3


def test_when_patience_is_over_the_error_names_the_address_and_not_the_password(free_port: int) -> None:
    with (
        state_client(f"redis://worker:hunter2secret@127.0.0.1:{free_port}/0") as client,
        pytest.raises(RedisUnreachable, match=f"127.0.0.1:{free_port} refused the connection") as caught,
    ):
        check_reachable(client, 0)
    assert "hunter2secret" not in str(caught.value)


def test_a_wrong_password_is_refused_at_once_without_showing_it(own_server: RedisServer) -> None:
    with state_client(own_server.url()) as admin:
        admin.config_set("requirepass", "right")
    url = f"redis://:hunter2secret@127.0.0.1:{own_server.port}/0"
    with (
        state_client(url) as client,
        pytest.raises(RedisUnreachable, match="refuses the user or the password") as caught,
    ):
        check_reachable(client, 10_000)
    assert "hunter2secret" not in str(caught.value)


def test_a_missing_password_is_refused_at_once(own_server: RedisServer) -> None:
    with state_client(own_server.url()) as client:
        client.config_set("requirepass", "right")
    with (
        state_client(own_server.url()) as client,
        pytest.raises(RedisUnreachable, match="refuses the user or the password"),
    ):
        check_reachable(client, 10_000)


def test_a_user_who_may_not_ping_is_refused_at_once(own_server: RedisServer) -> None:
    with state_client(own_server.url()) as admin:
        admin.execute_command("ACL", "SETUSER", "guest", "on", ">pw", "+@connection", "-ping", "+client")
    url = f"redis://guest:pw@127.0.0.1:{own_server.port}/0"
    with (
        state_client(url) as client,
        pytest.raises(RedisUnreachable, match="does not let this user run PING"),
    ):
        check_reachable(client, 10_000)


def test_the_facts_of_the_embedded_server_are_those_of_a_durable_one(server_binary: ServerBinary) -> None:
    with RedisServer(binary=server_binary) as server, redis.Redis.from_url(server.url()) as client:
        facts = server_facts(client)
    expected = ServerFacts(
        server_binary.name,
        server_binary.version,
        aof_on=True,
        appendfsync="everysec",
        maxmemory_policy="noeviction",
        replicas_lag=10,
        reads_on=False,
        largest_value=32 << 20,
    )
    assert (
        replace(facts, used_memory=0, maxmemory=0, aof_size=0, machine_memory=0, clients=0, most_clients=0)
        == expected
    )
    assert facts.used_memory > 0
    assert facts.durable


@pytest.mark.parametrize(
    ("setting", "value"), [("appendonly", "no"), ("appendfsync", "no"), ("maxmemory-policy", "allkeys-lru")]
)
def test_a_server_that_may_lose_what_it_accepted_is_not_durable(
    own_server: RedisServer, setting: str, value: str
) -> None:
    with state_client(own_server.url()) as client:
        client.config_set(setting, value)
        assert not server_facts(client).durable


def test_facts_are_told_also_where_config_is_refused(own_server: RedisServer) -> None:
    with state_client(own_server.url()) as admin:
        admin.execute_command(
            "ACL", "SETUSER", "worker", "on", ">pw", "+@all", "-config", "-config|get", "~*"
        )
        known = server_facts(admin)
    with state_client(f"redis://worker:pw@127.0.0.1:{own_server.port}/0") as client:
        seen = replace(server_facts(client), used_memory=known.used_memory)
        assert seen == replace(known, appendfsync=None, replicas_lag=None, reads_on=None, largest_value=None)
        assert server_facts(client).durable
