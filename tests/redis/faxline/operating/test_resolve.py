"""What operators order about doubts, through library and dispatcher."""

from collections.abc import Callable
from typing import Any

import pytest

from faxline import (
    FaxLine,
    JobIdTaken,
    JobNotFound,
    JobState,
    NotInDoubt,
    NotSettled,
    OrderTimeout,
)
from faxline.cli import doubts
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store


def names(line: FaxLine, job: str) -> list[str]:
    return [step.event for step in line.job(job).history]


@pytest.mark.usefixtures("dispatcher")
def test_a_job_that_ifax_took_goes_on_under_its_job_id_and_is_delivered_by_its_receipt(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    settled = line.resolve("a", accepted=77, by="me@here", timeout=20)
    assert (settled.state, settled.job_id) == (JobState.SUBMITTED, 77)
    entry: Any = redis_client.xadd(store.keys.status, {"kind": "receipt"})
    assert (
        store.receipts.apply([(entry.decode(), {"job_id": "77", "outcome": "delivered"})])[0].result
        == "applied"
    )
    assert names(line, "a") == ["fax.queued", "fax.in_doubt", "fax.submitted", "fax.delivered"]
    assert not redis_client.exists(store.keys.doubts, store.keys.in_doubt)


@pytest.mark.usefixtures("dispatcher")
def test_a_receipt_that_waits_under_the_job_id_is_applied_at_once(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    entry: Any = redis_client.xadd(store.keys.status, {"kind": "receipt"})
    store.receipts.apply([(entry.decode(), {"job_id": "77", "outcome": "delivered"})])
    assert line.resolve("a", accepted=77, by="me@here", timeout=20).state is JobState.DELIVERED


@pytest.mark.usefixtures("dispatcher")
def test_a_job_that_ifax_does_not_have_is_sent_again_with_all_its_attempts(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted]
) -> None:
    doubt("a")
    assert line.resolve("a", resend=True, by="me@here", timeout=20).state is JobState.QUEUED
    again = store.submission.admit("again", "")
    assert isinstance(again, Admitted)
    assert (again.job, again.attempt) == ("a", 2)
    assert line.job("a").history[-1].data["reason"] == "operator"


def test_a_job_that_is_given_up_fails_and_is_counted(
    line: FaxLine,
    doubt: Callable[..., Admitted],
    dispatcher: Dispatcher,
    wait_until: Callable[..., Any],
) -> None:
    doubt("a")
    settled = line.resolve("a", fail=True, by="me@here", timeout=20)
    assert (settled.state, settled.reason) == (JobState.FAILED, "operator")
    counted = dispatcher.context.metrics._outcomes("default", "failed")
    wait_until(lambda: counted._value.get() == 1)


@pytest.mark.usefixtures("dispatcher")
def test_an_order_about_a_job_that_is_not_in_doubt_is_refused_with_its_state(
    line: FaxLine, doubt: Callable[..., Admitted]
) -> None:
    doubt("a")
    line.resolve("a", fail=True, by="me@here", timeout=20)
    with pytest.raises(NotInDoubt, match="it is failed") as caught:
        line.resolve("a", resend=True, by="me@here", timeout=20)
    assert caught.value.state == "failed"
    with pytest.raises(JobNotFound, match="'nobody'"):
        line.resolve("nobody", resend=True, by="me@here", timeout=20)


@pytest.mark.usefixtures("dispatcher")
def test_a_job_id_of_another_job_settles_no_doubt(line: FaxLine, doubt: Callable[..., Admitted]) -> None:
    doubt("a")
    doubt("b")
    line.resolve("a", accepted=77, by="me@here", timeout=20)
    with pytest.raises(JobIdTaken, match="belongs to job 'a'") as caught:
        line.resolve("b", accepted=77, by="me@here", timeout=20)
    assert caught.value.job == "a"
    assert line.job("b").state is JobState.IN_DOUBT


@pytest.fixture
def doubt_again(store: Store, line: FaxLine) -> Callable[[str], None]:
    """Somebody else has a doubt sent again, and iFax's answer is lost once more."""

    def again(job: str) -> None:
        line.resolve(job, resend=True, by="another@desk", timeout=20)
        admitted = store.submission.admit(f"again-{job}", "")
        assert isinstance(admitted, Admitted)
        store.submission.mark(admitted)
        store.submission.settle(admitted, {"decision": "in_doubt", "reason": "read_timeout"})

    return again


@pytest.mark.usefixtures("dispatcher")
def test_a_doubt_about_a_later_attempt_than_was_looked_up_stays(
    cli: Callable[..., tuple[int, str, str]],
    line: FaxLine,
    doubt: Callable[..., Admitted],
    doubt_again: Callable[[str], None],
) -> None:
    doubt("a")
    seen = line.job("a").attempt
    assert "a is in_doubt, attempt 1;" in cli("resolve", "a", "--reveal")[1]
    doubt_again("a")
    with pytest.raises(NotSettled, match="attempt 2 is in doubt, not the one named") as caught:
        line.resolve("a", resend=True, attempt=seen, by="me@here", timeout=20)
    assert caught.value.why == "sent_again"
    refused = cli("resolve", "a", "--resend", "--attempt", "1", "--timeout", "20")
    told = "of job 'a' attempt 2 is in doubt, not the one named; look that one up; nothing was changed"
    assert refused == (1, "", f"faxline: {told}\n")
    assert line.job("a").state is JobState.IN_DOUBT
    assert line.audit()[-1].about == "sent_again"
    assert line.resolve("a", fail=True, attempt=2, by="me@here", timeout=20).state is JobState.FAILED


@pytest.mark.usefixtures("dispatcher")
def test_doubts_that_were_sent_again_while_somebody_looked_at_the_list_are_not_settled_with_it(
    cli: Callable[..., tuple[int, str, str]],
    line: FaxLine,
    doubt: Callable[..., Admitted],
    doubt_again: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doubt("a")
    doubt("b")
    monkeypatch.setattr(doubts, "agree", lambda *_, **__: doubt_again("a"))
    code, out, err = cli("resolve", "--all", "--resend", "--timeout", "20")
    assert (code, out.splitlines()[-1]) == (1, "b: queued")
    assert "of job 'a' attempt 2 is in doubt" in err
    assert line.job("a").state is JobState.IN_DOUBT


@pytest.mark.usefixtures("dispatcher")
def test_a_doubt_about_another_fax_that_was_pushed_with_the_id_meanwhile_stays(
    cli: Callable[..., tuple[int, str, str]],
    line: FaxLine,
    store: Store,
    doubt: Callable[..., Admitted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pushed_again(*_: object, **__: object) -> None:
        line.resolve("a", fail=True, by="another@desk", timeout=20)
        assert store.maintenance.forget("a") == "done"
        doubt("a")

    doubt("a")
    seen = line.job("a")
    monkeypatch.setattr(doubts, "agree", pushed_again)
    code, _, err = cli("resolve", "--all", "--resend", "--timeout", "20")
    told = (
        "job 'a' is another fax by now: the id was pushed again since; look that one up; nothing was changed"
    )
    assert (code, err) == (1, f"faxline: {told}\n")
    assert (line.job("a").state, line.job("a").attempt) == (JobState.IN_DOUBT, seen.attempt)
    with pytest.raises(NotSettled, match="is another fax by now") as caught:
        line.resolve("a", fail=True, attempt=1, created_at=seen.created_at, by="me@here", timeout=20)
    assert caught.value.why == "pushed_again"
    now = line.job("a").created_at
    assert line.resolve("a", fail=True, created_at=now, by="me@here", timeout=20).state is JobState.FAILED


def test_an_order_that_stayed_settles_no_later_attempt_than_its_command_read(
    cli: Callable[..., tuple[int, str, str]], doubt: Callable[..., Admitted], redis_client: Any, line: FaxLine
) -> None:
    doubt("a")
    assert cli("resolve", "a", "--resend", "--timeout", "0")[0] == 3
    ((_, word),) = redis_client.xrange(line.keys.orders)
    created_at = line.job("a").created_at
    assert created_at is not None
    assert (word[b"attempt"], int(word[b"created_at"]) / 1000) == (b"1", created_at.timestamp())


@pytest.mark.usefixtures("dispatcher")
def test_a_receipt_that_is_being_matched_comes_before_an_operators_order(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    entry: Any = redis_client.xadd(store.keys.status, {"kind": "receipt"})
    store.receipts.apply([(entry.decode(), {"job_id": "77", "outcome": "delivered", "to": "+12345678901"})])
    with pytest.raises(NotSettled, match="try again in a minute"):
        line.resolve("a", resend=True, by="me@here", timeout=20)
    assert line.job("a").state is JobState.IN_DOUBT


@pytest.mark.parametrize(
    "said",
    [
        *({"how": "fail", "attempt": attempt} for attempt in ("", "one", "-1", "\u0661")),
        *({"how": "accepted", "jobId": job_id} for job_id in ("", "0x7", "7" * 19, "\u0667", "-1")),
    ],
)
@pytest.mark.usefixtures("dispatcher")
def test_an_order_written_by_hand_without_a_proper_attempt_or_job_id_is_unknown(
    line: FaxLine, doubt: Callable[..., Admitted], redis_client: Any, said: dict[str, str]
) -> None:
    doubt("a")
    entry: Any = redis_client.xadd(line.keys.orders, {"order": "resolve", "job": "a", **said})
    reply: Any = redis_client.xread({line.keys.reply(entry.decode()): "0"}, block=20_000)
    assert reply[0][1][0][1] == {b"result": b"unknown"}
    assert line.job("a").state is JobState.IN_DOUBT


@pytest.mark.usefixtures("dispatcher")
def test_the_job_id_of_the_jobs_own_duplicate_settles_its_doubt(
    line: FaxLine, store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    redis_client.set(store.keys.job_ids + "77", "a")
    assert line.resolve("a", accepted=77, by="me@here", timeout=20).state is JobState.SUBMITTED


def test_without_a_dispatcher_the_order_stays(
    line: FaxLine, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    with pytest.raises(OrderTimeout, match=r"'resolve'.*the order stays"):
        line.resolve("a", accepted=77, by="me@here", timeout=0.01)
    ((_, word),) = redis_client.xrange(line.keys.orders)
    assert len(word.pop(b"token")) == 32
    assert word == {
        b"order": b"resolve",
        b"job": b"a",
        b"how": b"accepted",
        b"jobId": b"77",
        b"by": b"me@here",
        b"user": b"default",
    }


@pytest.mark.parametrize(
    "how", [{}, {"accepted": 1, "resend": True}, {"resend": True, "fail": True}, {"accepted": -1}]
)
def test_one_word_and_a_proper_job_id_settle_a_doubt(line: FaxLine, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"give exactly one|whole number"):
        line.resolve("a", by="me@here", **how)


def test_an_order_called_again_after_a_lost_reply_does_nothing_and_its_first_reply_stays(
    store: Store, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    entry: Any = redis_client.xadd(store.keys.orders, {"order": "resolve"})
    order = entry.decode()
    assert [store.orders.resolve(order, "a", "fail", "") for _ in range(2)] == ["done", "gone"]
    reply = store.keys.reply(order)
    assert [fields for _, fields in redis_client.xrange(reply)] == [{b"result": b"done", b"state": b"failed"}]
    assert 0 < redis_client.pttl(reply) <= 60_000


@pytest.mark.usefixtures("dispatcher")
def test_a_job_id_with_leading_zeros_breaks_no_events_json(
    line: FaxLine, doubt: Callable[..., Admitted], redis_client: Any
) -> None:
    doubt("a")
    word: Any = {"order": "resolve", "job": "a", "how": "accepted", "jobId": "007"}
    redis_client.xadd(line.keys.orders, word)
    event = next(e for e in line.events(after="0", timeout=20) if e.name == "fax.submitted")
    assert event.data["jobId"] == 7
    assert line.job("a").job_id == 7
