"""The traces follow the events of accounts, on one server and on a cluster, also while a node is away."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import structlog

from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline.reading.job import Job
from faxline_local.redis_cluster import RedisCluster
from faxline_local.server_binaries import ServerBinary
from faxline_worker.state.redis_clients import state_client
from faxline_worker.tracing import spans
from faxline_worker.tracing.spans import NoTraces, TraceFollower

ACCOUNTS = ("default", "acme", "globex", "initech")
Wait = Callable[..., Any]


class Kept(NoTraces):
    """Keeps what has ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def record_end(self, job: Job) -> None:
        self.ended.append(f"{job.account}/{job.id}")


@contextmanager
def following(url: str, accounts: Sequence[str]) -> Iterator[list[str]]:
    """Follow accounts; what has ended, as it is recorded."""
    kept = Kept()
    with state_client(url, longest_block=spans.BLOCK / 1000) as client:
        follower = TraceFollower(client, accounts, kept, structlog.get_logger(), "here")
        follower.start()
        try:
            yield kept.ended
        finally:
            follower.stop()


def followed(client: Any, account: str) -> bool:
    """Whether the account's events are read from now on."""
    try:
        return any(group["name"] == b"traces" for group in client.xinfo_groups(RedisKeys(account).events))
    except redis.ResponseError:  # there is no stream yet
        return False


def deliver(client: redis.Redis, account: str, job: str) -> None:
    """End a fax, as far as the events and the record tell."""
    keys = RedisKeys(account)
    client.hset(keys.job(job), "state", "delivered")
    client.xadd(
        keys.events, {"event": "fax.delivered", "job": job, "at": 1000, "data": '{"state": "delivered"}'}
    )


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "PAUSE", 0.05)


def test_the_ends_of_all_accounts_are_recorded_once(redis_url: str, wait_until: Wait) -> None:
    with following(redis_url, ACCOUNTS) as ended, redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: all(followed(client, account) for account in ACCOUNTS))
        for account in ACCOUNTS:
            deliver(client, account, "one")
        wait_until(lambda: len(ended) >= len(ACCOUNTS))
    assert sorted(ended) == sorted(f"{account}/one" for account in ACCOUNTS)


@pytest.mark.slow
def test_on_a_cluster_each_end_is_recorded_once_by_the_dispatchers_user(
    redis_cluster: RedisCluster, wait_until: Wait
) -> None:
    url = redis_cluster.url("dispatcher")
    with (
        following(url, ACCOUNTS) as ended,
        following(url, ACCOUNTS) as by_another,
        connect(redis_cluster.url(), protocol=2) as client,
    ):
        wait_until(lambda: all(followed(client, account) for account in ACCOUNTS))
        for number in range(10):
            for account in ACCOUNTS:
                deliver(client, account, f"fax-{number}")
        wait_until(lambda: len(ended) + len(by_another) >= 10 * len(ACCOUNTS))
    assert sorted(ended + by_another) == sorted(f"{name}/fax-{i}" for name in ACCOUNTS for i in range(10))


@pytest.mark.slow
def test_a_node_that_is_away_costs_the_accounts_of_other_nodes_no_trace(
    server_binary: ServerBinary, wait_until: Wait
) -> None:
    with RedisCluster(binary=server_binary, replicas=0) as cluster:
        owners = {account: cluster.owner_of(RedisKeys(account).events) for account in ACCOUNTS}
        away = owners["default"]
        there = [account for account in ACCOUNTS if owners[account] is not away]
        assert there
        with following(cluster.url(), ACCOUNTS) as ended, connect(cluster.url(), protocol=2) as client:
            wait_until(lambda: all(followed(client, account) for account in ACCOUNTS))
            away.kill()
            for number in range(5):
                for account in there:
                    deliver(client, account, f"fax-{number}")
                wait_until(lambda: len(ended) >= (number + 1) * len(there), timeout=30)  # noqa: B023 - at once
            away.restart()
            wait_until(lambda: followed(client, "default"), timeout=30)

            def delivered() -> bool:
                deliver(client, "default", f"late-{len(ended)}")
                return any(name.startswith("default/") for name in ended)

            wait_until(delivered, timeout=60, every=0.5)
        found = [name for name in ended if not name.startswith("default/")]
        assert sorted(found) == sorted(f"{name}/fax-{i}" for name in there for i in range(5))
