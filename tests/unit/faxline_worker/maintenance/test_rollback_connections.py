"""What the rollback watch does on a new connection, before anything else is sent."""

from typing import Any
from unittest.mock import Mock

import pytest
import structlog

from faxline.contract.connections.cluster_slots import SlotMap
from faxline_worker.maintenance import rollback_watch
from faxline_worker.maintenance.cluster_rollback_watch import ClusterRollbackGuard
from faxline_worker.maintenance.rollback_watch import RollbackGuard

NODE = ("127.0.0.1", 7000)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts for which a process has checked in."""
    asked: list[str] = []

    def check_in_on(_connection: Any, _text: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.extend(arguments)
        return {name: Mock(last="0", base="0") for name in arguments}

    monkeypatch.setattr(rollback_watch, "check_in_on", check_in_on)
    monkeypatch.setattr(rollback_watch, "_run_of", lambda connection: connection.run)
    return asked


def connection(run: str = "first") -> Mock:
    made = Mock(run=run)
    made.host, made.port = NODE
    return made


def owned_by_all(meanwhile: Any = lambda: None) -> Any:
    """A map in which the node owns all slots; `meanwhile` happens when it is looked at."""
    slots = Mock(spec=SlotMap)
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
