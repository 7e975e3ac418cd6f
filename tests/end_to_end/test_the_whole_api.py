"""Everything of iFax's API through the queue, each capability once, by real processes."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from faxline import EventName, FaxLine, JobState
from faxline_local.stack import Local

SANDBOX = (
    *("--call-seconds", "0.2", "--page-seconds", "0.01", "--answer-seconds", "0.01", "0.05"),
    *("--lines", "1"),
)
FREE = ("--requests", "100000", "--burst", "100000")
SETTINGS = {
    "RETRIES__DELIVERY__ATTEMPTS": "3",
    "RETRIES__DELIVERY__BUSY": "0.5",
    "RETRIES__DELIVERY__NO_ANSWER": "0.5",
    "RETRIES__DELIVERY__OTHER": "0.5",
    "LIMITS__REQUESTS": "0",
    "LIMITS__BURST": "0",
    "SWEEP": "1",
}
TO = "+12025550123"
URL = "https://example.com/a.pdf"


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("logs")
    with make_local(folder, settings=SETTINGS, sandbox=(*SANDBOX, *FREE)) as running:
        yield running


@pytest.fixture
def line(local: Local) -> Iterator[FaxLine]:
    with FaxLine(local.url_of("producer")) as made:
        yield made


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def taken(local: Local, subject: str) -> list[dict[str, Any]]:
    """The faxes of this subject that the sandbox accepted, with those that resend them."""
    return [fax for fax in local.ledger() if fax["subject"] == subject]


def await_event(line: FaxLine, job: str, name: EventName) -> None:
    events = line.events(after="0", timeout=30)
    assert any(event.job == job and event.name == name for event in events)


def events_of(line: FaxLine, job: str) -> list[tuple[str, dict[str, Any]]]:
    return [(e.name, dict(e.data)) for e in line.events(after="0", timeout=1) if e.job == job]


def test_every_documented_parameter_reaches_iFax_word_for_word(local: Local, line: FaxLine) -> None:
    parameters = {
        "callerId": "+12025550111",
        "templateId": "0000",
        "smartDocumentId": "0000",
        "subject": "every parameter",
        "from_name": "abc",
        "to_name": "xyz",
        "message": "sample fax, naïve",
        "send_at": "2019-11-14T00:55:31.820Z",
        "faxQuality": "HD",
    }
    file = {"fileName": "a.pdf", "fileUrl": URL, "pages": ["1-5", "2"]}
    line.push("send", {"id": "every", "fax": {"faxNumber": TO, **parameters, "faxData": [file]}})
    assert line.wait("every", timeout=30).state is JobState.DELIVERED
    sent = {"faxNumber": TO, **parameters, "faxData": [file]}
    del sent["send_at"]  # it was over: at once
    text = json.dumps(sent, sort_keys=True, separators=(",", ":"))
    (fax,) = taken(local, "every parameter")
    assert fax["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_resend_is_a_job_of_its_own_that_names_its_origin(local: Local, line: FaxLine) -> None:
    first = line.wait(line.send(to=TO, files=[URL], id="origin", subject="resent"), timeout=30)
    for job, to in (("same", None), ("other", "+12025550199")):
        again = line.wait(line.resend("origin", to=to, id=job), timeout=30)
        assert (again.state, again.of, again.kind) == (JobState.DELIVERED, "origin", "resend")
    faxes = taken(local, "resent")
    assert [fax["originalJobId"] for fax in faxes] == [None, first.job_id, first.job_id]
    assert [fax["toNumber"] for fax in faxes] == [TO, TO, "+12025550199"]


@pytest.mark.slow
def test_a_fax_for_a_date_is_kept_by_iFax_and_delivered_after_it(local: Local, line: FaxLine) -> None:
    due = soon(3)
    line.send(to=TO, files=[URL], id="later", subject="later", send_at=due)
    await_event(line, "later", EventName.SUBMITTED)
    assert taken(local, "later")[0]["state"] == "scheduled"
    job = line.wait("later", timeout=30)
    assert job.state is JobState.DELIVERED
    assert job.updated_at is not None
    assert job.updated_at > datetime.fromisoformat(due)
    names = [name for name, _ in events_of(line, "later")]
    assert names == ["fax.queued", "fax.submitted", "fax.delivered"]


def test_a_fax_that_iFax_keeps_is_canceled_there(
    local: Local, line: FaxLine, wait_until: Callable[..., Any]
) -> None:
    # Its webhook comes after the answer to fax-cancel. One that comes first ends the job with its own reason.
    late = {"match": {"subject": "unwanted"}, "times": 1, "action": "delay", "seconds": 3}
    local.control("POST", "webhook-faults", late)
    line.send(to=TO, files=[URL], id="unwanted", subject="unwanted", send_at=soon(3600))
    await_event(line, "unwanted", EventName.SUBMITTED)
    line.cancel("unwanted")
    job = line.wait("unwanted", timeout=30)
    assert (job.state, job.reason) == (JobState.CANCELED, "canceled_at_ifax")
    wait_until(lambda: taken(local, "unwanted")[0]["state"] == "canceled")
    wait_until(lambda: taken(local, "unwanted")[0]["webhooks"])
    assert [name for name, _ in events_of(line, "unwanted")][-1] == "fax.canceled"


def test_what_cannot_be_canceled_any_more_is_told_with_the_reason(line: FaxLine) -> None:
    line.wait(line.send(to=TO, files=[URL], id="ended"), timeout=30)
    line.cancel("ended")
    line.cancel("nobody")
    refused = {
        event.job: event.data["reason"]
        for event in line.events(after="0", timeout=2)
        if event.name == EventName.CANCEL_REFUSED
    }
    assert refused == {"ended": "final", "nobody": "unknown_job"}


def test_a_busy_number_is_tried_again_by_a_resend_until_it_is_free(local: Local, line: FaxLine) -> None:
    number = "+12025557001"
    local.control("PUT", f"numbers/{number}", "0017")
    line.send(to=number, files=[URL], id="busy", subject="busy")
    await_event(line, "busy", EventName.RETRYING)
    local.control("DELETE", f"numbers/{number}")
    job = line.wait("busy", timeout=30)
    assert (job.state, job.deliveries, job.attempt) == (JobState.DELIVERED, 1, 2)
    first, second = taken(local, "busy")
    assert (second["endpoint"], second["originalJobId"]) == ("fax-resend", first["jobId"])
    name, data = events_of(line, "busy")[2]
    assert (name, data["stage"], data["reason"], data["code"]) == ("fax.retrying", "delivery", "busy", 17)


@pytest.mark.slow
def test_many_faxes_to_one_number_follow_each_other_and_none_finds_it_busy(
    local: Local, line: FaxLine
) -> None:
    busy = local.stats()["default"]["line_busy"]
    names = [f"line-{i}" for i in range(6)]
    for name in names:
        line.send(to="+12025557007", files=[URL], id=name, subject=name)
    line.send(to="+12025557008", files=[URL], id="elsewhere", subject="elsewhere")
    jobs = [line.wait(name, timeout=60) for name in names]
    assert [(job.state, job.attempt) for job in jobs] == [(JobState.DELIVERED, 1)] * 6
    assert local.stats()["default"]["line_busy"] == busy
    order = [fax["subject"] for fax in local.ledger() if fax["subject"] in {*names, "elsewhere"}]
    assert order.index("elsewhere") < 3, "it did not overtake"
    assert [name for name in order if name != "elsewhere"] == names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("digits", "faxes", "reason"),
    [("0019", 3, "no_answer"), ("0041", 3, "line_trouble"), ("0021", 1, "rejected")],
)
def test_a_number_that_never_takes_it_ends_as_its_cause_says(
    local: Local, line: FaxLine, digits: str, faxes: int, reason: str
) -> None:
    job = line.wait(line.send(to=f"+1202555{digits}", files=[URL], id=digits, subject=digits), timeout=30)
    assert (job.state, job.reason, job.deliveries) == (JobState.FAILED, reason, faxes)
    assert len(taken(local, digits)) == faxes


def test_a_fax_delivered_without_all_of_its_pages_is_flagged(local: Local, line: FaxLine) -> None:
    file = {"fileName": "a.pdf", "fileUrl": URL, "pages": ["1-6"]}
    line.push("send", {"id": "part", "fax": {"faxNumber": "+12025550206", "faxData": [file]}})
    job = line.wait("part", timeout=30)
    assert (job.state, job.pages, job.transferred, job.partial) == (JobState.DELIVERED, 6, 3, True)
    assert events_of(line, "part")[-1][1]["partial"] is True
    page = httpx.get(f"http://127.0.0.1:{local.metrics['worker-2']}/metrics").text
    assert 'fax_partial_deliveries_total{account="default"} 1.0' in page


@pytest.mark.slow
def test_a_fax_for_a_date_can_be_held_here_until_then(
    make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("local")
    settings = SETTINGS | {"SCHEDULE": "local"}
    with (
        make_local(folder, settings=settings, sandbox=(*SANDBOX, *FREE)) as local,
        FaxLine(local.url_of("producer")) as line,
    ):
        due = soon(2)
        line.send(to=TO, files=[URL], id="held", subject="held", send_at=due)
        line.send(to=TO, files=[URL], id="unwanted", subject="unwanted", send_at=soon(3600))
        line.cancel("unwanted")
        assert line.wait("unwanted", timeout=30).state is JobState.CANCELED
        assert line.wait("held", timeout=30).state is JobState.DELIVERED
        (fax,) = local.ledger()
        assert fax["send_at"] is None
        assert fax["accepted_at"] >= datetime.fromisoformat(due).timestamp()
        assert local.stats()["default"]["requests"] == 1
