"""An operator's order to settle a doubt, against what Faxline knows of it. On our own clock."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline_worker.state.results import Admitted, Idle
from tests.stage.doubts import TO, Doubts
from tests.stage.scene import BEGIN

Order = Callable[..., str]


@pytest.fixture
def scene(redis_client: redis.Redis) -> Doubts:
    return Doubts(redis_client)


@pytest.fixture
def order(scene: Doubts) -> Order:
    def give(job: str, how: str, job_id: str = "", **more: Any) -> str:
        entry = scene.client.xadd(scene.keys.orders, {"order": "resolve", "by": "ada"}).decode()
        result = str(scene.store.orders.resolve(entry, job, how, job_id, "ada", **more))
        ((_, reply),) = scene.client.xrange(scene.keys.reply(entry))
        assert reply[b"result"].decode() == result
        return f"{result} {reply.get(b'why', b'').decode()}".strip()

    return give


def admitted(scene: Doubts) -> Admitted | Idle:
    found = scene.store.submission.admit("another", "")
    assert isinstance(found, Admitted | Idle)
    return found


def accepted_late(scene: Doubts, order: Order) -> None:
    """The doubt is about attempt 2; iFax took attempt 1 as 71, as its late answer said."""
    scene.push("a")
    older = scene.call()
    scene.go(200)
    scene.store.timers.run()
    assert order("a", "resend") == "done"
    scene.go(1)
    newer = scene.call()
    assert scene.answer(older, "accepted", job_id="71").result == "duplicate"
    assert scene.answer(newer, "in_doubt").state == "in_doubt"


@pytest.mark.parametrize("known", ["answer", "named"])
def test_the_jobid_of_an_older_request_is_no_word_on_the_one_in_doubt(
    scene: Doubts, order: Order, known: str
) -> None:
    if known == "answer":
        accepted_late(scene, order)
    else:
        scene.push("a")
        scene.answer(scene.call(), "in_doubt", named="71")
        assert order("a", "resend") == "done"
        scene.go(1)
        scene.answer(scene.call(), "in_doubt")
    assert order("a", "accepted", "71") == "done"
    assert (scene.state("a"), scene.record("a")["job_id"]) == ("submitted", "71")
    scene.receipt("71", "failed", again="busy")
    assert (scene.state("a"), scene.record("a")["reason"]) == ("in_doubt", "other_failed")
    assert order("a", "accepted", "71") == "refused told_failed"
    assert scene.receipt("72", to=TO).result == "unmatched"
    assert scene.match() == [("resolved_doubt", "a")]
    assert (scene.state("a"), scene.record("a")["job_id"]) == ("delivered", "72")


@pytest.mark.parametrize("how", ["accepted", "resend", "fail"])
def test_an_order_about_an_attempt_settles_no_later_one(scene: Doubts, order: Order, how: str) -> None:
    scene.doubt("a")
    assert order("a", "resend", attempt="1") == "done"
    assert scene.answer(scene.call(), "in_doubt").state == "in_doubt"
    job_id = "77" if how == "accepted" else ""
    assert order("a", how, job_id, attempt="1") == "refused sent_again"
    assert scene.state("a") == "in_doubt"
    assert isinstance(admitted(scene), Idle)
    assert order("a", how, job_id, attempt="2") == "done"


def test_an_order_that_names_no_attempt_settles_whichever_is_in_doubt(scene: Doubts, order: Order) -> None:
    scene.doubt("a")
    assert order("a", "resend") == "done"
    assert scene.answer(scene.call(), "in_doubt").state == "in_doubt"
    assert order("a", "fail") == "done"


@pytest.mark.parametrize("how", ["resend", "fail"])
def test_a_fax_of_which_ifax_took_an_older_attempt_is_neither_sent_again_nor_given_up(
    scene: Doubts, order: Order, how: str
) -> None:
    accepted_late(scene, order)
    failed: list[None] = []
    assert order("a", how, failed=lambda: failed.append(None)) == "done"
    assert (scene.state("a"), scene.record("a")["job_id"], scene.record("a")["also"]) == (
        "submitted",
        "71",
        "",
    )
    assert failed == []
    assert isinstance(admitted(scene), Idle)
    assert scene.receipt("71").result == "applied"
    assert scene.state("a") == "delivered"
    (audited,) = [
        f
        for _, f in scene.client.xrange(scene.keys.audit)
        if f.get(b"jobId") == b"71" and f[b"who"] == b"ada"
    ]
    assert audited[b"what"] == f"resolve {how}".encode()


def test_the_kept_receipt_of_the_older_attempt_ends_the_fax_by_the_order(scene: Doubts, order: Order) -> None:
    scene.push("a")
    older = scene.call()
    scene.go(200)
    scene.store.timers.run()
    assert order("a", "resend") == "done"
    newer = scene.call()
    scene.answer(older, "accepted", job_id="71")
    assert scene.receipt("71", "failed").result == "held"
    assert scene.answer(newer, "in_doubt").state == "in_doubt"
    applied: list[Any] = []
    assert order("a", "resend", applied=applied.append) == "done"
    assert [receipt["job_id"] for receipt in applied] == ["71"]
    assert scene.state("a") == "failed"


@pytest.mark.parametrize("how", ["resend", "fail"])
def test_no_fax_is_sent_again_or_given_up_while_a_receipt_of_its_number_waits_to_be_matched(
    scene: Doubts, order: Order, how: str
) -> None:
    scene.doubt("a")
    assert scene.receipt("77").result == "unmatched"
    assert order("a", how) == "refused word_waits"
    assert scene.state("a") == "in_doubt"
    assert scene.match() == [("resolved_doubt", "a")]
    assert (scene.state("a"), order("a", how)) == ("delivered", "refused")


def test_a_fax_is_sent_again_once_the_receipt_was_matched_with_no_doubt(scene: Doubts, order: Order) -> None:
    scene.doubt("a")
    assert scene.receipt("77", pages=9).result == "unmatched"
    assert order("a", "resend") == "refused word_waits"
    assert scene.match() == []
    assert order("a", "resend") == "done"


def test_a_receipt_that_nobody_has_read_yet_comes_before_an_order(scene: Doubts, order: Order) -> None:
    scene.doubt("a")
    entry = scene.client.xadd(scene.keys.status, {"body": b"{}", "kind": "receipt"})
    assert order("a", "resend") == "refused word_waits"
    scene.client.xdel(scene.keys.status, entry)
    assert order("a", "resend") == "done"


def test_a_receipt_that_waits_keeps_nobody_from_saying_that_ifax_took_the_fax(
    scene: Doubts, order: Order
) -> None:
    scene.doubt("a")
    assert scene.receipt("77").result == "unmatched"
    assert order("a", "accepted", "77") == "done"
    assert (scene.state("a"), scene.record("a")["number"]) == ("delivered", TO)


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_receipt_about_another_number_is_no_proof_of_a_fax(
    scene: Doubts, order: Order, outcome: str
) -> None:
    scene.doubt("a")
    scene.receipt("9999", outcome, to="+493012345678", again="busy")
    assert scene.match() == []
    assert order("a", "accepted", "9999") == "refused other_number"
    assert scene.state("a") == "in_doubt"
    scene.receipt("9998", to="2025550123")  # as iFax writes numbers: without the country
    assert order("a", "accepted", "9998") == "done"
    assert scene.state("a") == "delivered"


def test_a_jobid_whose_delivery_failed_is_no_proof_of_the_next_delivery(scene: Doubts, order: Order) -> None:
    scene.push("a")
    assert scene.answer(scene.call(), "accepted", job_id="77").state == "submitted"
    scene.receipt("77", "failed", again="busy")
    scene.go(3600)
    scene.store.timers.run()
    assert scene.answer(scene.call(), "in_doubt").state == "in_doubt"
    assert order("a", "accepted", "77") == "refused told_failed"
    assert scene.state("a") == "in_doubt"
    assert order("a", "accepted", "78") == "done"


def test_a_receipt_that_is_kept_for_another_job_settles_none(scene: Doubts, order: Order) -> None:
    scene.push("a")
    older = scene.call()
    scene.go(200)
    scene.store.timers.run()
    assert order("a", "resend") == "done"
    scene.call()
    scene.answer(older, "accepted", job_id="71")
    assert scene.receipt("71").result == "held"
    scene.doubt("b")
    assert order("b", "accepted", "71") == "taken"
    assert scene.state("b") == "in_doubt"
    ((_, audited),) = scene.client.xrevrange(scene.keys.audit, count=1)
    told = [audited[name] for name in (b"outcome", b"about", b"jobId")]
    assert told == [b"refused", b"other_fax", b"71"]


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_receipt_about_another_number_undoes_the_order_that_named_its_job_id(
    scene: Doubts, order: Order, outcome: str
) -> None:
    sent = round(BEGIN + scene.seconds)
    scene.doubt("a")
    scene.doubt("b", number="+493012345678")
    assert order("a", "accepted", "9999") == "done"
    assert scene.state("a") == "submitted"
    assert scene.receipt("9999", outcome, to="+493012345678", again="busy").result == "unmatched"
    assert scene.told("a") == ["queued", "in_doubt", "submitted", "in_doubt"]
    assert (scene.record("a").get("reason", ""), scene.record("a").get("job_id", "")) == ("other_number", "")
    assert isinstance(admitted(scene), Idle)
    assert scene.match() == [("resolved_doubt", "b")]  # whose it is
    assert scene.record("b").get("deliveries", "") == ("1" if outcome == "failed" else "")
    scene.receipt("77", started=sent)
    assert scene.match() == [("resolved_doubt", "a")]
    assert (scene.state("a"), scene.record("a").get("job_id", "")) == ("delivered", "77")


def test_such_a_receipt_ends_no_unconfirmed_fax_either(scene: Doubts, order: Order) -> None:
    scene.doubt("a")
    assert order("a", "accepted", "9999") == "done"
    scene.go(9001)
    scene.store.timers.run()
    assert scene.state("a") == "unconfirmed"
    assert scene.receipt("9999", to="+493012345678").result == "unmatched"
    assert scene.state("a") == "unconfirmed"


def test_a_receipt_that_names_the_number_in_another_way_or_none_is_the_faxs(
    scene: Doubts, order: Order
) -> None:
    for job, job_id, to in (("a", "71", "2025550123"), ("b", "72", None)):
        scene.doubt(job)
        assert order(job, "accepted", job_id) == "done"
        assert scene.receipt(job_id, to=to).result == "applied"
        assert scene.state(job) == "delivered"


def test_an_attempt_that_ifax_is_known_to_have_counts_once_the_named_job_id_is_anothers(
    scene: Doubts, order: Order
) -> None:
    scene.push("a")
    late = scene.call()
    scene.go(200)
    scene.store.timers.run()
    assert order("a", "accepted", "9999") == "done"
    assert scene.answer(late, "accepted", job_id="78").result == "duplicate"
    assert scene.receipt("9999", to="+493012345678").result == "unmatched"
    assert (scene.state("a"), scene.record("a").get("job_id", "")) == ("submitted", "78")
    assert scene.receipt("78").result == "applied"


@pytest.mark.parametrize("kind", ["poll", "status"])
def test_an_answer_of_ifax_about_another_number_undoes_it_too(redis_client: redis.Redis, kind: str) -> None:
    scene = Doubts(redis_client, RESULTS="both", STATUS_CALL="true")
    scene.doubt("a")
    entry = scene.client.xadd(scene.keys.orders, {"order": "resolve"}).decode()
    assert scene.store.orders.resolve(entry, "a", "accepted", "9999") == "done"
    scene.go(121 if kind == "poll" else 9001)
    scene.store.timers.poll() if kind == "poll" else scene.store.timers.run()
    asker = admitted(scene)
    assert isinstance(asker, Admitted)
    assert asker.control_call == f"!{kind}!a"
    said = {"job_id": "9999", "outcome": "delivered", "code": 0, "reason": "r", "to": "+493012345678"}
    answer = {"decision": "accepted", "about": "9999", "receipt": said, "to": said["to"], "seconds": 0}
    assert scene.store.submission.report(asker, answer).result == "later"
    assert (scene.state("a"), scene.record("a").get("reason", "")) == ("in_doubt", "other_number")
    assert scene.receipt("9999", to="+493012345678").result == "unmatched"
