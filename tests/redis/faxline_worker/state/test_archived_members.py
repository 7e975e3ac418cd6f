"""What events and records have for the archive: call times, who acted, digests, and receipts as they came."""

import hashlib
import json
from typing import Any

import pytest
import redis

from faxline.contract.errors import SealBroken
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline.contract.sealing.keyring import new_key
from faxline.contract.sealing.seals import MARK
from faxline_worker.ifax.receipts import Receipt, read_receipt
from faxline_worker.state.archive_marks import ArchiveMarks
from faxline_worker.state.intake_entries import MOST_TIMES
from faxline_worker.state.receipts import MOST_RAW
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.scene import BEGIN, CLOCK, Scene, receipt, settings

RAW = b'{"jobId":77,"faxStatus":"delivered","faxCallStart":1800000001,"faxCallEnd":1800000061,"toNumber":"1"}'
DIGEST = hashlib.sha256(RAW).hexdigest()
FACTS = {"receipt": DIGEST, "call_started_at": 1_800_000_001_000, "call_ended_at": 1_800_000_061_000}
ACCEPTED = {"decision": "accepted", "job_id": "77", "call": "fax-send", "ms": 120}
DOUBT = {"decision": "in_doubt", "reason": "timeout", "call": "fax-send", "ms": 5000}


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client, RESULTS="both")


@pytest.fixture
def archive(scene: Scene) -> ArchiveMarks:
    marks = ArchiveMarks(scene.client, "default", CLOCK)
    marks.switch_on()
    return marks


def call(scene: Scene, answer: dict[str, Any] | None = None) -> Admitted:
    """Call iFax for the best job; without an answer the call goes on."""
    admitted = scene.call()
    scene.go(0.5)
    if answer is not None:
        scene.store.submission.settle(admitted, answer)
    return admitted


def come(scene: Scene, body: bytes = RAW, **more: Any) -> None:
    """The webhook brings this receipt."""
    read = read_receipt(body)
    said = read.to_dict() if isinstance(read, Receipt) else receipt("77")
    entry: Any = scene.client.xadd(scene.keys.status, {"body": body})
    scene.store.receipts.apply([(entry.decode(), said | more)], [{b"body": body}])


def told(scene: Scene, *names: str) -> dict[str, Any]:
    """These members of the last event."""
    data = scene.news()[-1].data
    return {name: data[name] for name in names if name in data}


def test_an_answer_tells_when_its_call_began_and_ended(scene: Scene) -> None:
    scene.push("a")
    began = scene.now
    call(scene, ACCEPTED)
    assert told(scene, "started_at", "ended_at") == {"started_at": began, "ended_at": began + 120}


def test_a_call_whose_worker_was_lost_tells_when_it_began(scene: Scene) -> None:
    scene.push("a")
    began = scene.now
    call(scene)
    scene.go(100)
    scene.store.timers.run()
    assert told(scene, "state", "started_at", "ended_at") == {"state": "in_doubt", "started_at": began}


def test_the_times_of_a_call_belong_to_one_event_alone(scene: Scene) -> None:
    scene.push("a")
    come(scene)
    call(scene, ACCEPTED)
    submitted, delivered = scene.news()[-2:]
    assert (submitted.name, delivered.name) == ("fax.submitted", "fax.delivered")
    assert "started_at" in submitted.data
    assert not {"started_at", "ended_at"} & set(delivered.data)


def test_a_job_that_was_put_back_without_a_call_tells_of_none(scene: Scene) -> None:
    scene.push("a")
    scene.store.submission.settle(scene.admit(), {"decision": "retry", "reason": "x", "retry": 1})
    assert told(scene, "started_at", "ended_at") == {}


def test_a_queued_job_tells_the_digests_of_its_documents(scene: Scene) -> None:
    scene.push("a", documents=f"{'a' * 64},{'b' * 64}", metadata='{"x":[]}')
    assert scene.news()[-1].data == {
        "state": "queued",
        "attempt": 0,
        "documents": ["a" * 64, "b" * 64],
        "metadata": {"x": []},
    }


