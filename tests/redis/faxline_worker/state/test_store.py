"""The transitions, on a real server, through their typed methods."""

from collections.abc import Callable

import pytest
import redis

from faxline_worker.state import streams
from faxline_worker.state.results import Admitted, Held, Idle, Mark, Registration
from tests.stage.scene import Scene
from tests.stage.states import LEASE

Make = Callable[..., Scene]


@pytest.fixture
def make(redis_client: redis.Redis) -> Make:
    return lambda **changes: Scene(redis_client, **changes)


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


def told(scene: Scene) -> list[tuple[str, str]]:
    return [(event.name, event.job) for event in scene.news()]


def test_a_job_goes_from_registration_to_delivered_with_one_event_each(scene: Scene) -> None:
    assert scene.push("a", request='{"a":1}', metadata='{"order":12345678901234567890}') == "registered"
    admitted = scene.admit()
    assert (admitted.job, admitted.attempt, admitted.request) == ("a", 1, {"a": 1})
    submission = scene.store.submission
    assert submission.mark(admitted) is Mark.MARKED
    assert submission.settle(admitted, {"decision": "accepted", "job_id": "77"}).state == "submitted"
    done = scene.receipt("77")
    assert (done.result, done.job) == ("applied", "a")
    events = scene.news()
    assert [(event.name, event.job) for event in events] == [
        (f"fax.{name}", "a") for name in ("queued", "submitted", "delivered")
    ]
    assert scene.state("a") == "delivered"
    assert events[-1].data["metadata"] == {"order": 12345678901234567890}
    assert events[-1].data["jobId"] == 77
    assert scene.client.xlen(scene.keys.intake) == scene.client.xlen(scene.keys.status) == 0


def test_the_same_id_is_ignored_with_the_same_content_and_rejected_with_other(scene: Scene) -> None:
    scene.push("a")
    again = [scene.item(scene.intake(), "a", digest=digest) for digest in ("same", "other")]
    assert [scene.store.intake.register([item])[0] for item in again] == [
        (Registration.REPEATED, ""),
        (Registration.REJECTED, "id_reused"),
    ]
    assert told(scene) == [("fax.queued", "a"), ("fax.rejected", "a")]


def test_a_receipt_is_applied_once_however_often_it_comes(scene: Scene) -> None:
    scene.push("a")
    scene.submit("77")
    assert [scene.receipt("77").result for _ in range(3)] == ["applied", "repeated", "repeated"]
    assert scene.receipt("77", "failed").result == "repeated"
    assert scene.state("a") == "delivered"


def test_a_receipt_before_the_answer_is_claimed_by_the_answer(scene: Scene) -> None:
    scene.push("a")
    admitted = scene.call()
    assert scene.receipt("77").result == "unmatched"
    settled = scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"})
    assert settled.receipt is not None
    assert scene.state("a") == "delivered"
    assert scene.names() == ["fax.queued", "fax.submitted", "fax.delivered"]
    assert scene.receipt("77").result == "repeated"


def test_every_script_called_again_answers_the_same_and_changes_nothing(scene: Scene) -> None:
    scene.push("a", "b")
    submission = scene.store.submission
    first, again = submission.admit("permit-1", ""), submission.admit("permit-1", "")
    assert not isinstance(first, Idle | Held)
    assert not isinstance(again, Idle | Held)
    assert (first.job, first.attempt) == (again.job, again.attempt) == ("a", 1)
    assert submission.mark(first) is submission.mark(first) is Mark.MARKED
    answer = {"decision": "accepted", "job_id": "77"}
    assert submission.settle(first, answer).result == "settled"
    before = scene.record("a")
    assert submission.settle(first, answer).result == "repeated"
    assert scene.record("a") == before
    assert scene.client.zcard(scene.keys.answers) == 1


def test_the_most_urgent_then_the_oldest_job_is_admitted_first(scene: Scene) -> None:
    scene.push("bulk", priority="bulk")
    scene.push("normal-1", "normal-2")
    scene.push("urgent", priority="urgent")
    assert [scene.admit().job for _ in range(4)] == ["urgent", "normal-1", "normal-2", "bulk"]
    assert isinstance(scene.store.submission.admit("x", ""), Idle)


def test_no_more_permits_are_held_than_the_concurrency_allows(make: Make) -> None:
    scene = make(LIMITS__CONCURRENCY="2")
    scene.push("job-0", "job-1", "job-2")
    first = scene.admit()
    scene.admit()
    assert scene.store.submission.admit("x", "") == Held("concurrency")
    scene.store.submission.mark(first)
    assert scene.store.submission.settle(first, {"decision": "accepted", "job_id": "1"}).wakes
    assert scene.admit().job == "job-2"


