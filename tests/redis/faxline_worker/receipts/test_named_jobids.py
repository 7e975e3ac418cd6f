"""An unclear answer of iFax's that names a jobId: the receipt of that jobId is the word on that request."""

import pytest
import redis

from tests.stage.doubts import TO, Doubts
from tests.stage.scene import Scene

ELSEWHERE = "+493012345678"


@pytest.fixture
def scene(redis_client: redis.Redis) -> Doubts:
    return Doubts(redis_client)


def named(scene: Doubts, job: str, job_id: str = "88", **fields: str) -> None:
    """A job in doubt, after an answer that named a jobId."""
    scene.push(job, **fields)
    assert scene.answer(scene.call(), "in_doubt", named=job_id).state != "submitting"


@pytest.mark.parametrize("said", [{"to": TO}, {}])
@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_its_receipt_settles_that_doubt_and_no_older_one(
    scene: Doubts, outcome: str, said: dict[str, str]
) -> None:
    scene.doubt("older")
    named(scene, "fax")
    assert Scene.receipt(scene, "88", outcome, **said).result == "resolved_doubt"
    assert (scene.state("fax"), scene.state("older")) == (outcome, "in_doubt")
    assert scene.match() == []


def test_a_receipt_that_came_before_the_answer_settles_it_at_once(scene: Doubts) -> None:
    assert scene.receipt("88").result == "unmatched"
    named(scene, "fax")
    assert scene.state("fax") == "delivered"


@pytest.mark.parametrize("first", [True, False])
def test_a_receipt_about_another_number_does_not(scene: Doubts, *, first: bool) -> None:
    if first:
        scene.receipt("88", to=ELSEWHERE)
    named(scene, "fax")
    if not first:
        assert scene.receipt("88", to=ELSEWHERE).result == "unmatched"
    assert scene.state("fax") == "in_doubt"


def test_a_jobid_of_an_older_delivery_is_no_word_on_this_one(scene: Doubts) -> None:
    scene.push("fax")
    scene.submit("77")
    scene.receipt("77", "failed", again="busy")
    scene.go(3600)
    scene.store.timers.run()
    assert scene.answer(scene.call(), "in_doubt", named="77").state == "in_doubt"
    assert scene.receipt("77", "failed", again="busy").result == "repeated"
    assert scene.state("fax") == "in_doubt"


def test_after_the_policy_sent_it_again_only_its_delivery_counts(scene: Doubts) -> None:
    named(scene, "fax", in_doubt="resend")
    assert scene.store.orders.resolve(scene.ordered("resolve"), "fax", "resend", "") == "done"
    scene.call()
    assert scene.receipt("88", "failed", again="busy").result == "repeated"
    assert scene.receipt("88").result == "held"


def test_it_is_forgotten_with_its_fax(scene: Doubts) -> None:
    named(scene, "fax")
    assert scene.store.orders.resolve(scene.ordered("resolve"), "fax", "fail", "") == "done"
    assert scene.store.maintenance.forget("fax") == "done"
    assert scene.receipt("88").result == "repeated"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("outcome", "state"), [("delivered", "delivered"), ("failed", "queued")])
def test_its_receipt_leaves_the_receipts_of_other_faxes_to_their_doubts(
    scene: Doubts, outcome: str, state: str, *, first: bool
) -> None:
    if first:
        scene.receipt("88", outcome, again="busy")
    named(scene, "fax")
    if not first:
        scene.go(1)
        scene.receipt("88", outcome, again="busy")
    assert scene.state("fax") == state
    scene.doubt("newer")
    scene.receipt("99")
    assert scene.match() == [("resolved_doubt", "newer")]


@pytest.mark.parametrize("first", [True, False])
def test_after_a_failure_that_may_not_be_the_last_no_policy_sends_it(scene: Doubts, *, first: bool) -> None:
    if first:
        scene.receipt("88", "failed", redial=0)
    named(scene, "fax", in_doubt="resend")
    if not first:
        assert scene.receipt("88", "failed", redial=0).result == "held"
    assert (scene.state("fax"), scene.record("fax")["job_id"]) == ("submitted", "88")
    scene.go(scene.settings.retries.delivery.redial_wait.total_seconds() + 1)
    [(job, told)] = scene.store.timers.run().failures
    assert (job, told["job_id"], scene.state("fax")) == ("fax", "88", "failed")


def test_its_failure_ends_the_doubt_about_it_while_an_older_request_is_waited_for(scene: Doubts) -> None:
    older = scene.doubt("fax")
    assert scene.store.orders.resolve(scene.ordered("resolve"), "fax", "resend", "") == "done"
    assert scene.answer(scene.call(), "in_doubt", named="88").state == "in_doubt"
    assert scene.answer(older, "accepted", job_id="77").state == "submitted"
    assert [scene.receipt("88", "failed", again="busy").result for _ in range(2)] == ["told", "repeated"]
    assert not scene.client.exists(scene.keys.doubts)
    scene.receipt("77", "failed", again="busy")
    assert scene.state("fax") == "queued"


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_nor_does_one_about_another_number_say_anything_while_an_older_request_is_waited_for(
    scene: Doubts, outcome: str
) -> None:
    older = scene.doubt("fax")
    assert scene.store.orders.resolve(scene.ordered("resolve"), "fax", "resend", "") == "done"
    assert scene.answer(scene.call(), "in_doubt", named="88").state == "in_doubt"
    assert scene.answer(older, "accepted", job_id="77").state == "submitted"
    assert scene.receipt("88", outcome, to=ELSEWHERE).result == "unmatched"
    assert (scene.state("fax"), bool(scene.client.exists(scene.keys.doubts))) == ("submitted", True)
