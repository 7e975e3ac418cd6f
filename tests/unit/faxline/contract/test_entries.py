"""Entries as they are read: nothing but EntryRejected escapes. test_entry_rules.py has the rules."""

import copy
import json
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline.contract.choices import InDoubtPolicy, Priority
from faxline.contract.entries import CancelEntry, ResendEntry, SendEntry
from faxline.contract.entry_reader import parse_entry
from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.fingerprint import members_of
from faxline_worker.ifax import send_body
from tests.stage.samples import FILES, SAMPLE

NUMBER = "+12345678901"
FULL: dict[str, Any] = {
    "id": "invoice-77",
    "priority": "urgent",
    "expires_at": "2030-01-31T12:00:00Z",
    "in_doubt": "hold",
    "attempts": 3,
    "metadata": {"customer": 7},
    "fax": {
        **SAMPLE,
        "faxData": FILES,
    },
}


def entry(path: str = "", value: Any = None) -> dict[str, Any]:
    """The full entry, with the member at a path such as `fax.faxData.0.pages` replaced."""
    content = copy.deepcopy(FULL)
    target: Any = content
    *way, last = path.split(".") if path else [""]
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    if path:
        target[int(last) if last.isdigit() else last] = value
    return content


def rejection(content: Any, kind: str = "send") -> EntryRejected:
    with pytest.raises(EntryRejected) as caught:
        parse_entry(kind, content if isinstance(content, str | bytes) else json.dumps(content))
    return caught.value


def test_every_documented_member_of_send_is_taken() -> None:
    parsed = parse_entry("send", json.dumps(FULL))
    assert isinstance(parsed, SendEntry)
    assert parsed.fax.model_dump(exclude_none=True) == FULL["fax"]
    assert (parsed.priority, parsed.in_doubt, parsed.attempts) == (Priority.URGENT, InDoubtPolicy.HOLD, 3)


def test_cancel_and_resend_are_taken() -> None:
    assert parse_entry("cancel", b'{"id":"a"}') == CancelEntry(id="a")
    assert parse_entry("resend", '{"id":"b","of":"a"}') == ResendEntry(id="b", of="a")


PATHS = [
    *(f"{name}" for name in FULL),
    *(f"fax.{name}" for name in FULL["fax"]),
    *(f"fax.faxData.0.{name}" for name in ("fileName", "fileUrl", "pages")),
    "fax.faxData.0.pages.0",
    "fax.faxData.1.fileData",
    "fax.faxData.2.document",
]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("data:application/pdf;base64,JVBERi0=", "a data: URL; leave out all up to its comma"),
        ("JVBE\nRi0=", "a line break"),
        ("JVBERi0=\r\n", "a line break"),
        ("JVBE Ri0=", "a space"),
        ("JV-_Ri0=", "write + and /"),
        ("JVBE*i0=", "its character 5 is none of"),
        ("JVBERi0", "its end is missing"),
        ("JVBER", "its end is missing"),
        ("JVBERi0=JVBERi0=", "after an ="),
        ("JVBERi0===", "its end is missing"),
    ],
)
def test_why_a_text_is_not_base64_is_told(value: str, says: str) -> None:
    found = rejection(entry("fax.faxData.1.fileData", value))
    assert (found.member, found.reason) == ("fax.faxData[1].fileData", Rejection.BAD_DOCUMENT)
    assert says in found.message


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_caller_id_is_none_so_that_the_accounts_own_is_shown(blank: str) -> None:
    content = entry("fax.callerId", blank)
    content["fax"]["faxData"] = content["fax"]["faxData"][:1]
    for raw in (json.dumps(content), json.dumps(content).encode()):
        parsed = parse_entry("send", raw)
        assert isinstance(parsed, SendEntry)
        body = b"".join(send_body(members_of(parsed.fax), Mock(), caller_id="+12025550100"))
        assert json.loads(body)["callerId"] == "+12025550100"


def test_the_first_problem_in_the_order_of_the_members_is_told() -> None:
    content = entry("fax.faxNumber", "12345") | {"id": "a b", "attempts": 0}
    assert rejection(content).member == "id"


def test_a_message_repeats_no_number() -> None:
    assert rejection(entry("fax.n12345678901", "")).member == "fax.?"
    for number in ("49301234567", "+999123456789", "+4930123456789012"):
        found = rejection(entry("fax.faxNumber", number))
        assert number.strip("+") not in str(found)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
