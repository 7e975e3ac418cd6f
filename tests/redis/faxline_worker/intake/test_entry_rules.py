"""Every rule of an entry, once: the line in memory and the daemon keep the same."""

import base64
import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from faxline.contract.entries import CancelEntry, FaxFile, FaxRequest, ResendEntry, SendEntry
from faxline.contract.errors import Rejection
from faxline.contract.page_count import digest
from tests.hostile_files import absurd_ifd, big_tiff, many_ifds, plain_pdf
from tests.stage.entry_cases import (
    COURSES,
    FILE,
    FULL,
    NUMBER,
    OTHER,
    STORED,
    Begin,
    dates,
    events_of,
    nested,
    push,
    send,
)
from tests.stage.takers import KEYS, InMemory, InRedis, TakenEvent, Taker, document

RESEND: dict[str, Any] = {
    "id": "b",
    "of": "a",
    "faxNumber": OTHER,
    "priority": "bulk",
    "metadata": {"customer": 7},
}
ENTRIES = {"send": FULL, "resend": RESEND, "cancel": {"id": "a"}}
ELSEWHERE = {
    Rejection.HOST_NOT_ALLOWED: "test_intake.py",
    Rejection.BACKLOG_FULL: "test_backlog.py",
    Rejection.DELIVERED_TOO_OFTEN: "test_poison.py",
    Rejection.SEAL_BROKEN: "test_sealed_faxes.py",
}
"""Reasons that need more than an entry, and where they are tried."""


def changed(kind: str, path: str, value: Any = None, *, gone: bool = False) -> dict[str, Any]:
    """A full entry in which the member at a path, such as `fax.faxData[0].pages`, is another, or gone."""
    content = copy.deepcopy(ENTRIES[kind])
    *way, last = (
        int(step) if step.isdigit() else step for step in path.replace("[", ".").replace("]", "").split(".")
    )
    target: Any = content
    for step in way:
        target = target[step]
    if gone:
        del target[last]
    else:
        target[last] = value
    return content


ROOM = 4096 - len('{"x":""}')
"""Bytes of a text in metadata."""
TOO_LATE, TOO_EARLY = "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"
NO_DATES = (
    *(TOO_LATE, TOO_EARLY, "2030-01-31T12:00:00", "2030-01-31", "12:00Z", "tomorrow", "", "\0", "\ud800"),
    *("2030-02-31T12:00Z", "2030-01-31T12:00:00+24:00", "٢030-01-31T12:00Z", "10000-01-01T00:00Z"),
)
LONG = "a" * 10_000
TEXTS_OF_A_FAX = ("callerId", "templateId", "smartDocumentId", "subject", "from_name", "to_name", "message")
STRANGERS = ("subject", "fax.subjekt", "fax.str", "fax.faxData[0].data")
"""Members that are not there; one has the name of a type."""


def edge(kind: str, path: str, *values: Any) -> list[tuple[str, str, Any]]:
    return [(kind, path, value) for value in values]


def broken(kind: str, path: str, reason: str, *values: Any) -> list[tuple[str, str, str, Any]]:
    return [(kind, path, reason, value) for value in values]


