"""Failures of which iFax may call again by itself: held, until no other word came in time."""

from typing import Any

import pytest
import redis

from faxline_worker.state.results import Idle, Receipted
from tests.stage.scene import NUMBER, Scene

JOB, JOB_ID = "a", "77"
WAIT = 600.0


def begin(client: redis.Redis, **settings: str) -> Scene:
    return Scene(client, RETRIES__DELIVERY__BUSY="180", SWEEP="10", **settings)


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    made = begin(redis_client)
    made.push(JOB)
    made.submit()
    made.news()
    return made


def fail(scene: Scene, redial: int | None, again: str | None = "busy", **more: Any) -> Receipted:
    own = {"to": NUMBER, "again": again, "redial": redial, "code": 17, "reason": "busy"}
    return scene.receipt(JOB_ID, "failed", **{name: v for name, v in (own | more).items() if v is not None})


@pytest.mark.parametrize("again", ["busy", None])
def test_a_failure_after_which_ifax_may_call_again_is_told_when_no_other_word_came(
    scene: Scene, again: str | None
) -> None:
    assert fail(scene, 0, again).result == "held"
    assert (scene.state(JOB), scene.names()) == ("submitted", [])
    scene.go(WAIT - 1)
    assert scene.store.timers.run().failures == ()
    scene.go(1.1)
    [(job, receipt)] = scene.store.timers.run().failures
    assert (job, receipt["outcome"], receipt.get("retried")) == (JOB, "failed", again and True)
    assert scene.names() == ["fax.retrying" if again else "fax.failed"]
    assert scene.store.timers.run().failures == ()
    assert not scene.client.zcard(scene.keys.held)
    assert "held" not in scene.record(JOB)


def test_ifaxs_own_next_call_that_arrives_is_the_end_and_nothing_is_sent_again(scene: Scene) -> None:
    fail(scene, 0)
    fail(scene, 1)
    assert scene.receipt(JOB_ID, "delivered").result == "applied"
    assert scene.names() == ["fax.delivered"]
    scene.go(WAIT + 1)
    assert scene.store.timers.run().failures == ()
    assert scene.names() == []


def test_each_further_call_puts_the_end_off_and_a_repeat_does_not(scene: Scene) -> None:
    fail(scene, 0)
    scene.go(WAIT - 10)
    fail(scene, 1)
    scene.go(WAIT - 10)
    assert fail(scene, 1).result == "held"
    assert scene.store.timers.run().failures == ()
    scene.go(11)
    assert len(scene.store.timers.run().failures) == 1


@pytest.mark.parametrize("passed", [1, 200])
def test_a_call_of_ifaxs_own_that_comes_later_yet_puts_the_next_delivery_off(
    scene: Scene, passed: float
) -> None:
    fail(scene, 0)
    scene.go(WAIT + 1)
    scene.store.timers.run()
    scene.go(passed)
    scene.store.timers.run()  # it is due after 180 s
    assert fail(scene, 1).result == "held"
    scene.go(WAIT - 1)
    assert fail(scene, 1).result == "repeated"
    scene.store.timers.run()
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
    scene.go(2)
    scene.store.timers.run()
    assert scene.call().request == {"jobId": int(JOB_ID)}
    assert fail(scene, 2).result == "repeated"


def test_and_if_that_call_succeeds_nothing_is_sent_again(scene: Scene) -> None:
    fail(scene, 0)
    scene.go(WAIT + 1)
    scene.store.timers.run()
    fail(scene, 1)
    scene.receipt(JOB_ID, "delivered")
    scene.go(WAIT)
    scene.store.timers.run()
    assert scene.names() == ["fax.retrying", "fax.delivered"]
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)


@pytest.mark.parametrize("step", [600, -600])
def test_a_step_of_redis_clock_makes_no_failure_the_last_one(scene: Scene, step: float) -> None:
    scene.step(-step)
    scene.store.timers.run()
    fail(scene, 0)
    scene.step(step)
    scene.go(WAIT / 2)
    assert scene.store.timers.run().failures == ()
    scene.go(WAIT / 2 + 10)
    assert len(scene.store.timers.run().failures) == 1