kinds = st.sampled_from(["send", "cancel", "resend"])


def survives(kind: str, raw: bytes | str) -> None:
    """An entry that is taken can be written again, as intake does; any other is EntryRejected."""
    try:
        parsed = parse_entry(kind, raw)
    except EntryRejected as error:
        assert error.reason in set(Rejection)  # noqa: PT017 - either outcome is right
    else:
        json.dumps(parsed.model_dump(mode="json"), ensure_ascii=False, allow_nan=False).encode()


@given(kinds | st.text(), st.binary() | st.text())
def test_bytes_and_text_are_taken_or_rejected(kind: str, raw: bytes | str) -> None:
    survives(kind, raw)


@given(kinds, json_values)
def test_json_is_taken_or_rejected(kind: str, value: Any) -> None:
    survives(kind, json.dumps(value))


@given(st.sampled_from(PATHS), json_values)
def test_an_entry_with_one_member_of_any_value_is_taken_or_rejected(path: str, value: Any) -> None:
    survives("send", json.dumps(entry(path, value)))


@given(st.text(st.characters(categories=["Cs", "L"])), st.dictionaries(st.text(), json_values, max_size=3))
def test_metadata_of_any_content_is_taken_or_rejected(text: str, value: dict[str, Any]) -> None:
    survives("send", json.dumps(entry("metadata", value | {"text": text})))


PIECES = (
    *('{"id":"a"}', '{"id":"a","id":"b"}', '{"id" :"a","id":"b"}', '{"id"\t:"a","id":"b"}'),
    *('{"id":"a",\n"id"\n:"b"}', '{"id":"a","id"\r:"a"}', '{"\\u0069d":"a","id":"b"}', '{"id":"a","of":"b"}'),
    *(
        '{"id":"a","of":"b","metadata":{"x":1,"x":1}}',
        '{"id":"a","of":"b","metadata":{"x":[{"y":1,"y" :2}]}}',
    ),
    *('{"id":"a","of":"b","metadata":{"x":[1e400]}}', '{"id":"a","of":"b","metadata":{"x":NaN}}'),
    *('{"id":"a","of":"b","metadata":{"x":-0,"y":1e16,"z":5e-324}}', '\ufeff{"id":"a"}', ' {"id":"a"} '),
    *('{"id":"a","of":"b","metadata":{"x":"\\ud800"}}', '{"id":"a","of":"b","metadata":{"\\":":1}}'),
    *('{"id":"a","of":"b","metadata":{"x":12345678901234567890123}}', '{"id":"a"}x', '["id":"a"]', '"a":1'),
)


def outcome(kind: str, raw: bytes | str) -> Any:
    """What becomes of an entry, so that 1, 1.0 and true are not alike."""
    try:
        return repr(parse_entry(kind, raw))
    except EntryRejected as error:
        return error.member, error.reason, error.message


@pytest.mark.parametrize("text", PIECES)
def test_bytes_are_taken_or_rejected_as_their_text(text: str) -> None:
    for kind in ("send", "cancel", "resend"):
        assert outcome(kind, text.encode()) == outcome(kind, text.removeprefix("\ufeff"))


def test_a_member_that_stands_twice_is_found_in_each_object_of_bytes() -> None:
    text = json.dumps(entry("metadata", {"x": [{"y": 1}]}))
    for member in ('"id": ', '"subject": ', '"fileName": ', '"y": '):
        for again in (member, member.replace(": ", ":"), member.replace(": ", " :")):
            value = "1" if "y" in member else '"a"'
            doubled = text.replace(member, f"{again}{value}, {member}", 1)
            assert rejection(doubled.encode()).message == "a member is there twice in one object", doubled


@given(st.data())
def test_any_entry_in_bytes_is_taken_or_rejected(data: st.DataObject) -> None:
    paths = [*PATHS, "fax.faxData.1.fileData", "fax.faxData.2.document", "fax.faxData", "more", "fax.more"]
    content = entry(data.draw(st.sampled_from(paths)), data.draw(json_values))
    spaces = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (", ", " : "), (",\n", "\t:")]))
    text = json.dumps(content, separators=spaces, ensure_ascii=data.draw(st.booleans()))
    if data.draw(st.booleans()):  # spoil it somewhere
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(st.sampled_from(['"', ":", ",", "{", "", " "])) + text[start + 1 :]
    raw = text.encode("utf-8", "surrogatepass")
    survives("send", raw)
