"""Jobs and events as the daemon writes them."""

import json
from datetime import UTC, datetime

import pytest

from faxline.contract.events import Event, EventName
from faxline.contract.states import JobState
from faxline.reading.job import Job

AT = 1_900_000_000_000
RECORD = {
    "v": "1",
    "kind": "send",
    "state": "failed",
    "priority": "urgent",
    "attempt": "2",
    "attempts": "3",
    "created_at": str(AT),
    "updated_at": str(AT + 1500),
    "job_id": "12345",
    "code": "-3001",
    "reason": "invalid_number",
    "message": "Invalid fax number",
    "pages": "20",
    "transferred": "0",
    "metadata": '{"customer":7}',
    "number": "+12345678901",
    "group": "invoice",
    "request": '{"secret":"text"}',
    "n": "2",
    "h:1": json.dumps({"event": "fax.queued", "at": AT, "state": "queued", "attempt": 0}),
    "h:2": json.dumps({"event": "fax.failed", "at": AT, "state": "failed", "attempt": 2, "code": -3001}),
    "a_field_of_tomorrow": "x",
}


@pytest.mark.parametrize("state", JobState)
def test_four_states_are_final(state: JobState) -> None:
    assert state.final == (state in {"delivered", "failed", "canceled", "unconfirmed"})


def test_a_record_is_read_whole() -> None:
    job = Job.from_record("default", "invoice.1", RECORD)
    assert (job.state, job.priority, job.attempt, job.job_id) == (JobState.FAILED, "urgent", 2, 12345)
    assert (job.code, job.reason, job.message) == (-3001, "invalid_number", "Invalid fax number")
    assert (job.pages, job.transferred, job.group, job.metadata) == (20, 0, "invoice", {"customer": 7})
    assert job.updated_at == datetime.fromtimestamp(AT / 1000 + 1.5, tz=UTC)
    assert [step.event for step in job.history] == ["fax.queued", "fax.failed"]
    assert job.history[1].data == {"code": -3001}


def test_the_json_of_a_job_has_what_show_promises() -> None:
    shown = json.loads(json.dumps(Job.from_record("default", "invoice.1", RECORD).to_dict()))
    promised = (
        "id account state priority attempt jobId code reason pages transferred created_at updated_at history"
    )
    assert set(promised.split()) <= set(shown)
    assert (shown["jobId"], shown["state"], shown["history"][1]["code"]) == (12345, "failed", -3001)


def test_a_job_shows_no_full_number_and_no_request() -> None:
    job = Job.from_record("default", "invoice.1", RECORD)
    assert job.to == "…8901"
    for text in (repr(job), json.dumps(job.to_dict())):
        assert "2345678901" not in text
        assert "secret" not in text


@pytest.mark.parametrize("value", ["", None])
def test_an_absent_or_empty_field_is_none(value: str | None) -> None:
    names = set(RECORD) - {"state", "kind", "priority"}
    record = RECORD | dict.fromkeys(names, value) if value is not None else {"state": "queued"}
    job = Job.from_record("default", "a", {k: v for k, v in record.items() if v is not None})
    assert (job.job_id, job.code, job.reason, job.pages, job.created_at, job.to) == (None,) * 6
    assert (job.attempt, job.metadata, job.history) == (0, {}, ())


def test_the_events_are_those_of_the_contract() -> None:
    names = "queued rejected submitted retrying in_doubt delivered failed canceled cancel_refused unconfirmed"
    names += " duplicate received"
    assert {str(name) for name in EventName} == {f"fax.{name}" for name in names.split()}


def test_an_event_is_read() -> None:
    fields = {b"event": b"fax.queued", b"job": b"a", b"at": str(AT).encode(), b"data": b'{"state":"queued"}'}
    event = Event.from_entry(b"7-0", fields)
    assert (event.id, event.name, event.job, event.data) == (
        "7-0",
        EventName.QUEUED,
        "a",
        {"state": "queued"},
    )
    assert event.at == datetime.fromtimestamp(AT / 1000, tz=UTC)
