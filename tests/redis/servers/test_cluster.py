"""A Redis Cluster of three nodes: every script with all its keys runs where the account's slot is.

A cluster refuses a script that touches two slots, also by a key that the script makes itself. Why Faxline as
a whole does not run on one, docs/production.md says.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline_local.processes import free_port
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.state.store import SCRIPTS
from tests.stage.expected import expected
from tests.stage.walk import Seen, Walk

pytestmark = pytest.mark.slow

SLOTS = 16384
NODES = 3


@pytest.fixture(scope="module")
def nodes(server_binary: ServerBinary) -> Iterator[list[Any]]:
    """Clients on the nodes, each with a third of the slots; the cluster is not yet awaited."""
    with ExitStack() as stack:
        clients: list[Any] = []
        places: list[tuple[int, int]] = []
        for _ in range(NODES):
            bus = free_port()
            options = {"cluster-enabled": "yes", "cluster-port": str(bus)}
            server = stack.enter_context(RedisServer(binary=server_binary, options=options))
            places.append((server.port, bus))
            clients.append(stack.enter_context(redis.Redis.from_url(server.url(0))))
        for place, client in enumerate(clients):
            first, last = place * SLOTS // NODES, (place + 1) * SLOTS // NODES - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            for port, bus in places[:place]:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        yield clients


@pytest.fixture
def owner(nodes: list[Any], wait_until: Callable[..., Any]) -> Any:
    """The node that has the slot of the account `default`, in a cluster that is whole."""

    def whole() -> bool:
        said = [client.execute_command("CLUSTER", "INFO") for client in nodes]
        return all(b"cluster_state:ok" in s and b"cluster_known_nodes:3" in s for s in map(_text, said))

    wait_until(whole, timeout=60)
    slot = nodes[0].execute_command("CLUSTER", "KEYSLOT", RedisKeys("default").intake)
    return nodes[max(place for place in range(NODES) if place * SLOTS // NODES <= slot)]


def _text(said: Any) -> bytes:
    if isinstance(said, dict):  # as redis-py reads it
        return "\n".join(f"{name}:{value}" for name, value in said.items()).encode()
    return bytes(said)


def test_every_script_runs_in_every_state_with_all_its_keys_in_the_slot_of_the_account(
    owner: Any,
) -> None:
    seen: list[Seen] = list(Walk(owner))
    assert {s.script for s in seen} == set(SCRIPTS)
    did = {(s.script, s.input, s.state): s.outcome for s in seen}
    should = {(s.script, s.input, s.state): expected(s.script, s.input, s.state, s.before) for s in seen}
    assert did == should


def test_a_script_that_touched_another_accounts_key_would_be_refused(owner: Any) -> None:
    keys = RedisKeys("default")
    text = "#!lua\nreturn redis.call('GET', ARGV[1])"
    assert owner.eval(text, 1, keys.ready, keys.document("none")) is None
    with pytest.raises(redis.ResponseError, match=r"slot|non local key"):
        owner.eval(text, 1, keys.ready, RedisKeys("acme").document("none"))


def test_the_names_of_the_accounts_and_two_accounts_lie_in_slots_of_their_own(owner: Any) -> None:
    names = [ACCOUNTS, RedisKeys("default").intake, RedisKeys("acme").intake]
    slots = {owner.execute_command("CLUSTER", "KEYSLOT", name) for name in names}
    assert len(slots) == len(names)  # so one read cannot have two accounts, which a dispatcher's has
