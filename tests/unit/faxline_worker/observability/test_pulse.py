"""A loop that goes round, one that stands still, one that cannot do its work."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from faxline_worker.observability.metrics.families import new_registry, watch_loops
from faxline_worker.observability.pulse import FORGIVEN, READY, Loops


class Watch:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Watch:
    return Watch()


@pytest.fixture
def loops(clock: Watch) -> Loops:
    return Loops(60, clock)


def test_a_loop_that_has_not_begun_is_healthy_and_not_ready(loops: Loops) -> None:
    loops.add("intake")
    assert loops.stalled() == {}
    assert loops.checks() == {"intake": "has not begun"}


def test_a_loop_that_goes_round_is_healthy_and_ready(loops: Loops, clock: Watch) -> None:
    loop = loops.add("intake")
    for _ in range(20):
        loop.well()
        clock.now += READY
    assert loops.stalled() == {}
    assert loops.checks() == {"intake": True}


def test_a_loop_that_stands_still_is_not_ready_and_then_not_healthy_and_the_time_is_told(
    loops: Loops, clock: Watch
) -> None:
    still, other = loops.add("intake"), loops.add("timers")
    still.well()
    clock.now += READY + 1
    other.well()
    assert loops.stalled() == {}
    assert loops.checks() == {"intake": "stands still for 11 s", "timers": True}
    clock.now += 50
    other.well()
    assert loops.stalled() == {"intake": 61.0}
    still.well()
    assert (loops.stalled(), loops.checks()) == ({}, {"intake": True, "timers": True})


def test_a_loop_that_fails_again_and_again_is_healthy_and_not_ready(loops: Loops, clock: Watch) -> None:
    loop = loops.add("intake")
    loop.well()
    for _ in range(10):
        clock.now += READY
        loop.failed()
        loop.beat()
        assert (loops.stalled(), loops.checks()) == ({}, {"intake": "fails"})
    loop.well()
    assert loops.checks() == {"intake": True}


def test_a_loop_that_waits_on_purpose_has_that_time_besides(loops: Loops, clock: Watch) -> None:
    loops.add("secrets", 300).well()
    clock.now += 300 + READY
    assert loops.checks() == {"secrets": True}
    clock.now += 51
    assert loops.stalled() == {"secrets": 361.0}


def test_a_loop_that_ended_is_missed_by_nobody(loops: Loops, clock: Watch) -> None:
    loops.add("intake")
    loops.drop("intake")
    clock.now += 1000
    assert (loops.stalled(), loops.checks(), loops.ages()) == ({}, {}, {})


def test_a_pool_in_which_no_thread_works_is_well(loops: Loops, clock: Watch) -> None:
    loops.pool("threads", 40)
    clock.now += 1000
    assert (loops.stalled(), loops.checks()) == ({}, {"threads": True})


def elsewhere(work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_one_thread_of_a_pool_that_stands_still_is_noticed_while_others_go_on(
    loops: Loops, clock: Watch
) -> None:
    pool = loops.pool("threads", 40)

    def go_on() -> None:
        with pool.working():
            pool.beat()
            pool.well()

    with pool.working():
        for _ in range(10):
            clock.now += 11
            elsewhere(go_on)
        assert loops.stalled() == {"threads": 110.0}
        assert loops.checks() == {"threads": "stands still for 110 s"}
        pool.beat()
        assert loops.stalled() == {}
    assert loops.ages() == {"threads": 0}


def test_a_pools_failure_is_told_until_a_thread_is_well_or_none_has_worked_for_long(
    loops: Loops, clock: Watch
) -> None:
    pool = loops.pool("threads", 40)
    pool.failed()
    assert loops.checks() == {"threads": "fails"}
    pool.well()
    assert loops.checks() == {"threads": True}
    pool.failed()
    clock.now += FORGIVEN + 1
    assert loops.checks() == {"threads": True}


def test_the_metric_tells_each_loops_age_at_the_moment_of_the_scrape(loops: Loops, clock: Watch) -> None:
    registry = new_registry()
    watch_loops(registry, loops.ages, loops.stalled)
    loops.add("intake").well()

    def ages() -> list[float | None]:
        names = ("fax_loop_age_seconds", "fax_loop_stalled")
        return [registry.get_sample_value(name, {"loop": "intake"}) for name in names]

    clock.now += 7
    assert ages() == [7, 0]
    clock.now += 60
    assert ages() == [67, 1]
