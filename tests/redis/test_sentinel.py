"""A failover by Sentinel, with two servers and a Sentinel on this machine."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.connections import SentinelUrl, sentinel_url
from faxline_worker.access import Access
from faxline_worker.processes import free_port
from faxline_worker.redis_clients import RedisUnreachable, check_reachable, state_client
from faxline_worker.redis_server import RedisServer, ServerBinary
from faxline_worker.settings import SettingsError, read_settings

TOKEN = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t"}
OWN = "the-sentinels-own-password"


@pytest.fixture(params=["open", "guarded"])
def guard(request: pytest.FixtureRequest, access: Access) -> Access | None:
    """Users, and TLS where the server can; or neither."""
    return access if request.param == "guarded" else None


@pytest.fixture
def master(server_binary: ServerBinary, guard: Access | None) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary, access=guard) as running:
        yield running


def conf(port: int, master: RedisServer) -> str:
    """Of a Sentinel; where the servers have users, it is `sentinel` there, and asks for a password itself."""
    lines = ["bind 127.0.0.1", f"sentinel monitor faxes 127.0.0.1 {master.port} 1"]
    lines += ["sentinel down-after-milliseconds faxes 500", "sentinel failover-timeout faxes 3000"]
    if master.access is None:
        return "\n".join([f"port {port}", *lines])
    lines += ["sentinel auth-user faxes sentinel", f"requirepass {OWN}"]
    lines.append(f"sentinel auth-pass faxes {master.access.passwords['sentinel']}")
    options = master.access.options(port, master.directory / "none")
    del options["aclfile"]
    return "\n".join([*(f"{name} {value}" for name, value in options.items()), *lines])


@pytest.fixture
def url(
    server_binary: ServerBinary, master: RedisServer, tmp_path: Path, wait_until: Callable[..., Any]
) -> Iterator[str]:
    """A Sentinel that knows a master and its replica as `faxes`."""
    guard, port = master.access, free_port()
    with RedisServer(binary=server_binary, access=guard) as replica:
        for server in (master, replica):  # each may become the other's replica
            with redis.Redis.from_url(server.url(0)) as client:
                if guard is not None:
                    client.config_set("masteruser", "replica", "masterauth", guard.passwords["replica"])
                if server is replica:
                    client.replicaof("127.0.0.1", master.port)
                    wait_until(lambda: client.info("replication")["master_link_status"] == "up", timeout=30)
        (tmp_path / "sentinel.conf").write_text(conf(port, master))
        command = [str(server_binary.path), str(tmp_path / "sentinel.conf"), "--sentinel"]
        sentinel = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
        place = f"127.0.0.1:{port}/faxes/0"
        told, asked = f"redis+sentinel://{place}", f"redis://127.0.0.1:{port}"
        if guard is not None:
            login, options = f"dispatcher:{guard.passwords['dispatcher']}", f"?sentinel_password={OWN}"
            told, asked = f"redis+sentinel://{login}@{place}{options}", f"redis://:{OWN}@127.0.0.1:{port}"
            if guard.tls is not None:
                ca = f"ssl_ca_certs={guard.tls.authority}"
                told, asked = (
                    told.replace("redis+", "rediss+") + f"&{ca}",
                    f"{asked}?{ca}".replace("redis", "rediss", 1),
                )
        try:
            with redis.Redis.from_url(asked) as client:

                def knows_the_replica() -> bool:
                    try:
                        return bool(client.execute_command("SENTINEL", "replicas", "faxes"))
                    except redis.RedisError:
                        return False

                wait_until(knows_the_replica, timeout=30)
            yield told
        finally:
            sentinel.terminate()
            sentinel.wait()


@pytest.mark.slow
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

        def read() -> Any:
            try:
                return daemon.xrange(line.keys.intake)
            except (
                redis.RedisError
            ):  # a Sentinel that is short of time takes the new master for gone for a moment
                return None

        entries: Any = wait_until(read, timeout=30, every=0.2)
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


def test_a_sentinel_url_has_options_of_tls_and_the_sentinels_own_login() -> None:
    told = sentinel_url(
        "rediss+sentinel://a/faxes?ssl_ca_certs=/etc/ca.crt&ssl_check_hostname=false"
        "&sentinel_username=me&sentinel_password=p%40ss"
    )
    assert told is not None
    assert told.security == {"ssl": True, "ssl_ca_certs": "/etc/ca.crt", "ssl_check_hostname": False}
    assert (told.sentinel_username, told.sentinel_password) == ("me", "p@ss")
    settings = read_settings(
        TOKEN
        | {"FAXLINE_REDIS_URL": "rediss+sentinel://a/faxes/0?sentinel_password=for-them&ssl_ca_certs=/ca"}
    )
    assert settings.broker == "rediss+sentinel://a/faxes/1?sentinel_password=for-them&ssl_ca_certs=/ca"
    assert "for-them" in settings.secrets


def test_the_brokers_database_follows_from_a_sentinel_url_and_its_password_is_a_secret() -> None:
    settings = read_settings(TOKEN | {"FAXLINE_REDIS_URL": "redis+sentinel://me:pass@a:1,b/faxes/0"})
    assert settings.broker == "redis+sentinel://me:pass@a:1,b/faxes/1"
    assert "pass" in settings.secrets


@pytest.mark.parametrize(
    "bad",
    [
        *("redis+sentinel://a:x/faxes", "redis+sentinel://a:1", "redis+sentinel:///faxes"),
        *("rediss+sentinel://a/faxes?ssl_ca=/x", "redis+sentinel://a/faxes?ssl_ca_certs=/x"),
    ],
)
def test_a_sentinel_url_that_makes_no_sense_is_told_with_the_variable(bad: str) -> None:
    with pytest.raises(SettingsError, match="FAXLINE_REDIS_URL"):
        read_settings(TOKEN | {"FAXLINE_REDIS_URL": bad})
