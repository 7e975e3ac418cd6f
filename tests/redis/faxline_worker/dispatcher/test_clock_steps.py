"""Redis' clock steps back and forward: what lasts a while lasts as long, and nobody sleeps for it."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.contract.check import Result
from faxline_worker.state.results import Admitted, Held, Idle, Mark, ReconcileLock
from tests.stage.scene import NUMBER, Scene
from tests.stage.states import JOB, JOB_ID, LEASE, WAIT, Actors, put

WRONG = 600.0
LIMITS = {"LIMITS__REQUESTS": "6", "LIMITS__WINDOW": "60", "LIMITS__BURST": "4", "LIMITS__CONCURRENCY": "2"}
Make = Callable[..., Scene]


@pytest.fixture
def make(redis_client: redis.Redis) -> Make:
    def scene(**changes: str) -> Scene:
        made = Scene(redis_client, **changes)
        made.store.timers.run()
        return made

    return scene


def send(scene: Scene) -> None:
    """One call, which is answered at once."""
    admitted = scene.admit()
    assert scene.store.submission.mark(admitted) is Mark.MARKED
    scene.store.submission.settle(admitted, {"decision": "refuse", "reason": "r"})


def busy(scene: Scene) -> None:
    """The burst is used up."""
    for i in range(20):
        scene.push(f"job-{i}")
    for _ in range(4):
        send(scene)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Held)


@pytest.mark.parametrize("by", [-WRONG, WRONG, -3600.0, 86400.0])
def test_an_account_goes_on_at_once_when_redis_clock_is_right_again(make: Make, by: float) -> None:
    scene = make(**LIMITS)
    busy(scene)
    scene.step(by)
    for _ in range(5):
        scene.go(2)
        scene.store.timers.run()
        scene.store.timers.plan_wakeups()
    send(scene)  # ten seconds drain one of the bucket, wrong clock or not
    scene.step(-by)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Held)
    scene.go(10)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Admitted)


@pytest.mark.parametrize("by", [-WRONG, WRONG])
def test_an_answer_counts_for_one_window_by_the_true_time(make: Make, by: float) -> None:
    scene = make(**LIMITS | {"LIMITS__BURST": "0"})
    for i in range(20):
        scene.push(f"job-{i}")
    for _ in range(6):
        send(scene)
    scene.go(20)
    scene.step(by)
    scene.store.timers.run()
    scene.go(39.9)
    assert scene.store.submission.admit(scene.permit(), "") == Held("window")
    scene.go(0.2)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Admitted)


def test_wake_ups_that_were_lost_are_sent_again_after_a_step_back(make: Make) -> None:
    scene = make(**LIMITS)
    scene.push(JOB)
    assert scene.store.timers.plan_wakeups().wakes
    scene.step(-WRONG)
    assert not scene.store.timers.plan_wakeups().wakes
    scene.go(6)  # the lease of a wake-up is five seconds
    assert scene.store.timers.plan_wakeups().wakes


@pytest.mark.parametrize("by", [-WRONG, WRONG])
@pytest.mark.parametrize("closes", [{"decision": "defer", "cooldown": 5000}, {"decision": "pause"}])
def test_a_gate_and_a_pause_last_as_long(make: Make, by: float, closes: dict[str, Any]) -> None:
    scene = make(PROBE__FIRST="5")
    scene.push(JOB)
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"reason": "r", **closes})
    scene.step(by)
    scene.go(4.9)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Held)
    scene.go(0.2)
    scene.submit(JOB_ID)
    assert scene.store.state().paused == ""


@pytest.mark.parametrize("by", [-WRONG, WRONG])
@pytest.mark.parametrize("state", ["submitting", "marked"])
def test_a_lease_runs_out_in_its_time_and_not_before(
    redis_client: redis.Redis, by: float, state: str
) -> None:
    actors = put(Scene(redis_client), state)
    scene = actors.scene
    scene.store.timers.run()
    scene.step(by)
    scene.store.timers.run()
    scene.go(LEASE - 0.2)
    scene.store.timers.run()
    assert scene.state(JOB) == "submitting"
    scene.go(0.2)
    scene.store.timers.run()
    assert scene.state(JOB) == ("queued" if state == "submitting" else "in_doubt")


@pytest.mark.parametrize("by", [-WRONG, WRONG, 86400.0])
def test_a_doubt_waits_as_long_for_its_receipt_before_the_policy_applies(make: Make, by: float) -> None:
    scene = make(IN_DOUBT__THEN="resend")
    actors = Actors(scene)
    scene.push(JOB)
    actors.admit()
    actors.mark()
    actors.settle("in_doubt")
    scene.step(by)
    scene.go(WAIT - 0.2)
    scene.store.timers.run()
    assert scene.state(JOB) == "in_doubt"
    scene.go(0.2)
    scene.store.timers.run()
    assert scene.state(JOB) == "queued"


@pytest.mark.parametrize("by", [-WRONG, WRONG])
def test_a_receipt_fits_a_doubt_from_before_a_step(make: Make, by: float) -> None:
    scene = make(IN_DOUBT__CLOCK_SLACK="20")
    actors = Actors(scene)
    scene.step(by)  # the clock is wrong while the call is made
    scene.store.timers.run(step=by)
    scene.push(JOB)
    actors.admit()
    actors.mark()
    actors.settle("in_doubt")
    scene.receipt("99", to=NUMBER, started=scene.true // 1000)
    scene.step(-by)
    scene.store.timers.run(step=-by)
    scene.go(LEASE + 1)
    assert [met.result for met in scene.store.receipts.match()] == ["resolved_doubt"]


def test_no_policy_is_applied_while_words_wait_that_came_before_the_clock_stepped(make: Make) -> None:
    scene = make(IN_DOUBT__THEN="resend")
    actors = Actors(scene)
    scene.push(JOB)
    actors.admit()
    actors.mark()
    actors.settle("in_doubt")
    scene.go(WAIT - 1)
    ahead = f"{scene.now + round(WRONG * 1000)}-0"  # its id is from a clock that was ahead
    scene.client.xadd(scene.keys.status, {"body": b"{}", "kind": "receipt"}, id=ahead)
    scene.go(2)
    scene.store.timers.run()
    assert scene.state(JOB) == "in_doubt"
    scene.status()  # more comes, and the first is read
    scene.client.xdel(scene.keys.status, ahead)
    scene.store.timers.run()
    assert scene.state(JOB) == "queued"


@pytest.mark.parametrize("by", [-WRONG, WRONG])
def test_nobody_sleeps_longer_than_a_sweep_because_of_the_clock(make: Make, by: float) -> None:
    scene = make(**LIMITS, SWEEP="10")
    busy(scene)
    scene.step(by)
    assert scene.store.timers.run().next <= 10
    plan = scene.store.timers.plan_wakeups()
    assert plan.next is None or plan.next <= 60


def test_receipts_are_claimed_anew_where_a_lost_claim_would_outlive_a_step_back(make: Make) -> None:
    scene = make()
    scene.status()
    assert scene.store.receipts.try_lock_reconcile() is ReconcileLock.LOCKED
    assert scene.store.receipts.try_lock_reconcile() is ReconcileLock.BUSY
    left: Any = scene.client.pttl(scene.keys.reconcile_wake)
    scene.client.pexpire(scene.keys.reconcile_wake, left + round(WRONG * 1000))  # as Redis sees it then
    assert scene.store.receipts.try_lock_reconcile() is ReconcileLock.LOCKED


def test_an_order_that_takes_its_time_is_begun_anew_where_a_lost_claim_would_outlive_a_step_back(
    make: Make,
) -> None:
    scene = make()
    assert scene.store.maintenance.lock("lost", 30)
    assert not scene.store.maintenance.lock("other", 30)
    scene.client.pexpire(scene.keys.maintenance_lock, 600_000)
    assert scene.store.maintenance.lock("other", 30)
    assert not scene.store.maintenance.lock("lost", 30)


@pytest.mark.parametrize("by", [WRONG, 86400.0])
def test_a_job_that_was_pushed_while_the_clock_was_ahead_keeps_its_place(make: Make, by: float) -> None:
    scene = make()
    scene.step(by)
    scene.store.timers.run()
    scene.push("first")
    scene.step(-by)
    scene.push("second")
    assert scene.admit().job == "first"


def test_a_job_waits_for_nobody_where_the_account_is_empty(make: Make) -> None:
    scene = make()
    scene.step(-WRONG)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)


@pytest.mark.parametrize(
    ("by", "expected"), [(-WRONG, "stepped back by 600 s"), (WRONG, "stepped forward by 600 s")]
)
def test_the_doctor_tells_of_a_step_for_a_day(make: Make, redis_url: str, by: float, expected: str) -> None:
    scene = make()
    with FaxLine(redis_url) as line:
        assert [check.result for check in line.checks() if check.name == "clock"] == [Result.OK]
        step_at: Any = scene.client.time()
        scene.store.timers.run(step=by)
        scene.client.hset(scene.keys.account_state, "step_at", step_at[0] * 1000)
        found = [check for check in line.checks() if check.name == "clock" and expected in check.text]
        assert [check.result for check in found] == [Result.WARN]
        scene.client.hset(scene.keys.account_state, "step_at", (step_at[0] - 90_000) * 1000)
        assert [check.result for check in line.checks() if check.name == "clock"] == [Result.OK]


@pytest.mark.parametrize("by", [-WRONG, WRONG])
def test_an_account_is_told_by_redis_clock_after_a_step(redis_client: redis.Redis, by: float) -> None:
    scene = Scene(redis_client, **LIMITS)
    server: Any = redis_client.time()
    ahead = round(-by * 1e6)
    steady = server[0] * 1_000_000 + ahead
    fields = {"seen": server[0] * 1_000_000, "skew": ahead, "gate": steady + 5_000_000}
    fields |= {"bucket": 3, "bucket_at": steady, "requests": 6, "window": 3_600_000_000, "burst": 4}
    redis_client.hset(scene.keys.account_state, mapping=fields)  # type: ignore[arg-type]
    redis_client.zadd(scene.keys.answers, {"a": steady, "b": steady - 3_700_000_000})
    state = scene.store.state()
    assert abs(state.cooldown_until - state.now - 5_000_000) < 2_000_000
    assert state.burst.used == pytest.approx(3, abs=0.1)
    assert state.window.used == 1
