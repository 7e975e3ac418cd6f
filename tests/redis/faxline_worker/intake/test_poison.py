"""Entries and receipts that make our code raise: tried, set aside, and nothing behind them waits."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from faxline.contract.entries import SendEntry
from faxline.contract.event_data import ReceivedData
from faxline.contract.events import Event
from faxline.contract.page_count import Pages
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.ifax.receipts import Inbound, Nonsense, Receipt, read_receipt
from faxline_worker.intake import entry_items
from faxline_worker.intake.registrar import Intake
from faxline_worker.receipts import reconciler as reconciling
from faxline_worker.receipts.reconciler import BATCH, Reconciler
from faxline_worker.state.failure_counter import TRIES
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import make_intake, usual_settings, worker_metrics
from tests.stage.intake import create_group, read_intake

FAX = {"faxNumber": "+12025550123", "faxData": [{"fileName": "a", "fileUrl": "https://example.com/a"}]}


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    made = Store(
        redis_client,
        usual_settings(NUMBERS__CONCURRENT="0"),
        "default",
    )
    create_group(made)
    return made


@pytest.fixture
def taker(store: Store) -> Intake:
    return make_intake(store)


@pytest.fixture
def reconciler(store: Store) -> Reconciler:
    return Reconciler(store, Mock(), worker_metrics(), Mock())


@pytest.fixture
def delivered(store: Store, redis_client: Any) -> Callable[..., list[tuple[str, Mapping[bytes, bytes]]]]:
    """Entries of intake as a dispatcher reads them."""

    def push(*jobs: str, kind: str = "send") -> list[tuple[str, Mapping[bytes, bytes]]]:
        for job in jobs:
            entry = {"id": job, "fax": FAX} if kind == "send" else {"id": job}
            redis_client.xadd(store.keys.intake, {kind: json.dumps(entry)})
        return read_intake(redis_client, store)

    return push


@pytest.fixture
def webhook(store: Store, redis_client: Any) -> Callable[..., str]:
    def keep(job_id: int, status: str = "delivered", *, flat: bool = False) -> str:
        fax = {"jobId": job_id, "faxStatus": status, "toNumber": "+12025550123"}
        body = json.dumps(fax if flat else {"event": "fax.completed", "data": fax})
        entry: bytes = redis_client.xadd(store.keys.status, {"body": body, "kind": "receipt", "at": "1"})
        return entry.decode()

    return keep


def dead(client: Any, store: Store) -> list[tuple[str, str, str]]:
    entries = client.xrange(store.keys.dead)
    return [tuple(fields[name].decode() for name in (b"stream", b"entry", b"why")) for _, fields in entries]


def counted(registry_owner: Any, family: str, *labels: str) -> float:
    counter = getattr(registry_owner, family)
    value: float = getattr(counter, "labels", counter)(*labels)._value.get()
    return value


def test_an_entry_that_makes_our_check_raise_is_set_aside_after_its_tries_and_the_others_are_jobs(
    store: Store, taker: Intake, delivered: Any, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def check(entry: SendEntry, *_: Any, **more: Any) -> Pages:
        assert more
        if entry.id == "bad":
            tries.append(entry.id)
            raise KeyError("a fault of ours that quotes +12025550123")
        return Pages(1, 1)

    monkeypatch.setattr(entry_items, "check_send", check)
    entries = delivered("a", "bad", "b")
    taker.take(entries)
    assert len(tries) == TRIES
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"a", b"b"]
    assert dead(redis_client, store) == [("intake", entries[1][0], "KeyError")]
    assert redis_client.xlen(store.keys.intake) == 0
    assert redis_client.xpending(store.keys.intake, INTAKE_GROUP)["pending"] == 0
    assert counted(taker.metrics, "_failures", "default", "intake", "", "set_aside") == 1
    logged = " ".join(str(call) for call in taker.log.method_calls)  # type: ignore[attr-defined]
    assert "12025550123" not in logged


def test_an_entry_that_makes_a_script_raise_is_found_among_its_batch(
    store: Store, taker: Intake, delivered: Any, redis_client: Any
) -> None:
    redis_client.set(store.keys.job("bad"), "no hash")
    entries = delivered("a", "bad", "b")
    taker.take(entries)
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"a", b"b"]
    assert dead(redis_client, store) == [("intake", entries[1][0], "ResponseError")]
    assert redis_client.xlen(store.keys.intake) == 0


def test_a_script_that_raises_between_two_records_leaves_no_job_that_is_nowhere(
    store: Store, taker: Intake, redis_client: Any
) -> None:
    redis_client.set(store.keys.group("broken"), "no set")
    for job, group in (("a", "whole"), ("bad", "broken"), ("b", "whole")):
        redis_client.xadd(store.keys.intake, {"send": json.dumps({"id": job, "group": group, "fax": FAX})})
    taker.take(read_intake(redis_client, store))
    assert [why for _, _, why in dead(redis_client, store)] == ["ResponseError"]
    assert {b"a", b"b"} <= set(redis_client.zrange(store.keys.ready, 0, -1))
    assert [redis_client.hget(store.keys.job(job), "state") for job in ("a", "b")] == [b"queued"] * 2
    assert redis_client.xlen(store.keys.intake) == 0


def test_a_cancel_that_makes_a_script_raise_is_set_aside_too(
    store: Store, taker: Intake, delivered: Any, redis_client: Any
) -> None:
    redis_client.set(store.keys.job("bad"), "no hash")
    taker.take([*delivered("a"), *delivered("bad", "a", kind="cancel")])
    assert [(stream, why) for stream, _, why in dead(redis_client, store)] == [("intake", "ResponseError")]
    assert redis_client.hget(store.keys.job("a"), "state") == b"canceled"


def test_a_receipt_at_which_the_script_raises_holds_up_none_of_its_batch(
    store: Store, taker: Intake, delivered: Any, webhook: Callable[..., str], redis_client: Any
) -> None:
    taker.take(delivered("a", "bad", "b"))
    for i, job in enumerate(("a", "bad", "b"), start=71):
        admitted = store.submission.admit(f"permit-{job}", "")
        assert isinstance(admitted, Admitted)
        store.submission.mark(admitted)
        store.submission.settle(admitted, {"decision": "accepted", "job_id": str(i)})
    redis_client.set(store.keys.job("bad"), "no hash")
    first, second, third = webhook(71), webhook(72), webhook(73)
    done = store.receipts.apply(
        [
            (entry, {"job_id": str(71 + i), "outcome": "delivered"})
            for i, entry in enumerate((first, second, third))
        ]
    )
    assert [one.result for one in done] == ["applied", "raised", "applied"]
    assert done[1].error is not None
    assert "WRONGTYPE" in done[1].error
    assert [entry.decode() for entry, _ in redis_client.xrange(store.keys.status)] == [second]
    assert redis_client.hget(store.keys.account_state, "done:delivered") == b"2"


def test_two_receipts_of_one_fax_in_one_batch_are_applied_once(
    store: Store, taker: Intake, delivered: Any, webhook: Callable[..., str], redis_client: Any
) -> None:
    taker.take(delivered("a", "b"))
    for i, job in enumerate(("a", "b"), start=71):
        admitted = store.submission.admit(f"permit-{job}", "")
        assert isinstance(admitted, Admitted)
        store.submission.mark(admitted)
        store.submission.settle(admitted, {"decision": "accepted", "job_id": str(i)})
    ids = (71, 72, 71, 99, 99)  # and two of one that nobody knows yet
    receipts = [(webhook(i), {"job_id": str(i), "outcome": "delivered"}) for i in ids]
    done = [one.result for one in store.receipts.apply(receipts)]
    assert done == ["applied", "applied", "repeated", "unmatched", "repeated"]
    assert redis_client.zcard(store.keys.submitted) == 0
    assert redis_client.zrange(store.keys.unmatched, 0, -1) == [b"99"]
    assert redis_client.xlen(store.keys.status) == 0
    assert not redis_client.exists(store.keys.lines)


@pytest.mark.parametrize(
    "error",
    [
        ReadOnlyError("You can't write against a read only replica."),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        redis.ResponseError("MISCONF Redis is configured to save RDB snapshots, but it cannot"),
        redis.ConnectionError("gone"),
    ],
)
@pytest.mark.parametrize("script", ["register", "document"])
def test_an_entry_is_not_at_fault_when_the_server_refuses_everybody(
    taker: Intake, delivered: Any, redis_client: Any, error: Exception, script: str
) -> None:
    entries = delivered("a")
    own = {"account": "default", "keys": taker.store.keys, "seals": taker.store.seals}
    stored: Any = Mock(spec=Store, intake=Mock(wraps=taker.store.intake), **own)
    stored.documents = taker.store.documents
    if script == "document":
        stored.documents = Mock(read=Mock(side_effect=error))
    else:
        stored.intake.register = Mock(side_effect=error)
    refused = Intake(stored, taker.metrics, Mock())
    if script == "document":
        digest = {"document": "sha256:" + "0" * 64, "fileName": "a"}
        text = json.dumps({"id": "b", "fax": {**FAX, "faxData": [digest]}})
        entries = [(entries[0][0], {b"send": text.encode()})]
    with pytest.raises(type(error)):
        refused.take(entries)
    assert not redis_client.exists(taker.store.keys.dead)
    assert redis_client.xpending(taker.store.keys.intake, INTAKE_GROUP)["pending"] == 1


def test_a_receipt_that_makes_our_code_raise_is_set_aside_after_its_turns_and_the_others_are_applied_at_once(
    store: Store,
    reconciler: Reconciler,
    webhook: Callable[..., str],
    redis_client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = webhook(1)
    webhook(2)

    def read(body: bytes) -> Receipt | Inbound | Nonsense:
        if b'"jobId": 1,' in body:
            raise RuntimeError("a fault of ours")
        return read_receipt(body)

    monkeypatch.setattr(reconciling, "read_receipt", read)
    reconciler.turn()
    assert redis_client.exists(store.keys.job_ids + "2")
    for _ in range(TRIES - 1):
        assert redis_client.xlen(store.keys.status) == 1
        assert dead(redis_client, store) == []
        reconciler.turn()
    assert dead(redis_client, store) == [("status", bad, "RuntimeError")]
    assert redis_client.xlen(store.keys.status) == 0
    assert counted(reconciler.metrics, "_receipts", "default", "set_aside") == 1


def test_a_receipt_that_makes_a_script_raise_is_not_lost_but_set_aside(
    store: Store, reconciler: Reconciler, webhook: Callable[..., str], redis_client: Any
) -> None:
    redis_client.set(store.keys.job_ids + "1", "bad")
    redis_client.set(store.keys.job("bad"), "no hash")
    webhook(1)
    webhook(2)
    for _ in range(TRIES):
        assert redis_client.xlen(store.keys.status) > 0
        reconciler.turn()
    assert redis_client.xlen(store.keys.status) == 0
    assert [(stream, why) for stream, _, why in dead(redis_client, store)] == [("status", "ResponseError")]


def test_a_batch_of_poison_holds_up_what_is_behind_it_for_its_tries_only(
    store: Store, reconciler: Reconciler, webhook: Callable[..., str], redis_client: Any
) -> None:
    redis_client.set(store.keys.job("bad"), "no hash")
    for i in range(BATCH):
        redis_client.set(f"{store.keys.job_ids}{i}", "bad")
        webhook(i)
    webhook(BATCH)
    for _ in range(TRIES + 1):
        reconciler.turn()
    assert redis_client.exists(f"{store.keys.job_ids}{BATCH}")
    assert len(dead(redis_client, store)) == BATCH


AS_TEXT = {
    "event": "fax.completed",
    "timestamp": 1700000000,
    "data": {
        "jobId": "71",
        "fromNumber": "+12025550100",
        "toNumber": "+12025550601",
        "faxTotalPages": 1,
        "faxTransferredPages": 1,
        "faxStatus": "delivered",
        "message": "NORMAL_CLEARING",
        "code": 0,
    },
}


def test_a_receipt_that_an_older_webhook_called_malformed_is_applied_when_it_is_put_back(
    store: Store, taker: Intake, reconciler: Reconciler, delivered: Any, redis_client: Any
) -> None:
    taker.take(delivered("a"))
    admitted = store.submission.admit("permit-a", "")
    assert isinstance(admitted, Admitted)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "accepted", "job_id": "71"})
    redis_client.xadd(store.keys.status, {"body": json.dumps(AS_TEXT), "kind": "malformed", "at": "1"})
    reconciler.turn()
    assert redis_client.hget(store.keys.job("a"), "state") == b"delivered"
    assert redis_client.xlen(store.keys.status) == 0


INBOUND = {
    "jobId": 77,
    "transactionId": "t-9",
    "fromNumber": "+441224515014",
    "toNumber": "+12025550100",
    "faxReceivedPages": 3,
    "faxStatus": "received",
    "direction": "inbound",
    "faxCallEnd": 1610966723,
}


@pytest.mark.parametrize("kind", ["inbound", "malformed"])
def test_an_inbound_fax_is_told_once_with_its_pages_and_is_no_dead_receipt(
    store: Store, reconciler: Reconciler, redis_client: Any, kind: str
) -> None:
    for body in (INBOUND, {"data": INBOUND}):
        redis_client.xadd(store.keys.status, {"body": json.dumps(body), "kind": kind})
        reconciler.turn()
    assert redis_client.xlen(store.keys.status) == 0
    assert dead(redis_client, store) == []
    [(entry, fields)] = redis_client.xrange(store.keys.events)
    event = Event.from_entry(entry, fields)
    assert (event.name, event.job) == ("fax.received", "")
    assert event.data == {
        "state": "received",
        "from": "…5014",
        "to": "…0100",
        "pages": 3,
        "jobId": 77,
        "transactionId": "t-9",
        "at": 1610966723000,
    }
    data = ReceivedData.model_validate(event.data)
    assert isinstance(data, ReceivedData)
    assert data.sender == "…5014"


def test_an_inbound_fax_is_counted_with_its_pages(
    store: Store, reconciler: Reconciler, redis_client: Any
) -> None:
    counted = Mock(wraps=reconciler.metrics)
    counting = replace(reconciler, metrics=counted)
    for _ in range(2):
        redis_client.xadd(store.keys.status, {"body": json.dumps(INBOUND), "kind": "inbound"})
    counting.turn()
    assert [one.args for one in counted.receipt.call_args_list] == [
        ("default", "received"),
        ("default", "repeated"),
    ]
    counted.received_pages.assert_called_once_with("default", 3)


def test_an_inbound_fax_does_not_touch_a_job_of_the_same_jobid(
    store: Store, reconciler: Reconciler, redis_client: Any
) -> None:
    redis_client.set(store.keys.job_ids + "77", "a")
    redis_client.xadd(store.keys.status, {"body": json.dumps(INBOUND), "kind": "inbound"})
    reconciler.turn()
    assert redis_client.get(store.keys.job_ids + "77") == b"a"


@pytest.mark.parametrize("status", ["sending", "on hold", "partially_delivered"])
def test_an_unknown_fax_status_is_kept_and_counted_and_not_guessed(
    store: Store, reconciler: Reconciler, webhook: Callable[..., str], redis_client: Any, status: str
) -> None:
    redis_client.set(store.keys.job_ids + "1", "a")
    redis_client.hset(store.keys.job("a"), mapping={"state": "submitted", "job_id": "1"})
    entry = webhook(1, status)
    reconciler.turn()
    assert dead(redis_client, store) == [("status", entry, "unknown_status")]
    assert redis_client.hget(store.keys.job("a"), "state") == b"submitted"
    assert counted(reconciler.metrics, "_receipts", "default", "set_aside") == 1
    ((_, kept),) = redis_client.xrange(store.keys.dead)
    assert json.loads(kept[b"body"])["data"]["faxStatus"] == status


def test_a_flat_body_is_understood_as_well_as_the_documented_one(
    store: Store, reconciler: Reconciler, webhook: Callable[..., str], redis_client: Any
) -> None:
    for i, job in ((1, "a"), (2, "b")):
        redis_client.set(f"{store.keys.job_ids}{i}", job)
        redis_client.hset(store.keys.job(job), mapping={"state": "submitted", "job_id": i})
        webhook(i, flat=job == "a")
    reconciler.turn()
    assert [redis_client.hget(store.keys.job(job), "state") for job in "ab"] == [b"delivered"] * 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"data":[]}',
        b"[" * 100_000,
        b'{"jobId":-1,"faxStatus":"failed"}',
        b'{"jobId":true,"faxStatus":"failed"}',
        b'{"jobId":1e3,"faxStatus":"failed"}',
        b'{"jobId":1,"faxStatus":["failed"]}',
    ],
)
def test_a_body_that_makes_no_sense_is_malformed(body: bytes) -> None:
    assert read_receipt(body) is Nonsense.MALFORMED


def test_a_flat_body_beside_a_data_member_that_is_no_object_is_read() -> None:
    found = read_receipt(b'{"data":null,"jobId":"12","faxStatus":"failed","message":"USER_BUSY"}')
    assert isinstance(found, Receipt)
    assert (found.job_id, found.outcome, found.reason) == ("12", "failed", "busy")
