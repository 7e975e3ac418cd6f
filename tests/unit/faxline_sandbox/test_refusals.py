"""What the sandbox refuses, with the codes that iFax documents."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from faxline_sandbox import (
    SandboxServer,
    pdf_pages,
)
from tests.hostile_files import big_tiff, many_ifds, page_tree, plain_pdf, xref_stream
from tests.stage.sandboxes import NUMBER, PNG, URL, attached, fax, refused, tiff


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
        (
            {"faxData": [attached("a.pdf", plain_pdf(101)), attached("b.pdf", plain_pdf(100))]},
            -2,
            None,
            "200",
        ),
        ({"faxData": [attached("a.pdf", plain_pdf(2), pages=["3"])]}, -2, None, "only 2"),
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
    assert client.post("/fax-send", json=fax(attached("a.pdf", plain_pdf(3)))).status_code == 200
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
    two = fax(attached("a.pdf", plain_pdf(2)))
    assert client.post("/fax-send", json=two, headers=headers).status_code == 200
    refused(client.post("/fax-send", json=two, headers=headers), 402, -4, -3002, "the balance is 1")
    assert client.post("/fax-send", json=fax(), headers=headers).status_code == 200
    assert sandbox.stats()["poor"]["balance"] == 0
    assert sandbox.stats()["poor"]["refused"] == {"-3002": 1}


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
