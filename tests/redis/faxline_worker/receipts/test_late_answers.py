"""Answers and receipts that come late, after the job was put in doubt or sent again: each is used, once."""

import pytest
import redis

from faxline_worker.state.results import Admitted, Idle
from tests.stage.scene import BEGIN, NUMBER, Scene
from tests.stage.states import DEADLINE, JOB, LEASE, WAIT
from tests.stage.two_requests import accepted, lost, resend, sent_again, sent_twice

MATCH = LEASE + 1


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


def test_a_job_whose_older_attempt_was_accepted_is_not_sent_a_third_time(scene: Scene) -> None:
    older = sent_again(scene, in_doubt="resend")
    lost(scene)
    scene.news()
    assert accepted(scene, older, "77") == "resolved"
    scene.go(WAIT)
    scene.store.timers.run()
    assert isinstance(scene.store.submission.admit("permit-x", ""), Idle)
    assert scene.receipt("77").result == "applied"
    assert scene.names() == ["fax.submitted", "fax.delivered"]


@pytest.mark.parametrize("decision", ["defer", "pause", "released", "retry", "refuse"])
def test_a_job_whose_older_attempt_was_accepted_is_not_sent_again_when_the_newer_comes_to_nothing(
    scene: Scene, decision: str
) -> None:
    older, newer = sent_twice(scene)
    assert accepted(scene, older, "77") == "duplicate"
    answer = {"decision": decision, "reason": decision, "retry": 0, "cooldown": 500}
    assert scene.store.submission.settle(newer, answer).state == "submitted"
    assert scene.record(JOB)["job_id"] == "77"
    assert scene.receipt("77").result == "applied"
    assert scene.state(JOB) == "delivered"


def test_nor_when_the_newer_attempts_lease_runs_out_before_its_first_byte(scene: Scene) -> None:
    older = sent_again(scene)
    scene.admit()
    assert accepted(scene, older, "77") == "duplicate"
    scene.go(LEASE)
    scene.store.timers.run()
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "77")


@pytest.mark.parametrize("policy", ["resend", "fail"])
def test_nor_by_the_policy_when_the_newer_attempt_is_in_doubt(scene: Scene, policy: str) -> None:
    older, newer = sent_twice(scene, in_doubt=policy)
    assert accepted(scene, older, "77") == "duplicate"
    scene.store.submission.settle(newer, {"decision": "in_doubt", "reason": "read_timeout"})
    assert scene.state(JOB) == "in_doubt"
    scene.go(WAIT + LEASE)
    scene.store.timers.run()
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "77")


def test_a_doubt_about_an_attempt_that_proves_not_taken_is_forgotten(scene: Scene) -> None:
    older = sent_again(scene)
    scene.store.submission.settle(scene.admit(), {"decision": "released"})
    assert scene.store.submission.settle(older, {"decision": "refuse", "reason": "r"}).result == "stale"
    assert scene.client.zcard(scene.keys.doubts) == scene.client.zcard(scene.keys.doubts_until) == 0
    assert scene.state(JOB) == "queued"


def test_a_duplicate_that_a_receipt_told_is_not_told_again_by_the_late_answer(scene: Scene) -> None:
    older, newer = sent_twice(scene)
    accepted(scene, newer, "78")
    scene.receipt("77", to=NUMBER)
    scene.go(MATCH)
    assert [m.result for m in scene.store.receipts.match()] == ["duplicate"]
    assert accepted(scene, older, "77") == "repeated"
    assert scene.names().count("fax.duplicate") == 1


def test_a_duplicate_is_told_once_though_the_newer_attempt_is_answered_between_two_calls(
    scene: Scene,
) -> None:
    older, newer = sent_twice(scene)
    assert accepted(scene, older, "77") == "duplicate"
    assert accepted(scene, newer, "78") == "settled"
    assert accepted(scene, older, "77") == "repeated"
    assert scene.names().count("fax.duplicate") == 1


def test_a_late_acceptance_whose_failure_is_known_does_not_wait_for_a_receipt_again(scene: Scene) -> None:
    older = sent_again(scene)
    scene.receipt("77", "failed", to=NUMBER)
    scene.go(MATCH)
    scene.store.receipts.match()
    assert accepted(scene, older, "77") == "repeated"
    assert scene.state(JOB) == "queued"


