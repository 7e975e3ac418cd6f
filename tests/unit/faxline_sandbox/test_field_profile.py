"""The sandbox's profile `field`, and what shows each of its facts on demand."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from faxline_sandbox import Account, ConfigError, Limits, SandboxConfig, SandboxServer
from tests.stage.sandboxes import Receiver

LIMITS = Limits(requests=100_000, window=1, concurrency=1000, burst=100_000)
FILE = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}


class Site:
    """A sandbox and who takes its webhooks."""

    def __init__(self, sandbox: SandboxServer, receiver: Receiver) -> None:
        self.sandbox, self.receiver = sandbox, receiver

    def call(self, endpoint: str, key: str = "t", **members: Any) -> httpx.Response:
        url = f"{self.sandbox.url}/customer/{endpoint}"
        return httpx.post(url, json=members, headers={"accessToken": key})

    def send(self, number: str) -> Any:
        return self.call("fax-send", faxNumber=number, faxData=[FILE]).json()

    def control(self, method: str, page: str, body: Any) -> Any:
        return httpx.request(method, f"{self.sandbox.control_url}/{page}", json=body).json()

    def webhooks(self, number: str) -> list[Any]:
        """The webhooks of a fax to this number."""
        self.send(number)
        self.sandbox.drain()
        return [json.loads(body) for _, body, _ in self.receiver.received]


@pytest.fixture
def start(receiver: Receiver) -> Iterator[Callable[..., Site]]:
    running: list[SandboxServer] = []

    def begin(**members: Any) -> Site:
        account = Account(webhook_url=receiver.url, webhook_secret="whsec")
        config = SandboxConfig(
            accounts={"t": account}, limits=LIMITS, call_seconds=0.0, page_seconds=0.0, **members
        )
        running.append(SandboxServer(config))
        return Site(running[-1].__enter__(), receiver)

    yield begin
    for sandbox in running:
        sandbox.__exit__(None, None, None)


@pytest.mark.parametrize(("profile", "status", "code"), [("documented", 401, -3009), ("field", 200, 12001)])
def test_a_bad_key_is_refused_as_the_profile_has_it(
    start: Callable[..., Site], profile: str, status: int, code: int
) -> None:
    site = start(profile=profile)
    answer = site.call("fax-send", key="other")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert site.sandbox.stats()["(unknown)"]["refused"] == {str(code): 1}


def test_an_account_whose_plan_is_not_active_is_refused_in_the_field_only(
    start: Callable[..., Site],
) -> None:
    field, documented = start(profile="field"), start()
    for site in (field, documented):
        assert site.control("PUT", "accounts/default/plan", body=False) == {}
    assert field.send("+12025550123") == {
        "status": 0,
        "code": 12004,
        "message": "Professional plan isn't activated",
    }
    assert documented.send("+12025550123")["status"] == 1
    assert field.sandbox.ledger() == []
    field.sandbox.plan(active=True)
    assert field.send("+12025550123")["status"] == 1


def test_webhooks_of_the_field_are_flat_and_have_more_members(start: Callable[..., Site]) -> None:
    [webhook] = start(profile="field").webhooks("+12025550123")
    assert (webhook["jobId"], webhook["faxStatus"], webhook["direction"]) == (12345, "delivered", "sent")
    assert (webhook["success"], webhook["retryAttempt"]) == (True, 0)
    assert "transactionId" in webhook


def test_the_fax_of_fax_status_is_in_data_and_there_is_one_in_the_field(start: Callable[..., Site]) -> None:
    site = start(profile="field")
    job_id = site.send("+12025553001")
    job_id = site.send("+12025554001")["data"]["jobId"]
    site.sandbox.drain()
    payload = site.call("fax-status", jobId=job_id).json()
    assert (payload["status"], payload["data"]["faxStatus"], payload["data"]["code"]) == (1, "failed", -3001)


def test_the_lists_and_a_received_fax_are_there_and_in_the_field_only_but_for_what_proves_a_key(
    start: Callable[..., Site],
) -> None:
    field = start(profile="field")
    sent = field.send("+12025550123")["data"]["jobId"]
    field.sandbox.inbound(pages=3, bytes=10)
    second = field.sandbox.inbound(direction="received")
    field.sandbox.drain()
    assert [fax["jobId"] for fax in field.call("fax-lists").json()["data"]] == [sent]
    assert field.call("inbound/number-list").json()["data"] == [{"number": "+12025550100"}]
    first, row = field.call("fax-list-all").json()["data"]
    assert (first["faxReceivedPages"], row["jobId"]) == (3, second)
    assert {"transactionId", "receivedTime"} < first.keys()
    assert field.call("fax-list-all", lastFaxId=first["jobId"]).json()["data"] == [row]
    assert field.call("fax-list-all", endDate="12/31/2001").json()["data"] == []
    assert field.call("fax-list-all", startDate="2001-12-31").json()["status"] == -2
    ids = {name: first[name] for name in ("jobId", "transactionId")}
    file = base64.b64decode(field.call("fax-download", **ids).json()["data"])
    assert file == b"%PDF-1.4\n" + b"x" * 10
    assert field.call("fax-download", jobId=first["jobId"]).json()["status"] == -5
    documented = start()
    assert documented.call("fax-list-all").status_code == 404
    assert documented.call("fax-lists").json()["data"] == []


def test_a_magic_number_is_refused_by_http_and_a_code_that_nobody_knows(start: Callable[..., Site]) -> None:
    site = start()
    answer = site.call("fax-send", faxNumber="+12025550720", faxData=[FILE])
    assert (answer.status_code, answer.json()["code"]) == (422, 12099)
    assert site.sandbox.ledger() == []


def test_a_magic_number_has_a_429_that_says_nothing(start: Callable[..., Site]) -> None:
    answer = start().call("fax-send", faxNumber="+12025550729", faxData=[FILE])
    assert (answer.status_code, answer.content) == (429, b"")
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(("digits", "code"), [("0711", 12001), ("0714", 12004), ("0719", 12099)])
def test_a_magic_number_is_refused_by_http_200(start: Callable[..., Site], digits: str, code: int) -> None:
    site = start()
    answer = site.send(f"+1202555{digits}")
    assert (answer["status"], answer["code"]) == (0, code)
    assert site.sandbox.ledger() == []


@pytest.mark.parametrize(
    ("digits", "word"),
    [
        ("0731", "cancelled"),
        ("0732", "partially_cancelled"),
        ("0733", "failed_chargeable"),
        ("0734", " Blocked "),
        ("0735", "rejected_by_carrier"),
        ("0736", "on_hold"),
    ],
)
def test_a_magic_number_has_a_word_of_its_own(start: Callable[..., Site], digits: str, word: str) -> None:
    [webhook] = start().webhooks(f"+1202555{digits}")
    assert webhook["data"]["faxStatus"] == word


def test_a_magic_number_has_its_webhook_written_otherwise(start: Callable[..., Site]) -> None:
    site = start()
    assert site.webhooks("+12025550721")[-1]["jobId"] == 12345
    assert site.webhooks("+12025550722")[-1]["data"]["jobId"] == "12346"
    assert site.webhooks("+12025550723")[-1]["data"]["fromNumber"] == "+2025550100"
    assert site.webhooks("+12025550725")[-1]["data"]["job_id"] == 12348


def test_a_webhook_may_be_a_form_with_the_fax_in_it(start: Callable[..., Site], receiver: Receiver) -> None:
    site = start()
    site.send("+12025550724")
    site.sandbox.drain()
    [(headers, body, _)] = receiver.received
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="jobId"\r\n\r\n12345' in body
    assert b"%PDF-1.4" in body


def test_redials_of_ifaxs_own_are_each_told_as_failed(start: Callable[..., Site]) -> None:
    webhooks = [webhook["data"] for webhook in start().webhooks("+12025550741")]
    words = [(fax["faxStatus"], fax.get("retryAttempt"), fax["jobId"]) for fax in webhooks]
    assert words == [("failed", 0, 12345), ("failed", 1, 12345), ("delivered", 2, 12345)]


def test_a_fax_comes_in_and_its_webhook_is_told(start: Callable[..., Site], receiver: Receiver) -> None:
    site = start()
    made = site.control("POST", "accounts/default/inbound", {"from": "+441224515014", "pages": 3})
    site.sandbox.drain()
    [webhook] = receiver.payloads()
    assert webhook["jobId"] == made["jobId"]
    [shown] = site.control("GET", "accounts/default/inbound", None)
    assert (shown["jobId"], [one["answer"] for one in shown["webhooks"]]) == (webhook["jobId"], [204])
    assert site.sandbox.inbound(multipart=True) == made["jobId"] + 1
    assert webhook["transactionId"] == made["transactionId"]
    assert (webhook["direction"], webhook["faxStatus"], webhook["faxReceivedPages"]) == (
        "inbound",
        "received",
        3,
    )


@pytest.mark.parametrize(
    "body", [[], {"to": "x"}, {"pages": 0}, {"bytes": -1}, {"bytes": 10**9}, {"other": 1}]
)
def test_an_inbound_fax_that_makes_no_sense_is_an_error(start: Callable[..., Site], body: Any) -> None:
    assert "error" in start().control("POST", "accounts/default/inbound", body)


def test_a_profile_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match="documented, field"):
        SandboxConfig(accounts={"t": Account()}, profile="other")  # type: ignore[arg-type]
