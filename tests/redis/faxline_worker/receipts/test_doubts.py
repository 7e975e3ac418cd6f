"""Doubts: what a late answer does, when the policy applies. On our own clock."""

import json
import math

import pytest

from faxline_worker.state.results import Admitted, Held, Idle
from tests.stage.doubts import TO, Doubts, Make
from tests.stage.scene import BEGIN, receipt


def test_a_job_that_was_to_be_sent_again_is_not_once_a_receipt_says_it_was_delivered(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    scene.doubt("a", in_doubt="resend")
    scene.go(99)
    assert [change.event for change in scene.store.timers.run().changes] == ["fax.retrying"]
    assert scene.state("a") == "queued"
    scene.receipt(started=BEGIN)
    assert scene.match() == [("resolved_doubt", "a")]
    assert scene.state("a") == "delivered"
    assert isinstance(scene.store.submission.admit("again", ""), Idle)
    assert scene.told("a") == ["queued", "in_doubt", "retrying", "delivered"]


@pytest.mark.parametrize(("policy", "end"), [("resend", "queued"), ("fail", "failed")])
def test_no_policy_applies_before_a_scheduled_fax_in_doubt_could_have_its_receipt(
    make: Make, policy: str, end: str
) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    scene.doubt("a", in_doubt=policy, schedule="provider", send_at=str((BEGIN + 500) * 1000))
    for wait in (101, 490):
        scene.go(wait)
        assert not scene.store.timers.run().changes
        assert scene.state("a") == "in_doubt"
    assert 0 < scene.store.timers.run().next < 10
    scene.go(10)
    assert scene.store.timers.run().changes
    assert scene.state("a") == end


def test_an_operator_is_asked_about_a_scheduled_fax_in_doubt_before_its_date(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    scene.doubt("a", schedule="provider", send_at=str((BEGIN + 500) * 1000))
    scene.go(101)
    scene.store.timers.run()
    assert scene.client.zscore(scene.keys.in_doubt, "a") == math.inf


def test_a_job_that_was_to_be_sent_again_is_though_a_receipt_says_that_it_failed_before(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    scene.doubt("a", in_doubt="resend")
    scene.go(99)
    scene.store.timers.run()
    scene.receipt(outcome="failed", started=BEGIN)
    assert scene.match() == [("duplicate", "a")]
    assert scene.told("a")[-1] == "duplicate"
    assert scene.call().attempt == 2


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_receipt_of_the_attempt_before_the_one_under_way_is_told_as_a_duplicate(
    make: Make, outcome: str
) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    scene.doubt("a", in_doubt="resend", metadata='{"x":1}')
    scene.go(99)
    scene.store.timers.run()
    again = scene.call()
    scene.receipt(outcome=outcome, started=BEGIN)
    assert scene.match() == [("duplicate", "a")]
    assert scene.state("a") == "submitting"
    events = scene.client.xrevrange(scene.keys.events, count=1)[0][1]
    assert events[b"event"] == b"fax.duplicate"
    assert json.loads(events[b"data"]) == {
        "state": "submitting",
        "attempt": 2,
        "jobId": 77,
        "metadata": {"x": 1},
        "call_started_at": 1000 * BEGIN,
        "outcome": outcome,
        "code": 0,
        "reason": "r",
        "pages": 3,
        "transferred": 3,
    }
    ended = outcome == "delivered"
    assert scene.answer(again, "accepted", job_id="78").state == ("delivered" if ended else "submitted")
    assert scene.receipt().result == ("repeated" if ended else "applied")
    assert (scene.receipt("78").result, scene.state("a")) == ("told", "delivered")


def doubted_twice(scene: Doubts) -> Admitted:
    """A job of which two attempts are in doubt, the second two minutes after the first."""
    first = scene.doubt("a", in_doubt="resend")
    scene.go(99)
    scene.store.timers.run()
    scene.go(200)
    assert scene.answer(scene.call(), "in_doubt").state == "in_doubt"
    return first


def test_of_two_doubts_of_a_job_the_earlier_ones_delivery_settles_it_and_the_laters_is_a_duplicate(
    make: Make,
) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    doubted_twice(scene)
    scene.receipt("77", started=BEGIN)
    scene.receipt("78", started=BEGIN + 300)
    assert sorted(scene.match()) == [("duplicate", "a"), ("resolved_doubt", "a")]
    assert (scene.state("a"), scene.record("a")["job_id"]) == ("delivered", "77")


def test_that_an_earlier_attempt_failed_is_no_word_on_the_last_one(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    doubted_twice(scene)
    scene.receipt("77", "failed", started=BEGIN)
    assert scene.match() == [("duplicate", "a")]
    assert scene.state("a") == "in_doubt"
    scene.receipt("78", started=BEGIN + 300)
    assert scene.match() == [("resolved_doubt", "a")]
    assert scene.state("a") == "delivered"


def lost(scene: Doubts, job: str, **fields: str) -> Admitted:
    """A job whose worker is lost after the mark."""
    scene.push(job, **fields)
    admitted = scene.call()
    scene.go(51)
    assert [(c.event, c.reason) for c in scene.store.timers.run().changes] == [
        ("fax.in_doubt", "worker_lost")
    ]
    return admitted


def test_a_late_acceptance_stops_what_was_to_be_sent_again(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    late = lost(scene, "a", in_doubt="resend")
    scene.go(100)
    scene.store.timers.run()
    assert scene.state("a") == "queued"
    done = scene.answer(late, "accepted", job_id="77")
    assert (done.result, done.state) == ("resolved", "submitted")
    assert isinstance(scene.store.submission.admit("again", ""), Idle)
    assert not scene.client.exists(scene.keys.doubts, scene.keys.ready, scene.keys.in_doubt)
    assert scene.answer(late, "accepted", job_id="77").result == "repeated"


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        ("accepted", "submitted"),
        ("refuse", "failed"),
        ("retry", "queued"),
        ("defer", "queued"),
        ("pause", "queued"),
    ],
)
def test_the_answer_of_a_worker_that_was_taken_for_lost_settles_its_doubt(
    make: Make, decision: str, state: str
) -> None:
    scene = make()
    late = lost(scene, "a")
    done = scene.answer(late, decision, job_id="77")
    assert (done.result, done.state) == ("resolved", state)
    assert not scene.client.exists(scene.keys.doubts, scene.keys.doubts_until)
    assert scene.answer(late, decision, job_id="77").result == "repeated"


def test_a_worker_that_comes_back_without_an_answer_changes_nothing(make: Make) -> None:
    scene = make()
    late = lost(scene, "a")
    assert scene.answer(late, "in_doubt").result == "stale"
    assert scene.told("a") == ["queued", "in_doubt"]
    assert scene.client.zcard(scene.keys.doubts) == 1


def test_a_late_acceptance_of_the_attempt_before_the_one_under_way_is_told_and_its_doubt_forgotten(
    make: Make,
) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    late = lost(scene, "a", in_doubt="resend")
    scene.go(100)
    scene.store.timers.run()
    again = scene.call()
    assert scene.answer(late, "accepted", job_id="77").result == "duplicate"
    assert scene.told("a")[-1] == "duplicate"
    assert scene.client.zcard(scene.keys.doubts) == 0  # so that no other fax's receipt meets it
    assert scene.answer(again, "accepted", job_id="78").state == "submitted"


def test_a_late_acceptance_of_an_earlier_attempt_settles_the_doubt_about_the_last(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    late = lost(scene, "a", in_doubt="resend")
    scene.go(100)
    scene.store.timers.run()
    assert scene.answer(scene.call(), "in_doubt").state == "in_doubt"
    done = scene.answer(late, "accepted", job_id="77")
    assert (done.result, done.state) == ("resolved", "submitted")
    scene.go(1000)
    assert scene.store.timers.run().changes == ()  # nothing is sent a third time
    assert scene.client.zcard(scene.keys.doubts) == 1  # the last attempt's own


@pytest.mark.parametrize(
    ("policy", "event", "state"),
    [("resend", "fax.retrying", "queued"), ("fail", "fax.failed", "failed"), ("hold", None, "in_doubt")],
)
@pytest.mark.parametrize("own", [True, False])
def test_the_policy_applies_when_the_wait_is_over(
    make: Make, policy: str, event: str | None, state: str, own: bool
) -> None:
    scene = make(
        IN_DOUBT__WAIT="100", IN_DOUBT__THEN=("hold" if policy == "fail" else "fail") if own else policy
    )
    scene.doubt("a", **({"in_doubt": policy} if own else {}))
    scene.go(98)
    assert scene.store.timers.run().changes == ()
    scene.go(1)
    assert [change.event for change in scene.store.timers.run().changes] == ([event] if event else [])
    assert scene.state("a") == state


def test_a_job_without_an_attempt_left_is_held_whatever_its_policy(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100", RETRIES__SUBMISSION__ATTEMPTS="1")
    scene.doubt("a", in_doubt="resend")
    scene.go(100)
    assert scene.store.timers.run().changes == ()
    assert scene.client.zscore(scene.keys.in_doubt, "a") == float("inf")


def test_a_doubt_that_was_given_up_and_turns_out_to_be_delivered_is_told(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    scene.doubt("a", in_doubt="fail")
    scene.go(99)
    scene.store.timers.run()
    scene.receipt(started=BEGIN)
    assert scene.match() == [("duplicate", "a")]
    assert scene.told("a") == ["queued", "in_doubt", "failed", "duplicate"]
    assert scene.state("a") == "failed"


def test_a_job_whose_expiry_passes_while_it_is_in_doubt_is_not_sent_again(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100")
    scene.doubt("a", in_doubt="resend", expires_at=str((BEGIN + 50) * 1000))
    scene.go(50)
    assert scene.store.timers.run().changes == ()
    scene.go(50)
    changes = scene.store.timers.run().changes
    assert [(c.event, c.reason) for c in changes] == [("fax.retrying", "in_doubt"), ("fax.failed", "expired")]
    assert isinstance(scene.store.submission.admit("again", ""), Idle)


def test_a_doubt_holds_its_permit_as_long_as_the_request_could_live(make: Make) -> None:
    scene = make(LIMITS__CONCURRENCY="1")
    scene.doubt("a")
    scene.push("b")
    assert scene.store.submission.admit("x", "") == Held("concurrency")
    scene.go(10)
    assert scene.store.timers.run().ready
    assert scene.call().job == "b"


@pytest.mark.parametrize(("policy", "state", "remembered"), [("fail", "failed", 0), ("hold", "in_doubt", 2)])
def test_a_doubt_is_forgotten_when_no_receipt_can_come_any_more_unless_it_is_held(
    make: Make, policy: str, state: str, remembered: int
) -> None:
    scene = make(IN_DOUBT__WAIT="100", RECEIPT_DEADLINE="1000", IN_DOUBT__THEN=policy)
    scene.doubt("a")
    scene.go(1099)
    scene.store.timers.run()
    assert scene.client.exists(scene.keys.doubts, scene.keys.doubts_until) == remembered
    assert scene.state("a") == state


@pytest.mark.parametrize("read", [True, False])
def test_no_doubt_is_forgotten_before_a_receipt_that_came_in_time_was_compared_with_it(
    make: Make, *, read: bool
) -> None:
    scene = make(IN_DOUBT__WAIT="100", RECEIPT_DEADLINE="1000", IN_DOUBT__THEN="fail")
    scene.doubt("a")
    scene.go(100)
    scene.store.timers.run()
    entry = None if read else scene.status()
    if read:
        assert scene.receipt(started=BEGIN).result == "unmatched"
    scene.go(2000)  # nobody runs
    scene.store.timers.run()
    if entry is not None:
        scene.store.receipts.apply([(entry, receipt("77", to=TO, started=BEGIN))])
    scene.store.timers.run()
    assert scene.match() == [("duplicate", "a")]
    assert scene.told("a") == ["queued", "in_doubt", "failed", "duplicate"]
    scene.go(20)
    scene.store.timers.run()
    assert scene.client.exists(scene.keys.doubts, scene.keys.doubts_until) == 0


def test_a_policy_waits_for_a_receipt_that_came_in_time_and_has_not_been_read(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100", IN_DOUBT__THEN="fail")
    scene.doubt("a")
    moment = round((BEGIN + scene.seconds + 50) * 1000)
    scene.client.xadd(scene.keys.status, {"kind": "receipt", "body": "{}"}, id=f"{moment}-0")
    scene.go(101)
    scene.store.timers.run()
    assert scene.state("a") == "in_doubt"
    scene.client.xtrim(scene.keys.status, maxlen=0)
    scene.store.timers.run()
    assert scene.state("a") == "failed"


def test_a_policy_waits_for_a_receipt_that_is_to_be_held_against_the_doubt(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100", IN_DOUBT__THEN="fail")
    scene.doubt("a")
    scene.go(95)
    scene.receipt("77")
    scene.go(6)
    scene.store.timers.run()
    assert scene.state("a") == "in_doubt"
    scene.match()
    assert scene.state("a") == "delivered"


def test_a_policy_waits_for_a_receipt_whose_number_lacks_its_country(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="1", IN_DOUBT__THEN="resend")
    scene.doubt("a")
    scene.receipt(to="+2025550123")
    scene.go(1.1)
    scene.store.timers.run()
    assert scene.state("a") == "in_doubt"
    assert scene.match() == [("resolved_doubt", "a")]
