"""What the rollback watch does on a new connection, before anything else is sent."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from unittest.mock import Mock

import pytest
import structlog

from faxline.contract.connections.cluster_slots import SlotMap
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.maintenance import rollback_watch
from faxline_worker.maintenance.cluster_rollback_watch import ClusterRollbackGuard
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.state.redis_clients import state_client
from tests.scripted_nodes import Cluster, Words, number, scripted

NODE = ("127.0.0.1", 7000)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts for which a process has checked in."""
    asked: list[str] = []

    def check_in_on(_connection: Any, _text: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.extend(arguments)
        return {name: Mock(last="0", base="0") for name in arguments}

    monkeypatch.setattr(rollback_watch, "check_in_on", check_in_on)
    monkeypatch.setattr(rollback_watch, "_run_of", lambda connection: f"run-{connection.port}")
    return asked


def connection() -> Mock:
    made = Mock()
    made.host, made.port = NODE
    return made


def owned_by_all(meanwhile: Any = lambda: None) -> Any:
    """A map in which the node owns all slots; `meanwhile` happens when it is looked at."""
    slots = Mock(spec=SlotMap, changes=0, known=True)
    slots.is_owner.side_effect = lambda _slot, node: (meanwhile(), node == NODE)[1]
    return slots


def guard_of(kind: type[RollbackGuard]) -> RollbackGuard:
    guard = kind("default", 2.0, structlog.get_logger("test"))
    guard.memory("default")
    return guard


def test_an_account_that_is_added_during_a_check_in_does_not_end_it(asked: list[str]) -> None:
    guard = guard_of(ClusterRollbackGuard)
    assert isinstance(guard, ClusterRollbackGuard)
    guard.memory("acme")
    guard.connected(connection(), owned_by_all(lambda: guard.memory("globex")))
    assert asked == ["default", "acme"]


def test_of_many_connections_to_a_node_only_the_first_look_at_the_accounts_until_something_changes(
    asked: list[str],
) -> None:
    guard = guard_of(ClusterRollbackGuard)
    accounts = [f"a{place}" for place in range(20)]
    for name in accounts:
        guard.memory(name)
    looks: list[None] = []
    slots = owned_by_all(lambda: looks.append(None))
    for _ in range(50):
        guard.connected(connection(), slots)
    assert asked == ["default", *accounts]
    assert len(looks) <= 2 * len(asked)
    guard.memory("late")
    guard.connected(connection(), slots)
    assert asked == ["default", *accounts, "late"]
    guard.connected(connection(), slots)
    before = len(looks)
    slots.changes += 1  # slots moved: accounts may be here that were elsewhere
    guard.forget("late")
    guard.memory("late")
    guard.connected(connection(), slots)
    assert len(looks) > before
    assert asked == ["default", *accounts, "late", "late"]


@pytest.mark.parametrize("kind", [RollbackGuard, ClusterRollbackGuard])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_connection_without_a_check_in_is_closed_whatever_went_wrong(
    kind: type[RollbackGuard], error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_watch, "_run_of", Mock(side_effect=error))
    made = connection()
    with pytest.raises(error):
        guard_of(kind).connected(made)
    made.disconnect.assert_called_once_with()


KEY, OTHER = RedisKeys("default").account_state, RedisKeys("acme").account_state


def well(words: Words) -> bytes:
    return b"+PONG\r\n" if words[0] == b"PING" else number(1)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with scripted() as cluster:
        for node in cluster.nodes:
            node.answer = well
        yield cluster


def fails_over(cluster: Cluster) -> None:
    """The second node gets the slots of the first, which is there again and says so."""
    first, second = cluster.nodes
    cluster.owners = [second] * 16384
    first.answer = lambda words: well(words) if words[0] == b"PING" else cluster.says("MOVED", KEY, second)


def test_all_accounts_of_a_demoted_primary_check_in_on_the_first_connection_to_the_new_one(
    asked: list[str], cluster: Cluster
) -> None:
    guard = guard_of(ClusterRollbackGuard)
    guard.memory("globex")
    with closing(state_client(cluster.url, connected=guard.connected)) as client:
        client.exists(KEY)
        assert asked == ["default", "globex"]
        fails_over(cluster)
        client.exists(KEY)
        assert asked == ["default", "globex"] * 2


def test_accounts_that_come_to_a_node_with_a_connection_check_in_at_the_next_look(
    asked: list[str], cluster: Cluster
) -> None:
    cluster.give(OTHER, cluster.nodes[1])
    guard = guard_of(ClusterRollbackGuard)
    guard.memory("globex")
    guard.memory("acme")
    with closing(state_client(cluster.url, connected=guard.connected)) as client:
        client.exists(KEY)
        client.exists(OTHER)
        assert asked == ["default", "globex", "acme"]
        fails_over(cluster)
        guard.look(client)
        assert asked == ["default", "globex", "acme", "default", "globex"]
        guard.look(client)
        assert asked[5:] == []
