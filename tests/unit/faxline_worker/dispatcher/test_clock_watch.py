"""A step of Redis' clock is seen, and nothing else is taken for one."""

from typing import Any
from unittest.mock import Mock

import pytest

from faxline_worker.dispatcher.clock_watch import ClockWatch
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.state.results import TimerRun, WakePlan
from faxline_worker.state.store import Store
from tests.stage.daemon import make_dispatcher


def steps(*looks: tuple[float, float, float]) -> list[float]:
    watch = ClockWatch()
    return [watch.look(*look) for look in looks]


@pytest.mark.parametrize("by", [-600.0, -1.5, 1.5, 86400.0])
def test_a_step_is_seen_once_and_at_its_size(by: float) -> None:
    found = steps(
        (10.0, 1000.0, 10.0), (12.0, 1002.0, 12.0), (14.0, 1004.0 + by, 14.0), (16.0, 1006.0 + by, 16.0)
    )
    assert found == [0.0, 0.0, pytest.approx(by), 0.0]


@pytest.mark.parametrize(
    "look",
    [(12.0, 1002.9, 12.0), (12.0, 1001.1, 12.0), (12.0, 1042.0, 52.0), (12.0, 1002.0, 52.0)],
    ids=["a bit fast", "a bit slow", "answered late", "the answer came late"],
)
def test_drift_and_slow_answers_are_no_step(look: tuple[float, float, float]) -> None:
    assert steps((10.0, 1000.0, 10.0), look) == [0.0, 0.0]


def dispatcher_of(**replies: Any) -> tuple[Dispatcher, Mock]:
    """A dispatcher of one account, and the account's store."""
    store = Mock(spec=Store, keys=Mock(), caller_id="", schedule="provider", timers=Mock(), **replies)
    dispatcher = make_dispatcher(Mock(), {"default": store}, metrics=Mock(), sweep=10, wake_lease=5)
    return dispatcher, store


@pytest.mark.parametrize(("planned", "again"), [(600.0, 10), (3.0, 3.0), (None, 10)])
def test_whatever_redis_clock_says_a_dispatcher_looks_again_after_a_sweep(
    planned: float | None, again: float
) -> None:
    dispatcher, store = dispatcher_of()
    store.timers.plan_wakeups.return_value = WakePlan(next=planned)
    assert dispatcher.timers.plan_wakeups("default") == again


def test_a_step_is_logged_and_counted_and_every_account_is_told_once() -> None:
    dispatcher, store = dispatcher_of()
    log: Any = dispatcher.context.log
    metrics: Any = dispatcher.context.metrics
    store.timers.run.return_value = TimerRun(next=10, ready=False, match=False)
    dispatcher.gauges.watch_clock(10.0, 1000.0, 10.0)
    dispatcher.gauges.watch_clock(12.0, 402.0, 12.0)
    assert log.warning.call_args.kwargs == {"seconds": -600.0}
    metrics.clock_step.assert_called_once_with("back")
    dispatcher.timers.run_timers("default")
    dispatcher.timers.run_timers("default")
    assert [call.kwargs["step"] for call in store.timers.run.call_args_list] == [-600.0, 0.0]