def test_an_answer_counts_in_the_window_and_the_timers_say_when_it_leaves(make: Make) -> None:
    scene = make(LIMITS__REQUESTS="2", LIMITS__WINDOW="7", LIMITS__BURST="0")
    scene.push("job-0", "job-1", "job-2")
    for job_id in ("0", "1"):
        scene.submit(job_id)
    assert scene.store.submission.admit("x", "") == Held("window")
    plan = scene.store.timers.plan_wakeups()
    assert not plan.wakes
    assert plan.next is not None
    assert 0 < plan.next <= 7


def test_a_burst_ends_at_its_limit_and_the_bucket_drains(make: Make) -> None:
    scene = make(LIMITS__BURST="3", LIMITS__REQUESTS="1000", LIMITS__WINDOW="100000")
    scene.push("job-0", "job-1", "job-2", "job-3")
    for job_id in ("0", "1", "2"):
        scene.submit(job_id)
    assert scene.store.submission.admit("x", "") == Held("burst")
    scene.go(100)  # the time of one request
    assert scene.admit().job == "job-3"


def test_a_deferral_keeps_the_place_spends_no_attempt_and_closes_the_gate(scene: Scene) -> None:
    scene.push("a", "b")
    admitted = scene.call()
    place = scene.record("a")["place"]
    answer = {"decision": "defer", "reason": "rate_limited", "cooldown": 60_000}
    scene.store.submission.settle(admitted, answer)
    assert scene.store.submission.admit("x", "") == Held("rate_limit_cooldown")
    held = scene.record("a")
    assert (held["state"], held["attempt"], held["place"]) == ("queued", "0", place)
    assert scene.client.zrange(scene.keys.ready, 0, -1) == [b"a", b"b"]


def test_a_pause_holds_the_account_and_burns_nothing(scene: Scene) -> None:
    scene.push("a")
    answer = {"decision": "pause", "reason": "invalid_key", "code": -3009}
    scene.store.submission.settle(scene.call(), answer)
    assert scene.store.submission.admit("x", "") == Held("paused")
    assert scene.record("a")["attempt"] == "0"
    assert scene.store.state().paused == "invalid_key"


def test_a_retry_waits_for_its_time_and_then_fails_when_the_attempts_are_spent(make: Make) -> None:
    scene = make(RETRIES__SUBMISSION__ATTEMPTS="2")
    scene.push("a")
    answer = {"decision": "retry", "reason": "connect_failed", "retry": 1000}
    assert scene.store.submission.settle(scene.admit(), answer).state == "queued"
    scene.go(0.9)
    assert not scene.store.timers.run().ready
    scene.go(0.1)
    assert scene.store.timers.run().ready
    assert scene.store.submission.settle(scene.admit(), answer).state == "failed"
    assert scene.names() == ["fax.queued", "fax.retrying", "fax.failed"]
    assert scene.client.pttl(scene.keys.job("a")) > 0


def test_a_lease_that_ran_out_before_the_mark_returns_the_job_to_its_place(scene: Scene) -> None:
    scene.push("a")
    stale = scene.admit()
    scene.go(LEASE)
    assert scene.store.timers.run().ready
    assert scene.store.submission.mark(stale) is Mark.LOST
    assert scene.record("a")["attempt"] == "0"
    assert scene.client.zrange(scene.keys.ready, 0, -1) == [b"a"]
    assert scene.client.zcard(scene.keys.answers) == 0


def test_a_lease_that_ran_out_after_the_mark_is_in_doubt_and_a_late_answer_settles_it(scene: Scene) -> None:
    scene.push("a")
    admitted = scene.call()
    scene.go(LEASE)
    scene.store.timers.run()
    assert scene.state("a") == "in_doubt"
    assert scene.client.zcard(scene.keys.answers) == 1
    late = scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": "9"})
    assert (late.result, late.state) == ("resolved", "submitted")
    assert scene.receipt("9").result == "applied"


def test_a_permit_outlasts_the_last_bytes_of_a_call_by_the_longest_grace_of_any_process(
    make: Make, redis_client: redis.Redis
) -> None:
    strict = make(LEASE_GRACE="3", HTTP_TIMEOUT="5", HTTP_RATE="1000")
    loose = Scene(redis_client, LEASE_GRACE="1", HTTP_TIMEOUT="5", HTTP_RATE="1000").store
    strict.begin()
    strict.store.offer("worker b:1")
    strict.push("a")
    admitted = loose.submission.admit("permit", "")
    assert isinstance(admitted, Admitted)
    assert loose.submission.mark(admitted, 100_000) is Mark.MARKED
    ((_, until),) = strict.client.zrange(strict.keys.permits, 0, -1, withscores=True)
    assert until - strict.now >= 108_000  # 5 s, 100 s for the body, and 3 s


