"""How does a submitted fax stand? Asked within the limits, ahead of all, before it is unconfirmed."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis

from faxline import FaxLine, JobState
from faxline_worker.config.settings import read_settings
from faxline_worker.ifax.receipts import Receipt, read_receipt
from faxline_worker.state.results import Admitted, Held, Mark
from faxline_worker.state.store import Store
from tests.stage.intake import create_group, register
from tests.stage.scene import Scene

WORD = {"job_id": "77", "outcome": "delivered", "code": 0, "reason": "r", "pages": 2, "transferred": 2}


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    environment = {
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
        "FAXLINE_NUMBERS__CONCURRENT": "0",
        "FAXLINE_STATUS_CALL": "true",
        "FAXLINE_RECEIPT_DEADLINE": "0.01",
        "FAXLINE_LIMITS__CONCURRENCY": "1",
    }
    made = Store(redis_client, read_settings(environment), "default")
    create_group(made)
    return made


def admit(store: Store) -> Admitted:
    admitted = store.submission.admit(uuid4().hex, "")
    assert isinstance(admitted, Admitted), admitted
    return admitted


@pytest.fixture
def asked(store: Store, redis_client: redis.Redis, wait_until: Callable[..., Any]) -> Admitted:
    """The control call of a job whose receipt is overdue, admitted ahead of an urgent job."""
    register(store, redis_client, "a")
    first = admit(store)
    store.submission.mark(first)
    store.submission.settle(first, {"decision": "accepted", "job_id": "77"})
    register(store, redis_client, "urgent", "urgent")
    wait_until(lambda: store.timers.run().ready)
    return admit(store)


def state(store: Store, client: redis.Redis) -> str:
    value: Any = client.hget(store.keys.job("a"), "state")
    return str(value.decode())


def test_an_overdue_fax_is_asked_for_ahead_of_all_and_under_the_limits(
    store: Store, asked: Admitted, redis_client: redis.Redis
) -> None:
    assert (asked.kind, asked.job, asked.request) == ("status", "a", {"jobId": 77})
    assert store.submission.admit("other", "") == Held("concurrency")
    assert store.submission.mark(asked) is Mark.MARKED
    assert state(store, redis_client) == "submitted"


def test_a_final_word_is_as_good_as_a_receipt_and_applied_once(
    store: Store, asked: Admitted, redis_client: redis.Redis
) -> None:
    answer = {"decision": "accepted", "receipt": WORD, "seconds": 0.1}
    assert [store.submission.report(asked, answer).result for _ in range(2)] == ["applied", "repeated"]
    assert state(store, redis_client) == "delivered"
    assert store.state().held == 0


def test_a_final_word_that_says_nothing_else_is_applied_too(
    store: Store, asked: Admitted, redis_client: redis.Redis
) -> None:
    word = read_receipt(b'{"data":{"jobId":77,"faxStatus":"delivered"}}')
    assert isinstance(word, Receipt)
    answer = {"decision": "accepted", "receipt": word.to_dict(), "seconds": 0.1}
    assert store.submission.report(asked, answer).result == "applied"
    with FaxLine(redis_client) as line:
        job = line.job("a")
    assert (job.state, job.code, job.pages) == (JobState.DELIVERED, None, None)
    newest: Any = redis_client.xrevrange(store.keys.events, count=1)
    assert None not in json.loads(newest[0][1][b"data"]).values()


@pytest.mark.parametrize("decision", ["refuse", "retry", "in_doubt", "accepted"])
def test_without_a_final_word_the_fax_is_unconfirmed(
    store: Store, asked: Admitted, redis_client: redis.Redis, decision: str
) -> None:
    assert store.submission.report(asked, {"decision": decision, "seconds": 0.1}).result == "unconfirmed"
    assert state(store, redis_client) == "unconfirmed"


def test_a_fax_that_is_still_being_sent_gets_more_time(
    store: Store, asked: Admitted, redis_client: redis.Redis
) -> None:
    assert (
        store.submission.report(asked, {"decision": "accepted", "sending": True, "seconds": 0.1}).result
        == "later"
    )
    assert state(store, redis_client) == "submitted"
    assert not store.timers.run().changes


@pytest.mark.parametrize("answer", [{"decision": "accepted"}, {"decision": "defer"}])
def test_an_answer_about_the_delivery_before_says_nothing_of_the_one_that_is_on_its_way(
    redis_client: redis.Redis, answer: dict[str, str]
) -> None:
    scene = Scene(redis_client, STATUS_CALL="true", RETRIES__DELIVERY__BUSY="1")
    scene.push("a")
    scene.submit("77")
    scene.go(1001)
    scene.store.timers.run()
    question = scene.call()
    scene.receipt("77", "failed", again="busy")
    scene.go(1)
    scene.store.timers.run()
    scene.submit("78")
    told = scene.store.submission.report(question, {**answer, "reason": "r", "about": "77"})
    assert told.result == "repeated"
    assert scene.state("a") == "submitted"
    assert scene.client.zcard(scene.keys.ready) == 0


def test_a_question_that_is_put_off_keeps_its_place_ahead_of_all(
    store: Store, asked: Admitted, redis_client: redis.Redis
) -> None:
    assert (
        store.submission.report(asked, {"decision": "defer", "cooldown": 500, "seconds": 0.1}).result
        == "again"
    )
    assert redis_client.zrange(store.keys.ready, 0, 0) == [b"!status!a"]
    assert store.submission.admit("other", "") == Held("rate_limit_cooldown")


def test_a_question_whose_worker_died_gives_its_permit_back_and_the_job_is_unconfirmed_in_the_end(
    redis_client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    environment = {
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
        "FAXLINE_NUMBERS__CONCURRENT": "0",
        "FAXLINE_STATUS_CALL": "true",
        "FAXLINE_RECEIPT_DEADLINE": "0.01",
        "FAXLINE_STATUS_CALL__TIMEOUT": "0.2",
        "FAXLINE_HTTP_TIMEOUT": "0.05",
        "FAXLINE_LEASE_GRACE": "0.01",
    }
    store = Store(redis_client, read_settings(environment), "default")
    create_group(store)
    register(store, redis_client, "a")
    first = admit(store)
    store.submission.mark(first)
    store.submission.settle(first, {"decision": "accepted", "job_id": "77"})
    wait_until(lambda: store.timers.run().ready)
    assert admit(store).control_call
    wait_until(lambda: store.timers.run() and state(store, redis_client) == "unconfirmed")
    assert store.state().held == 0
    assert redis_client.zcard(store.keys.ready) == 0
