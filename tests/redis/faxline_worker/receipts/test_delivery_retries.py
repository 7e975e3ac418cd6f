"""A delivery that failed is tried again, where its cause is worth it, by a resend of the job at iFax."""

import json
from typing import Any

import pytest
import redis

from tests.stage.mutants import mutate
from tests.stage.scene import BEGIN, NUMBER, Scene

DELAYS = {"busy": 180.0, "no_answer": 300.0, "other": 60.0}
SETTINGS = {f"RETRIES__DELIVERY__{name.upper()}": str(delay) for name, delay in DELAYS.items()}
JOB = "a"


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client, **SETTINGS, RETRIES__DELIVERY__ATTEMPTS="3")


def submit(scene: Scene, job_id: str) -> dict[str, Any]:
    """The job's fax is taken under this jobId; what was asked of iFax."""
    admitted = scene.submit(job_id)
    return {"kind": admitted.kind, "attempt": admitted.attempt, **admitted.request}


def fail(scene: Scene, job_id: str, again: str | None = "busy", **more: Any) -> None:
    scene.receipt(job_id, "failed", to=NUMBER, again=again, code=17, reason="busy", **more)


def fail_once(scene: Scene, **fields: Any) -> None:
    """The first delivery failed, and the time of the next one has come."""
    scene.push(JOB, **fields)
    submit(scene, "77")
    fail(scene, "77")
    scene.go(180)
    scene.store.timers.run()


@pytest.mark.parametrize(("again", "delay"), DELAYS.items())
def test_a_failed_delivery_is_tried_again_after_the_delay_of_its_cause(
    scene: Scene, again: str, delay: float
) -> None:
    scene.push(JOB)
    submit(scene, "77")
    fail(scene, "77", again)
    record = scene.record(JOB)
    assert (record["state"], record["deliveries"]) == ("queued", "1")
    scene.go(delay - 1)
    assert not scene.store.timers.run().ready
    scene.go(1)
    assert scene.store.timers.run().ready
    assert submit(scene, "78") == {"kind": "resend", "attempt": 2, "jobId": 77}