def test_who_cancels_is_told(scene: Scene) -> None:
    scene.push("a")
    scene.store.intake.cancel(scene.intake("cancel"), "a", "audit", "user", "jane")
    assert told(scene, "state", "by") == {"state": "canceled", "by": "jane"}
    scene.store.intake.cancel(scene.intake("cancel"), "a", "audit", "user", "john")
    assert told(scene, "reason", "by") == {"reason": "final", "by": "john"}
    scene.store.intake.cancel(scene.intake("cancel"), "a")
    assert told(scene, "reason", "by") == {"reason": "final"}


@pytest.mark.parametrize(
    ("answer", "event"),
    [({"decision": "accepted"}, "fax.canceled"), ({"decision": "refuse"}, "fax.cancel_refused")],
)
def test_who_has_ifax_cancel_a_scheduled_fax_is_told_when_ifax_answers(
    scene: Scene, answer: dict[str, Any], event: str
) -> None:
    scene.push("a", send_at=str(scene.now + 100_000), schedule="provider")
    call(scene, ACCEPTED)
    scene.store.intake.cancel(scene.intake("cancel"), "a", by="jane")
    admitted = scene.call()
    scene.store.submission.report(admitted, {"call": "fax-cancel", "ms": 70, **answer})
    (news,) = [one for one in scene.news() if one.name == event]
    expected = {"by": "jane", "started_at": scene.now - 70, "ended_at": scene.now}
    assert {name: news.data.get(name) for name in expected} == expected


@pytest.mark.parametrize("how", ["accepted", "resend", "fail"])
def test_who_settles_a_doubt_is_told(scene: Scene, how: str) -> None:
    scene.push("a")
    call(scene, DOUBT)
    scene.store.orders.resolve(scene.ordered("resolve"), "a", how, "77", "cli", user="+12025550123")
    assert told(scene, "by", "started_at") == {"by": "…0123"}


def test_whose_order_a_resend_is_is_told(scene: Scene) -> None:
    scene.push("a")
    call(scene, ACCEPTED)
    item = scene.item(scene.intake("resend"), "b", kind="resend")
    item["jobs"][0]["of"] = "a"
    order = {"who": "cli", "user": "", "by": "jane"}
    scene.store.intake.register([item | {"order": order}])
    assert told(scene, "state", "by") == {"state": "queued", "by": "jane"}


@pytest.mark.parametrize(
    ("content", "metadata"),
    [
        ({"metadata": {"x": [1, "é", {"y": True}], "z": -7}}, {"x": [1, "é", {"y": True}], "z": -7}),
        ({"metadata": {"x": 2**60}}, None),
        ({"metadata": {"x": []}}, None),
        ({"metadata": {"x": 0.5}}, None),
        ({"metadata": [1]}, None),
        ({"metadata": {}}, None),
        ({"metadata": {"x": "a" * 5000}}, None),
        ({"metadata": {"x": 1}, "y": "a" * 70_000}, None),
        ([{"metadata": {"x": 1}}], None),
        ("x", None),
    ],
)
def test_an_entry_that_nobody_may_open_is_rejected_with_the_metadata_that_survives(
    scene: Scene, content: Any, metadata: Any
) -> None:
    entry: Any = scene.client.xadd(scene.keys.intake, {"send": json.dumps(content)})
    for _ in range(2):
        scene.client.xreadgroup(INTAKE_GROUP, "gone", {scene.keys.intake: ">"})
        scene.store.intake_entries.claim_alone("gone", entry.decode(), idle=0, times=MOST_TIMES + 1)
    assert scene.store.intake_entries.set_aside_unread([entry.decode()]) == [entry.decode()]
    (event,) = scene.news()
    assert (event.name, event.data.get("metadata")) == ("fax.rejected", metadata)


def test_a_receipt_is_told_by_its_digest_and_its_times(scene: Scene) -> None:
    scene.push("a")
    call(scene, ACCEPTED)
    come(scene)
    assert told(scene, *FACTS) == FACTS
    assert not [field for field in scene.record("a") if field.startswith("r:")]


def test_a_receipt_of_a_duplicate_is_told_by_its_digest(scene: Scene) -> None:
    scene.push("a", number="+1")
    call(scene, DOUBT)
    scene.store.orders.resolve(scene.ordered("resolve"), "a", "resend", "")
    come(scene, outcome="failed", to="+1", started=BEGIN)
    scene.go(20)
    (matched,) = scene.store.receipts.match()
    assert matched.result == "duplicate"
    assert told(scene, "receipt") == {"receipt": DIGEST}


