"""The cooldown after a 429, the pause and its probes, calls that hang, jobs that starve: on our own clock."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline_worker.state.results import Admitted, Held
from tests.stage.account import Account
from tests.stage.scene import BEGIN


@pytest.fixture
def make(redis_client: redis.Redis) -> Callable[..., Account]:
    return lambda **changes: Account(redis_client, **changes)


def test_a_429_closes_the_gate_for_as_long_as_retry_after_says(make: Callable[..., Account]) -> None:
    account = make()
    account.push("a")
    account.answer(account.admit(), "defer", cooldown=30_000)
    assert account.held() == "rate_limit_cooldown"
    account.go(29.9)
    assert account.held() == "rate_limit_cooldown"
    account.go(0.1)
    assert account.admit().attempt == 1


@pytest.mark.parametrize(("asked", "waits"), [(0, 0.5), (10_000_000, 900)])
def test_retry_after_is_clamped(make: Callable[..., Account], asked: int, waits: float) -> None:
    account = make()
    account.push("a")
    account.answer(account.admit(), "defer", cooldown=asked)
    account.go(waits - 0.01)
    assert account.held() == "rate_limit_cooldown"
    account.go(0.01)
    account.admit()


def test_without_retry_after_the_gate_closes_longer_with_every_429_in_a_row(
    make: Callable[..., Account],
) -> None:
    account = make(COOLDOWN__BASE="5", COOLDOWN__MAX="60", COOLDOWN__MIN_LIMIT_FACTOR="1")
    account.push("a", "b")
    waits = []
    for _ in range(5):
        account.answer(account.admit(), "defer", jitter=1.0)
        waits.append(float(account.whole["gate"]) / 1e6 - BEGIN - account.seconds)
        account.go(waits[-1])
    assert [round(wait, 3) for wait in waits] == [5, 10, 20, 40, 60]
    account.answer(account.admit(), "accepted", job_id="1")
    account.answer(account.admit(), "defer", jitter=1.0)
    assert round(float(account.whole["gate"]) / 1e6 - BEGIN - account.seconds, 3) == 5


def test_the_429s_of_calls_that_were_under_way_together_count_once(make: Callable[..., Account]) -> None:
    account = make()
    account.push(*(f"job-{i}" for i in range(10)))
    together = [account.admit() for _ in range(10)]
    for admitted in together:
        account.answer(admitted, "defer", jitter=1.0)
    assert (account.whole["gates"], account.whole["share"]) == ("1", "0.5000")


def test_after_a_429_the_limits_shrink_to_what_was_in_use_and_recover_in_growing_steps(
    make: Callable[..., Account],
) -> None:
    account = make(LIMITS__REQUESTS="100", LIMITS__WINDOW="600", LIMITS__BURST="100", LIMITS__CONCURRENCY="0")
    account.push(*(f"job-{i}" for i in range(200)))
    for i in range(80):
        account.answer(account.admit(), "accepted", job_id=str(i + 1))
    account.answer(account.admit(), "defer", cooldown=1_000)
    assert account.whole["share"] == "0.7290"  # nine tenths of the 81 that were used
    account.go(1)
    assert account.held() in {"burst", "window"}
    account.go(600)  # six steps, the whole window: everything that was used has left it
    for _ in range(3):  # 1 + 2 + 4 … hundredths bring it back
        account.go(100)
    account.answer(account.admit(), "accepted", job_id="100")  # the one that finds out whether it is over
    admitted = 1
    while isinstance(account.store.submission.admit(account.permit(), ""), Admitted):
        admitted += 1
    assert admitted == 100


def test_a_shrunken_limit_holds(make: Callable[..., Account]) -> None:
    account = make(LIMITS__REQUESTS="100", LIMITS__WINDOW="6000", LIMITS__BURST="0", LIMITS__CONCURRENCY="0")
    account.push(*(f"job-{i}" for i in range(100)))
    account.answer(account.admit(), "defer", cooldown=1_000)
    account.go(1)
    account.answer(account.admit(), "accepted", job_id="100")
    admitted = 1
    while isinstance(account.store.submission.admit(account.permit(), ""), Admitted):
        admitted += 1
    assert admitted == 50 - 1  # half at the most is given up for one 429, which itself counts


def test_a_key_that_fails_pauses_the_account_and_spends_no_attempt(make: Callable[..., Account]) -> None:
    account = make()
    account.push("a", "b", "c")
    together = [account.admit() for _ in range(3)]
    for admitted in together:
        account.answer(admitted, "pause")
    assert account.held() == "paused"
    assert account.whole["paused"] == "pause"
    keys = account.keys
    assert account.client.zcard(keys.ready) == 3
    assert {account.client.hget(keys.job(job), "attempt") for job in "abc"} == {b"0"}


def test_a_paused_account_is_probed_by_one_job_at_growing_intervals(make: Callable[..., Account]) -> None:
    account = make(PROBE__FIRST="60", PROBE__MAX="200")
    account.push("a", "b")
    account.answer(account.admit(), "pause")
    waits = []
    for _ in range(4):
        waited = 0
        while isinstance(probe := account.store.submission.admit(account.permit(), ""), Held):
            plan = account.store.timers.plan_wakeups()
            assert plan.next is not None
            account.go(plan.next)
            waited += round(plan.next)
        assert isinstance(probe, Admitted)
        assert account.held() == "paused"
        account.answer(probe, "pause")
        waits.append(waited)
    assert waits == [60, 120, 200, 200]


@pytest.mark.parametrize("decision", ["accepted", "refuse"])
def test_a_probe_that_ifax_takes_or_refuses_for_itself_opens_the_account(
    make: Callable[..., Account], decision: str
) -> None:
    account = make()
    account.push("a", "b", "c")
    account.answer(account.admit(), "pause")
    account.go(60)
    account.answer(account.admit(), decision, job_id="1")
    assert account.whole["paused"] == ""
    account.admit()


def test_an_answer_from_before_the_pause_does_not_open_the_account(make: Callable[..., Account]) -> None:
    account = make()
    account.push("a", "b", "c")
    early, other = account.admit(), account.admit()
    account.go(0.1)
    account.answer(other, "pause")
    account.answer(early, "accepted", job_id="1")
    assert account.held() == "paused"


def test_an_operator_pauses_and_resumes_and_no_probe_goes_meanwhile(make: Callable[..., Account]) -> None:
    account = make()
    account.push("a")
    assert (account.order("pause"), account.order("pause")) == ("done", "idle")
    account.go(1_000_000)
    assert account.held() == "paused"
    assert account.store.timers.plan_wakeups().wakes == ()
    assert (account.order("resume"), account.order("resume")) == ("done", "idle")
    account.admit()
    assert account.client.xlen(account.keys.orders) == 0


def test_an_operator_lets_the_probe_go_now_one_at_a_time_and_the_account_stays_paused_until_ifax_takes_it(
    make: Callable[..., Account],
) -> None:
    account = make(PROBE__FIRST="600")
    account.push("a", "b", "c")
    account.answer(account.admit(), "pause")
    account.go(1)
    assert account.held() == "paused"
    assert account.order("probe") == "done"
    assert account.store.timers.plan_wakeups().wakes
    probe = account.admit()
    assert account.order("probe") == "busy"
    assert account.held() == "paused"
    account.answer(probe, "pause")
    assert account.whole["paused"] != ""
    assert account.held() == "paused"
    assert account.order("probe") == "done"
    account.answer(account.admit(), "accepted", job_id="1")
    assert account.whole["paused"] == ""
    assert account.order("probe") == "idle"


def test_nothing_is_probed_while_an_operator_holds_the_account(make: Callable[..., Account]) -> None:
    account = make()
    account.push("a")
    account.order("pause")
    assert account.order("probe") == "held"
    assert account.held() == "paused"


def test_an_order_is_carried_out_once_though_two_dispatchers_read_it(make: Callable[..., Account]) -> None:
    account = make()
    entry: Any = account.client.xadd(account.keys.orders, {"order": "pause", "by": "test"})
    assert [account.store.orders.pause_or_resume(entry.decode(), "pause") for _ in range(2)] == [
        "done",
        "gone",
    ]


def test_the_operators_pause_outlasts_the_answers_of_calls_under_way(make: Callable[..., Account]) -> None:
    account = make()
    account.push("a", "b", "c")
    first, second = account.admit(), account.admit()
    account.order("pause")
    account.answer(first, "accepted", job_id="1")
    account.answer(second, "pause")
    assert account.whole["paused"] == "operator"


def test_calls_that_hang_are_fewer_and_fewer_until_one_is_answered(make: Callable[..., Account]) -> None:
    account = make(LIMITS__CONCURRENCY="8", LEASE_GRACE="1")
    account.push(*(f"job-{i}" for i in range(20)))
    for admitted in [account.admit() for _ in range(3)]:
        account.answer(admitted, "in_doubt", silent=True)
    account.go(2)
    account.store.timers.run()  # their requests live no longer
    assert account.whole["strain"] == "1"
    alone = account.admit()
    assert account.held() == "concurrency"
    account.answer(alone, "accepted", job_id="1")
    account.answer(account.admit(), "accepted", job_id="2")
    account.answer(account.admit(), "accepted", job_id="3")
    assert account.whole["strain"] == "0"


def test_the_oldest_job_takes_one_of_the_slots_kept_for_those_that_starve(
    make: Callable[..., Account],
) -> None:
    account = make(STARVATION__AFTER="900", STARVATION__SHARE="0.1")
    account.push("bulk-1", "bulk-2", priority="bulk")
    account.go(10)
    account.push("normal", priority="normal")
    account.push("urgent-1", "urgent-2", "urgent-3", priority="urgent")
    assert account.admit(chance=0.05).job == "urgent-1"  # nothing has starved yet
    account.go(895)
    assert account.admit(chance=0.5).job == "urgent-2"
    assert account.admit(chance=0.05).job == "bulk-1"
    assert account.admit(chance=0.05).job == "bulk-2"
    assert account.admit(chance=0.05).job == "urgent-3"


def test_as_many_wake_ups_are_planned_as_slots_come_free_each_at_its_moment(
    make: Callable[..., Account],
) -> None:
    account = make(LIMITS__REQUESTS="10", LIMITS__WINDOW="1", LIMITS__BURST="2", LIMITS__CONCURRENCY="0")
    account.push(*(f"job-{i}" for i in range(30)))
    for i, admitted in enumerate([account.admit(), account.admit()]):
        account.answer(admitted, "accepted", job_id=str(i + 1))
    plan = account.store.timers.plan_wakeups(horizon=0.25)
    assert [round(wait, 2) for _, wait in plan.wakes] == [0.1, 0.2]
    assert plan.next is not None
    assert 0.2 <= plan.next <= 0.31
    assert (
        account.store.timers.plan_wakeups(horizon=0.25).wakes == ()
    )  # another dispatcher has nothing to send
    for token, _ in plan.wakes:
        account.go(0.1)
        assert isinstance(account.store.submission.admit(account.permit(), token), Admitted)


@pytest.mark.parametrize(("free", "waits"), [(0, "time"), (1, "time"), (2, "")])
def test_where_time_frees_one_slot_after_another_each_has_its_wake_up_and_a_settled_call_looks_for_none(
    make: Callable[..., Account], free: int, waits: str
) -> None:
    account = make(LIMITS__REQUESTS="10", LIMITS__WINDOW="1", LIMITS__BURST="3", LIMITS__CONCURRENCY="0")
    account.push(*(f"job-{i}" for i in range(30)))
    for i, admitted in enumerate([account.admit(), account.admit()]):
        account.answer(admitted, "accepted", job_id=str(i + 1))
    account.admit()
    account.client.delete(account.keys.wakes)  # those that the settled calls gave
    account.go(free * 0.1 + 0.01)
    wakes = account.store.timers.plan_wakeups(horizon=0.25).wakes
    assert [wait for _, wait in wakes if wait == 0] == [0] * free
    assert account.whole.get("waits", "") == waits


def test_a_caller_that_goes_on_is_given_the_best_job_with_the_settlement(
    make: Callable[..., Account],
) -> None:
    account = make()
    account.push("a", "b")
    account.push("first", priority="urgent")
    admitted = account.call()
    settled = account.store.submission.settle(
        admitted, {"decision": "accepted", "job_id": "1"}, permit="next"
    )
    assert settled.next is not None
    assert (settled.next.job, settled.next.permit, settled.next.attempt) == ("a", "next", 1)
    assert settled.wakes == ()


def test_a_caller_that_stops_has_another_actor_woken_for_the_next_job(make: Callable[..., Account]) -> None:
    account = make()
    account.push("a", "b")
    admitted = account.call()
    settled = account.store.submission.settle(admitted, {"decision": "accepted", "job_id": "1"})
    assert (settled.next, len(settled.wakes)) == (None, 1)
    assert account.store.timers.plan_wakeups().wakes == ()  # it is on its way


@pytest.mark.parametrize("limit", ["CONCURRENCY", "REQUESTS", "BURST"])
def test_a_caller_goes_on_inside_the_limits_only(make: Callable[..., Account], limit: str) -> None:
    limits = {"LIMITS__CONCURRENCY": "0", f"LIMITS__{limit}": "1"}
    account = make(**limits)
    account.push("a", "b")
    admitted = account.call()
    settled = account.store.submission.settle(
        admitted, {"decision": "accepted", "job_id": "1"}, permit="next"
    )
    assert (settled.next is not None) == (limit == "CONCURRENCY")


def test_a_caller_does_not_take_the_room_that_another_is_on_its_way_to(make: Callable[..., Account]) -> None:
    account = make(LIMITS__CONCURRENCY="0", LIMITS__BURST="2")
    account.push("a", "b", "c")
    admitted = account.admit()
    ((wake, _),) = account.store.timers.plan_wakeups(horizon=0).wakes
    account.store.submission.mark(admitted)
    settled = account.store.submission.settle(
        admitted, {"decision": "accepted", "job_id": "1"}, permit="next"
    )
    assert (settled.next, settled.wakes) == (None, ())
    assert isinstance(account.store.submission.admit(account.permit(), wake), Admitted)


def test_no_more_wake_ups_are_on_their_way_than_wanted(make: Callable[..., Account]) -> None:
    account = make(LIMITS__REQUESTS="0", LIMITS__CONCURRENCY="0")
    account.push(*(f"job-{i}" for i in range(30)))
    assert [len(account.store.timers.plan_wakeups(most=most).wakes) for most in (5, 5, 8)] == [5, 0, 3]


def test_a_wake_up_that_nobody_took_is_planned_again(make: Callable[..., Account]) -> None:
    account = make(WAKE_LEASE="5")
    account.push("a")
    first = account.store.timers.plan_wakeups()
    assert len(first.wakes) == 1
    assert first.next is not None
    account.go(first.next)
    assert len(account.store.timers.plan_wakeups().wakes) == 1


def test_the_answer_that_the_next_job_waits_for_wakes_an_actor(make: Callable[..., Account]) -> None:
    account = make(LIMITS__CONCURRENCY="1")
    account.push("a", "b")
    admitted = account.admit()
    assert account.store.timers.plan_wakeups().wakes == ()
    account.store.submission.mark(admitted)
    settled = account.store.submission.settle(admitted, {"decision": "accepted", "job_id": "1"})
    assert len(settled.wakes) == 1
