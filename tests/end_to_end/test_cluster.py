"""Faxline whole on a cluster of three primaries with a replica each, and our users."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from tests.clusters import ClusterLocal
from tests.pushing import URL, Producer
from tests.stage.failovers import SANDBOX, SETTINGS

pytestmark = pytest.mark.slow

ACCOUNTS = ("default", "acme", "globex", "initech")


@pytest.fixture
def local(server_binary: ServerBinary, access: Access, tmp_path: Path) -> Iterator[ClusterLocal]:
    with ClusterLocal(
        tmp_path,
        binary=server_binary,
        access=access,
        accounts=ACCOUNTS,
        dispatchers=2,
        workers=2,
        threads=5,
        settings=SETTINGS,
        sandbox=SANDBOX,
    ) as running:
        yield running


def faxline(local: ClusterLocal, *arguments: str) -> str:
    """What the command says to an operator."""
    return subprocess.run(
        [Path(sys.executable).with_name("faxline"), *arguments],
        env=local.environment("operator"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_faxes_of_all_accounts_are_delivered_canceled_and_explained(local: ClusterLocal) -> None:
    for account in ACCOUNTS:
        with FaxLine(local.url_of("producer"), account) as line:
            job = line.wait(line.send(to="+12025550123", files=[URL], id=f"one-{account}"), timeout=60)
            assert (job.id, job.state) == (f"one-{account}", JobState.DELIVERED)
            assert [step.event for step in job.history] == ["fax.queued", "fax.submitted", "fax.delivered"]
    names = faxline(local, "accounts")
    assert all(account in names for account in ACCOUNTS)
    assert "delivered" in faxline(local, "--account", "acme", "show", "one-acme")


def pushed(local: ClusterLocal, wait_until: Callable[..., Any], trouble: Callable[[], None]) -> None:
    """Push for all accounts while something happens, and see each fax sent once."""
    producers = [
        Producer(local.url_of("producer"), account, replicas=1, replicas_timeout=0.5) for account in ACCOUNTS
    ]
    try:
        wait_until(lambda: len(local.ledger()) >= 40, timeout=60)
        trouble()
        before = {producer: len(producer.taken) for producer in producers}
        wait_until(lambda: all(len(each.taken) >= before[each] + 20 for each in producers), timeout=90)
    finally:
        for producer in producers:
            producer.end()
    names = [name for producer in producers for name in producer.taken]
    assert len(names) >= 200
    for account, producer in zip(ACCOUNTS, producers, strict=True):
        with FaxLine(local.url_of("producer"), account) as line:
            states = Counter(line.wait(name, timeout=120).state for name in producer.taken)
        assert states == {JobState.DELIVERED: len(producer.taken)}
    sent = Counter(fax["subject"] for fax in local.ledger())
    assert set(sent.values()) == {1}
    assert set(names) <= set(sent)
    wait_until(lambda: all(local.ready(name) for name in local.metrics), timeout=30)
    assert all(part.process.poll() is None for part in local.parts)


def test_a_primary_that_dies_under_load_loses_nothing_and_nothing_goes_twice(
    local: ClusterLocal, wait_until: Callable[..., Any]
) -> None:
    key = "fax:{default}:account"
    old = local.cluster.owner_of(key)

    def kill() -> None:
        old.kill()
        wait_until(lambda: local.cluster.owner_of(key) is not old, timeout=60)
        old.restart()  # as a replica, which the new primary needs: the marks wait for one

    pushed(local, wait_until, kill)
    assert local.cluster.owner_of(key) is not old


def test_slots_that_move_under_load_lose_nothing_and_nothing_goes_twice(
    local: ClusterLocal, wait_until: Callable[..., Any]
) -> None:
    keys = [f"fax:{{{account}}}:account" for account in ACCOUNTS]
    primaries = {owner.port: owner for owner in map(local.cluster.owner_of, keys)}

    def move() -> None:
        for target in primaries.values():
            for key in keys:
                local.cluster.move(key, target)

    pushed(local, wait_until, move)