def test_while_an_archive_is_on_the_record_keeps_the_receipt_as_it_came(
    scene: Scene, archive: ArchiveMarks
) -> None:
    scene.push("a")
    call(scene, ACCEPTED)
    come(scene)
    record = scene.record("a")
    assert record[f"r:{record['n']}"].encode() == RAW
    assert json.loads(record[f"h:{record['n']}"])["event"] == "fax.delivered"
    scene.push("b")
    call(scene, ACCEPTED | {"job_id": "78"})
    archive.switch_off()
    come(scene, job_id="78")
    assert not [field for field in scene.record("b") if field.startswith("r:")]


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("before", ["the answer", "its last word", "the next delivery"])
def test_a_receipt_that_waits_is_kept_as_it_came(scene: Scene, before: str) -> None:
    scene.push("a")
    failed: dict[str, Any] = {"outcome": "failed", "pages": 1}
    if before == "the answer":
        come(scene)
        call(scene, ACCEPTED)
    else:
        call(scene, ACCEPTED)
        failed |= {"redial": 1} if before == "its last word" else {"again": "busy"}
        come(scene, **failed)
    scene.go(2500)
    scene.store.timers.run()
    record = scene.record("a")
    assert [value.encode() for field, value in record.items() if field.startswith("r:")] == [RAW]
    assert RAW.decode() not in json.dumps([event.data for event in scene.news()])


@pytest.mark.usefixtures("archive")
def test_the_answer_of_a_question_is_kept_as_a_receipt(scene: Scene) -> None:
    scene.push("a")
    call(scene, ACCEPTED)
    scene.go(130)
    scene.store.timers.poll()
    admitted = scene.call()
    word = receipt("77") | {"digest": DIGEST, "raw": RAW.decode()}
    answer = {"decision": "accepted", "receipt": word, "about": "77", "call": "fax-status", "ms": 10}
    assert scene.store.submission.report(admitted, answer).result == "applied"
    record = scene.record("a")
    assert record[f"r:{record['n']}"].encode() == RAW
    assert told(scene, "receipt", "ended_at") == {"receipt": DIGEST, "ended_at": scene.now}


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"jobId":77,"x":"\xff"}', True),
        (b'{"jobId":77,"x":"\\u0000\xc3\xa9"}', True),
        (RAW + b" " * (MOST_RAW - len(RAW)), True),
        (RAW + b" " * (MOST_RAW - len(RAW) + 1), False),
    ],
)
def test_a_receipt_of_any_bytes_is_kept_unless_it_is_too_large(
    scene: Scene,
    body: bytes,
    kept: bool,
) -> None:
    scene.push("a")
    call(scene, ACCEPTED)
    come(scene, body)
    found = [value for field, value in scene.record("a").items() if field.startswith("r:")]
    assert [scene.store.seals.open_receipt("77", value) for value in found] == [body] * kept
    assert told(scene, "receipt") == {"receipt": hashlib.sha256(body).hexdigest()}


def test_a_kept_receipt_is_sealed_for_its_fax_resealed_and_forgotten(redis_client: redis.Redis) -> None:
    one, two = new_key("one"), new_key("two")
    scene = Scene(redis_client, SEALING_KEYS=one)
    ArchiveMarks(scene.client, "default", CLOCK).switch_on()
    scene.push("a")
    call(scene, ACCEPTED)
    come(scene)
    (kept,) = scene.store.maintenance.receipts()
    assert kept.kept.startswith(f"{MARK}one:")
    assert scene.store.seals.open_receipt("77", kept.kept) == RAW
    with pytest.raises(SealBroken):
        scene.store.seals.open_receipt("78", kept.kept)
    later = Store(redis_client, settings(SEALING_KEYS=f"{two}\n{one}"), "default", clock=CLOCK)
    assert later.maintenance.reseal_receipt(kept)
    assert not later.maintenance.reseal_receipt(kept)
    (again,) = later.maintenance.receipts()
    assert again.kept.startswith(f"{MARK}two:")
    assert later.seals.open_receipt("77", again.kept) == RAW
    assert later.maintenance.forget("a") == "done"
    assert list(later.maintenance.receipts()) == []