def test_the_lease_of_a_large_request_grows_with_its_size_and_a_receipt_waits_for_its_answer(
    make: Make,
) -> None:
    scene = make(HTTP_RATE="1000")
    scene.push("a")
    admitted = scene.admit()
    ((_, before),) = scene.client.zrange(scene.keys.permits, 0, -1, withscores=True)
    assert scene.store.submission.mark(admitted, 100_000) is Mark.MARKED
    ((_, after),) = scene.client.zrange(scene.keys.permits, 0, -1, withscores=True)
    assert after - before >= 98_000  # 100 s at this rate; some of the grace may have passed
    assert int(scene.record("a")["lease"]) == after
    assert scene.receipt("77").result == "unmatched"
    assert scene.client.zscore(scene.keys.unmatched, "77") == after + 1000
    answer = {"decision": "accepted", "job_id": "77"}
    assert scene.store.submission.settle(admitted, answer).state == "delivered"


def test_an_unknown_answer_holds_its_permit_while_the_request_could_live(make: Make) -> None:
    scene = make(LIMITS__CONCURRENCY="1", LEASE_GRACE="60")
    scene.push("a", "b")
    answer = {"decision": "in_doubt", "reason": "read_timeout"}
    assert scene.store.submission.settle(scene.call(), answer).state == "in_doubt"
    assert scene.store.submission.admit("x", "") == Held("concurrency")


def test_a_burst_of_entries_makes_no_more_wake_ups_than_could_be_admitted(make: Make) -> None:
    scene = make(LIMITS__CONCURRENCY="5")
    scene.push(*(f"job-{i}" for i in range(50)))
    assert len(scene.store.timers.plan_wakeups().wakes) == 5
    assert scene.store.timers.plan_wakeups().wakes == ()


def test_a_queued_job_is_canceled_and_a_submitted_one_refuses(scene: Scene) -> None:
    scene.push("a", "b")
    admitted = scene.admit()
    first, second = scene.intake("cancel"), scene.intake("cancel")
    assert scene.store.intake.cancel(first, "b") is Registration.CANCELED
    assert scene.store.intake.cancel(second, admitted.job) is Registration.REFUSED
    assert scene.store.intake.cancel(second, admitted.job) is Registration.GONE
    assert told(scene)[-2:] == [("fax.canceled", "b"), ("fax.cancel_refused", "a")]


def test_a_job_not_submitted_by_its_expiry_fails(scene: Scene) -> None:
    scene.push("a", expires_at="1")
    assert [(c.event, c.reason) for c in scene.store.timers.run().changes] == [("fax.failed", "expired")]
    assert scene.state("a") == "failed"


def test_no_receipt_in_time_is_unconfirmed_and_a_late_one_amends_it(make: Make) -> None:
    scene = make(RECEIPT_DEADLINE="10")
    scene.push("a")
    scene.submit("5")
    scene.go(11)
    scene.store.timers.run()
    assert scene.state("a") == "unconfirmed"
    assert scene.receipt("5").result == "applied"
    assert scene.state("a") == "delivered"
    assert scene.store.state().jobs["unconfirmed"] == 0


def test_a_receipt_that_makes_no_sense_is_set_aside(scene: Scene) -> None:
    entry = scene.client.xadd(scene.keys.status, {"body": b"??", "kind": "malformed"})
    assert scene.store.streams.set_aside("status", entry.decode(), "malformed")
    assert not scene.store.streams.set_aside("status", entry.decode(), "malformed")
    assert scene.store.state().dead == 1


def test_what_lacks_a_key_stays_set_aside_and_the_oldest_others_go(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "DEAD", 3)
    for why in ("key_missing", "a", "b", "key_missing", "c", "d"):
        entry = scene.client.xadd(scene.keys.status, {"body": b"??"})
        assert scene.store.streams.set_aside("status", entry.decode(), why)
    kept = [fields[b"why"] for _, fields in scene.client.xrange(scene.keys.dead)]
    assert kept == [b"key_missing", b"key_missing", b"d"]


def test_an_unknown_decision_is_refused_before_anything_changes(scene: Scene) -> None:
    scene.push("a")
    admitted = scene.call()
    permits = scene.client.zrange(scene.keys.permits, 0, -1)
    with pytest.raises(redis.ResponseError, match="unknown decision"):
        scene.store.submission.settle(admitted, {"decision": "perhaps"})
    assert scene.client.zrange(scene.keys.permits, 0, -1) == permits
    assert not scene.client.exists(scene.keys.answers)
