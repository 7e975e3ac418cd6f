"""Every rule of an entry, once: the line in memory and the daemon keep the same."""

import base64
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
import redis
from hypothesis import example, given, settings
from hypothesis import strategies as st

from faxline.contract.entries import CancelEntry, FaxFile, FaxRequest, ResendEntry, SendEntry
from faxline.contract.errors import Rejection
from faxline.contract.page_count import digest
from faxline_local.redis_server import RedisServer
from tests.hostile_files import absurd_ifd, big_tiff, many_ifds, plain_pdf
from tests.stage.samples import SAMPLE
from tests.stage.takers import KEYS, InMemory, InRedis, TakenEvent, Taker, document

NUMBER, OTHER = "+12025550123", "+12025550124"
FILE = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}
STORED = b"a text that is stored"
FULL: dict[str, Any] = {
    "id": "full",
    "priority": "urgent",
    "expires_at": "2130-01-31T12:00:00Z",
    "in_doubt": "hold",
    "attempts": 3,
    "group": "g",
    "group_size": 30,
    "metadata": {"customer": 7},
    "fax": {
        **SAMPLE,
        "faxNumber": NUMBER,
        "callerId": OTHER,
        "faxData": [
            FILE | {"pages": ["1-5", "2", "1-10"]},
            {"fileName": "b.txt", "fileData": "aGVsbG8="},
            {"fileName": "c.txt", "document": digest(STORED), "upload": "u" * 16},
        ],
    },
}
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


@pytest.fixture(scope="module")
def daemon(redis_server: RedisServer) -> Iterator[InRedis]:
    with redis.Redis.from_url(redis_server.url(0)) as client:
        yield InRedis(client)


Begin = Callable[[], Taker]


@pytest.fixture(params=["MemoryLine", "the daemon"])
def begin(request: pytest.FixtureRequest, daemon: InRedis) -> Begin:
    """Begin anew: nothing was taken yet, and one document is stored."""

    def empty() -> Taker:
        made: Taker = InMemory()
        if request.param == "the daemon":
            daemon.begin()
            made = daemon
        document(made, STORED)
        return made

    return empty


@pytest.fixture
def taker(begin: Begin) -> Taker:
    return begin()


def push(taker: Taker, kind: str, content: Any) -> None:
    taker.push({kind: content if isinstance(content, bytes) else json.dumps(content).encode()})


def events_of(taker: Taker) -> list[str]:
    return [str(event) for event in taker.events()]


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