TAKEN = [
    *edge("send", "id", "a", "Az09._:-" * 16),
    *edge("send", "priority", "urgent", "normal", "bulk"),
    *edge("send", "in_doubt", "hold", "resend", "fail", None),
    *edge("send", "attempts", 1, 100, None),
    *edge("send", "group", "g" * 128, None),
    *edge("send", "group_size", 1, 10**9, None),
    *edge("send", "metadata", {}, {"x": "a" * ROOM}, {"x": "é" * (ROOM // 2)}, nested(32)),
    *edge("send", "metadata.customer", 10**400, 1e308, "\0", None),
    *edge("send", "expires_at", "2130-01-31T12:00:00+01:00", "9999-12-31T23:59:59.999999Z", None),
    *edge("send", "fax.send_at", "0001-01-01T00:00:00-23:59", "20190101T12Z", None),
    *edge("send", "fax.faxNumber", "+19876543210", "+441224515014", "+15065001844"),
    *(row for name in TEXTS_OF_A_FAX for row in edge("send", f"fax.{name}", "", LONG, "\0é\n", None)),
    *edge("send", "fax.faxQuality", "Low", "Standard", "HD", None),
    *edge("send", "fax.faxData", [FILE] * 20),
    *edge("send", "fax.faxData[0].fileName", "a" * 255),
    *edge("send", "fax.faxData[0].fileUrl", "http://example.com", "https://x/" + "a" * 8182),
    *edge("send", "fax.faxData[0].pages", [], ["9999"], ["1"] * 200, None),
    *edge("send", "fax.faxData[2].upload", None),
]
"""A kind, a member, and a value at the edge of its rule."""
REJECTED = [
    *broken("send", "id", "bad_id", "", "a" * 129, "a b", "a\n", "é", "\0"),
    *broken("send", "id", "bad_value", None, 7, []),
    *broken("send", "priority", "bad_value", "high", "", None, 1),
    *broken("send", "in_doubt", "bad_value", "wait", "", 1),
    *broken("send", "attempts", "bad_value", 0, 101, -1, 10**30, 1.5, 3.0, "3"),
    *broken("send", "group", "bad_id", "", "a b"),
    *broken("send", "group", "bad_value", 7),
    *broken("send", "group_size", "bad_value", 0, 10**9 + 1, 10**400, "30", 1.5),
    *broken("send", "metadata", "bad_value", [], None, "x", nested(33), nested(900), {"x": "\ud800"}),
    *broken("send", "metadata", "bad_value", {"x": "1e400"}, {"x": "-1e400"}),
    *broken("send", "metadata", "metadata_too_large", {"x": "a" * (ROOM + 1)}, {"x": "é" * (ROOM // 2 + 1)}),
    *broken("send", "expires_at", "bad_date", *NO_DATES),
    *broken("send", "expires_at", "bad_value", 4102444800, 1.5),
    *broken("send", "fax.send_at", "bad_date", *NO_DATES),
    *broken("send", "fax.send_at", "bad_value", 4102444800, 1.5),
    *broken("send", "fax.faxNumber", "bad_number", "12345", "", "+1 202 555 0123", "+4402079460958"),
    *broken("send", "fax.faxNumber", "bad_value", [], None, 12025550123, {}),
    *broken("send", "fax.faxNumber", "too_many_recipients", [NUMBER] * 16),
    *(
        row
        for name in TEXTS_OF_A_FAX
        for row in broken("send", f"fax.{name}", "bad_value", LONG + "a", 7, "\ud800")
    ),
    *broken("send", "fax.faxQuality", "bad_value", "standard", "", 1),
    *broken("send", "fax", "bad_value", None, [], "fax"),
    *broken("send", "fax.faxData", "bad_value", None, {}, "a.pdf"),
    *broken("send", "fax.faxData", "no_files", []),
    *broken("send", "fax.faxData", "too_many_files", [FILE] * 21),
    *broken(
        "send", "fax.faxData[0]", "bad_value", {"fileName": "a"}, FILE | {"fileData": "aGVsbG8="}, "a.pdf"
    ),
    *broken(
        "send",
        "fax.faxData[0]",
        "bad_value",
        FILE | {"document": digest(STORED)},
        FILE | {"upload": "u" * 16},
    ),
    *broken("send", "fax.faxData[0].fileName", "bad_value", "", "a" * 256, None, "\ud800"),
    *broken(
        "send", "fax.faxData[0].fileUrl", "bad_value", "ftp://example.com/a", "https://", "https://x/a b", 7
    ),
    *broken(
        "send", "fax.faxData[0].fileUrl", "bad_value", "https://me:secret@x.eu/a", "https://x/" + "a" * 8183
    ),
    *broken("send", "fax.faxData[0].pages", "bad_value", ["5-1"], ["0"], ["1-"], "1", ["1"] * 201),
    *broken("send", "fax.faxData[0].pages[0]", "bad_value", 1),
    *broken("send", "fax.faxData[1].fileData", "bad_document", "not base64!", "aGVsbG8", "aGVs\nbG8="),
    *broken("send", "fax.faxData[1].fileData", "bad_value", 7),
    *broken("send", "fax.faxData[2].document", "bad_value", "sha256:" + "A" * 64, "sha256:", 7),
    *broken("send", "fax.faxData[2].document", "document_missing", digest(b"nobody stored it")),
    *broken("send", "fax.faxData[2].upload", "bad_value", "u" * 15, "u" * 129, "u u", 7),
    *(row for path in STRANGERS for row in broken("send", path, "unknown_member", 1)),
    *broken("resend", "id", "bad_id", "", "a b"),
    *broken("resend", "of", "bad_id", "", "a b"),
    *broken("resend", "of", "bad_value", None, 7),
    *broken("resend", "of", "unknown_job", "nobody"),
    *broken("resend", "faxNumber", "bad_number", "12345", "", "+1 202 555 0123", "+4402079460958"),
    *broken("resend", "faxNumber", "bad_value", 7, [NUMBER]),
    *broken("resend", "priority", "bad_value", "high", None),
    *broken("resend", "metadata", "bad_value", [], nested(33)),
    *broken("resend", "by", "bad_value", 7, "", "a" * 129),
    *broken("resend", "user", "bad_value", 7, "", "a" * 129),
    *broken("resend", "group", "unknown_member", "g"),
    *broken("cancel", "id", "bad_id", "", "a b"),
    *broken("cancel", "id", "bad_value", None, 7),
    *broken("cancel", "by", "bad_value", 7, "", "a" * 129),
    *broken("cancel", "user", "bad_value", 7, "", "a" * 129),
    *broken("cancel", "why", "unknown_member", ""),
]
"""A kind, a member, the reason, and a value that breaks the rule."""
REQUIRED = [
    *(("send", path) for path in ("id", "fax", "fax.faxNumber", "fax.faxData", "fax.faxData[0].fileName")),
    *(("resend", path) for path in ("id", "of")),
    ("cancel", "id"),
]
NOT_JSON = [
    *(b"", b"{", b"[]", b"null", b'"a"', b"7", b'{"id":"\xff"}', b'{"id":NaN}', b'{"id":-Infinity}', b"\0"),
    *(
        b'{"id":"a","id":"b"}',
        b'{"id":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"metadata":' + b'{"x":' * 100_000,
    ),
]


def label(value: Any) -> str:
    return str(value)[:40].encode("ascii", "backslashreplace").decode().replace("\0", "NUL")


def test_a_value_at_the_edge_of_a_rule_is_taken(begin: Begin) -> None:
    for kind, path, value in TAKEN:
        taker, content = begin(), changed(kind, path, value)
        push(taker, kind, content)
        assert events_of(taker) == [f"queued {content['id']}"], (kind, path, label(value))


def test_a_broken_rule_is_told_with_its_member_and_nothing_else_happens(taker: Taker) -> None:
    for kind, path, _, value in REJECTED:
        text = json.dumps(changed(kind, path, value))
        push(taker, kind, text.replace('"1e400"', "1e400").replace('"-1e400"', "-1e400").encode())
    found = [(event.event, event.data["member"], event.data["reason"]) for event in taker.events()]
    wrong = [
        (kind, path, label(value), seen)
        for (kind, path, reason, value), seen in zip(REJECTED, found, strict=True)
        if seen != ("fax.rejected", path, reason)
    ]
    assert wrong == []
    assert list(taker.line.jobs()) == []


def test_a_required_member_that_is_absent_is_named(taker: Taker) -> None:
    for kind, path in REQUIRED:
        push(taker, kind, changed(kind, path, gone=True))
    found = [(event.event, event.data["member"], event.data["reason"]) for event in taker.events()]
    assert found == [("fax.rejected", path, "missing_member") for _, path in REQUIRED]


@pytest.mark.parametrize("kind", ["send", "resend", "cancel"])
def test_what_is_no_json_object_is_rejected(taker: Taker, kind: str) -> None:
    for raw in NOT_JSON:
        push(taker, kind, raw)
    found = [(event.event, event.data["reason"]) for event in taker.events()]
    assert found == [("fax.rejected", "not_json")] * len(NOT_JSON)


def test_an_entry_that_has_not_one_field_of_a_known_name_is_rejected(taker: Taker) -> None:
    unknown: list[Mapping[str | bytes, bytes]] = [
        {"fax": b"{}"},
        {"": b""},
        {b"\xff": b"{}"},
        {"send": b"{}", "cancel": b"{}"},
        {"SEND": b"{}"},
    ]
    for fields in unknown:
        taker.push(fields)
    assert events_of(taker) == ["rejected unknown_kind"] * len(unknown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b", "a b"),
        ("call +12025550123", "call …0123"),
        ("a\0\n\u202eb", "a b"),
        ("x " * 200, ("x " * 64)[:128]),
    ],
    ids=label,
)
def test_an_id_that_breaks_the_rule_is_shown_without_numbers_and_control_characters(
    taker: Taker, name: str, shown: str
) -> None:
    for kind in ENTRIES:
        push(taker, kind, changed(kind, "id", name))
    assert [event.job for event in taker.events()] == [shown] * 3


DOCUMENTS = [
    (b"%PDF-1.4\nno more", "a.pdf", None, "bad_document", "broken"),
    (b"no PDF at all", "a.pdf", None, "bad_document", "name"),
    (b"no TIFF at all", "a.tiff", None, "bad_document", "name"),
    (b"II*\0" + bytes(4), "a.tif", None, "bad_document", "TIFF"),
    (absurd_ifd(), "a.tif", None, "bad_document", "TIFF"),
    (big_tiff(), "a.tif", None, "bad_document", "BigTIFF"),
    (many_ifds(3)[:-4] + b"\x08\0\0\0", "a.tif", ["1"], "bad_document", "circle"),
    (many_ifds(10_001), "a.tif", ["1"], "bad_document", "10000"),
    (b"<html>404", "a.png", None, "bad_document", "HTML"),
    (b"", "a.txt", None, "bad_document", "empty"),
    (plain_pdf(201), "a.pdf", None, "too_many_pages", "201"),
    (plain_pdf(300), "a.pdf", ["1-200", "7"], "too_many_pages", "201"),
    (many_ifds(201), "a.tif", None, "too_many_pages", "201"),
    (plain_pdf(2), "a.pdf", ["1-3"], "bad_value", "page 3"),
    (many_ifds(2), "a.tif", ["3"], "bad_value", "page 3"),
    (b"a" * 15_000_000, "a.txt", None, "too_large", "20 MB"),
]


@pytest.mark.parametrize("stored", [False, True], ids=["inside", "stored"])
@pytest.mark.parametrize(("data", "name", "pages", "reason", "words"), DOCUMENTS, ids=label)
def test_a_document_that_cannot_be_faxed_is_rejected(
    taker: Taker, data: bytes, name: str, pages: Any, reason: str, words: str, *, stored: bool
) -> None:
    content = {"document": document(taker, data)} if stored else {"fileData": base64.b64encode(data).decode()}
    file = {"fileName": name, "pages": pages, **content}
    push(taker, "send", changed("send", "fax.faxData", [FILE, file]))
    [event] = taker.events()
    assert (event.event, event.data["reason"]) == ("fax.rejected", reason)
    assert words in event.data["message"]
    assert list(taker.line.jobs()) == []


@pytest.mark.parametrize("pages", [None, ["1-200"]])
def test_200_pages_are_taken(taker: Taker, pages: Any) -> None:
    name = document(taker, plain_pdf(300 if pages else 200))
    push(taker, *send(faxData=[{"fileName": "a.pdf", "document": name, "pages": pages}]))
    assert events_of(taker) == ["queued a"]


def test_every_reason_and_every_member_stands_in_the_tables() -> None:
    reasons = {row[2] for row in REJECTED} | {row[3] for row in DOCUMENTS}
    reasons |= {
        event.split()[-1] for _, should in COURSES.values() for event in should if "rejected" in event
    }
    reasons |= {"not_json", "unknown_kind", "missing_member"}
    assert reasons | set(map(str, ELSEWHERE)) == set(map(str, Rejection))
    members = {(kind, path.rpartition(".")[2].partition("[")[0]) for kind, path, *_ in REJECTED}
    for kind, models in (
        ("send", (SendEntry, FaxRequest, FaxFile)),
        ("resend", (ResendEntry,)),
        ("cancel", (CancelEntry,)),
    ):
        assert {(kind, name) for model in models for name in model.model_fields} <= members


RAW = {
    f"\ue000{i}\ue001": text
    for i, text in enumerate(
        [
            *(
                "1e400",
                "-1e400",
                "NaN",
                "Infinity",
                "-0",
                "1" + "0" * 400,
                "9" * 5000,
                '"\\ud800"',
                '"\\u0000"',
            ),
            *(
                '{"a":1,"a":2}',
                "[" * 40 + "]" * 40,
                "[" * 5000 + "]" * 5000,
                '"' + "x" * 20_000 + '"',
                "1.0",
                "true",
            ),
        ]
    )
}
"""Texts that stand in JSON for what Python does not write so."""
TEXTS = [
    TOO_LATE,
    TOO_EARLY,
    "2130-01-01T00:00:00Z",
    "2020-01-01T00:00:00+23:59",
    NUMBER,
    "a",
    "\0",
    "\ud800",
    "٣",
    "",
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from([*RAW]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def paths(content: Any, way: str = "") -> Iterator[str]:
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        path = f"{way}[{name}]" if isinstance(name, int) else f"{way}.{name}" if way else name
        yield path
        if isinstance(value, dict | list):
            yield from paths(value, path)


PATHS = [(kind, path) for kind, content in ENTRIES.items() for path in paths(content)]


def with_value(value: Any) -> Iterator[tuple[str, bytes]]:
    """Of each member an entry that has this value there."""
    for i, (kind, path) in enumerate(PATHS):
        content = changed(kind, path, value)
        if (kind, path) not in {("send", "id"), ("resend", "id"), ("cancel", "id")}:
            content["id"] = f"{kind}-{i}"
        text = json.dumps(content)
        for name, raw in RAW.items():
            text = text.replace(json.dumps(name), raw)
        yield kind, text.encode()


def by_job(events: list[TakenEvent]) -> dict[str, list[TakenEvent]]:
    return {event.job: [other for other in events if other.job == event.job] for event in events}


@pytest.mark.slow
def test_any_value_of_any_member_is_taken_or_rejected_and_the_line_in_memory_tells_the_same(
    daemon: InRedis,
) -> None:
    @settings(max_examples=8)
    @given(dates | json_values)
    def hold(value: Any) -> None:
        daemon.begin()
        memory = InMemory()
        takers: tuple[Taker, Taker] = (daemon, memory)
        for taker in takers:
            document(taker, STORED)
            push(taker, *send())
            taker.submit("a")
        entries: list[Mapping[str | bytes, bytes]] = [{kind: raw} for kind, raw in with_value(value)]
        daemon.push(*entries)
        for entry in entries:
            before = memory._client.xlen(KEYS.events)
            memory.push(entry)
            assert memory._client.xlen(KEYS.events) > before, entry
        assert by_job(memory.events()) == by_job(daemon.events())

    for value in (*RAW, *TEXTS):
        hold = example(value)(hold)
    hold()
