"""What iFax says of a fax whose job has ended, or is sent again just then: no delivery goes unheard."""

from typing import Any

import pytest
import redis

from faxline_worker.state.results import Admitted, Idle
from tests.stage.scene import NUMBER, Event, Scene
from tests.stage.states import JOB, LEASE
from tests.stage.two_requests import accepted, sent_twice

MATCH = LEASE + 1


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


def sent(scene: Scene) -> None:
    """iFax took the fax as 77."""
    scene.push(JOB, metadata='{"case":"8"}')
    scene.submit("77")


def redelivered(scene: Scene) -> Admitted:
    """iFax said that the fax failed; it is being sent again."""
    sent(scene)
    scene.receipt("77", "failed", again="busy")
    scene.go(1000)
    scene.store.timers.run()
    return scene.call()


def duplicates(scene: Scene) -> list[Event]:
    return [event for event in scene.news() if event.name == "fax.duplicate"]


@pytest.mark.parametrize("end", ["failed", "canceled"])
def test_that_a_job_was_delivered_after_it_had_ended_otherwise_is_told_once(scene: Scene, end: str) -> None:
    sent(scene)
    assert scene.receipt("77", end).result == "applied"
    scene.news()
    told = scene.receipt("77", pages=3, transferred=2, digest="d1", started=5, ended=9)
    assert (told.result, told.after, told.job) == ("told", end, JOB)
    (event,) = scene.news()
    assert (event.name, event.job) == ("fax.duplicate", JOB)
    assert event.data == {
        "state": end,
        "attempt": 1,
        "jobId": 77,
        "outcome": "delivered",
        "code": 0,
        "reason": "r",
        "pages": 3,
        "transferred": 2,
        "receipt": "d1",
        "call_started_at": 5000,
        "call_ended_at": 9000,
        "metadata": {"case": "8"},
    }
    assert scene.receipt("77", pages=3, transferred=2).result == "repeated"
    assert scene.news() == []
    assert scene.state(JOB) == end


def test_what_contradicts_a_delivery_is_not_told(scene: Scene) -> None:
    sent(scene)
    assert scene.receipt("77").result == "applied"
    scene.news()
    assert scene.receipt("77", "failed").result == "repeated"
    assert scene.receipt("77").result == "repeated"
    assert scene.news() == []


def test_that_a_fax_was_delivered_twice_is_told(scene: Scene) -> None:
    accepted(scene, redelivered(scene), "78")
    assert scene.receipt("77").result == "applied"
    scene.news()
    told = scene.receipt("78")
    assert (told.result, told.after) == ("told", "delivered")
    assert [(e.data["state"], e.data["jobId"], e.data["outcome"]) for e in duplicates(scene)] == [
        ("delivered", 78, "delivered")
    ]


def test_that_both_of_two_requests_were_delivered_is_told_and_counted_once(scene: Scene) -> None:
    older, newer = sent_twice(scene)
    assert accepted(scene, older, "77") == "duplicate"
    accepted(scene, newer, "78")
    scene.receipt("78")
    scene.news()
    told = scene.receipt("77")
    assert (told.result, told.after) == ("told", None)  # iFax took it twice, which was told before
    assert [event.data["outcome"] for event in duplicates(scene)] == ["delivered"]


def test_a_doubt_that_was_given_up_is_told_with_its_outcome(scene: Scene) -> None:
    scene.push(JOB, in_doubt="fail")
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "in_doubt", "reason": "read_timeout"})
    scene.go(100)
    scene.store.timers.run()
    assert scene.state(JOB) == "failed"
    scene.receipt("77", to=NUMBER)
    scene.go(MATCH)
    (matched,) = scene.store.receipts.match()
    assert (matched.result, matched.receipt["after"]) == ("duplicate", "failed")
    (event,) = duplicates(scene)
    assert (event.data["state"], event.data["outcome"], event.data["transferred"]) == (
        "failed",
        "delivered",
        3,
    )
    assert scene.receipt("77").result == "repeated"
    assert duplicates(scene) == []


def test_a_late_acceptance_of_a_job_that_failed_is_told_with_the_receipt_that_came_before_it(
    scene: Scene,
) -> None:
    older, newer = sent_twice(scene)
    scene.store.submission.settle(newer, {"decision": "refuse", "reason": "r"})
    assert scene.state(JOB) == "failed"
    scene.receipt("77", to=NUMBER)
    scene.news()
    settled = scene.store.submission.settle(older, {"decision": "accepted", "job_id": "77"})
    assert (settled.result, settled.after, settled.receipt) == ("duplicate", "failed", None)
    assert [event.data["outcome"] for event in duplicates(scene)] == ["delivered"]


def test_a_late_acceptance_delivers_a_job_that_ifax_has_again_if_its_receipt_came_before(
    scene: Scene,
) -> None:
    older, newer = sent_twice(scene)
    accepted(scene, newer, "78")
    scene.receipt("77", to=NUMBER)
    settled = scene.store.submission.settle(older, {"decision": "accepted", "job_id": "77"})
    assert (settled.result, settled.receipt and settled.receipt["job_id"]) == ("duplicate", "77")
    assert scene.names()[-2:] == ["fax.duplicate", "fax.delivered"]
    assert scene.state(JOB) == "delivered"


@pytest.mark.parametrize("decision", ["accepted", "refuse", "retry", "in_doubt", "defer"])
def test_a_delivery_that_is_heard_of_while_the_fax_is_sent_again_ends_the_job(
    scene: Scene, decision: str
) -> None:
    again = redelivered(scene)
    assert scene.receipt("77").result == "held"
    answer: dict[str, Any] = {"decision": decision, "reason": "r", "retry": 0, "job_id": "78"}
    scene.store.submission.settle(again, answer)
    record = scene.record(JOB)
    assert (record["state"], record["job_id"]) == ("delivered", "77")
    assert isinstance(scene.store.submission.admit("another", ""), Idle)


def test_and_if_the_worker_is_lost(scene: Scene) -> None:
    redelivered(scene)
    scene.receipt("77")
    scene.go(LEASE)
    scene.store.timers.run()
    assert scene.state(JOB) == "delivered"


def test_a_word_on_an_older_request_is_heard_also_after_a_first_one_was_kept(scene: Scene) -> None:
    older, newer = sent_twice(scene)
    assert accepted(scene, older, "77") == "duplicate"
    assert scene.receipt("77", "failed", redial=0).result == "held"
    accepted(scene, newer, "78")
    assert scene.receipt("77").result == "applied"
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("delivered", "77")


@pytest.mark.parametrize("policy", ["hold", "resend"])
def test_and_where_the_newer_one_is_in_doubt(scene: Scene, policy: str) -> None:
    older, newer = sent_twice(scene, in_doubt=policy)
    assert accepted(scene, older, "77") == "duplicate"
    assert scene.receipt("77", "failed", redial=0).result == "held"
    scene.store.submission.settle(newer, {"decision": "in_doubt", "reason": "read_timeout"})
    assert scene.receipt("77").result == "resolved_doubt"
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("delivered", "77")


def test_of_two_receipts_before_the_answer_the_delivery_counts(scene: Scene) -> None:
    scene.push(JOB)
    admitted = scene.call()
    assert [scene.receipt("77", o, to=NUMBER).result for o in ("failed", "delivered", "failed")] == [
        *("unmatched", "unmatched", "repeated")
    ]
    accepted(scene, admitted, "77")
    assert scene.state(JOB) == "delivered"
