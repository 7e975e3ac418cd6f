"""Accounts on a cluster check in where they are, and a node that goes back is noticed."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from unittest.mock import Mock

import pytest
import structlog

from faxline.contract.redis_keys import RedisKeys
from faxline_local.redis_cluster import RedisCluster
from faxline_local.server_binaries import ServerBinary
from faxline_worker.config.settings import read_settings
from faxline_worker.maintenance.cluster_rollback_watch import ClusterRollbackGuard
from faxline_worker.state.redis_clients import state_client
from faxline_worker.state.store import Store

pytestmark = pytest.mark.slow

ACCOUNTS = ("acme", "default", "globex", "initech")
WAIT = 2.0


@pytest.fixture
def cluster(server_binary: ServerBinary) -> Iterator[RedisCluster]:
    with RedisCluster(binary=server_binary) as running:
        yield running


class Process:
    """A process that serves all accounts."""

    def __init__(self, cluster: RedisCluster) -> None:
        tokens = {f"FAXLINE_ACCOUNTS__{name.upper()}__TOKEN": f"token-{name}" for name in ACCOUNTS}
        url = {"FAXLINE_REDIS_URL": cluster.url(), "FAXLINE_BROKER_URL": "redis://none/0"}
        settings = read_settings({**tokens, **url})
        self.guard = ClusterRollbackGuard(min(ACCOUNTS), WAIT, structlog.get_logger("test"))
        self.client: Any = state_client(cluster.url(), name="test", connected=self.guard.connected)
        self.guard.stores = {
            name: Store(self.client, settings, name, memory=self.guard.memory(name)) for name in ACCOUNTS
        }

    def look(self) -> None:
        self.guard.look(self.client)

    def run_of(self, account: str) -> str:
        """The server at which the account was checked in last."""
        found: bytes = self.client.hget(RedisKeys(account).account_state, "run")
        return found.decode()


def runs_by_account(cluster: RedisCluster) -> dict[str, str]:
    found = {}
    for account in ACCOUNTS:
        info = cluster.ask(cluster.owner_of(RedisKeys(account).account_state), "INFO", "server").decode()
        found[account] = info.partition("run_id:")[2].split()[0]
    return found


def test_each_account_checks_in_at_its_node_and_again_where_its_replica_takes_over(
    cluster: RedisCluster, wait_until: Callable[..., Any]
) -> None:
    process = Process(cluster)
    with closing(process.client):
        for account in ACCOUNTS:
            process.client.hget(RedisKeys(account).account_state, "layout")
        before = runs_by_account(cluster)
        assert {account: process.run_of(account) for account in ACCOUNTS} == before
        assert len(set(before.values())) > 1
        old = cluster.owner_of(RedisKeys("default").account_state)
        cluster.ask(old, "WAIT", 1, 5000)
        old.kill()
        wait_until(lambda: cluster.owner_of(RedisKeys("default").account_state) is not old, timeout=60)
        wait_until(lambda: process.client.exists(RedisKeys("default").account_state), timeout=60)
        after = runs_by_account(cluster)
        moved = {account for account in ACCOUNTS if before[account] == before["default"]}
        assert {account for account in ACCOUNTS if after[account] != before[account]} == moved
        assert {account: process.run_of(account) for account in ACCOUNTS} == after
        assert set(process.guard._due) == moved
        process.look()
        assert not process.guard._due


def test_a_node_whose_data_goes_back_while_it_runs_is_noticed_by_its_accounts_alone(
    cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(cluster)
    with closing(process.client):
        for _ in range(3):
            process.look()
        owner = cluster.owner_of(RedisKeys("default").account_state)
        there = {
            account for account in ACCOUNTS if cluster.owner_of(RedisKeys(account).account_state) is owner
        }
        took = Mock(wraps=process.guard._take)
        monkeypatch.setattr(process.guard, "_take", took)
        cluster.ask(owner, "FLUSHALL")
        process.look()
        assert {name for call in took.call_args_list for name in call.args[0]} == there
