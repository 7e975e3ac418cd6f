"""One primary of three is away: the operator's tools show what answers, and name the one that does not."""

import itertools
import re
import time
from collections.abc import Callable, Iterator

import pytest

from faxline.cli.running import run
from faxline.contract.connections import cluster_client
from faxline.contract.connections.cluster_slots import PATIENCE
from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import ACCOUNTS, PROCESSES, RedisKeys
from faxline_local.redis_cluster import RedisCluster
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary

pytestmark = pytest.mark.slow
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cluster(server_binary: ServerBinary) -> Iterator[RedisCluster]:
    with RedisCluster(binary=server_binary, replicas=0) as running:
        yield running


@pytest.fixture
def command(cluster: RedisCluster, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--redis", cluster.url(), *arguments])
        return (code, *capsys.readouterr())

    return call


def account_on(cluster: RedisCluster, server: RedisServer) -> str:
    """An account whose keys lie on a server."""
    return accounts_on(cluster, server, 1)[0]


def accounts_on(cluster: RedisCluster, server: RedisServer, n: int) -> list[str]:
    """Accounts whose keys lie on a server."""
    names = map("account-{}".format, itertools.count())
    there = (name for name in names if cluster.owner_of(RedisKeys(name).account_state) is server)
    return list(itertools.islice(there, n))


def test_the_living_accounts_are_shown_and_the_dead_node_is_named(
    cluster: RedisCluster, command: Command
) -> None:
    dead = next(server for server in cluster.servers if server is not cluster.owner_of(ACCOUNTS))
    living, lost = account_on(cluster, cluster.owner_of(ACCOUNTS)), account_on(cluster, dead)
    with connect(cluster.url(), protocol=2) as client:
        client.sadd(ACCOUNTS, living, lost)
    dead.kill()
    node = f"127.0.0.1:{dead.port}"
    code, out, err = command("accounts")
    assert code == 3
    assert re.search(rf"^{living} ", out, re.MULTILINE)
    assert f"account {lost}: Redis at {node} refused the connection" in err
    code, out, _ = command("--account", living, "doctor", "--no-call")
    assert code == 1
    assert re.search(rf"^node {node} +fail ", out, re.MULTILINE)
    assert re.search(rf"^account {lost} +fail +Redis at {node} refused", out, re.MULTILINE)
    assert len(re.findall("^version of 127.0.0.1:[0-9]+ +ok", out, re.MULTILINE)) == 2
    assert re.search(rf"^account {living} +ok +open", out, re.MULTILINE)


def test_an_account_is_shown_without_the_node_of_the_list_and_of_the_heartbeats(
    cluster: RedisCluster, command: Command
) -> None:
    dead = cluster.owner_of(PROCESSES + "worker")
    living = account_on(cluster, next(server for server in cluster.servers if server is not dead))
    dead.kill()
    node = f"Redis at 127.0.0.1:{dead.port} refused the connection"
    code, out, err = command("accounts", "show", living)
    assert code == 0
    assert re.search(rf"^{living} ", out, re.MULTILINE)
    assert f"who is at work is not known: {node}" in err
    code, out, _ = command("--account", living, "doctor", "--no-call")
    assert code == 1
    assert re.search(rf"^processes +fail +not looked at: {node}", out, re.MULTILINE)
    assert re.search(rf"^account {living} +ok +open", out, re.MULTILINE)


def test_an_account_is_shown_without_the_node_of_the_list(cluster: RedisCluster, command: Command) -> None:
    dead = cluster.owner_of(ACCOUNTS)
    living = account_on(cluster, next(server for server in cluster.servers if server is not dead))
    dead.kill()
    code, out, err = command("--account", living, "accounts")
    assert code == 3
    assert re.search(rf"^{living} ", out, re.MULTILINE)
    assert f"which accounts there are is not known: Redis at 127.0.0.1:{dead.port} refused" in err
    code, out, _ = command("--account", living, "doctor", "--no-call")
    assert code == 1
    assert re.search(rf"^accounts +fail +only {living} is looked at", out, re.MULTILINE)
    assert re.search(rf"^account {living} +ok +open", out, re.MULTILINE)


class Clock:
    """The module `time` for a client of a cluster: it notes for how long the client would pause."""

    def __init__(self) -> None:
        self.paused = 0.0
        self.monotonic = time.monotonic

    def sleep(self, seconds: float) -> None:
        self.paused += seconds
        time.sleep(seconds)


def test_a_dead_node_is_waited_for_once_and_not_for_each_of_its_accounts(
    cluster: RedisCluster, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = next(server for server in cluster.servers if server is not cluster.owner_of(ACCOUNTS))
    lost = accounts_on(cluster, dead, 100)
    living = accounts_on(cluster, cluster.owner_of(ACCOUNTS), 10)
    with connect(cluster.url(), protocol=2) as client:
        client.sadd(ACCOUNTS, *living, *lost)
    for name in lost[:5]:
        monkeypatch.setenv(f"FAXLINE_ACCOUNTS__{name.upper()}__TOKEN", f"a-token-of-{name}")
    monkeypatch.setenv("FAXLINE_BROKER_URL", cluster.servers[0].url())
    monkeypatch.setenv("FAXLINE_IFAX_URL", "http://127.0.0.1:9")
    dead.kill()
    monkeypatch.setattr(cluster_client, "time", clock := Clock())
    code, out, err = command("accounts")
    assert code == 3
    assert all(re.search(rf"^{name} ", out, re.MULTILINE) for name in living)
    node = f"127.0.0.1:{dead.port}"
    assert all(f"account {name}: Redis at {node} refused the connection" in err for name in lost)
    assert clock.paused <= PATIENCE
    clock.paused = 0.0
    code, out, _ = command("--account", living[0], "doctor")
    assert code == 1
    assert all(re.search(rf"^account {name} +ok", out, re.MULTILINE) for name in living)
    assert all(
        re.search(rf"^account {name} +fail +Redis at {node} refused", out, re.MULTILINE) for name in lost
    )
    assert len(re.findall("^(?:layout|key) of .* +fail +", out, re.MULTILINE)) == 10
    assert clock.paused <= 3 * PATIENCE  # for the checks of accounts and of settings; and to ask another node
