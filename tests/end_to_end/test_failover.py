"""A failover under load, with users and TLS: nothing is lost, nothing goes twice, nobody is started anew."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import FaxLine, JobState
from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from tests.pushing import Producer
from tests.sentinels import Watched, WatchedLocal
from tests.stage.failovers import SANDBOX, SETTINGS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_server(
        "it is one that Sentinels watch, which a cluster has not; test_cluster.py kills a primary"
    ),
]


@pytest.fixture
def local(
    request: pytest.FixtureRequest, server_binary: ServerBinary, access: Access, tmp_path: Path
) -> Iterator[WatchedLocal]:
    with WatchedLocal(
        tmp_path,
        Watched(server_binary, access, replicas=request.param),
        workers=2,
        dispatchers=2,
        threads=5,
        settings=SETTINGS,
        sandbox=SANDBOX,
        binary=server_binary,
        access=access,
    ) as running:
        yield running


def killed_while_the_replicas_lag(watched: Watched) -> None:
    """What a frozen one is sent would wait for it; so they are cut off, and reach the primary no more."""
    primary = watched.servers[0]
    with redis.Redis.from_url(primary.url()) as client:
        client.execute_command("ACL", "SETUSER", "replica", "off")
        client.execute_command("CLIENT", "KILL", "TYPE", "replica")
    threading.Event().wait(1.0)  # nothing is awaited: the primary goes on alone
    primary.kill()


WAYS: dict[str, Callable[[Watched], None]] = {
    "planned": Watched.fail_over,
    "handed over": Watched.hand_over,
    "killed": lambda watched: watched.servers[0].kill(),
    "killed while the replicas lag": killed_while_the_replicas_lag,
}
# Of two replicas the one that is not chosen may confirm meanwhile, unless the failover is handed over.
CASES = [("planned", 1), ("handed over", 2), ("killed", 2), ("killed while the replicas lag", 2)]


@pytest.mark.parametrize(("way", "local"), CASES, indirect=["local"])
def test_nothing_is_lost_and_nothing_goes_twice_and_all_go_on_by_themselves(
    way: str, local: WatchedLocal, wait_until: Callable[..., Any]
) -> None:
    old = local.watched.primary
    producer = Producer(local.url_of("producer"), replicas=1, replicas_timeout=0.5)
    try:
        wait_until(lambda: len(local.ledger()) >= 40, timeout=60)  # every thread has been at work
        WAYS[way](local.watched)
        if way.startswith("killed"):
            worker = local.names("worker")[0]
            wait_until(
                lambda: not local.ready(worker), timeout=30, message="a worker says that it cannot work"
            )
        local.watched.await_another(old)
        before = len(producer.taken)
        wait_until(lambda: len(producer.taken) >= before + 40, timeout=60)
    finally:
        producer.end()
    with FaxLine(local.url_of("producer")) as line:
        states = Counter(line.wait(name, timeout=120).state for name in producer.taken)
    assert states == {JobState.DELIVERED: len(producer.taken)}
    sent = Counter(fax["subject"] for fax in local.ledger())
    assert set(sent.values()) == {1}
    assert set(producer.taken) <= set(sent)
    wait_until(lambda: all(local.ready(name) for name in local.metrics), timeout=30)
    assert all(part.process.poll() is None for part in local.parts)
