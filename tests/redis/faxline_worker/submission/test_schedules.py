"""A fax with a `send_at`: kept by iFax or here, and canceled either way."""

from typing import Any

import pytest
import redis

from faxline_worker.state.results import Idle
from tests.stage.scene import Scene
from tests.stage.states import LEASE

HOUR = 3600.0
JOB = "a"


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client, LIMITS__CONCURRENCY="1")


def push(scene: Scene, schedule: str, job: str = JOB, **more: str) -> None:
    scene.push(job, send_at=str(scene.now + round(HOUR * 1000)), schedule=schedule, **more)


def cancel(scene: Scene, job: str = JOB) -> str:
    return str(scene.store.intake.cancel(scene.intake("cancel"), job))


def report(scene: Scene, decision: str, about: int = 77, **more: Any) -> str:
    """A worker takes the wish to iFax; what its answer does."""
    admitted = scene.admit()
    assert (admitted.kind, admitted.request) == ("cancel", {"jobId": about})
    scene.store.submission.mark(admitted)
    answer = {"decision": decision, "reason": decision, "retry": 1000, "seconds": 0.1, **more}
    return scene.store.submission.report(admitted, answer).result


def news_of(scene: Scene) -> list[tuple[str, str | None]]:
    return [(event.name, event.data.get("reason")) for event in scene.news()]


def test_a_fax_for_a_date_is_submitted_early_after_everything_that_is_due(scene: Scene) -> None:
    push(scene, "provider", priority="urgent")
    scene.push("due", priority="bulk")
    first, second = scene.submit(), scene.submit("78")
    assert (first.job, second.job) == ("due", JOB)
    assert not second.due
    assert second.waited == 0


def test_once_its_date_has_come_it_stands_where_its_priority_says_and_goes_at_once(scene: Scene) -> None:
    push(scene, "provider", priority="urgent")
    scene.push("due", priority="normal")
    scene.go(HOUR - 0.5)
    assert scene.store.timers.run().next == pytest.approx(0.5, abs=0.01)
    scene.go(0.5)
    scene.store.timers.run()
    admitted = scene.admit()
    assert (admitted.job, admitted.due) == (JOB, True)


def test_a_deferral_leaves_a_fax_for_a_date_behind_everything_that_is_due(scene: Scene) -> None:
    push(scene, "provider", priority="urgent")
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "defer", "reason": "r", "cooldown": 500})
    scene.go(1)
    scene.push("due", priority="bulk")
    assert scene.admit().job == "due"


def test_the_receipts_deadline_counts_from_the_date(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    event = scene.news()[-1]
    assert (event.name, event.data["send_at"]) == ("fax.submitted", scene.now + HOUR * 1000 - 1)
    scene.go(HOUR + 999)
    scene.store.timers.run()
    assert scene.state(JOB) == "submitted"
    scene.go(1.1)
    scene.store.timers.run()
    assert scene.state(JOB) == "unconfirmed"
    scene.receipt("77")
    assert scene.state(JOB) == "delivered"


def test_a_fax_that_is_held_here_goes_when_its_date_comes(scene: Scene) -> None:
    push(scene, "local", priority="urgent")
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
    scene.go(HOUR - 0.5)
    assert scene.store.timers.run().next == pytest.approx(0.5, abs=0.01)
    scene.go(0.5)
    assert scene.store.timers.run().ready
    admitted = scene.submit()
    assert (admitted.job, admitted.due) == (JOB, True)
    assert admitted.waited == pytest.approx(0, abs=0.01)
    scene.go(1001)
    scene.store.timers.run()
    assert scene.state(JOB) == "unconfirmed"


@pytest.mark.parametrize("schedule", ["provider", "local"])
def test_a_date_that_is_over_means_at_once(scene: Scene, schedule: str) -> None:
    scene.push(JOB, send_at=str(scene.now - 1000), schedule=schedule)
    assert scene.submit().job == JOB
    assert cancel(scene) == "refused"


@pytest.mark.parametrize("schedule", ["provider", "local"])
def test_a_fax_for_a_date_that_is_still_queued_is_canceled_without_a_call(
    scene: Scene, schedule: str
) -> None:
    push(scene, schedule)
    assert cancel(scene) == "canceled"
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
    assert scene.client.exists(scene.keys.prefix + "scheduled", scene.keys.delayed, scene.keys.ready) == 0


def test_one_that_iFax_keeps_is_canceled_there_ahead_of_other_work(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    scene.push("urgent", priority="urgent")
    assert cancel(scene) == "asked"
    assert scene.state(JOB) == "submitted"
    scene.news()
    assert report(scene, "accepted") == "canceled"
    assert news_of(scene) == [("fax.canceled", "canceled_at_ifax")]
    assert scene.receipt("77", "canceled").result == "repeated"


def keep_twice(scene: Scene) -> None:
    """iFax keeps both requests of a fax: 78 is the older one."""
    push(scene, "provider")
    older = scene.call()
    scene.go(LEASE)
    scene.store.timers.run()
    assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "resend", "") == "done"
    newer = scene.call()
    for call, job_id in ((older, "78"), (newer, "77")):
        scene.store.submission.settle(call, {"decision": "accepted", "job_id": job_id})


def test_a_fax_that_ifax_keeps_twice_is_canceled_twice_before_it_counts_as_canceled(scene: Scene) -> None:
    keep_twice(scene)
    assert cancel(scene) == "asked"
    scene.news()
    assert report(scene, "accepted") == "later"
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "78")
    assert report(scene, "accepted", about=78) == "canceled"
    assert [event.name for event in scene.news()] == ["fax.duplicate", "fax.submitted", "fax.canceled"]


