"""Parts of the daemon in this process; what a test does not ask about has a usual value or a stand-in."""

from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import Mock

from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.intake.registrar import Intake
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.processes.common import failure_labels
from faxline_worker.state.store import Store
from faxline_worker.wakeups.actors import Wakes


def usual_settings(**changes: str) -> Settings:
    """Settings of the account `default`; the names are those of the variables, without `FAXLINE_`."""
    environment = {"ACCOUNTS__DEFAULT__TOKEN": "token", **changes}
    return read_settings({f"FAXLINE_{name}": value for name, value in environment.items()})


def dispatcher_metrics(registry: Any = None, accounts: Sequence[str] = ("default",)) -> DispatcherMetrics:
    """A dispatcher's metrics, in a registry of their own unless there is one."""
    return DispatcherMetrics(registry or new_registry(), accounts, failure_labels())


def worker_metrics() -> WorkerMetrics:
    """A worker's metrics, in a registry of their own."""
    return WorkerMetrics(new_registry(), ["default"], failure_labels())


def make_intake(store: Store, log: Any = None) -> Intake:
    """What a dispatcher takes entries with."""
    return Intake(store, dispatcher_metrics(), log or Mock())


def make_dispatcher(
    client: Any,
    stores: Mapping[str, Any],
    *,
    wakes: Any = None,
    metrics: Any = None,
    log: Any = None,
    **more: Any,
) -> Dispatcher:
    """A dispatcher that is not started; by itself it looks once a minute, so only what comes moves it."""
    usual: Any = {"consumer": "test", "takeover": 60.0, "sweep": 60.0, "wake_lease": 60.0}
    return Dispatcher(
        client,
        stores,
        wakes or Mock(spec=Wakes),
        metrics or dispatcher_metrics(accounts=[*stores]),
        log or Mock(),
        **(usual | more),
    )
