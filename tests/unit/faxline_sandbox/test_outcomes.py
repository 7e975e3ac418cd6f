"""What becomes of a fax in the sandbox: canceled, resent, delivered or failed by its number."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from faxline_sandbox import (
    Account,
    Outcome,
    SandboxServer,
)
from faxline_sandbox.calls import call_length
from faxline_sandbox.ledger import Entry
from faxline_sandbox.numbers import Numbers
from tests.hostile_files import plain_pdf
from tests.stage.sandboxes import NUMBER, URL, attached, config, entry, fax, refused


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
    request = fax(attached("a.pdf", plain_pdf(2)), subject="again", callerId="+12025550111")
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
    request = fax(attached("a.pdf", plain_pdf(4))) | {"faxNumber": "+12025550206"}
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


def test_a_calls_length_follows_from_seed_job_id_and_pages_and_keeps_within_the_spread() -> None:
    def lengths(seed: int) -> list[float]:
        settings = config(call_seconds=10.0, page_seconds=2.0, spread=0.5, seed=seed)
        return [call_length(settings, made(job_id)) for job_id in range(100)]

    def made(job_id: int) -> Entry:
        return Entry(job_id, "a", "fax-send", None, NUMBER, NUMBER, None, "", 1, 5, 0.0, None)

    assert lengths(1) == lengths(1) != lengths(2)
    assert 10 <= min(lengths(1)) < 11
    assert 29 < max(lengths(1)) <= 30