@pytest.mark.parametrize("outcome", ["canceled", "failed"])
def test_so_it_is_where_the_receipt_of_one_comes_first(scene: Scene, outcome: str) -> None:
    keep_twice(scene)
    assert cancel(scene) == "asked"
    scene.receipt("77", outcome, again="busy")
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "78")
    assert report(scene, "accepted", about=78) == "canceled"


def test_cancellations_go_in_their_order_although_redis_clock_stepped_back(scene: Scene) -> None:
    for job, job_id in (("a", "77"), ("b", "78")):
        push(scene, "provider", job)
        scene.submit(job_id)
    assert cancel(scene, "a") == "asked"
    scene.step(-60)
    scene.go(1)
    assert cancel(scene, "b") == "asked"
    assert scene.client.zrange(scene.keys.ready, 0, -1) == [b"!cancel!a", b"!cancel!b"]


def test_the_wish_takes_a_permit_like_any_call(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    scene.push("other")
    scene.admit()
    cancel(scene)
    held = scene.store.submission.admit(scene.permit(), "")
    assert getattr(held, "limit", None) == "concurrency"


def test_asking_twice_makes_one_call(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    assert [cancel(scene), cancel(scene)] == ["asked", "asked"]
    assert report(scene, "accepted") == "canceled"
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)


def test_a_refusal_is_told_with_its_code_and_the_job_goes_on(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    cancel(scene)
    scene.news()
    assert report(scene, "refuse", code=-2, message="Invalid parameters") == "refused"
    event = scene.news()[0]
    assert event.name == "fax.cancel_refused"
    assert event.data == {
        "state": "submitted",
        "reason": "too_late",
        "code": -2,
        "message": "Invalid parameters",
        "jobId": 77,
    }
    scene.receipt("77")
    assert news_of(scene) == [("fax.delivered", "r")]


def test_a_wish_that_was_not_taken_is_told_again_a_few_times(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    cancel(scene)
    scene.news()
    for _ in range(2):
        assert report(scene, "retry") == "again"
        assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
        scene.go(1)
        scene.store.timers.run()
    assert report(scene, "retry") == "refused"
    assert news_of(scene) == [("fax.cancel_refused", "not_canceled")]


def test_a_refusal_after_an_answer_that_nobody_knows_is_told_as_unknown(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    cancel(scene)
    scene.news()
    assert report(scene, "in_doubt") == "again"
    scene.go(2)
    scene.store.timers.run()
    assert report(scene, "refuse", code=-2) == "refused"
    assert news_of(scene) == [("fax.cancel_refused", "unknown")]
    scene.receipt("77", "canceled")
    assert news_of(scene) == [("fax.canceled", "r")]


def test_a_wish_whose_worker_died_is_taken_to_iFax_by_another(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    cancel(scene)
    scene.call()
    scene.go(8)
    scene.store.timers.run()
    scene.go(1)
    scene.store.timers.run()
    assert report(scene, "accepted") == "canceled"


@pytest.mark.parametrize(
    ("outcome", "events"),
    [
        ("delivered", [("fax.delivered", "r"), ("fax.cancel_refused", "final")]),
        ("failed", [("fax.failed", "r"), ("fax.cancel_refused", "final")]),
        ("canceled", [("fax.canceled", "r")]),
    ],
)
def test_an_end_that_comes_before_the_answer_answers_the_wish(
    scene: Scene, outcome: str, events: list[tuple[str, str]]
) -> None:
    push(scene, "provider")
    scene.submit()
    cancel(scene)
    scene.news()
    scene.receipt("77", outcome, again="busy")
    assert news_of(scene) == events
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)


def test_a_429_puts_the_wish_off_for_the_whole_account(scene: Scene) -> None:
    push(scene, "provider")
    scene.submit()
    cancel(scene)
    assert report(scene, "defer", cooldown=500) == "again"
    assert getattr(scene.store.submission.admit(scene.permit(), ""), "limit", None) == "rate_limit_cooldown"
    scene.go(1)
    assert report(scene, "accepted") == "canceled"


@pytest.mark.parametrize("state", ["submitting", "submitted", "in_doubt"])
def test_one_that_is_being_sent_cannot_be_canceled_and_the_reason_is_told(scene: Scene, state: str) -> None:
    scene.push(JOB)
    admitted = scene.admit()
    if state != "submitting":
        scene.store.submission.mark(admitted)
        decision = "accepted" if state == "submitted" else "in_doubt"
        scene.store.submission.settle(admitted, {"decision": decision, "reason": "r", "job_id": "77"})
    scene.news()
    assert cancel(scene) == "refused"
    assert news_of(scene) == [("fax.cancel_refused", state)]