def test_a_failed_receipt_of_an_older_attempt_leaves_the_doubt_about_the_newer_one(scene: Scene) -> None:
    scene.push(JOB)
    sent = scene.now // 1000
    lost(scene)
    scene.go(1000)
    resend(scene)
    newer = lost(scene)
    scene.receipt("77", "failed", to=NUMBER, started=sent)
    scene.go(MATCH)
    assert [m.result for m in scene.store.receipts.match()] == ["duplicate"]
    assert scene.state(JOB) == "in_doubt"
    assert accepted(scene, newer, "78") == "resolved"
    assert scene.receipt("78").result == "applied"
    assert scene.state(JOB) == "delivered"


def test_a_job_that_expired_while_it_was_in_doubt_is_not_sent_again(scene: Scene) -> None:
    scene.push(JOB, in_doubt="resend", expires_at=str((BEGIN + 20) * 1000))
    lost(scene)
    scene.go(20)
    scene.store.timers.run()
    scene.go(WAIT)
    scene.store.timers.run()
    assert (scene.state(JOB), scene.record(JOB)["reason"]) == ("failed", "expired")
    assert isinstance(scene.store.submission.admit("permit-x", ""), Idle)


def test_a_job_that_was_put_back_out_of_a_doubt_expires_in_time(scene: Scene) -> None:
    scene.push(JOB, expires_at=str((BEGIN + 20) * 1000))
    worker = lost(scene)
    scene.go(20)
    scene.store.timers.run()
    assert scene.store.submission.settle(worker, {"decision": "defer", "cooldown": 1000}).state == "queued"
    scene.store.timers.run()
    assert (scene.state(JOB), scene.record(JOB)["reason"]) == ("failed", "expired")


@pytest.mark.parametrize("looked_at", [True, False], ids=["after the timers", "before the timers"])
def test_an_operator_may_order_that_an_expired_job_is_sent_again(scene: Scene, *, looked_at: bool) -> None:
    scene.push(JOB, expires_at=str((BEGIN + 20) * 1000))
    lost(scene)
    scene.go(20)
    if looked_at:
        scene.store.timers.run()
    resend(scene)
    scene.store.timers.run()
    assert scene.admit().attempt == 2


def test_a_worker_that_asks_again_for_a_question_that_became_needless_goes_on(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, STATUS_CALL="true")
    scene.push(JOB)
    admitted = scene.call()
    accepted(scene, admitted, "77")
    scene.go(DEADLINE)
    scene.store.timers.run()
    assert isinstance(scene.store.submission.admit("permit-x", ""), Admitted)  # and the reply is lost
    scene.receipt("77")
    assert isinstance(scene.store.submission.admit("permit-x", ""), Idle)


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_the_receipt_of_an_older_attempt_that_came_first_ends_the_job_when_the_newer_one_fails(
    scene: Scene, outcome: str
) -> None:
    older, newer = sent_twice(scene)
    scene.receipt("77", outcome, to=NUMBER)
    assert accepted(scene, older, "77") == "duplicate"
    assert accepted(scene, older, "77") == "repeated"
    scene.go(MATCH)
    assert scene.store.receipts.match() == []
    scene.store.submission.settle(newer, {"decision": "refuse", "reason": "r"})
    assert scene.state(JOB) == outcome
    assert scene.names().count("fax.duplicate") == 1


@pytest.mark.parametrize("late", [True, False])
def test_a_fax_is_not_delivered_again_while_ifax_has_an_older_request_of_it(
    scene: Scene, *, late: bool
) -> None:
    older, newer = sent_twice(scene)
    for call, job_id in ((newer, "78"), (older, "77")) if late else ((older, "77"), (newer, "78")):
        accepted(scene, call, job_id)
    scene.news()
    assert scene.receipt("78", "failed", again="busy").result == "applied"
    assert [(event.name, event.data["jobId"]) for event in scene.news()] == [
        ("fax.duplicate", 78),
        ("fax.submitted", 77),
    ]
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "77")
    assert scene.client.zcard(scene.keys.delayed) == 0
    assert scene.client.zscore(scene.keys.submitted, JOB)  # so that its receipt has a deadline
    assert scene.receipt("78", "failed", again="busy").result == "repeated"
    scene.receipt("77", "failed", again="busy")
    assert scene.state(JOB) == "queued"


def test_a_fax_whose_older_request_failed_does_not_wait_for_that_one_again(scene: Scene) -> None:
    older, newer = sent_twice(scene)
    accepted(scene, older, "77")
    accepted(scene, newer, "78")
    assert [scene.receipt("77", "failed", again="busy").result for _ in range(2)] == ["told", "repeated"]
    assert scene.receipt("78", "failed", again="busy").result == "applied"
    assert scene.state(JOB) == "queued"


