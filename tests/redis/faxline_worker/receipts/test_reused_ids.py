"""A fax that was erased leaves nothing that could find another fax with its id."""

import pytest
import redis

from faxline_worker.state.recent_work import Call, Evidence
from faxline_worker.state.results import Admitted, Registration
from tests.stage.scene import NUMBER, Scene
from tests.stage.states import JOB, LEASE
from tests.stage.two_requests import accepted, lost


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client, RESULTS="both")


def erased(scene: Scene) -> Admitted:
    """A fax whose call was lost, and given up; then another is pushed with its id."""
    scene.push(JOB)
    admitted = lost(scene)
    assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "fail", "") == "done"
    assert scene.store.maintenance.forget(JOB) == "done"
    scene.push(JOB, digest="another")
    scene.news()
    return admitted


@pytest.mark.parametrize("decision", ["accepted", "refuse", "retry", "in_doubt"])
@pytest.mark.parametrize("now", ["queued", "submitting", "in_doubt", "submitted", "failed"])
def test_a_late_answer_about_an_erased_fax_leaves_the_fax_that_has_its_id(
    scene: Scene, decision: str, now: str
) -> None:
    old = erased(scene)
    if now != "queued":
        new = scene.call()
        if now == "in_doubt":
            scene.go(LEASE)
            scene.store.timers.run()
        elif now != "submitting":
            done = "accepted" if now == "submitted" else "refuse"
            scene.store.submission.settle(new, {"decision": done, "job_id": "78", "reason": "r"})
    scene.news()
    before = scene.record(JOB)
    answer = {"decision": decision, "job_id": "77", "reason": "r", "retry": 0}
    for _ in range(2):
        assert scene.store.submission.settle(old, answer).result == "forgotten"
    assert (scene.record(JOB), scene.names()) == (before, [])
    assert before["state"] == now


def test_a_call_of_an_erased_fax_is_no_call_that_redis_lost(scene: Scene) -> None:
    old = erased(scene)
    assert scene.store.submission.settle(old, {"decision": "accepted", "job_id": "77"}).result == "forgotten"
    assert scene.store.memory.unplaced == ()
    call = Call(old, scene.now, {"decision": "accepted", "job_id": "77"})
    assert scene.store.lineage.examine(Evidence("0-0"), [call]) == ["known"]


def test_a_receipt_that_was_kept_for_an_erased_fax_goes_with_it(scene: Scene) -> None:
    scene.push(JOB)
    older = lost(scene)
    assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "resend", "") == "done"
    newer = scene.call()
    assert accepted(scene, older, "77") == "duplicate"
    assert scene.receipt("77", "failed", to=NUMBER).result == "held"
    scene.store.submission.settle(newer, {"decision": "in_doubt", "reason": "r"})
    scene.client.hset(scene.keys.job(JOB), "state", "failed")
    assert scene.store.maintenance.forget(JOB) == "done"
    assert NUMBER.encode() not in (scene.client.get(scene.keys.job_ids + "77") or b"")


def submitted(scene: Scene, job_id: str, **fields: str) -> None:
    scene.push(JOB, **fields)
    admitted = scene.call()
    accepted(scene, admitted, job_id)


@pytest.mark.parametrize("how", ["delivered", "failed"])
def test_an_answer_to_a_question_about_an_erased_fax_leaves_the_fax_that_has_its_id(
    scene: Scene, how: str
) -> None:
    submitted(scene, "77")
    scene.go(121)
    assert scene.store.timers.poll().asked == 1
    asker = scene.admit()
    assert asker.control_call == f"!poll!{JOB}"
    scene.receipt("77")
    assert scene.store.maintenance.forget(JOB) == "done"
    submitted(scene, "78", digest="another")
    said = {"job_id": "77", "outcome": how, "code": 0, "reason": "r"}
    answer = {"decision": "accepted", "about": "77", "receipt": said, "seconds": 0}
    assert scene.store.submission.report(asker, answer).result == "later"
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "78")


def scheduled(scene: Scene, job_id: str, **fields: str) -> None:
    submitted(scene, job_id, send_at=str(scene.now + 500_000), schedule="provider", **fields)


def canceling(scene: Scene) -> None:
    scheduled(scene, "77")
    assert scene.store.intake.cancel(scene.intake("cancel"), JOB) is Registration.ASKED


def test_a_cancellation_of_an_erased_fax_cancels_no_fax_that_has_its_id(scene: Scene) -> None:
    canceling(scene)
    scene.receipt("77")
    assert scene.store.maintenance.forget(JOB) == "done"
    scheduled(scene, "78", digest="another")
    found = scene.store.submission.admit("next", "")
    assert not isinstance(found, Admitted) or not (found.control_call or "").startswith("!cancel!")


def test_nor_does_the_answer_to_one_that_was_under_way(scene: Scene) -> None:
    canceling(scene)
    asker = scene.admit()
    assert asker.control_call == f"!cancel!{JOB}"
    scene.receipt("77")
    assert scene.store.maintenance.forget(JOB) == "done"
    scheduled(scene, "78", digest="another")
    scene.store.intake.cancel(scene.intake("cancel"), JOB)
    answer = {"decision": "accepted", "about": "77", "seconds": 0}
    assert scene.store.submission.report(asker, answer).result == "repeated"
    assert scene.state(JOB) == "submitted"
