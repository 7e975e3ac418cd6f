"""The published schemas: what they say is what intake does, but for a list of what a schema cannot say."""

import base64
import copy
import json
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from faxline.contract.entries import KINDS, SendEntry
from faxline.contract.entry_reader import parse_entry
from faxline.contract.errors import EntryRejected
from faxline.contract.event_data import CANCEL_REFUSALS, DATA, QueuedData
from faxline.contract.events import EventName
from faxline.contract.fax_rules import check_send
from faxline.contract.page_count import digest
from faxline.schema import DOCUMENTS, entries_schema, events_schema
from faxline.schema.descriptions import DESCRIPTIONS
from tests.stage.samples import NUMBER, SAMPLE

DOCS = Path(__file__).parents[4] / "docs"
FILES = {
    "entries": DOCS / "schema" / "entries.schema.json",
    "events": DOCS / "schema" / "events.schema.json",
    "asyncapi": DOCS / "asyncapi.json",
}
ENTRIES = Draft202012Validator(entries_schema())
EVENTS = Draft202012Validator(events_schema())
STORED = b"hello"
URL = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}
INLINE = {"fileName": "a.txt", "fileData": base64.b64encode(STORED).decode()}
KEPT = {"fileName": "a.txt", "document": digest(STORED)}


def send(path: str = "", value: Any = None, **more: Any) -> dict[str, Any]:
    """A `send` entry, with the member at a path such as `fax.faxData.0.pages` replaced."""
    content: dict[str, Any] = {
        "id": "a",
        "fax": {"faxNumber": NUMBER, "faxData": [{**URL}, {**INLINE}, {**KEPT}]},
        **more,
    }
    content = copy.deepcopy(content)
    target: Any = content
    *way, last = path.split(".") if path else [""]
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    if path:
        target[int(last) if last.isdigit() else last] = value
    return content


def taken(kind: str, content: Any) -> bool:
    """Whether intake takes it."""
    try:
        parsed = parse_entry(kind, json.dumps(content))
        if isinstance(parsed, SendEntry):
            check_send(parsed, {digest(STORED): STORED}.get)
    except EntryRejected:
        return False
    return True


def fits(kind: str, content: Any) -> bool:
    """Whether the schema takes it."""
    return ENTRIES.is_valid({kind: content})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_committed_document_is_what_make_schema_writes(name: str) -> None:
    command = [sys.executable, "-m", "faxline.schema", name]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert FILES[name].read_text(encoding="utf-8") == made, "run `make schema` and commit what it writes"


