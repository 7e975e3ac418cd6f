"""An operator's order to settle a doubt, against what Faxline knows of it. On our own clock."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline_worker.state.results import Admitted, Idle
from tests.redis.faxline_worker.receipts.test_doubts import TO, Line

Order = Callable[..., str]


@pytest.fixture
def line(redis_client: redis.Redis) -> Line:
    return Line(redis_client)


@pytest.fixture
def order(line: Line) -> Order:
    def give(job: str, how: str, job_id: str = "", **more: Any) -> str:
        entry = line.client.xadd(line.store.keys.orders, {"order": "resolve", "by": "ada"}).decode()
        result = str(line.store.orders.resolve(entry, job, how, job_id, "ada", **more))
        ((_, reply),) = line.client.xrange(line.store.keys.reply(entry))
        assert reply[b"result"].decode() == result
        return f"{result} {reply.get(b'why', b'').decode()}".strip()

    return give


def admitted(line: Line) -> Admitted | Idle:
    found = line.store.submission.admit("another", "")
    assert isinstance(found, Admitted | Idle)
    return found


def accepted_late(line: Line, order: Order) -> None:
    """The doubt is about attempt 2; iFax took attempt 1 as 71, as its late answer said."""
    line.push("a")
    older = line.call()
    line.go(200)
    line.store.timers.run()
    assert order("a", "resend") == "done"
    line.go(1)
    newer = line.call()
    assert line.answer(older, "accepted", job_id="71").result == "duplicate"
    assert line.answer(newer, "in_doubt").state == "in_doubt"


@pytest.mark.parametrize("how", ["accepted", "resend", "fail"])
def test_an_order_about_an_attempt_settles_no_later_one(line: Line, order: Order, how: str) -> None:
    line.doubt("a")
    assert order("a", "resend", attempt="1") == "done"
    assert line.answer(line.call(), "in_doubt").state == "in_doubt"
    job_id = "77" if how == "accepted" else ""
    assert order("a", how, job_id, attempt="1") == "refused sent_again"
    assert line.state("a") == "in_doubt"
    assert isinstance(admitted(line), Idle)
    assert order("a", how, job_id, attempt="2") == "done"


def test_an_order_that_names_no_attempt_settles_whichever_is_in_doubt(line: Line, order: Order) -> None:
    line.doubt("a")
    assert order("a", "resend") == "done"
    assert line.answer(line.call(), "in_doubt").state == "in_doubt"
    assert order("a", "fail") == "done"


@pytest.mark.parametrize("how", ["resend", "fail"])
def test_a_fax_of_which_ifax_took_an_older_attempt_is_neither_sent_again_nor_given_up(
    line: Line, order: Order, how: str
) -> None:
    accepted_late(line, order)
    failed: list[None] = []
    assert order("a", how, failed=lambda: failed.append(None)) == "done"
    assert (line.state("a"), line.field("a", "job_id"), line.field("a", "also")) == ("submitted", "71", "")
    assert failed == []
    assert isinstance(admitted(line), Idle)
    assert line.receipt("71") == "applied"
    assert line.state("a") == "delivered"
    (audited,) = [
        f
        for _, f in line.client.xrange(line.store.keys.audit)
        if f.get(b"jobId") == b"71" and f[b"who"] == b"ada"
    ]
    assert audited[b"what"] == f"resolve {how}".encode()


def test_the_kept_receipt_of_the_older_attempt_ends_the_fax_by_the_order(line: Line, order: Order) -> None:
    line.push("a")
    older = line.call()
    line.go(200)
    line.store.timers.run()
    assert order("a", "resend") == "done"
    newer = line.call()
    line.answer(older, "accepted", job_id="71")
    assert line.receipt("71", "failed") == "held"
    assert line.answer(newer, "in_doubt").state == "in_doubt"
    applied: list[Any] = []
    assert order("a", "resend", applied=applied.append) == "done"
    assert [receipt["job_id"] for receipt in applied] == ["71"]
    assert line.state("a") == "failed"


@pytest.mark.parametrize("how", ["resend", "fail"])
def test_no_fax_is_sent_again_or_given_up_while_a_receipt_of_its_number_waits_to_be_matched(
    line: Line, order: Order, how: str
) -> None:
    line.doubt("a")
    assert line.receipt("77") == "unmatched"
    assert order("a", how) == "refused word_waits"
    assert line.state("a") == "in_doubt"
    assert line.match() == [("resolved_doubt", "a")]
    assert (line.state("a"), order("a", how)) == ("delivered", "refused")


def test_a_fax_is_sent_again_once_the_receipt_was_matched_with_no_doubt(line: Line, order: Order) -> None:
    line.doubt("a")
    assert line.receipt("77", pages=9) == "unmatched"
    assert order("a", "resend") == "refused word_waits"
    assert line.match() == []
    assert order("a", "resend") == "done"


def test_a_receipt_that_nobody_has_read_yet_comes_before_an_order(line: Line, order: Order) -> None:
    line.doubt("a")
    entry = line.client.xadd(line.store.keys.status, {"body": b"{}", "kind": "receipt"})
    assert order("a", "resend") == "refused word_waits"
    line.client.xdel(line.store.keys.status, entry)
    assert order("a", "resend") == "done"


def test_a_receipt_that_waits_keeps_nobody_from_saying_that_ifax_took_the_fax(
    line: Line, order: Order
) -> None:
    line.doubt("a")
    assert line.receipt("77") == "unmatched"
    assert order("a", "accepted", "77") == "done"
    assert (line.state("a"), line.field("a", "number")) == ("delivered", TO)


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_receipt_about_another_number_is_no_proof_of_a_fax(line: Line, order: Order, outcome: str) -> None:
    line.doubt("a")
    line.receipt("9999", outcome, to="+493012345678", again="busy")
    assert line.match() == []
    assert order("a", "accepted", "9999") == "refused other_number"
    assert line.state("a") == "in_doubt"
    line.receipt("9998", to="2025550123")  # as iFax writes numbers: without the country
    assert order("a", "accepted", "9998") == "done"
    assert line.state("a") == "delivered"


def test_a_receipt_that_is_kept_for_another_job_settles_none(line: Line, order: Order) -> None:
    line.push("a")
    older = line.call()
    line.go(200)
    line.store.timers.run()
    assert order("a", "resend") == "done"
    line.call()
    line.answer(older, "accepted", job_id="71")
    assert line.receipt("71") == "held"
    line.doubt("b")
    assert order("b", "accepted", "71") == "taken"
    assert line.state("b") == "in_doubt"
