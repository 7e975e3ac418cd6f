"""The sandbox's API over a real socket: every answer that iFax documents, and the control page."""

import base64
import hashlib
import io
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pypdfium2
import pytest

from faxline_sandbox import (
    Account,
    ConfigError,
    FaultError,
    Limits,
    Outcome,
    SandboxConfig,
    SandboxServer,
    pdf_pages,
    serve,
)
from faxline_sandbox.bodies import MAX_REQUEST
from faxline_sandbox.calls import call_length
from faxline_sandbox.ledger import Entry
from faxline_sandbox.numbers import Numbers
from faxline_worker.cli import app as worker_app
from tests.hostile_files import big_tiff, many_ifds, page_tree, xref_stream
from tests.stage.samples import SAMPLE

LIMITS = Limits(requests=100_000, window=1, concurrency=1000, burst=100_000)
NUMBER = "+12025550123"
URL = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def config(**members: Any) -> SandboxConfig:
    accounts = {
        "t": Account(),
        "poor": Account(label="poor", balance=3),
        "guest": Account(label="guest", primary=False),
    }
    quick: dict[str, Any] = {
        "limits": LIMITS,
        "call_seconds": 0.01,
        "page_seconds": 0.0,
        "accounts": accounts,
    }
    return SandboxConfig(**(quick | members))


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(config()) as running:
        yield running


@pytest.fixture
def sandbox(server: SandboxServer) -> Iterator[SandboxServer]:
    yield server
    server.clear_faults()


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    headers = {"accessToken": "t"}
    with httpx.Client(base_url=f"{sandbox.url}/customer", headers=headers, trust_env=False) as made:
        yield made