@pytest.mark.parametrize("schema", [entries_schema(), events_schema()], ids=["entries", "events"])
def test_a_schema_is_valid_json_schema_of_2020_12(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_every_member_of_an_entry_is_described_and_no_other() -> None:
    schemas = entries_schema()["$defs"]
    members = {name: set(schemas[name]["properties"]) for name in DESCRIPTIONS}
    assert {name: set(words) for name, words in DESCRIPTIONS.items()} == members
    assert set(schemas) - set(DESCRIPTIONS) == {"Priority", "InDoubtPolicy"}


def test_import_faxline_makes_no_schema() -> None:
    code = "import sys, faxline; print([m for m in sys.modules if 'schema' in m and m.startswith('faxline')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


GOOD: dict[str, tuple[str, Any]] = {
    "the smallest fax": ("send", {"id": "a", "fax": {"faxNumber": NUMBER, "faxData": [URL]}}),
    "every source": ("send", send()),
    "every member": (
        "send",
        {
            "id": "Az09._:-" * 16,
            "priority": "urgent",
            "expires_at": "2030-01-31T12:00:00Z",
            "in_doubt": "resend",
            "attempts": 100,
            "group": "mailing-7",
            "metadata": {"customer": 7, "nested": [{"a": None}]},
            "fax": SAMPLE
            | {"send_at": "2019-11-14T00:55:31.820+01:00", "faxQuality": "HD"}
            | {"faxData": [{**URL, "pages": ["1-5", "2", "1-10"]}]},
        },
    ),
    "null where a member may be left out": (
        "send",
        send(
            "fax.faxData.0",
            {**URL, "fileData": None, "document": None, "pages": None},
            expires_at=None,
            in_doubt=None,
            attempts=None,
            group=None,
        ),
    ),
    "fifteen numbers": ("send", send("fax.faxNumber", [NUMBER] * 15) | {"id": "a" * 125, "group": None}),
    "nine numbers and a longer id": ("send", send("fax.faxNumber", [NUMBER] * 9) | {"id": "a" * 126}),
    "twenty files": ("send", send("fax.faxData", [URL] * 20)),
    "cancel": ("cancel", {"id": "a"}),
    "resend": ("resend", {"id": "b", "of": "a"}),
    "resend with all": (
        "resend",
        {"id": "b", "of": "a", "faxNumber": NUMBER, "priority": "bulk", "metadata": {"a": 1}},
    ),
}


@pytest.mark.parametrize(("kind", "content"), GOOD.values(), ids=GOOD)
def test_what_intake_takes_fits_the_schema(kind: str, content: Any) -> None:
    assert taken(kind, content)
    assert fits(kind, content)


NO_SOURCE = {"fileName": "a.pdf"}
BAD: dict[str, tuple[str, Any]] = {
    "no object": ("send", []),
    "no members": ("send", {}),
    "no id": ("cancel", {}),
    "an empty id": ("send", send("id", "")),
    "a long id": ("send", send("id", "a" * 129)),
    "an id with a space": ("send", send("id", "a b")),
    "an id that is no text": ("send", send("id", 7)),
    "an unknown member": ("send", send("colour", "red")),
    "an unknown member of the fax": ("send", send("fax.subjekt", "a")),
    "an unknown member of a file": ("send", send("fax.faxData.0.size", 1)),
    "an unknown member of cancel": ("cancel", {"id": "a", "of": "b"}),
    "a resend with a group": ("resend", {"id": "b", "of": "a", "group": "g"}),
    "a resend of nothing": ("resend", {"id": "b"}),
    "a resend to no number": ("resend", {"id": "b", "of": "a", "faxNumber": "12345"}),
    "a resend to a list": ("resend", {"id": "b", "of": "a", "faxNumber": [NUMBER]}),
    "an unknown priority": ("send", send("priority", "high")),
    "a priority that is null": ("send", send("priority", None)),
    "an unknown policy": ("send", send("in_doubt", "wait")),
    "no attempts": ("send", send("attempts", 0)),
    "too many attempts": ("send", send("attempts", 101)),
    "half an attempt": ("send", send("attempts", 1.5)),
    "attempts as a text": ("send", send("attempts", "3")),
    "a time without an offset": ("send", send("expires_at", "2030-01-31T12:00:00")),
    "a time that is none": ("send", send("fax.send_at", "tomorrow")),
    "a group that is no id": ("send", send("group", "a b")),
    "metadata that is a list": ("send", send("metadata", [])),
    "no fax": ("send", {"id": "a"}),
    "no number": ("send", {"id": "a", "fax": {"faxData": [URL]}}),
    "a number without a plus": ("send", send("fax.faxNumber", "12345678901")),
    "a number with spaces": ("send", send("fax.faxNumber", "+1 234 567 8901")),
    "a number that is too long": ("send", send("fax.faxNumber", "+1234567890123456")),
    "an empty list of numbers": ("send", send("fax.faxNumber", [])),
    "sixteen numbers": ("send", send("fax.faxNumber", [NUMBER] * 16)),
    "a list with a bad number": ("send", send("fax.faxNumber", [NUMBER, "12345"])),
    "a list within a group": ("send", send("fax.faxNumber", [NUMBER], group="g")),
    "a list whose jobs' ids are too long": ("send", send("fax.faxNumber", [NUMBER]) | {"id": "a" * 127}),
    "ten whose jobs' ids are too long": ("send", send("fax.faxNumber", [NUMBER] * 10) | {"id": "a" * 126}),
    "a subject that is too long": ("send", send("fax.subject", "a" * 10_001)),
    "a subject that is no text": ("send", send("fax.subject", 7)),
    "an unknown quality": ("send", send("fax.faxQuality", "standard")),
    "no files": ("send", send("fax.faxData", [])),
    "files that are null": ("send", send("fax.faxData", None)),
    "twenty-one files": ("send", send("fax.faxData", [URL] * 21)),
    "a file without a name": ("send", send("fax.faxData.0", {"fileUrl": "https://example.com/a"})),
    "a file with an empty name": ("send", send("fax.faxData.0.fileName", "")),
    "a file with a long name": ("send", send("fax.faxData.0.fileName", "a" * 256)),
    "a file without a source": ("send", send("fax.faxData.0", NO_SOURCE)),
    "a file with two sources": ("send", send("fax.faxData.0", {**URL, **INLINE})),
    "a file with three sources": ("send", send("fax.faxData.0", {**URL, **INLINE, **KEPT})),
    "a file whose source is null": ("send", send("fax.faxData.0", {**NO_SOURCE, "document": None})),
    "a URL of another scheme": ("send", send("fax.faxData.0.fileUrl", "ftp://example.com/a")),
    "a URL with a space": ("send", send("fax.faxData.0.fileUrl", "https://example.com/a b")),
    "a URL with a user": ("send", send("fax.faxData.0.fileUrl", "https://a:b@example.com/a")),
    "what is no base64": ("send", send("fax.faxData.1.fileData", "not base64!")),
    "a digest in upper case": ("send", send("fax.faxData.2.document", "sha256:" + "A" * 64)),
    "a digest without its name": ("send", send("fax.faxData.2.document", "0" * 64)),
    "a page 0": ("send", send("fax.faxData.0.pages", ["0"])),
    "an open selection": ("send", send("fax.faxData.0.pages", ["1-"])),
    "a selection that is a number": ("send", send("fax.faxData.0.pages", [1])),
    "a selection that is no list": ("send", send("fax.faxData.0.pages", "1-5")),
}


@pytest.mark.parametrize(("kind", "content"), BAD.values(), ids=BAD)
def test_what_intake_rejects_for_its_shape_the_schema_rejects_too(kind: str, content: Any) -> None:
    assert not taken(kind, content)
    assert not fits(kind, content)


UNSAID: dict[str, tuple[str, Any]] = {
    "a number that is not possible in its country": ("send", send("fax.faxNumber", "+123456789012345")),
    "a time of a day that is none": ("send", send("expires_at", "2030-02-31T12:00:00Z")),
    "a selection that ends before it begins": ("send", send("fax.faxData.0.pages", ["5-1"])),
    "a selection behind the document's end": ("send", send("fax.faxData.2.pages", ["2"])),
    "base64 that is cut short": ("send", send("fax.faxData.1.fileData", "aGVsb")),
    "a document that was never stored": ("send", send("fax.faxData.2.document", digest(b"other"))),
    "an empty document": ("send", send("fax.faxData.1.fileData", "")),
    "a document that is not what its name says": ("send", send("fax.faxData.1.fileName", "a.pdf")),
    "metadata of more than 4096 bytes": ("send", send("metadata", {"x": "a" * 4096})),
    "metadata that is nested too deeply": ("send", send("metadata", {"x": json.loads("[" * 40 + "]" * 40)})),
    "an integer with a fraction of zero": ("send", send("attempts", 3.0)),
    "more than 20 MB": (
        "send",
        send(
            "fax.faxData", [{"fileName": "a.txt", "fileData": base64.b64encode(bytes(16_000_000)).decode()}]
        ),
    ),
}
"""What a schema cannot say: the README of the examples lists the same."""


@pytest.mark.parametrize(("kind", "content"), UNSAID.values(), ids=UNSAID)
def test_what_a_schema_cannot_say_is_left_to_intake(kind: str, content: Any) -> None:
    assert fits(kind, content)
    assert not taken(kind, content)


def test_an_entry_has_one_kind_that_is_known() -> None:
    assert not ENTRIES.is_valid({})
    assert not ENTRIES.is_valid({"fax": {}})
    assert not ENTRIES.is_valid({"cancel": {"id": "a"}, "resend": {"id": "b", "of": "a"}})


ids = st.text(string.ascii_letters + string.digits + "._:-", min_size=1, max_size=40)
numbers = st.sampled_from([NUMBER, "+19876543210", "+441224515014", "+15065001844", "+4930123456"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
moments = st.builds(
    "{}T{}{}".format,
    st.dates().map(str),
    st.times().map(lambda time: time.isoformat()),
    st.sampled_from(["Z", "+01:00", "-0330", "+14"]),
)
pages = st.lists(
    st.tuples(st.integers(1, 9999), st.integers(0, 9999)).map(
        lambda ends: f"{ends[0]}-{max(ends)}" if ends[1] else str(ends[0])
    )
)
urls = st.builds(
    "http{}://{}{}".format, st.sampled_from(["", "s"]), ids, st.sampled_from(["", "/", "/ä?b=c#d"])
)
files = st.one_of(
    st.fixed_dictionaries({"fileName": texts.filter(bool), "fileUrl": urls}, optional={"pages": pages}),
    st.just(INLINE),
    st.just(KEPT | {"pages": ["1"]}),
)
leaves = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | texts
values = st.recursive(
    leaves.filter(lambda leaf: leaf not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
metadata = st.dictionaries(texts, values, max_size=3)
priorities = st.sampled_from(["urgent", "normal", "bulk"])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def sends(to: st.SearchStrategy[Any], group: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    words = ("callerId", "templateId", "smartDocumentId", "subject", "from_name", "to_name", "message")
    fax = st.fixed_dictionaries(
        {"faxNumber": to, "faxData": st.lists(files, min_size=1, max_size=20)},
        optional={
            **{name: maybe(texts) for name in words},
            "send_at": maybe(moments),
            "faxQuality": maybe(st.sampled_from(["Low", "Standard", "HD"])),
        },
    )
    return st.fixed_dictionaries(
        {"id": ids, "fax": fax},
        optional={
            "priority": priorities,
            "expires_at": maybe(moments),
            "in_doubt": maybe(st.sampled_from(["hold", "resend", "fail"])),
            "attempts": maybe(st.integers(1, 100)),
            "group": group,
            "metadata": metadata,
        },
    )


entries = st.one_of(
    sends(numbers, maybe(ids)).map(lambda made: ("send", made)),
    sends(st.lists(numbers, min_size=1, max_size=15), st.none()).map(lambda made: ("send", made)),
    ids.map(lambda name: ("cancel", {"id": name})),
    st.fixed_dictionaries(
        {"id": ids, "of": ids},
        optional={"faxNumber": maybe(numbers), "priority": priorities, "metadata": metadata},
    ).map(lambda made: ("resend", made)),
)


@given(entries)
def test_every_valid_entry_fits_the_schema(entry: tuple[str, dict[str, Any]]) -> None:
    assert taken(*entry)
    assert fits(*entry)


PATHS = ["id", "priority", "expires_at", "in_doubt", "attempts", "group", "metadata", "fax"]
PATHS += [f"fax.{name}" for name in DESCRIPTIONS["FaxRequest"]]
PATHS += [f"fax.faxData.{i}.{name}" for i in range(3) for name in DESCRIPTIONS["FaxFile"]]


@given(st.sampled_from(PATHS), values | ids | moments | pages | urls | numbers | st.lists(numbers))
def test_whatever_intake_takes_fits_the_schema(path: str, value: Any) -> None:
    content = send(path, value)
    if taken("send", content):
        assert fits("send", content)


def test_every_event_has_a_model_of_its_data() -> None:
    assert set(DATA) == set(EventName)
    assert {model.__name__ for model in DATA.values()} == set(events_schema()["$defs"])


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"event": name, "job": "a", "at": "1800000000000", "data": data}


def test_an_event_may_have_members_and_names_that_are_not_known_yet() -> None:
    assert EVENTS.is_valid(event("fax.queued", state="queued", attempt=0, colour="red"))
    assert EVENTS.is_valid(event("fax.read_aloud", volume=11))
    assert QueuedData.model_validate({"state": "queued", "attempt": 0, "colour": "red"})


@pytest.mark.parametrize(
    "wrong",
    [
        event("fax.queued", attempt=0),
        event("fax.queued", state="submitted", attempt=0),
        event("fax.queued", state="queued", attempt=-1),
        event("fax.queued", state="queued", attempt=0, metadata=None),
        event("fax.rejected", state="rejected", member="", reason="not_json", message="no JSON"),
        event("fax.submitted", state="submitted", attempt=1),
        event("fax.submitted", state="submitted", attempt=1, jobId="7"),
        event("fax.retrying", state="queued", attempt=1, reason="busy"),
        event("fax.failed", state="failed", attempt=1, reason="busy", stage="intake"),
        event("fax.failed", state="failed", attempt=1, reason="User Busy"),
        event("fax.delivered", state="delivered", attempt=1, jobId=7, reason="x", pages=-1),
        event("fax.delivered", state="delivered", attempt=1, jobId=7, reason="x", partial="yes"),
        event("fax.cancel_refused", reason="final", state="canceling"),
        {"event": "fax.queued", "job": "a", "data": {"state": "queued", "attempt": 0}},
    ],
)
def test_an_event_that_no_script_writes_does_not_fit(wrong: dict[str, Any]) -> None:
    assert not EVENTS.is_valid(wrong)


def test_the_data_of_an_event_can_be_read_typed() -> None:
    read = QueuedData.model_validate({"state": "queued", "attempt": 0, "metadata": {"order": 7}})
    assert isinstance(read, QueuedData)
    assert (read.attempt, read.send_at, read.metadata) == (0, None, {"order": 7})
    with pytest.raises(ValidationError):
        QueuedData.model_validate({"state": "delivered", "attempt": 0})


def test_the_reasons_of_a_refused_cancel_are_told() -> None:
    reason = events_schema()["$defs"]["CancelRefusedData"]["properties"]["reason"]
    assert reason["examples"] == list(CANCEL_REFUSALS)


def test_every_kind_is_in_the_schema() -> None:
    assert set(entries_schema()["properties"]) == set(KINDS)
