"""A dispatcher and a worker that reach a minority of a cluster's nodes only."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline_chaos.relay import Relay
from faxline_chaos.rig import ACCOUNTS
from faxline_local.processes import free_port
from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from tests.clusters import ClusterLocal
from tests.pushing import URL
from tests.stage.failovers import SANDBOX, SETTINGS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the loopback has one address only"),
]

FAR = "127.0.0.7"
"""Where relays stand between the nodes and the processes that reach a minority."""
EACH_TIME = 10
"""Faxes that are pushed for an account at each step."""


@pytest.fixture
def local(server_binary: ServerBinary, users: Access, tmp_path: Path) -> Iterator[ClusterLocal]:
    # A node that does not name its host is reached where the node was that named it.
    cluster = {"options": {"cluster-preferred-endpoint-type": "unknown-endpoint"}}
    with ClusterLocal(
        tmp_path,
        binary=server_binary,
        access=users,
        accounts=ACCOUNTS,
        threads=5,
        settings=SETTINGS,
        sandbox=SANDBOX,
        cluster=cluster,
    ) as running:
        yield running


@pytest.fixture
def relays(local: ClusterLocal) -> Iterator[dict[int, Relay]]:
    """One for each node, by the node's port."""
    with ExitStack() as stack:
        ports = [server.port for server in local.cluster.servers]
        yield {port: stack.enter_context(closing(Relay(port, FAR, port))) for port in ports}


@pytest.fixture
def lines(local: ClusterLocal) -> Iterator[dict[str, FaxLine]]:
    """A producer's line of each account."""
    with ExitStack() as stack:
        url = local.url_of("producer")
        yield {name: stack.enter_context(FaxLine(url, name, replicas=1)) for name in ACCOUNTS}


def add_far(local: ClusterLocal, role: str, *options: str) -> str:
    """Start a process that reaches the nodes by the relays; its name."""
    name = f"far-{role}"
    port = local.metrics[name] = free_port()
    own = local.environment(role)
    own["FAXLINE_REDIS_URL"] = own["FAXLINE_REDIS_URL"].replace("127.0.0.1", FAR)
    own[f"FAXLINE_METRICS__{role.upper()}_PORT"] = str(port)
    part = local.add(name, [sys.executable, "-m", "faxline_worker", role, *options], own)
    part.await_start(lambda: local.ready(name))
    return name


def test_who_reaches_a_minority_of_the_nodes_serves_its_accounts_holds_up_nobody_and_works_for_all_again(
    local: ClusterLocal, relays: dict[int, Relay], lines: dict[str, FaxLine], wait_until: Callable[..., Any]
) -> None:
    near = local.part(local.names("dispatcher")[0])
    far = [add_far(local, "dispatcher"), add_far(local, "worker", "--threads", "5")]
    owners = {name: local.cluster.owner_of(f"fax:{{{name}}}:account") for name in ACCOUNTS}
    reached = owners["default"]
    pushed: dict[str, list[str]] = {name: [] for name in ACCOUNTS}

    def go_on(names: Sequence[str] = ACCOUNTS) -> None:
        for name in [*names] * EACH_TIME:
            fax = f"{name}-{len(pushed[name])}"
            lines[name].send(to=f"+1202{6_000_000 + len(pushed[name])}", files=[URL], id=fax, subject=fax)
            pushed[name].append(fax)
        wait_until(
            lambda: (
                {fax["subject"] for fax in local.ledger()} >= {fax for name in names for fax in pushed[name]}
            ),
            timeout=90,
            every=0.2,
            message=f"the faxes of {', '.join(names)} are sent",
        )

    go_on()
    for port in set(relays) - {reached.port}:
        relays[port].hold()
    wait_until(lambda: not any(map(local.ready, far)), timeout=60)
    go_on()
    near.kill()
    go_on([name for name, owner in owners.items() if owner is reached])
    near.start()
    go_on()
    for relay in relays.values():
        relay.admit()
    wait_until(lambda: all(map(local.ready, local.metrics)), timeout=60)
    near.kill()
    go_on()
    near.start()
    for name, line in lines.items():
        assert {line.wait(fax, timeout=60).state for fax in pushed[name]} == {JobState.DELIVERED}
    times = Counter(fax["subject"] for fax in local.ledger())
    assert times == {fax: 1 for faxes in pushed.values() for fax in faxes}
    assert all(part.process.poll() is None for part in local.parts)
