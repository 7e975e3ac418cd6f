"""The transitions, on a real server, through their typed methods."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.state.results import Admitted, Held, Idle, Mark, Registration
from faxline_worker.state.store import Store

Make = Callable[..., Store]


def settings(**changes: str) -> Settings:
    environment = {
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
        "FAXLINE_NUMBERS__CONCURRENT": "0",
        "FAXLINE_HTTP_TIMEOUT": "5",
        "FAXLINE_LEASE_GRACE": "1",
    }
    return read_settings(environment | {f"FAXLINE_{name}": value for name, value in changes.items()})


@pytest.fixture
def make(redis_client: Any) -> Make:
    def store(**changes: str) -> Store:
        made = Store(redis_client, settings(**changes), "default")
        redis_client.xgroup_create(made.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
        return made

    return store


def push(store: Store, client: Any, job: str, *, rank: int = 2, digest: str = "d", **fields: str) -> Any:
    entry = client.xadd(store.keys.intake, {"send": "{}"})
    client.xreadgroup(INTAKE_GROUP, "test", {store.keys.intake: ">"})
    values = {"kind": "send", "request": '{"a":1}', "number": "+12345678901", "priority": "normal", **fields}
    item = {"entry": entry.decode(), "jobs": [{"id": job, "digest": digest, "rank": rank, "fields": values}]}
    return store.intake.register([item])[0]


def admit(store: Store, permit: str | None = None) -> Admitted:
    admitted = store.submission.admit(permit or uuid4().hex, "")
    assert isinstance(admitted, Admitted), admitted
    return admitted


def record(store: Store, client: Any, job: str) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in client.hgetall(store.keys.job(job)).items()}


def events(store: Store, client: Any) -> list[tuple[str, str]]:
    return [(f[b"event"].decode(), f[b"job"].decode()) for _, f in client.xrange(store.keys.events)]


def receipt(store: Store, client: Any, job_id: str, outcome: str = "delivered") -> Any:
    entry = client.xadd(store.keys.status, {"body": b"{}", "kind": "receipt"})
    content = {"job_id": job_id, "outcome": outcome, "code": 0, "reason": "r", "pages": 3, "transferred": 3}
    return store.receipts.apply([(entry.decode(), content)])[0]


def test_a_job_goes_from_registration_to_delivered_with_one_event_each(make: Make, redis_client: Any) -> None:
    store = make()
    assert push(store, redis_client, "a", metadata='{"order":12345678901234567890}') == ("registered", "")
    admitted = admit(store)
    assert (admitted.job, admitted.attempt, admitted.request) == ("a", 1, {"a": 1})
    assert store.submission.mark(admitted) is Mark.MARKED
    assert store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"}).state == "submitted"
    done = receipt(store, redis_client, "77")
    assert (done.result, done.job) == ("applied", "a")
    assert events(store, redis_client) == [(f"fax.{e}", "a") for e in ("queued", "submitted", "delivered")]
    assert record(store, redis_client, "a")["state"] == "delivered"
    last = redis_client.xrevrange(store.keys.events, count=1)[0][1]
    assert json.loads(last[b"data"])["metadata"] == {"order": 12345678901234567890}
    assert json.loads(last[b"data"])["jobId"] == 77
    assert redis_client.xlen(store.keys.intake) == redis_client.xlen(store.keys.status) == 0


def test_the_same_id_is_ignored_with_the_same_content_and_rejected_with_other(
    make: Make, redis_client: Any
) -> None:
    store = make()
    push(store, redis_client, "a")
    assert push(store, redis_client, "a") == (Registration.REPEATED, "")
    assert push(store, redis_client, "a", digest="other") == (Registration.REJECTED, "id_reused")
    assert events(store, redis_client) == [("fax.queued", "a"), ("fax.rejected", "a")]


def test_a_receipt_is_applied_once_however_often_it_comes(make: Make, redis_client: Any) -> None:
    store = make()
    push(store, redis_client, "a")
    admitted = admit(store)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"})
    results = [receipt(store, redis_client, "77").result for _ in range(3)]
    assert results == ["applied", "repeated", "repeated"]
    assert receipt(store, redis_client, "77", "failed").result == "repeated"
    assert record(store, redis_client, "a")["state"] == "delivered"


def test_a_receipt_before_the_answer_is_claimed_by_the_answer(make: Make, redis_client: Any) -> None:
    store = make()
    push(store, redis_client, "a")
    admitted = admit(store)
    store.submission.mark(admitted)
    assert receipt(store, redis_client, "77").result == "unmatched"
    settled = store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"})
    assert settled.receipt is not None
    assert record(store, redis_client, "a")["state"] == "delivered"
    assert [e for e, _ in events(store, redis_client)] == ["fax.queued", "fax.submitted", "fax.delivered"]
    assert receipt(store, redis_client, "77").result == "repeated"


def test_every_script_called_again_answers_the_same_and_changes_nothing(
    make: Make, redis_client: Any
) -> None:
    store = make()
    push(store, redis_client, "a")
    push(store, redis_client, "b")
    first, again = admit(store, "permit-1"), admit(store, "permit-1")
    assert (first.job, first.attempt) == (again.job, again.attempt) == ("a", 1)
    assert store.submission.mark(first) is store.submission.mark(first) is Mark.MARKED
    answer = {"decision": "accepted", "job_id": "77"}
    assert store.submission.settle(first, answer).result == "settled"
    before = record(store, redis_client, "a")
    assert store.submission.settle(first, answer).result == "repeated"
    assert record(store, redis_client, "a") == before
    assert redis_client.zcard(store.keys.answers) == 1


def test_the_most_urgent_then_the_oldest_job_is_admitted_first(make: Make, redis_client: Any) -> None:
    store = make()
    for job, rank in (("bulk", 3), ("normal-1", 2), ("normal-2", 2), ("urgent", 1)):
        push(store, redis_client, job, rank=rank)
    assert [admit(store).job for _ in range(4)] == ["urgent", "normal-1", "normal-2", "bulk"]
    assert isinstance(store.submission.admit("x", ""), Idle)


def test_no_more_permits_are_held_than_the_concurrency_allows(make: Make, redis_client: Any) -> None:
    store = make(LIMITS__CONCURRENCY="2")
    for i in range(3):
        push(store, redis_client, f"job-{i}")
    first = admit(store)
    assert isinstance(store.submission.admit("second", ""), Admitted)
    assert store.submission.admit("x", "") == Held("concurrency")
    store.submission.mark(first)
    assert store.submission.settle(first, {"decision": "accepted", "job_id": "1"}).wakes
    assert admit(store).job == "job-2"


def test_an_answer_counts_in_the_window_and_the_timers_say_when_it_leaves(
    make: Make, redis_client: Any
) -> None:
    store = make(LIMITS__REQUESTS="2", LIMITS__WINDOW="7", LIMITS__BURST="0")
    for i in range(3):
        push(store, redis_client, f"job-{i}")
    for i in range(2):
        admitted = admit(store)
        store.submission.mark(admitted)
        store.submission.settle(admitted, {"decision": "accepted", "job_id": str(i)})
    assert store.submission.admit("x", "") == Held("window")
    plan = store.timers.plan_wakeups()
    assert not plan.wakes
    assert plan.next is not None
    assert 0 < plan.next <= 7


def test_a_burst_ends_at_its_limit_and_the_bucket_drains(make: Make, redis_client: Any) -> None:
    store = make(LIMITS__BURST="3", LIMITS__REQUESTS="1000", LIMITS__WINDOW="100000")
    for i in range(4):
        push(store, redis_client, f"job-{i}")
    for i in range(3):
        admitted = admit(store)
        store.submission.mark(admitted)
        store.submission.settle(admitted, {"decision": "accepted", "job_id": str(i)})
    assert store.submission.admit("x", "") == Held("burst")


def test_a_deferral_keeps_the_place_spends_no_attempt_and_closes_the_gate(
    make: Make, redis_client: Any
) -> None:
    store = make()
    push(store, redis_client, "a")
    push(store, redis_client, "b")
    admitted = admit(store)
    place = record(store, redis_client, "a")["place"]
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "defer", "reason": "rate_limited", "cooldown": 60_000})
    assert store.submission.admit("x", "") == Held("rate_limit_cooldown")
    held = record(store, redis_client, "a")
    assert (held["state"], held["attempt"], held["place"]) == ("queued", "0", place)
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"a", b"b"]


def test_a_pause_holds_the_account_and_burns_nothing(make: Make, redis_client: Any) -> None:
    store = make()
    push(store, redis_client, "a")
    admitted = admit(store)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "pause", "reason": "invalid_key", "code": -3009})
    assert store.submission.admit("x", "") == Held("paused")
    assert record(store, redis_client, "a")["attempt"] == "0"
    assert store.state().paused == "invalid_key"


def test_a_retry_waits_for_its_time_and_then_fails_when_the_attempts_are_spent(
    make: Make, redis_client: Any, wait_until: Callable[..., Any]
) -> None:
    store = make(RETRIES__SUBMISSION__ATTEMPTS="2")
    push(store, redis_client, "a")
    answer = {"decision": "retry", "reason": "connect_failed", "retry": 1}
    assert store.submission.settle(admit(store), answer).state == "queued"
    wait_until(lambda: store.timers.run() and redis_client.zcard(store.keys.ready) == 1)
    assert store.submission.settle(admit(store), answer).state == "failed"
    names = [e for e, _ in events(store, redis_client)]
    assert names == ["fax.queued", "fax.retrying", "fax.failed"]
    assert redis_client.pttl(store.keys.job("a")) > 0


def test_a_lease_that_ran_out_before_the_mark_returns_the_job_to_its_place(
    make: Make, redis_client: Any, wait_until: Callable[..., Any]
) -> None:
    store = make(HTTP_TIMEOUT="0.01", LEASE_GRACE="0.01")
    push(store, redis_client, "a")
    stale = admit(store)
    wait_until(lambda: store.timers.run() and redis_client.zcard(store.keys.ready) == 1)
    assert store.submission.mark(stale) is Mark.LOST
    assert record(store, redis_client, "a")["attempt"] == "0"
    assert redis_client.zcard(store.keys.answers) == 0


def test_a_lease_that_ran_out_after_the_mark_is_in_doubt_and_a_late_answer_settles_it(
    make: Make, redis_client: Any, wait_until: Callable[..., Any]
) -> None:
    store = make(HTTP_TIMEOUT="0.05", LEASE_GRACE="0.05")
    push(store, redis_client, "a")
    admitted = admit(store)
    assert store.submission.mark(admitted) is Mark.MARKED
    wait_until(lambda: store.timers.run() and record(store, redis_client, "a")["state"] == "in_doubt")
    assert redis_client.zcard(store.keys.answers) == 1
    late = store.submission.settle(admitted, {"decision": "accepted", "job_id": "9"})
    assert (late.result, late.state) == ("resolved", "submitted")
    assert receipt(store, redis_client, "9").result == "applied"


def test_the_lease_of_a_large_request_grows_with_its_size_and_a_receipt_waits_for_its_answer(
    make: Make, redis_client: Any
) -> None:
    store = make(HTTP_TIMEOUT="5", LEASE_GRACE="1", HTTP_RATE="1000", SWEEP="1")
    push(store, redis_client, "a")
    admitted = admit(store)
    ((_, before),) = redis_client.zrange(store.keys.permits, 0, -1, withscores=True)
    assert store.submission.mark(admitted, 100_000) is Mark.MARKED
    ((_, after),) = redis_client.zrange(store.keys.permits, 0, -1, withscores=True)
    assert after - before >= 98_000  # 100 s at this rate; some of the grace may have passed
    assert int(record(store, redis_client, "a")["lease"]) == after
    assert receipt(store, redis_client, "77").result == "unmatched"
    assert redis_client.zscore(store.keys.unmatched, "77") == after + 1000
    assert store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"}).state == "delivered"


def test_an_unknown_answer_holds_its_permit_while_the_request_could_live(
    make: Make, redis_client: Any
) -> None:
    store = make(LIMITS__CONCURRENCY="1", LEASE_GRACE="60")
    push(store, redis_client, "a")
    push(store, redis_client, "b")
    admitted = admit(store)
    store.submission.mark(admitted)
    assert (
        store.submission.settle(admitted, {"decision": "in_doubt", "reason": "read_timeout"}).state
        == "in_doubt"
    )
    assert store.submission.admit("x", "") == Held("concurrency")


def test_a_burst_of_entries_makes_no_more_wake_ups_than_could_be_admitted(
    make: Make, redis_client: Any
) -> None:
    store = make(LIMITS__CONCURRENCY="5")
    for i in range(50):
        push(store, redis_client, f"job-{i}")
    assert len(store.timers.plan_wakeups().wakes) == 5
    assert store.timers.plan_wakeups().wakes == ()


def test_a_queued_job_is_canceled_and_a_submitted_one_refuses(make: Make, redis_client: Any) -> None:
    store = make()
    push(store, redis_client, "a")
    push(store, redis_client, "b")
    admitted = admit(store)
    entries = [redis_client.xadd(store.keys.intake, {"cancel": "{}"}).decode() for _ in range(2)]
    assert store.intake.cancel(entries[0], "b") is Registration.CANCELED
    assert store.intake.cancel(entries[1], admitted.job) is Registration.REFUSED
    assert store.intake.cancel(entries[1], admitted.job) is Registration.GONE
    assert events(store, redis_client)[-2:] == [("fax.canceled", "b"), ("fax.cancel_refused", "a")]


def test_a_job_not_submitted_by_its_expiry_fails(make: Make, redis_client: Any) -> None:
    store = make()
    push(store, redis_client, "a", expires_at="1")
    assert [(c.event, c.reason) for c in store.timers.run().changes] == [("fax.failed", "expired")]
    assert record(store, redis_client, "a")["state"] == "failed"


def test_no_receipt_in_time_is_unconfirmed_and_a_late_one_amends_it(
    make: Make, redis_client: Any, wait_until: Callable[..., Any]
) -> None:
    store = make(RECEIPT_DEADLINE="0.01")
    push(store, redis_client, "a")
    admitted = admit(store)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "accepted", "job_id": "5"})
    wait_until(lambda: store.timers.run() and record(store, redis_client, "a")["state"] == "unconfirmed")
    assert receipt(store, redis_client, "5").result == "applied"
    assert record(store, redis_client, "a")["state"] == "delivered"
    assert store.state().jobs["unconfirmed"] == 0


def test_a_receipt_that_makes_no_sense_is_set_aside(make: Make, redis_client: Any) -> None:
    store = make()
    entry = redis_client.xadd(store.keys.status, {"body": b"??", "kind": "malformed"})
    assert store.streams.set_aside("status", entry.decode(), "malformed")
    assert not store.streams.set_aside("status", entry.decode(), "malformed")
    assert store.state().dead == 1


def test_an_unknown_decision_is_refused_before_anything_changes(make: Make, redis_client: Any) -> None:
    store = make()
    push(store, redis_client, "a")
    admitted = admit(store)
    store.submission.mark(admitted)
    permits = redis_client.zrange(store.keys.permits, 0, -1)
    with pytest.raises(redis.ResponseError, match="unknown decision"):
        store.submission.settle(admitted, {"decision": "perhaps"})
    assert redis_client.zrange(store.keys.permits, 0, -1) == permits
    assert not redis_client.exists(store.keys.answers)
