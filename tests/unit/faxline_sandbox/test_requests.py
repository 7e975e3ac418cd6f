"""Requests to the sandbox over a real socket: what is accepted, in which form, and how pages are counted."""

import base64
import hashlib
import json
from typing import Any

import httpx
import pytest

from faxline_sandbox import (
    SandboxConfig,
    SandboxServer,
)
from faxline_sandbox.bodies import MAX_REQUEST
from faxline_worker.cli import app as worker_app
from tests.hostile_files import plain_pdf
from tests.stage.samples import SAMPLE
from tests.stage.sandboxes import NUMBER, PNG, URL, attached, config, entry, fax, refused, tiff


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
    monkeypatch.setattr("faxline_sandbox.server.serve", served.append)
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
            attached("xyz.pdf", plain_pdf(3), pages=["1", "2"]),
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
        ([attached("a.PDF", plain_pdf(4))], 4),
        ([attached("a.pdf", plain_pdf(8), pages=["1-5", "2"])], 5),
        ([attached("a.pdf", plain_pdf(2), pages=["2-9"])], 1),
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
    data = base64.encodebytes(plain_pdf(1)).decode()
    assert client.post("/fax-send", json=fax({"fileName": "a.pdf", "fileData": data})).status_code == 200


def test_a_request_of_20_mb_is_taken_and_one_byte_more_is_too_large(client: httpx.Client) -> None:
    head = json.dumps(fax(message="")).replace('"message": ""', '"message": "')[:-1].encode()
    largest = head + b"x" * (MAX_REQUEST - len(head) - 2) + b'"}'
    assert len(largest) == MAX_REQUEST
    kind = {"Content-Type": "application/json"}
    assert client.post("/fax-send", content=largest, headers=kind).status_code == 200
    refused(client.post("/fax-send", content=largest + b" ", headers=kind), 400, -2, -3005, "20 MB")


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
