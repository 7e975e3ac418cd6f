"""A failover by Sentinel, with two servers and a Sentinel on this machine."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.connections import SentinelUrl, sentinel_url
from faxline_worker.redis_clients import RedisUnreachable, check_reachable, state_client
from faxline_worker.redis_server import RedisServer, ServerBinary
from faxline_worker.settings import SettingsError, read_settings

TOKEN = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t"}


@pytest.fixture
def master(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as running:
        yield running


@pytest.fixture
def url(
    server_binary: ServerBinary,
    master: RedisServer,
    tmp_path: Path,
    free_port: int,
    wait_until: Callable[..., Any],
) -> Iterator[str]:
    """A Sentinel that knows a master and its replica as `faxes`."""
    with RedisServer(binary=server_binary) as replica:
        with redis.Redis.from_url(replica.url(0)) as client:
            client.replicaof("127.0.0.1", master.port)
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", timeout=30)
        conf = tmp_path / "sentinel.conf"
        conf.write_text(
            f"port {free_port}\nbind 127.0.0.1\nsentinel monitor faxes 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds faxes 500\nsentinel failover-timeout faxes 3000\n"
        )
        command = [str(server_binary.path), str(conf), "--sentinel"]
        sentinel = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
        try:
            told = f"redis+sentinel://127.0.0.1:{free_port}/faxes/0"
            with redis.Redis(port=free_port) as asked:

                def knows_the_replica() -> bool:
                    try:
                        return bool(asked.execute_command("SENTINEL", "replicas", "faxes"))
                    except redis.RedisError:
                        return False

                wait_until(knows_the_replica, timeout=30)
            yield told
        finally:
            sentinel.terminate()
            sentinel.wait()


def test_clients_follow_the_master_when_the_old_one_dies(
    url: str, master: RedisServer, wait_until: Callable[..., Any]
) -> None:
    with FaxLine(url) as line, state_client(url, name="test") as daemon:
        line.push("cancel", {"id": "before"})
        check_reachable(daemon, 5)
        with redis.Redis.from_url(master.url(0)) as client:
            client.wait(1, 5000)  # the entry has reached the replica
        master.kill()

        def pushed() -> bool:
            try:
                return bool(line.push("cancel", {"id": "after"}))
            except Exception:  # noqa: BLE001 - while nobody is the master
                return False

        wait_until(pushed, timeout=30, every=0.2)
        entries: Any = daemon.xrange(line.keys.intake)
    assert [fields[b"cancel"] for _, fields in entries] == [b'{"id": "before"}', b'{"id": "after"}']


def test_a_sentinel_that_is_away_is_named_without_the_password() -> None:
    url = "redis+sentinel://:secret@127.0.0.1:1/faxes/0"
    with state_client(url, name="test") as client, pytest.raises(RedisUnreachable) as caught:
        check_reachable(client, 0)
    assert "'faxes'" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_sentinel_url_names_sentinels_service_database_and_login() -> None:
    assert sentinel_url("rediss+sentinel://me:p%40ss@a:1,b/faxes/3") == SentinelUrl(
        (("a", 1), ("b", 26379)), "faxes", 3, "me", "p@ss", tls=True
    )
    assert sentinel_url("redis://localhost") is None


def test_the_brokers_database_follows_from_a_sentinel_url_and_its_password_is_a_secret() -> None:
    settings = read_settings(TOKEN | {"FAXLINE_REDIS_URL": "redis+sentinel://me:pass@a:1,b/faxes/0"})
    assert settings.broker == "redis+sentinel://me:pass@a:1,b/faxes/1"
    assert "pass" in settings.secrets


@pytest.mark.parametrize(
    "bad", ["redis+sentinel://a:x/faxes", "redis+sentinel://a:1", "redis+sentinel:///faxes"]
)
def test_a_sentinel_url_that_makes_no_sense_is_told_with_the_variable(bad: str) -> None:
    with pytest.raises(SettingsError, match="FAXLINE_REDIS_URL"):
        read_settings(TOKEN | {"FAXLINE_REDIS_URL": bad})