def test_a_fax_is_not_delivered_again_while_nobody_decided_a_doubt_about_it(scene: Scene) -> None:
    older, newer = sent_twice(scene, in_doubt="hold")
    scene.store.submission.settle(newer, {"decision": "in_doubt", "reason": "read_timeout"})
    assert accepted(scene, older, "77") == "resolved"
    scene.receipt("77", "failed", again="busy")
    assert (scene.state(JOB), scene.record(JOB)["reason"]) == ("in_doubt", "other_failed")
    assert scene.receipt("77", "failed", again="busy").result == "repeated"
    assert accepted(scene, newer, "78") == "resolved"
    scene.receipt("78", "failed", again="busy")
    assert scene.state(JOB) == "queued"


@pytest.mark.parametrize("receipt_first", [True, False])
def test_the_delivery_of_an_older_attempt_settles_the_doubt_about_the_newer_one(
    scene: Scene, *, receipt_first: bool
) -> None:
    """Whether its receipt comes while the newer one is under way, or when that is in doubt as well."""
    older, newer = sent_twice(scene, in_doubt="resend")
    if receipt_first:
        scene.receipt("77", to=NUMBER)
    assert accepted(scene, older, "77") == "duplicate"
    scene.store.submission.settle(newer, {"decision": "in_doubt", "reason": "read_timeout"})
    if not receipt_first:
        assert scene.state(JOB) == "in_doubt"
        assert scene.receipt("77").result == "resolved_doubt"
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("delivered", "77")
    scene.go(WAIT + LEASE)
    scene.store.timers.run()
    assert isinstance(scene.store.submission.admit("permit-x", ""), Idle)


@pytest.mark.parametrize("receipt_first", [True, False])
def test_the_failure_of_an_older_attempt_leaves_the_doubt_about_the_newer_one(
    scene: Scene, *, receipt_first: bool
) -> None:
    older, newer = sent_twice(scene)
    if receipt_first:
        scene.receipt("77", "failed", to=NUMBER)
    assert accepted(scene, older, "77") == "duplicate"
    scene.store.submission.settle(newer, {"decision": "in_doubt", "reason": "read_timeout"})
    if not receipt_first:
        assert [scene.receipt("77", "failed").result for _ in range(2)] == ["told", "repeated"]
    assert scene.state(JOB) == "in_doubt"


def test_an_unconfirmed_job_is_delivered_where_an_older_attempt_was(scene: Scene) -> None:
    older, newer = sent_twice(scene)
    assert accepted(scene, older, "77") == "duplicate"
    accepted(scene, newer, "78")
    scene.go(DEADLINE)
    scene.store.timers.run()
    assert scene.state(JOB) == "unconfirmed"
    assert scene.receipt("77").result == "applied"
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("delivered", "77")


def test_a_job_that_ifax_has_again_is_delivered_where_an_older_attempt_was_and_not_sent_a_third_time(
    scene: Scene,
) -> None:
    older, newer = sent_twice(scene)
    assert accepted(scene, older, "77") == "duplicate"
    accepted(scene, newer, "78")
    assert scene.receipt("77").result == "applied"
    assert scene.receipt("78", "failed", again="busy").result == "repeated"
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("delivered", "77")
    assert isinstance(scene.store.submission.admit("permit-x", ""), Idle)


def test_nor_where_a_match_tells_that_the_older_one_was_delivered(scene: Scene) -> None:
    _, newer = sent_twice(scene)
    accepted(scene, newer, "78")
    scene.receipt("77", to=NUMBER)
    scene.go(MATCH)
    assert [m.result for m in scene.store.receipts.match()] == ["duplicate"]
    assert scene.names()[-2:] == ["fax.duplicate", "fax.delivered"]
    assert scene.receipt("78", "failed", again="busy").result == "repeated"
    assert scene.state(JOB) == "delivered"


def test_a_job_id_of_an_older_attempt_stands_for_no_job_once_its_job_is_forgotten(scene: Scene) -> None:
    older, newer = sent_twice(scene)
    assert accepted(scene, older, "77") == "duplicate"
    accepted(scene, newer, "78")
    scene.receipt("78")
    assert scene.store.maintenance.forget(JOB) == "done"
    scene.push(JOB)
    assert scene.receipt("77").result == "repeated"
    assert scene.state(JOB) == "queued"


def test_a_job_whose_older_attempt_was_delivered_is_not_in_doubt_when_the_newer_ones_worker_is_lost(
    scene: Scene,
) -> None:
    older, _ = sent_twice(scene)
    scene.receipt("77", to=NUMBER)
    assert accepted(scene, older, "77") == "duplicate"
    scene.go(LEASE)
    scene.store.timers.run()
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("delivered", "77")