def nested(levels: int) -> dict[str, Any]:
    inner: Any = 1
    for _ in range(levels - 1):
        inner = [inner]
    return {"x": inner}


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
def test_a_document_that_cannot_be_faxed_is_rejected(  # noqa: PLR0917
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


def send(name: str = "a", **fax: Any) -> tuple[str, dict[str, Any]]:
    return "send", {"id": name, "fax": {"faxNumber": NUMBER, "faxData": [FILE], **fax}}


def resend(name: str, of: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "resend", {"id": name, "of": of, **more}


def cancel(name: str) -> tuple[str, dict[str, Any]]:
    return "cancel", {"id": name}


def with_file(name: str, **file: Any) -> tuple[str, dict[str, Any]]:
    return send(name, faxData=[{"fileName": "a.txt", **file}])


def expiring(name: str, **fax: Any) -> tuple[str, dict[str, Any]]:
    return "send", send(name, **fax)[1] | {"expires_at": "2020-01-01T00:00:00Z"}


TWO = [NUMBER, OTHER]
TEXT, MISSING = base64.b64encode(b"inside an entry").decode(), digest(b"nobody stored it")
UPLOADS = {"u" * 16: STORED + b", and another", "v" * 16: b"an upload"}
UPLOADED, ALTERED = digest(b"an upload"), digest(b"another than is uploaded")
COURSES: dict[str, tuple[list[tuple[str, Any]], list[str]]] = {
    "a repeat": ([send(), send()], ["queued a"]),
    "a repeat that is written otherwise": (
        [send(), ("send", dict(reversed((send()[1] | {"priority": "normal", "metadata": {}}).items())))],
        ["queued a"],
    ),
    "an id that is used again": ([send(), send(subject="x")], ["queued a", "rejected a id id_reused"]),
    "an id of a job that has ended": (
        [send(), cancel("a"), send(), send(subject="x")],
        ["queued a", "canceled a canceled_before_sending", "rejected a id id_reused"],
    ),
    "a list of numbers": ([send(faxNumber=TWO), send(faxNumber=TWO)], ["queued a.1", "queued a.2"]),
    "a list of one": ([send(faxNumber=[NUMBER])], ["queued a.1"]),
    "a list with one number fifteen times": (
        [send(faxNumber=[NUMBER] * 15)],
        [f"queued a.{i}" for i in range(1, 16)],
    ),
    "a list whose ids are too long": (
        [send("a" * 126, faxNumber=[NUMBER] * 9), send("b" * 126, faxNumber=[NUMBER] * 10)],
        [*(f"queued {'a' * 126}.{i}" for i in range(1, 10)), f"rejected {'b' * 126} id bad_id"],
    ),
    "a list with a number that is none": (
        [send(faxNumber=[NUMBER, "12345"]), send(faxNumber=[NUMBER, 7])],
        ["rejected a fax.faxNumber[1] bad_number", "rejected a fax.faxNumber[1] bad_value"],
    ),
    "a list with a group": (
        [("send", send(faxNumber=TWO)[1] | {"group": "g"})],
        ["rejected a group bad_value"],
    ),
    "a list of which one id is taken": (
        [send("a.2"), send(faxNumber=TWO)],
        ["queued a.2", "rejected a.2 id id_reused"],
    ),
    "an id of a list's job": (
        [send(faxNumber=TWO), send("a.1")],
        ["queued a.1", "queued a.2", "rejected a.1 id id_reused"],
    ),
    "a cancel of what nobody knows": ([cancel("x")], ["cancel_refused x unknown_job"]),
    "a cancel of a list by its name": (
        [send(faxNumber=TWO), cancel("a")],
        ["queued a.1", "queued a.2", "cancel_refused a unknown_job"],
    ),
    "a cancel, and another": (
        [send(), cancel("a"), cancel("a")],
        ["queued a", "canceled a canceled_before_sending", "cancel_refused a final"],
    ),
    "a cancel that comes too late": (
        [send(), ("submit", "a"), cancel("a")],
        ["queued a", "submitted a", "cancel_refused a submitted"],
    ),
    "a resend of what nobody knows": ([resend("b", "x")], ["rejected b of unknown_job"]),
    "a resend of itself": ([resend("b", "b")], ["rejected b of unknown_job"]),
    "a resend of what has no jobId": (
        [send(), resend("b", "a")],
        ["queued a", "rejected b of unknown_job"],
    ),
    "a resend, its repeat, and its id again": (
        [send(), ("submit", "a"), resend("b", "a"), resend("b", "a"), resend("b", "a", faxNumber=OTHER)],
        ["queued a", "submitted a", "queued b", "rejected b id id_reused"],
    ),
    "a resend by the id of a fax": (
        [send(), send("b"), resend("b", "x")],
        ["queued a", "queued b", "rejected b id id_reused"],
    ),
    "a resend of a resend": (
        [send(), ("submit", "a"), resend("b", "a"), ("submit", "b"), resend("c", "b")],
        ["queued a", "submitted a", "queued b", "submitted b", "queued c"],
    ),
    "a fax that has expired": ([expiring("a"), expiring("a")], ["queued a", "failed a expired"]),
    "a list that has expired": (
        [expiring("a", faxNumber=TWO)],
        ["queued a.1", "queued a.2", "failed a.1 expired", "failed a.2 expired"],
    ),
    "a cancel of a fax that has expired": (
        [expiring("a"), cancel("a")],
        ["queued a", "failed a expired", "cancel_refused a final"],
    ),
    "a fax for a date that has expired": (
        [expiring("a", send_at="2130-01-01T00:00:00Z")],
        ["queued a", "failed a expired"],
    ),
    "a document that came inside an entry, and its name": (
        [with_file("a", fileData=TEXT), with_file("b", document=digest(b"inside an entry"))],
        ["queued a", "queued b"],
    ),
    "a document that is not stored": (
        [with_file("a", document=MISSING)],
        ["rejected a fax.faxData[0].document document_missing"],
    ),
    "an upload, and the document's name": (
        [with_file("a", document=UPLOADED, upload="v" * 16), with_file("b", document=UPLOADED)],
        ["queued a", "queued b"],
    ),
    "an upload that is another document": (
        [with_file("a", document=ALTERED, upload="v" * 16)],
        ["rejected a fax.faxData document_altered"],
    ),
    "another rule that is broken, beside an upload that is another document": (
        [
            send(
                "a",
                faxNumber=[NUMBER] * 16,
                faxData=[{"fileName": "a", "document": ALTERED, "upload": "v" * 16}],
            )
        ],
        ["rejected a fax.faxNumber too_many_recipients"],
    ),
}
"""What is pushed in a course, and what is told."""


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
FAR = datetime(5138, 1, 1)  # noqa: DTZ001 - the offset is drawn beside it
dates = st.builds(
    lambda moment, offset: moment.isoformat() + offset,
    st.datetimes(max_value=FAR),  # behind it Redis' JSON rounds the milliseconds of an event
    st.sampled_from(["Z", "", "+23:59", "-23:59", "+00:00:01", "-24:00"]),
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
