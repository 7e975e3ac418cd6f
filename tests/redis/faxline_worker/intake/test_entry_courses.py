"""Courses of entries: the line in memory and the daemon tell the same of them."""

import base64
from typing import Any

import pytest

from faxline.contract.page_count import digest
from tests.stage.entry_cases import (
    COURSES,
    FILE,
    FULL,
    MISSING,
    OTHER,
    STORED,
    TEXT,
    TWO,
    events_of,
    nested,
    push,
    resend,
    send,
    with_file,
)
from tests.stage.takers import KEYS, Taker, document

UPLOADS = {"u" * 16: STORED + b", and another", "v" * 16: b"an upload"}


@pytest.mark.parametrize("course", COURSES)
def test_a_course_of_entries_is_told(taker: Taker, course: str) -> None:
    steps, should = COURSES[course]
    for name, data in UPLOADS.items():
        taker.store(KEYS.upload(name), data)
    for kind, content in steps:
        taker.submit(content) if kind == "submit" else push(taker, kind, content)
    assert sorted(events_of(taker)) == sorted(should)
    assert [event for event in events_of(taker) if event.startswith("queued")] == [
        event for event in should if event.startswith("queued")
    ]


ECHOED: dict[str, tuple[list[tuple[str, Any]], Any]] = {
    "a broken rule elsewhere": (
        [("send", send(faxNumber="1")[1] | {"metadata": {"x": [1, {}]}})],
        {"x": [1, {}]},
    ),
    "an unknown member": ([("resend", {"id": "b", "of": "a", "metadata": {"x": "é"}, "y": 1})], {"x": "é"}),
    "an id that is used again": (
        [send(), ("send", send(subject="x")[1] | {"metadata": {"x": 2**70}})],
        {"x": 2**70},
    ),
    "a resend of what nobody knows": ([resend("b", "x", metadata={"x": 1})], {"x": 1}),
    "a document that nobody stored": (
        [("send", with_file("a", document=MISSING)[1] | {"metadata": {"x": 1}})],
        {"x": 1},
    ),
    "metadata that breaks a rule": ([("send", send()[1] | {"metadata": nested(33)})], None),
    "metadata that is no object": ([("send", send(faxNumber="1")[1] | {"metadata": [1]})], None),
    "no metadata": ([("send", send(faxNumber="1")[1] | {"metadata": {}})], None),
    "an entry that is no object": ([("send", [{"metadata": {"x": 1}}])], None),
}


@pytest.mark.parametrize("course", ECHOED)
def test_a_rejection_echoes_the_metadata_where_that_is_valid(taker: Taker, course: str) -> None:
    entries, metadata = ECHOED[course]
    for kind, content in entries:
        push(taker, kind, content)
    event = taker.events()[-1]
    assert (event.event, event.data.get("metadata")) == ("fax.rejected", metadata)


def test_a_number_that_json_does_not_know_is_no_metadata_to_echo(taker: Taker) -> None:
    taker.push(
        {"send": b'{"id":"a","metadata":{"x":NaN}}'}, {"send": b'{"id":"a","y":1,"metadata":{"x":1e999}}'}
    )
    assert [event.data.get("metadata") for event in taker.events()] == [None, None]


def test_a_queued_fax_tells_the_digests_of_its_documents_and_who_ordered_it(taker: Taker) -> None:
    name = document(taker, STORED)
    files = [FILE, {"fileName": "a.txt", "fileData": TEXT}, {"fileName": "b.txt", "document": name}]
    push(taker, *send(faxData=[*files, files[1]]))
    taker.submit("a")
    push(taker, *resend("b", "a", by="jane", user="clerk"))
    push(taker, "cancel", {"id": "b", "by": "jane"})
    found = [(event.event, event.data.get("documents"), event.data.get("by")) for event in taker.events()]
    digests = [digest(data).removeprefix("sha256:") for data in (base64.b64decode(TEXT), STORED)]
    assert found == [
        ("fax.queued", digests, None),
        ("fax.submitted", None, None),
        ("fax.queued", None, "clerk"),
        ("fax.canceled", None, "jane"),
    ]


def test_of_a_member_that_is_not_given_the_default_holds(taker: Taker) -> None:
    push(taker, *send())
    push(taker, "send", FULL | {"id": "full"})
    plain, full = taker.line.job("a"), taker.line.job("full")
    assert (plain.priority, plain.group, plain.metadata, plain.send_at) == ("normal", None, {}, None)
    assert (full.priority, full.group, full.metadata) == ("urgent", "g", {"customer": 7})
    assert {event.job: event.data.get("metadata") for event in taker.events()} == {
        "a": None,
        "full": {"customer": 7},
    }


def test_a_list_of_numbers_is_a_group_with_a_job_for_each(taker: Taker) -> None:
    push(taker, *send(faxNumber=TWO))
    jobs = [taker.line.job(name) for name in ("a.1", "a.2")]
    assert [(job.to, job.group) for job in jobs] == [("…0123", "a"), ("…0124", "a")]


def test_a_resend_goes_to_its_own_number_or_that_of_the_first(taker: Taker) -> None:
    push(taker, *send())
    taker.submit("a")
    push(taker, *resend("same", "a"))
    push(taker, *resend("other", "a", faxNumber=OTHER, priority="urgent", metadata={"x": 1}))
    same, other = taker.line.job("same"), taker.line.job("other")
    assert (same.to, same.priority, same.metadata) == ("…0123", "normal", {})
    assert (other.to, other.priority, other.metadata) == ("…0124", "urgent", {"x": 1})


def test_a_resend_that_two_people_push_under_one_id_is_one_fax_and_nobody_is_refused(taker: Taker) -> None:
    push(taker, *send())
    taker.submit("a")
    for who in ("ada: was busy", "bob: no answer"):
        push(taker, *resend("a.r1", "a", by=who, metadata={"x": 1}))
    assert [event.event for event in taker.events() if event.job == "a.r1"] == ["fax.queued"]


def test_a_date_to_come_is_told_in_milliseconds_and_one_that_is_over_is_not(taker: Taker) -> None:
    for name, date in (("to-come", "2130-01-01T00:00:00.9996Z"), ("over", "2020-01-01T00:00:00Z")):
        push(taker, *send(name, send_at=date))
    dates = {event.job: event.data.get("send_at") for event in taker.events()}
    assert dates == {"to-come": 5049129600999, "over": None}