def pdf(pages: int) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(200, 200).close()
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def tiff(pages: int, order: str = "<") -> bytes:
    """Image file directories without entries, one behind the other."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    offsets = [8 + 6 * i for i in range(pages)] + [0]
    body = b"".join(struct.pack(order + "HI", 0, following) for following in offsets[1:])
    return magic + struct.pack(order + "I", offsets[0]) + body


def attached(name: str, data: bytes, **members: Any) -> dict[str, Any]:
    return {"fileName": name, "fileData": base64.b64encode(data).decode(), **members}


def fax(*files: Any, **members: Any) -> dict[str, Any]:
    return {"faxNumber": NUMBER, "faxData": list(files) or [URL], **members}


def refused(answer: httpx.Response, http: int, status: int, code: int | None, *words: str) -> None:
    """The answer is an error of the one form, and says these words."""
    body = answer.json()
    assert (answer.status_code, body["status"], body.get("code")) == (http, status, code), body
    assert set(body) == ({"status", "message"} if code is None else {"status", "code", "message"})
    for word in words:
        assert word in body["message"]


def entry(sandbox: SandboxServer, job_id: int) -> dict[str, Any]:
    return next(fax for fax in sandbox.ledger() if fax["jobId"] == job_id)


# --- fax-send


def test_fax_send_answers_as_the_documentation_shows_and_job_ids_increase(client: httpx.Client) -> None:
    first, second = (client.post("/fax-send", json=fax()) for _ in range(2))
    job_id = first.json()["data"]["jobId"]
    assert first.status_code == 200
    assert first.json() == {
        "status": 1,
        "message": "Fax processed for sending",
        "data": {"jobId": job_id},
    }
    assert second.json()["data"]["jobId"] == job_id + 1


def test_the_first_job_id_is_an_option_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[SandboxConfig] = []
    monkeypatch.setattr("faxline_sandbox.command.serve", served.append)
    monkeypatch.setattr("faxline_worker.observability.logs.configure_logs", lambda **_: None)
    for words in ([], ["--first-job-id", "20000"]):
        worker_app(["sandbox", *words], standalone_mode=False)
    assert [one.first_job_id for one in served] == [12345, 20000]


def test_the_first_job_id_is_configured() -> None:
    with SandboxServer(config(first_job_id=7)) as server, httpx.Client(trust_env=False) as client:
        answer = client.post(f"{server.url}/customer/fax-send", json=fax(), headers={"accessToken": "t"})
    assert answer.json()["data"]["jobId"] == 7


def test_the_documentations_sample_request_is_accepted_and_sent_at_once(
    client: httpx.Client, sandbox: SandboxServer
) -> None:
    sample = {
        **SAMPLE,
        "faxData": [
            {**URL, "pages": ["1-5", "2", "1-10"]},
            attached("xyz.pdf", pdf(3), pages=["1", "2"]),
        ],
    }
    job_id = client.post("/fax-send", json=sample).json()["data"]["jobId"]
    sandbox.drain()
    kept = entry(sandbox, job_id)
    assert (kept["state"], kept["pages"], kept["transferred"], kept["files"]) == ("delivered", 12, 12, 2)
    assert (kept["message"], kept["code"]) == ("NORMAL_CLEARING", 0)
    assert (kept["toNumber"], kept["fromNumber"]) == ("+12345678901", "+12345678901")
    canonical = json.dumps(sample, sort_keys=True, separators=(",", ":"))
    assert kept["sha256"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert [step["state"] for step in kept["history"]] == ["sending", "delivered"]


def test_a_fax_without_a_caller_id_comes_from_the_accounts_number(
    client: httpx.Client, sandbox: SandboxServer
) -> None:
    job_id = client.post("/fax-send", json=fax()).json()["data"]["jobId"]
    assert entry(sandbox, job_id)["fromNumber"] == "+12025550100"


@pytest.mark.parametrize(
    ("files", "pages"),
    [
        ([URL], 1),
        ([{**URL, "pages": ["1-5", "2", "4-7"]}], 7),
        ([attached("a.PDF", pdf(4))], 4),
        ([attached("a.pdf", pdf(8), pages=["1-5", "2"])], 5),
        ([attached("a.pdf", pdf(2), pages=["2-9"])], 1),
        ([attached("a.tif", tiff(3)), attached("b.tiff", tiff(2, ">"))], 5),
        ([attached("a.png", PNG), attached("b.jpg", b"\xff\xd8\xff\xe0")], 2),
        ([attached("a.txt", b"line\n" * 60)], 1),
        ([attached("a.txt", b"line\n" * 61)], 2),
        ([attached("a.txt", "Grüße\fSeite 2\f".encode())], 2),
    ],
)
def test_pages_are_counted_in_the_files_and_reduced_by_the_selection(
    client: httpx.Client, sandbox: SandboxServer, files: list[Any], pages: int
) -> None:
    job_id = client.post("/fax-send", json=fax(*files)).json()["data"]["jobId"]
    assert entry(sandbox, job_id)["pages"] == pages


def test_base64_with_line_breaks_is_taken(client: httpx.Client) -> None:
    data = base64.encodebytes(pdf(1)).decode()
    assert client.post("/fax-send", json=fax({"fileName": "a.pdf", "fileData": data})).status_code == 200


# --- refusals


@pytest.mark.parametrize(
    ("change", "status", "code", "word"),
    [
        ({"faxNumber": None}, -2, None, "faxNumber"),
        ({"faxNumber": 12025550123}, -2, None, "faxNumber"),
        ({"faxNumber": "12025550123"}, -2, -3001, "faxNumber"),
        ({"faxNumber": "+0202555012"}, -2, -3001, "E.164"),
        ({"faxNumber": "+1202555012345678"}, -2, -3001, "E.164"),
        ({"faxNumber": [NUMBER] * 15}, -2, None, "one string"),
        ({"faxNumber": [NUMBER] * 16}, -2, -3008, "Recipient limit exceeded"),
        ({"callerId": "me"}, -2, None, "callerId"),
        ({"subject": 1}, -2, None, "subject"),
        ({"faxQuality": "4K"}, -2, None, "faxQuality"),
        ({"send_at": "tomorrow"}, -2, None, "send_at"),
        ({"send_at": 5}, -2, None, "send_at"),
        ({"faxData": None}, -2, -3003, "faxData"),
        ({"faxData": []}, -2, -3003, "Image does not exist"),
        ({"faxData": "a.pdf"}, -2, None, "faxData"),
        ({"faxData": ["a.pdf"]}, -2, None, "faxData[0]"),
        ({"faxData": [URL] * 21}, -2, None, "20"),
        ({"faxData": [URL, {"fileName": "b.pdf"}]}, -2, -3003, "faxData[1]"),
        ({"faxData": [{"fileUrl": "https://example.com/a.pdf"}]}, -2, None, "fileName"),
        ({"faxData": [{**URL, "fileData": "AAAA"}]}, -2, None, "both"),
        ({"faxData": [{**URL, "fileUrl": "ftp://example.com/a.pdf"}]}, -2, None, "fileUrl"),
        ({"faxData": [{**URL, "fileUrl": 5}]}, -2, None, "fileUrl"),
        ({"faxData": [{**URL, "fileName": "a.docx"}]}, -2, -3006, "fileName"),
        ({"faxData": [{**URL, "fileName": "pdf"}]}, -2, -3006, "fileName"),
        ({"faxData": [{**URL, "pages": "1-5"}]}, -2, None, "pages"),
        ({"faxData": [{**URL, "pages": [1]}]}, -2, None, "pages"),
        ({"faxData": [{**URL, "pages": ["5-1"]}]}, -2, None, "pages"),
        ({"faxData": [{**URL, "pages": ["0"]}]}, -2, None, "pages"),
        ({"faxData": [{**URL, "pages": ["1-201"]}]}, -2, None, "200"),
        ({"faxData": [attached("a.pdf", pdf(101)), attached("b.pdf", pdf(100))]}, -2, None, "200"),
        ({"faxData": [attached("a.pdf", pdf(2), pages=["3"])]}, -2, None, "only 2"),
        ({"faxData": [{"fileName": "a.pdf", "fileData": "§"}]}, -2, None, "base64"),
        ({"faxData": [{"fileName": "a.pdf", "fileData": "AAA"}]}, -2, None, "base64"),
        ({"faxData": [{"fileName": "a.pdf", "fileData": 7}]}, -2, None, "base64"),
        ({"faxData": [{"fileName": "a.pdf", "fileData": ""}]}, -2, -3004, "empty"),
        ({"faxData": [attached("a.tiff", tiff(0))]}, -2, -3004, "TIFF file is empty"),
        ({"faxData": [attached("a.tiff", b"II*\0\xff\0\0\0")]}, -2, -3006, "damaged"),
        ({"faxData": [attached("a.tiff", b"II*\0\x08\0\0\0\0\0\x08\0\0\0")]}, -2, -3006, "damaged"),
        ({"faxData": [attached("a.pdf", b"%PDF-1.4 no more")]}, -2, -3006, "damaged"),
        ({"faxData": [attached("a.pdf", PNG)]}, -2, -3006, "Invalid file format"),
        ({"faxData": [attached("a.jpeg", PNG)]}, -2, -3006, "Invalid file format"),
        ({"faxData": [attached("a.tif", PNG)]}, -2, -3006, "Invalid file format"),
        ({"faxData": [attached("a.txt", b"a\0b")]}, -2, -3006, "Invalid file format"),
        ({"faxData": [attached("a.txt", b"\xff\xfe")]}, -2, -3006, "Invalid file format"),
    ],
)
def test_a_broken_restriction_is_refused_with_its_code_and_names_the_member(
    client: httpx.Client, change: dict[str, Any], status: int, code: int | None, word: str
) -> None:
    refused(client.post("/fax-send", json=fax() | change), 400, status, code, word)


@pytest.mark.parametrize(
    ("name", "hostile"),
    [
        ("a.pdf", partial(page_tree, 60)),
        ("a.pdf", partial(xref_stream, 300)),
        ("a.tiff", partial(many_ifds, 100_000)),
        ("a.tiff", big_tiff),
    ],
)
def test_a_hostile_file_is_refused_and_the_next_fax_is_accepted(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, name: str, hostile: Callable[[], bytes]
) -> None:
    monkeypatch.setattr(pdf_pages, "SECONDS", 0.3)
    pdf_pages._end()
    answer = client.post("/fax-send", json=fax(attached(name, hostile())))
    refused(answer, 400, -2, -3006, "damaged")
    assert client.post("/fax-send", json=fax(attached("a.pdf", pdf(3)))).status_code == 200
    pdf_pages._end()


def test_a_refused_fax_is_not_in_the_ledger(client: httpx.Client, sandbox: SandboxServer) -> None:
    client.post("/fax-send", json=fax(subject="refused", faxQuality="4K"))
    assert sandbox.ledger(subject="refused") == []


@pytest.mark.parametrize("token", [None, "", "someone"])
@pytest.mark.parametrize("endpoint", ["fax-send", "fax-cancel", "fax-resend"])
def test_without_a_known_key_every_call_is_401(
    sandbox: SandboxServer, endpoint: str, token: str | None
) -> None:
    headers = {} if token is None else {"accessToken": token}
    answer = httpx.post(f"{sandbox.url}/customer/{endpoint}", json=fax(), headers=headers, trust_env=False)
    refused(answer, 401, -3, -3009, "Invalid API key")


@pytest.mark.parametrize("endpoint", ["fax-send", "fax-cancel", "fax-resend"])
def test_an_account_that_is_not_primary_may_do_nothing(client: httpx.Client, endpoint: str) -> None:
    answer = client.post(f"/{endpoint}", json=fax(), headers={"accessToken": "guest"})
    refused(answer, 400, -1, -3007, "No permission")


def test_a_balance_pays_for_pages_until_it_is_used_up(client: httpx.Client, sandbox: SandboxServer) -> None:
    headers = {"accessToken": "poor"}
    two = fax(attached("a.pdf", pdf(2)))
    assert client.post("/fax-send", json=two, headers=headers).status_code == 200
    refused(client.post("/fax-send", json=two, headers=headers), 402, -4, -3002, "the balance is 1")
    assert client.post("/fax-send", json=fax(), headers=headers).status_code == 200
    assert sandbox.stats()["poor"]["balance"] == 0
    assert sandbox.stats()["poor"]["refused"] == {"-3002": 1}


def test_a_request_of_20_mb_is_taken_and_one_byte_more_is_too_large(client: httpx.Client) -> None:
    head = json.dumps(fax(message="")).replace('"message": ""', '"message": "')[:-1].encode()
    largest = head + b"x" * (MAX_REQUEST - len(head) - 2) + b'"}'
    assert len(largest) == MAX_REQUEST
    kind = {"Content-Type": "application/json"}
    assert client.post("/fax-send", content=largest, headers=kind).status_code == 200
    refused(client.post("/fax-send", content=largest + b" ", headers=kind), 400, -2, -3005, "20 MB")


def test_a_request_that_does_not_announce_its_size_is_counted_while_it_is_read(client: httpx.Client) -> None:
    parts = (b"x" * 1_000_000 for _ in range(21))
    refused(client.post("/fax-send", content=parts), 400, -2, -3005, "20 MB")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"a"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/fax-send", content=body, headers={"Content-Type": "application/json"})
    refused(answer, 400, -2, None, "JSON")


def test_another_content_type_is_refused(client: httpx.Client) -> None:
    answer = client.post("/fax-send", content=b"<fax/>", headers={"Content-Type": "text/xml"})
    refused(answer, 400, -2, None, "Content-Type")


def test_another_method_and_another_address_are_answered_in_json(client: httpx.Client) -> None:
    refused(client.get("/fax-send"), 405, -1, None, "POST")
    refused(client.post("/fax-lists-of-all", json={}), 404, -5, None, "address")


# --- method simulation and forms


def test_the_documentations_method_simulation_reaches_the_endpoint(client: httpx.Client) -> None:
    answer = client.post("/fax-send", files={"_method": (None, "POST")})
    refused(answer, 400, -2, None, "faxNumber: is required")


def test_a_multipart_form_with_the_documents_in_json_is_a_fax(
    client: httpx.Client, sandbox: SandboxServer
) -> None:
    parts = {"_method": "POST", "faxNumber": NUMBER, "subject": "Grüße", "faxData": json.dumps([URL])}
    answer = client.post("/fax-send", files={name: (None, text) for name, text in parts.items()})
    kept = entry(sandbox, answer.json()["data"]["jobId"])
    assert kept["subject"] == "Grüße"
    same = client.post("/fax-send", json=fax(subject="Grüße"))
    assert entry(sandbox, same.json()["data"]["jobId"])["sha256"] == kept["sha256"]


def test_a_urlencoded_form_is_a_request(client: httpx.Client, sandbox: SandboxServer) -> None:
    form = {"_method": "post", "faxNumber": NUMBER, "faxData": json.dumps([URL])}
    job_id = client.post("/fax-send", data=form).json()["data"]["jobId"]
    sandbox.drain()
    assert client.post("/fax-resend", data={"jobId": str(job_id)}).json()["data"]["originalJobId"] == job_id


@pytest.mark.parametrize("method", ["GET", "DELETE", ""])
def test_any_other_simulated_method_is_refused_in_every_form(client: httpx.Client, method: str) -> None:
    for request in (
        {"json": fax(_method=method)},
        {"data": {"_method": method}},
        {"files": {"_method": (None, method)}},
    ):
        refused(client.post("/fax-send", **request), 400, -2, None, "_method")


@pytest.mark.parametrize(
    ("content_type", "body", "word"),
    [
        ("application/x-www-form-urlencoded", b"faxNumber=%2B1&faxNumber=%2B2", "twice"),
        ("application/x-www-form-urlencoded", b"faxData=a.pdf", "faxData"),
        ("application/x-www-form-urlencoded", b"subject=%FF", "urlencoded"),
        ("multipart/form-data", b"--x", "multipart"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n1\r\n--x--\r\n", "no name"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n1\r\n--x--\r\n',
            "faxData",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="subject"\r\n\r\n\xff\r\n--x--\r\n',
            "UTF-8",
        ),
    ],
)
def test_a_damaged_form_is_refused(client: httpx.Client, content_type: str, body: bytes, word: str) -> None:
    answer = client.post("/fax-send", content=body, headers={"Content-Type": content_type})
    refused(answer, 400, -2, None, word)


# --- fax-cancel and fax-resend


def later(seconds: float = 3600) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_scheduled_fax_can_be_canceled_once(client: httpx.Client, sandbox: SandboxServer) -> None:
    job_id = client.post("/fax-send", json=fax(send_at=later())).json()["data"]["jobId"]
    assert entry(sandbox, job_id)["state"] == "scheduled"
    answer = client.post("/fax-cancel", json={"jobId": job_id})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": 1,
        "message": f"Fax job {job_id} has been cancelled",
        "data": {"jobId": job_id, "faxStatus": "canceled"},
    }
    assert [step["state"] for step in entry(sandbox, job_id)["history"]] == ["scheduled", "canceled"]
    refused(client.post("/fax-cancel", json={"jobId": job_id}), 400, -2, None, "is canceled")
    refused(client.post("/fax-resend", json={"jobId": job_id}), 400, -2, None, "is canceled")


def test_a_canceled_fax_gives_its_pages_back() -> None:
    with (
        SandboxServer(config(accounts={"t": Account(balance=2)})) as server,
        httpx.Client(base_url=server.url, headers={"accessToken": "t"}, trust_env=False) as client,
    ):
        two = fax({**URL, "pages": ["1-2"]}, send_at=later())
        job_id = client.post("/customer/fax-send", json=two).json()["data"]["jobId"]
        assert server.stats()["default"]["balance"] == 0
        client.post("/customer/fax-cancel", json={"jobId": job_id})
        assert server.stats()["default"]["balance"] == 2


def test_a_scheduled_fax_is_sent_at_its_time(client: httpx.Client, sandbox: SandboxServer) -> None:
    when = datetime.now(UTC) + timedelta(seconds=0.6)
    text = when.replace(tzinfo=None).isoformat()  # without a zone it is UTC
    job_id = client.post("/fax-send", json=fax(send_at=text)).json()["data"]["jobId"]
    sandbox.drain()
    steps = {step["state"]: step["at"] for step in entry(sandbox, job_id)["history"]}
    assert list(steps) == ["scheduled", "sending", "delivered"]
    assert steps["sending"] >= when.timestamp() - 0.01
    refused(client.post("/fax-cancel", json={"jobId": job_id}), 400, -2, None, "is delivered")


def test_a_running_fax_can_be_neither_canceled_nor_resent() -> None:
    with (
        SandboxServer(config(call_seconds=3600.0)) as server,
        httpx.Client(base_url=server.url, headers={"accessToken": "t"}, trust_env=False) as client,
    ):
        job_id = client.post("/customer/fax-send", json=fax()).json()["data"]["jobId"]
        for endpoint in ("fax-cancel", "fax-resend"):
            refused(client.post(f"/customer/{endpoint}", json={"jobId": job_id}), 400, -2, None, "is sending")
        with pytest.raises(TimeoutError, match="1 calls or webhooks"):
            server.drain(timeout=0.01)


def test_a_fax_can_be_resent_to_its_own_or_to_another_number(
    client: httpx.Client, sandbox: SandboxServer
) -> None:
    request = fax(attached("a.pdf", pdf(2)), subject="again", callerId="+12025550111")
    job_id = client.post("/fax-send", json=request).json()["data"]["jobId"]
    sandbox.drain()
    answer = client.post("/fax-resend", json={"jobId": job_id})
    again = answer.json()["data"]["jobId"]
    assert answer.json() == {
        "status": 1,
        "message": "Fax resent successfully",
        "data": {"jobId": again, "originalJobId": job_id},
    }
    other = client.post("/fax-resend", json={"jobId": job_id, "faxNumber": "+19876543210"})
    sandbox.drain()
    first, second = entry(sandbox, again), entry(sandbox, other.json()["data"]["jobId"])
    assert (first["toNumber"], second["toNumber"]) == (NUMBER, "+19876543210")
    for kept in (first, second):
        assert (kept["subject"], kept["pages"], kept["fromNumber"]) == ("again", 2, "+12025550111")
        assert (kept["endpoint"], kept["originalJobId"], kept["state"]) == ("fax-resend", job_id, "delivered")


def test_a_resend_to_a_bad_number_is_refused(client: httpx.Client, sandbox: SandboxServer) -> None:
    job_id = client.post("/fax-send", json=fax()).json()["data"]["jobId"]
    sandbox.drain()
    refused(client.post("/fax-resend", json={"jobId": job_id, "faxNumber": "1"}), 400, -2, -3001)


@pytest.mark.parametrize("endpoint", ["fax-cancel", "fax-resend"])
def test_an_unknown_job_is_404_and_a_job_id_must_be_an_integer(client: httpx.Client, endpoint: str) -> None:
    refused(client.post(f"/{endpoint}", json={"jobId": 1}), 404, -5, None, "jobId 1")
    for body in ({}, {"jobId": "12345"}, {"jobId": True}, {"jobId": 1.5}, {"jobId": None}):
        refused(client.post(f"/{endpoint}", json=body), 400, -2, None, "jobId: must be an integer")


@pytest.mark.parametrize("endpoint", ["fax-cancel", "fax-resend"])
def test_a_fax_of_another_account_does_not_exist(client: httpx.Client, endpoint: str) -> None:
    job_id = client.post("/fax-send", json=fax(send_at=later())).json()["data"]["jobId"]
    body = {"jobId": job_id}
    refused(client.post(f"/{endpoint}", json=body, headers={"accessToken": "poor"}), 404, -5, None)
    client.post("/fax-cancel", json=body)


# --- outcomes


@pytest.mark.parametrize("code", range(-3010, -3000))
def test_a_magic_number_refuses_its_submission_with_the_code_of_its_digits(
    client: httpx.Client, code: int
) -> None:
    answer = client.post("/fax-send", json=fax() | {"faxNumber": f"+1202555{-code}"})
    http = {-3002: 402, -3009: 401, -3010: 429}.get(code, 400)
    assert (answer.status_code, answer.json()["code"]) == (http, code)
    assert ("Retry-After" in answer.headers) is (code == -3010)


def test_a_fax_may_be_called_delivered_with_half_of_its_pages(
    client: httpx.Client, sandbox: SandboxServer
) -> None:
    request = fax(attached("a.pdf", pdf(4))) | {"faxNumber": "+12025550206"}
    job_id = client.post("/fax-send", json=request).json()["data"]["jobId"]
    sandbox.drain()
    kept = entry(sandbox, job_id)
    assert (kept["state"], kept["pages"], kept["transferred"]) == ("delivered", 4, 2)


def test_only_the_magic_endings_are_magic() -> None:
    numbers = Numbers()
    assert numbers.outcome("+12025550017").code == 17
    assert numbers.outcome("+4412245550017").code == 17
    ordinary = ("+12025560017", "+12345670017", "+15065001844", "+19876543210", "+12025550123")
    assert {numbers.outcome(number) for number in ordinary} == {Outcome()}


def test_a_number_can_be_given_another_outcome(client: httpx.Client, sandbox: SandboxServer) -> None:
    def state() -> tuple[str, int]:
        job_id = client.post("/fax-send", json=fax() | {"faxNumber": "+12025557777"}).json()["data"]["jobId"]
        sandbox.drain()
        kept = entry(sandbox, job_id)
        return kept["state"], kept["code"]

    sandbox.number("+12025557777", "0017")
    assert state() == ("failed", 17)
    page = f"{sandbox.control_url}/numbers/%2B12025557777"
    body = {"status": "failed", "message": "NO_ROUTE_DESTINATION", "code": 3}
    assert client.put(page, json=body).status_code == 200
    assert state() == ("failed", 3)
    assert client.delete(page).status_code == 200
    assert state() == ("delivered", 0)
    for bad in ('"9998"', '{"code": "3"}', '{"colour": 1}', '{"status": []}', '{"fault": {}}', "{"):
        answer = client.put(page, content=bad)
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert client.put(f"{sandbox.control_url}/numbers/1", json="0017").status_code == 400


# --- the control page and the server


def test_the_control_page_shows_ledger_and_statistics_without_a_token_and_without_one_in_it() -> None:
    accounts = {"top-secret-token": Account(label="a", webhook_secret="top-secret-key")}
    with (
        SandboxServer(config(accounts=accounts)) as server,
        httpx.Client(headers={"accessToken": "top-secret-token"}, trust_env=False) as client,
    ):
        client.post(f"{server.url}/customer/fax-send", content=json.dumps(fax(subject="one \ud800")))
        client.post(f"{server.url}/customer/fax-send", json=fax(faxQuality="4K"))
        client.post(f"{server.url}/customer/fax-send", headers={"accessToken": "x"})
        del client.headers["accessToken"]
        drained = client.post(f"{server.control_url}/drain", params={"timeout": 10}).json()
        ledger = client.get(f"{server.control_url}/ledger")
        found = client.get(f"{server.control_url}/ledger", params={"toNumber": NUMBER}).json()
        none = client.get(f"{server.control_url}/ledger", params={"subject": "none"}).json()
        one = client.get(f"{server.control_url}/ledger/12345").json()
        missing = client.get(f"{server.control_url}/ledger/1")
        stats = client.get(f"{server.control_url}/stats")
        arrivals = client.get(f"{server.control_url}/arrivals").json()
    assert drained == {"drained": True, "pending": 0}
    assert ledger.json() == found == [one] == server.ledger()
    assert (one["account"], one["subject"], none, missing.status_code) == ("a", "one \ud800", [], 404)
    assert stats.json() == server.stats()
    own = stats.json()["a"]
    assert (own["requests"], own["accepted"], own["refused"]) == (2, 1, {"-2": 1})
    assert own["rate_limited"] == {"concurrency": 0, "window": 0, "burst": 0}
    assert stats.json()["(unknown)"]["refused"] == {"-3009": 1}
    assert [arrival["limit"] for arrival in arrivals["a"]] == [None, None]
    assert "top-secret" not in ledger.text + stats.text + repr(config(accounts=accounts))


@pytest.mark.parametrize(
    ("page", "body", "word"),
    [
        ("faults", "{", "JSON"),
        ("faults", "5", "object"),
        ("faults", "{}", "action"),
        ("faults", '{"action": "explode"}', "reset_before"),
        ("faults", '{"action": "status", "status": 204}', "status"),
        ("faults", '{"action": "status", "status": [500]}', "status"),
        ("faults", '{"action": "status", "retry_after": 1.5}', "retry_after"),
        ("faults", '{"action": "status", "accepted": "yes"}', "accepted"),
        ("faults", '{"action": "slow"}', "seconds"),
        ("faults", '{"action": "slow", "seconds": -1}', "seconds"),
        ("faults", '{"action": "garbage", "body": {}}', "body"),
        ("faults", '{"action": "status", "times": 0}', "times"),
        ("faults", '{"action": "status", "endpoint": "fax-page"}', "fax-send"),
        ("faults", '{"action": "status", "match": {"colour": 1}}', "subject"),
        ("faults", '{"action": "status", "colour": 1}', "colour"),
        ("webhook-faults", '{"action": "delay"}', "seconds"),
        ("webhook-faults", '[{"action": "lose"}, {"action": "slow"}]', "shuffle"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_and_names_the_member(
    sandbox: SandboxServer, page: str, body: str, word: str
) -> None:
    answer = httpx.post(f"{sandbox.control_url}/{page}", content=body, trust_env=False)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert httpx.get(f"{sandbox.control_url}/{page}", trust_env=False).json() == []


def test_an_api_key_is_rotated_on_the_control_page_and_the_account_stays_the_same() -> None:
    with SandboxServer(config()) as server, httpx.Client(trust_env=False) as client:

        def answers(token: str) -> int:
            body = {"faxNumber": NUMBER, "faxData": [URL]}
            url = f"{server.url}/customer/fax-send"
            return client.post(url, json=body, headers={"accessToken": token}).status_code

        page = f"{server.control_url}/accounts/default/tokens"
        assert client.put(page, json=["t", "new"]).json() == {"tokens": 2}
        assert (answers("t"), answers("new")) == (200, 200)
        assert client.put(page, json=["new"]).json() == {"tokens": 1}
        assert (answers("t"), answers("new")) == (401, 200)
        assert server.stats()["default"]["accepted"] == 3


@pytest.mark.parametrize(
    ("page", "content", "word"),
    [
        ("default/tokens", [], "at least one"),
        ("default/tokens", ["poor"], "another account"),
        ("default/tokens", [" t"], "ASCII"),
        ("default/tokens", "t", "list of texts"),
        ("nobody/tokens", ["n"], "no account"),
        ("default/webhook-secret", 1, "a text"),
        ("nobody/webhook-secret", "s", "no account"),
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(
    sandbox: SandboxServer, page: str, content: Any, word: str
) -> None:
    answer = httpx.put(f"{sandbox.control_url}/accounts/{page}", json=content, trust_env=False)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_a_bad_drain_timeout_is_refused(sandbox: SandboxServer) -> None:
    answer = httpx.post(f"{sandbox.control_url}/drain", params={"timeout": "soon"}, trust_env=False)
    assert (answer.status_code, answer.json()) == (400, {"error": "timeout: must be seconds"})


def test_a_calls_length_follows_from_seed_job_id_and_pages_and_keeps_within_the_spread() -> None:
    def lengths(seed: int) -> list[float]:
        settings = config(call_seconds=10.0, page_seconds=2.0, spread=0.5, seed=seed)
        return [call_length(settings, made(job_id)) for job_id in range(100)]

    def made(job_id: int) -> Entry:
        return Entry(job_id, "a", "fax-send", None, NUMBER, NUMBER, None, "", 1, 5, 0.0, None)

    assert lengths(1) == lengths(1) != lengths(2)
    assert 10 <= min(lengths(1)) < 11
    assert 29 < max(lengths(1)) <= 30


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: config(accounts={}), "accounts"),
        (lambda: config(accounts={" t": Account()}), "token"),
        (lambda: config(accounts={"a": Account(), "b": Account()}), "label"),
        (lambda: config(answer_seconds=(2, 1)), "answer_seconds"),
        (lambda: config(call_seconds=-1), "call_seconds"),
        (lambda: config(time_scale=float("inf")), "time_scale"),
        (lambda: config(spread=2), "spread"),
        (lambda: config(lines=-1), "lines"),
        (lambda: config(webhook_timeout=0), "webhook_timeout"),
        (lambda: config(pages_per_url=0), "pages_per_url"),
        (lambda: config(port=70000), "port"),
        (lambda: Account(label=""), "label"),
        (lambda: Account(webhook_url="example.com", webhook_secret="s"), "webhook_url"),
        (lambda: Account(webhook_url="http://example.com"), "webhook_secret"),
        (lambda: Account(balance=-1), "balance"),
        (lambda: Account(caller_id="me"), "caller_id"),
        (lambda: Limits(burst=0), "burst"),
        (lambda: Limits(window=0), "window"),
    ],
)
def test_a_bad_configuration_is_refused_and_names_the_member(make: Callable[[], Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        make()


def test_a_bad_fault_is_refused_by_the_server_as_well(sandbox: SandboxServer) -> None:
    with pytest.raises(FaultError, match="seconds"):
        sandbox.fault("slow")
    with pytest.raises(FaultError, match="outcome"):
        sandbox.number(NUMBER, "9998")


def test_a_taken_port_is_told_with_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1"):
            serve(config(port=port))


def test_the_ledger_can_be_read_after_the_server_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), SandboxServer(config(call_seconds=3600.0)) as server:
        httpx.post(
            f"{server.url}/customer/fax-send", json=fax(), headers={"accessToken": "t"}, trust_env=False
        )
    assert [fax["state"] for fax in server.ledger()] == ["sending"]
    assert caplog.records == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_cleanly_and_silently_on_a_signal_though_a_request_hangs(
    number: signal.Signals, free_port: int, wait_until: Callable[..., Any]
) -> None:
    program = (
        "from faxline_sandbox import *; import sys;"
        f"serve(SandboxConfig(accounts={{'t': Account()}}, port={free_port}, call_seconds=3600.0));"
        "print('returned')"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        base = f"http://127.0.0.1:{free_port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{base}/sandbox/stats", trust_env=False).is_success
            except httpx.TransportError:
                return False

        wait_until(answers)
        with socket.create_connection(("127.0.0.1", free_port)) as hanging:
            body = json.dumps(fax() | {"faxNumber": "+12025550504"}).encode()
            lines = ["POST /v1/customer/fax-send HTTP/1.1", "Host: x", "accessToken: t"]
            lines += [f"Content-Length: {len(body)}", "", ""]
            hanging.sendall("\r\n".join(lines).encode() + body)
            wait_until(lambda: len(httpx.get(f"{base}/sandbox/ledger", trust_env=False).json()) == 1)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "returned\n", "")