def test_a_failure_is_not_the_last_while_a_word_waits_that_came_in_time(scene: Scene) -> None:
    fail(scene, 0)
    scene.go(WAIT - 1)
    entry: Any = scene.client.xadd(scene.keys.status, {"body": b"{}", "kind": "receipt"})
    scene.go(2)
    found = scene.store.timers.run()
    assert (found.failures, found.next) == ((), 1.0)
    assert (
        scene.store.receipts.apply([(entry.decode(), {"job_id": JOB_ID, "outcome": "delivered"})])[0].result
        == "applied"
    )
    assert scene.store.timers.run().failures == ()
    assert scene.names() == ["fax.delivered"]


def test_a_failure_is_the_last_although_words_go_on_coming(scene: Scene) -> None:
    fail(scene, 0)
    first: Any = scene.client.xadd(scene.keys.status, {"body": b"{}", "kind": "receipt"})
    scene.go(WAIT + 1)
    assert scene.store.timers.run().failures == ()
    scene.client.xdel(scene.keys.status, first)
    scene.client.xadd(scene.keys.status, {"body": b"{}", "kind": "receipt"})
    assert len(scene.store.timers.run().failures) == 1


def test_a_failure_without_a_number_is_the_last(scene: Scene) -> None:
    assert fail(scene, None).result == "applied"
    assert scene.names() == ["fax.retrying"]


def test_every_failure_is_the_last_where_the_setting_says_so(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, RETRIES__DELIVERY__REDIAL_WAIT="0")
    scene.push(JOB)
    scene.submit()
    assert fail(scene, 0).result == "applied"


def test_a_failure_that_came_before_the_answer_is_held_as_well(redis_client: redis.Redis) -> None:
    scene = begin(redis_client)
    scene.push(JOB)
    admitted = scene.call()
    assert fail(scene, 0).result == "unmatched"
    settled = scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": JOB_ID})
    assert (settled.state, settled.receipt) == ("submitted", None)
    scene.go(WAIT + 1)
    assert len(scene.store.timers.run().failures) == 1


@pytest.mark.parametrize(
    "early", [("failed", "delivered"), ("failed", "failed", "delivered"), ("delivered", "failed")]
)
def test_of_the_words_that_came_before_the_answer_the_last_counts(
    redis_client: redis.Redis, early: tuple[str, ...]
) -> None:
    scene = begin(redis_client)
    scene.push(JOB)
    admitted = scene.call()
    for redial, outcome in enumerate(early):
        fail(scene, redial) if outcome == "failed" else scene.receipt(JOB_ID, outcome, to=NUMBER)
    settled = scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": JOB_ID})
    assert settled.state == "delivered"
    scene.go(WAIT + 1)
    assert scene.store.timers.run().failures == ()


def test_such_a_failure_settles_a_doubt_and_the_job_waits_for_the_last(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, IN_DOUBT__THEN="resend")
    scene.push(JOB, number=NUMBER)
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "in_doubt"})
    fail(scene, 0)
    scene.go(200)
    assert [(matched.result, matched.job) for matched in scene.store.receipts.match()] == [("held", JOB)]
    record = scene.record(JOB)
    assert (record["state"], record["job_id"]) == ("submitted", JOB_ID)
    assert scene.receipt(JOB_ID, "delivered").result == "applied"


def test_a_job_whose_failure_is_held_is_not_unconfirmed(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, RECEIPT_DEADLINE="60")
    scene.push(JOB)
    scene.submit()
    fail(scene, 0, None)
    scene.go(61)
    scene.store.timers.run()
    assert scene.state(JOB) == "submitted"
    scene.go(WAIT)
    scene.store.timers.run()
    assert scene.state(JOB) == "failed"


def test_what_is_held_has_no_number_of_the_recipient(scene: Scene) -> None:
    fail(scene, 0)
    assert NUMBER not in scene.record(JOB)["held"]
