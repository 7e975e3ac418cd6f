"""Entries that keep a rule at its edge, and entries that break one."""

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from faxline.contract.page_count import digest
from tests.stage.samples import SAMPLE
from tests.stage.takers import Taker

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
Begin = Callable[[], Taker]


def push(taker: Taker, kind: str, content: Any) -> None:
    taker.push({kind: content if isinstance(content, bytes) else json.dumps(content).encode()})


def events_of(taker: Taker) -> list[str]:
    return [str(event) for event in taker.events()]


def nested(levels: int) -> dict[str, Any]:
    inner: Any = 1
    for _ in range(levels - 1):
        inner = [inner]
    return {"x": inner}


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
FAR = datetime(5138, 1, 1)  # noqa: DTZ001 - the offset is drawn beside it
dates = st.builds(
    lambda moment, offset: moment.isoformat() + offset,
    st.datetimes(max_value=FAR),  # behind it Redis' JSON rounds the milliseconds of an event
    st.sampled_from(["Z", "", "+23:59", "-23:59", "+00:00:01", "-24:00"]),
)