def test_the_event_of_a_failed_delivery_tells_why_and_when_the_next_one_is(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    scene.news()
    fail(scene, "77", pages=3, transferred=1, message="USER_BUSY")
    event = scene.news()[0]
    assert event.name == "fax.retrying"
    assert event.data == {
        "state": "queued",
        "stage": "delivery",
        "delivery": 1,
        "attempt": 1,
        "jobId": 77,
        "code": 17,
        "reason": "busy",
        "message": "USER_BUSY",
        "pages": 3,
        "transferred": 1,
        "retry_at": scene.now + 180_000,
        "attempts": 3,
        "wait": 180_000,
        "again": "busy",
    }


def test_each_retry_resends_the_job_that_iFax_had_last_until_the_attempts_are_used_up(
    scene: Scene,
) -> None:
    scene.push(JOB)
    asked = [submit(scene, "77")]
    for job_id, following in (("77", "78"), ("78", "79")):
        fail(scene, job_id)
        scene.go(180)
        scene.store.timers.run()
        asked.append(submit(scene, following))
    assert [call.get("jobId") for call in asked] == [None, 77, 78]
    scene.news()
    fail(scene, "79")
    event = scene.news()[0]
    assert (event.name, event.data["stage"], event.data["delivery"]) == ("fax.failed", "delivery", 3)
    assert scene.state(JOB) == "failed"


def test_a_job_may_have_deliveries_of_its_own_number(scene: Scene) -> None:
    scene.push(JOB, attempts="1")
    submit(scene, "77")
    fail(scene, "77")
    assert scene.state(JOB) == "failed"


def waits_of(scene: Scene, causes: list[str]) -> list[float]:
    """How many seconds the next delivery waited for after each that failed with these causes."""
    scene.push(JOB)
    waits = []
    for place, cause in enumerate(causes):
        submit(scene, str(77 + place))
        scene.news()
        fail(scene, str(77 + place), cause)
        [event] = scene.news()
        waits.append(event.data["wait"] / 1000)
        scene.go(waits[-1])
        scene.store.timers.run()
    return waits


def test_the_waits_grow_and_the_last_one_repeats(redis_client: redis.Redis) -> None:
    waits = {"RETRIES__DELIVERY__BUSY": "[180, 300, 900]", "RETRIES__DELIVERY__OTHER": "60"}
    scene = Scene(redis_client, **waits, RETRIES__DELIVERY__ATTEMPTS="9")
    assert waits_of(scene, ["busy"] * 5) == [180, 300, 900, 900, 900]


def test_a_wait_is_that_of_the_last_cause_for_so_many_deliveries_that_failed(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, RETRIES__DELIVERY__ATTEMPTS="9")
    assert waits_of(scene, ["busy", "other", "no_answer", "busy", "other"]) == [180, 300, 1800, 2400, 1800]


@pytest.mark.parametrize("cause", ["busy", "no_answer", "other"])
def test_a_machine_that_has_no_paper_over_lunch_is_reached_by_default(
    redis_client: redis.Redis, cause: str
) -> None:
    waits = waits_of(Scene(redis_client), [cause] * 4)
    assert sum(waits) >= 50 * 60
    assert waits == sorted(waits)


@pytest.mark.parametrize(
    ("fields", "again", "stopped_by"),
    [
        ({}, None, "cause"),
        ({"attempts": "1"}, "busy", "attempts"),
        ({"expires_at": str((BEGIN + 100) * 1000)}, "busy", "expires_at"),
    ],
)
def test_a_fax_that_gets_no_further_delivery_says_what_stopped_it(
    scene: Scene, fields: dict[str, str], again: str | None, stopped_by: str
) -> None:
    scene.push(JOB, **fields)
    submit(scene, "77")
    scene.news()
    fail(scene, "77", again)
    [event] = scene.news()
    assert (event.name, event.data["stopped_by"]) == ("fax.failed", stopped_by)
    assert (event.data["reason"], event.data["delivery"]) == ("busy", 1)


def lowered(scene: Scene, job_id: str) -> dict[str, Any]:
    """The far end cannot receive the resolution; what the next call asks of iFax, and in which quality."""
    fail(scene, job_id, "other", lower=True)
    scene.go(60)
    scene.store.timers.run()
    admitted = scene.submit(str(int(job_id) + 1))
    return {"kind": admitted.kind, "quality": admitted.quality, **admitted.request}


def test_a_resolution_that_the_far_end_cannot_receive_is_lowered_by_a_send_of_the_whole_fax(
    scene: Scene,
) -> None:
    scene.push(JOB, quality="HD", request='{"faxNumber": "+1"}')
    assert submit(scene, "77")["kind"] == "send"
    assert lowered(scene, "77") == {"kind": "send", "quality": "Standard", "faxNumber": "+1"}
    assert lowered(scene, "78") == {"kind": "send", "quality": "Low", "faxNumber": "+1"}
    scene.news()
    fail(scene, "79", "other", lower=True)
    [event] = scene.news()
    assert (event.name, event.data["stopped_by"]) == ("fax.failed", "cause")


def test_a_fax_in_the_lowest_quality_is_given_up(scene: Scene) -> None:
    scene.push(JOB, quality="Low")
    submit(scene, "77")
    scene.news()
    fail(scene, "77", "other", lower=True)
    [event] = scene.news()
    assert (event.name, event.data["stopped_by"]) == ("fax.failed", "cause")


def test_a_resend_of_another_fax_takes_no_quality_and_is_given_up(scene: Scene) -> None:
    scene.push("origin")
    submit(scene, "76")
    scene.push(JOB, kind="resend", of="origin")
    submit(scene, "77")
    fail(scene, "77", "other", lower=True)
    assert scene.state(JOB) == "failed"


def test_a_lowered_fax_stays_so_is_told_and_is_sent_once(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    scene.news()
    fail(scene, "77", "other", lower=True)
    [event] = scene.news()
    assert (event.name, event.data["quality"]) == ("fax.retrying", "Low")
    assert scene.receipt("77", "failed", to=NUMBER, again="other", lower=True).result == "repeated"
    scene.go(60)
    scene.store.timers.run()
    submit(scene, "78")
    fail(scene, "78", "busy")
    scene.go(180)
    scene.store.timers.run()
    admitted = scene.admit()
    assert (admitted.kind, admitted.quality) == ("send", "Low")


def test_a_lowered_fax_that_was_delivered_after_all_is_not_sent_again(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    fail(scene, "77", "other", lower=True)
    scene.receipt("77", "delivered", to=NUMBER)
    assert scene.state(JOB) == "delivered"
    scene.go(1000)
    assert not scene.store.timers.run().ready


def test_a_lowered_fax_that_ifax_refuses_as_not_found_fails(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    fail(scene, "77", "other", lower=True)
    scene.go(60)
    scene.store.timers.run()
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "refuse", "reason": "not_found"})
    assert scene.state(JOB) == "failed"


def test_a_final_cause_is_not_tried_again(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    fail(scene, "77", None)
    assert scene.state(JOB) == "failed"


def test_a_delivery_that_would_come_after_expires_at_is_not_tried(scene: Scene) -> None:
    for job_id, (name, seconds) in enumerate({"soon": 179, "late": 181}.items()):
        scene.push(name, expires_at=str(scene.now + seconds * 1000))
        submit(scene, str(job_id))
        scene.receipt(str(job_id), "failed", again="busy")
    assert scene.state("soon") == "failed"
    assert scene.state("late") == "queued"


def test_a_job_that_waits_for_its_next_delivery_can_expire_and_can_be_canceled(scene: Scene) -> None:
    for job_id, name in enumerate(("expires", "canceled")):
        scene.push(name, expires_at=str(scene.now + 200_000))
        submit(scene, str(job_id))
        scene.receipt(str(job_id), "failed", again="busy")
    scene.store.intake.cancel(scene.intake("cancel"), "canceled")
    scene.client.zrem(scene.keys.delayed, "expires")
    scene.client.zadd(scene.keys.delayed, {"expires": scene.now + 10_000_000})
    scene.go(200)
    scene.store.timers.run()
    assert scene.state("canceled") == "canceled"
    assert (scene.state("expires"), scene.record("expires")["reason"]) == ("failed", "expired")


def test_a_receipt_that_comes_again_says_nothing_about_the_next_delivery(scene: Scene) -> None:
    fail_once(scene)
    repeat_changes_nothing(scene)
    again = scene.admit()
    repeat_changes_nothing(scene)
    scene.store.submission.mark(again)
    scene.store.submission.settle(again, {"decision": "in_doubt", "reason": "timeout"})
    repeat_changes_nothing(scene)


def repeat_changes_nothing(scene: Scene) -> None:
    before = scene.record(JOB)
    assert scene.receipt("77", "failed", to=NUMBER, again="busy").result == "repeated"
    assert scene.record(JOB) == before


def test_the_repeated_receipt_would_be_noticed_if_it_were_applied(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch, ("  redis.call('HSET', keys.job .. id, 'job_id', '')", ""))
    scene = Scene(redis_client, **SETTINGS)
    with pytest.raises(AssertionError):
        test_a_receipt_that_comes_again_says_nothing_about_the_next_delivery(scene)


def test_a_job_is_not_sent_again_where_its_failed_delivery_proves_delivered_after_all(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    fail(scene, "77")
    scene.receipt("77", "delivered")
    assert scene.state(JOB) == "delivered"
    scene.go(200)
    scene.store.timers.run()
    assert scene.client.zcard(scene.keys.ready) == 0


def test_a_late_failure_of_an_unconfirmed_job_is_its_end(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    scene.go(1001)
    scene.store.timers.run()
    assert scene.state(JOB) == "unconfirmed"
    fail(scene, "77")
    assert scene.state(JOB) == "failed"


def test_a_resend_that_is_refused_because_iFax_has_the_job_no_more_becomes_a_whole_send(
    scene: Scene,
) -> None:
    fail_once(scene, request='{"faxNumber":"+12345678901"}')
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "refuse", "code": -5, "reason": "not_found"})
    admitted = scene.admit()
    assert (admitted.kind, admitted.request) == ("send", {"faxNumber": "+12345678901"})


def test_a_resend_that_is_not_taken_is_retried_as_the_resend_it_is(scene: Scene) -> None:
    fail_once(scene)
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "retry", "reason": "unavailable", "retry": 1000})
    scene.go(1)
    scene.store.timers.run()
    assert submit(scene, "78") == {"kind": "resend", "attempt": 3, "jobId": 77}


def test_a_delivered_fax_without_all_of_its_pages_says_so(scene: Scene) -> None:
    for job_id, (name, transferred) in enumerate({"whole": 3, "part": 2, "unknown": None}.items()):
        scene.push(name)
        submit(scene, str(job_id))
        scene.news()
        scene.receipt(str(job_id), "delivered", pages=3, transferred=transferred)
        assert scene.news()[0].data.get("partial") == (True if name == "part" else None)


ELSEWHERE = "+12345678999"


def resend(scene: Scene, job: str, of: str, **fields: str) -> None:
    """A producer has a fax resent."""
    values = {"kind": "resend", "priority": "normal", "of": of, **fields}
    new = {"id": job, "digest": "d", "rank": 2, "of": of, "fields": values}
    scene.store.intake.register([{"entry": scene.intake("resend"), "jobs": [new]}])


def test_a_resend_to_another_number_names_it_at_each_delivery_and_so_does_a_resend_of_it(
    scene: Scene,
) -> None:
    scene.push(JOB)
    submit(scene, "77")
    resend(scene, "b", of=JOB, number=ELSEWHERE)
    assert submit(scene, "78")["faxNumber"] == ELSEWHERE
    fail(scene, "78")
    scene.go(180)
    scene.store.timers.run()
    asked = submit(scene, "79")
    assert (asked["jobId"], asked["faxNumber"]) == (78, ELSEWHERE)
    resend(scene, "c", of="b")
    asked = submit(scene, "80")
    assert (asked["jobId"], asked["faxNumber"]) == (79, ELSEWHERE)


def test_a_resend_to_the_same_number_names_none(scene: Scene) -> None:
    scene.push(JOB)
    submit(scene, "77")
    resend(scene, "b", of=JOB)
    assert "faxNumber" not in submit(scene, "78")


def test_a_resend_of_a_job_that_waits_for_its_next_delivery_names_the_last_one(scene: Scene) -> None:
    scene.push(JOB, sender="+12025550100", known_pages="3")
    submit(scene, "77")
    fail(scene, "77")
    resend(scene, "b", of=JOB, number=ELSEWHERE)
    record = scene.record("b")
    assert json.loads(record["request"]) == {"jobId": 77, "faxNumber": ELSEWHERE}
    assert (record["sender"], record["known_pages"]) == ("+12025550100", "3")
