"""The sandbox's webhooks: payload, signature, retries and faults, against a real HTTP receiver."""

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from faxline_sandbox import Account, Limits, SandboxConfig, SandboxServer
from faxline_sandbox.webhooks import RETRY_WAITS
from tests.stage.sandboxes import Receiver

SECRET = "whsec-ü"
LIMITS = Limits(requests=100_000, window=1, concurrency=1000, burst=100_000)
NUMBER = "+12025550123"


StartSandbox = Callable[..., tuple[SandboxServer, httpx.Client]]


@pytest.fixture
def start(receiver: Receiver) -> Iterator[StartSandbox]:
    """Starts a sandbox whose webhooks go to the receiver, with a client of it."""
    with ExitStack() as stack:

        def starting(url: str = receiver.url, **members: Any) -> tuple[SandboxServer, httpx.Client]:
            account = Account(webhook_url=url, webhook_secret=SECRET)
            quick: dict[str, Any] = {"call_seconds": 0.01, "page_seconds": 0.0, "time_scale": 0.00001}
            config = SandboxConfig(accounts={"t": account}, limits=LIMITS, **(quick | members))
            server = stack.enter_context(SandboxServer(config))
            headers = {"accessToken": "t"}
            client = httpx.Client(base_url=f"{server.url}/customer", headers=headers, trust_env=False)
            return server, stack.enter_context(client)

        yield starting


def send(client: httpx.Client, number: str = NUMBER, pages: int = 1, **members: Any) -> int:
    file = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf", "pages": [f"1-{pages}"]}
    answer = client.post("/fax-send", json={"faxNumber": number, "faxData": [file], **members})
    assert answer.status_code == 200, answer.text
    job_id: int = answer.json()["data"]["jobId"]
    return job_id


def test_a_completed_fax_is_told_exactly_as_documented(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    job_id = send(client, "+12025550041", pages=20, callerId="+441224515014")
    server.drain()
    (headers, body, _), (kept,) = receiver.received[0], server.ledger()
    began, ended = int(kept["accepted_at"]), int(kept["history"][-1]["at"])
    assert headers["content-type"] == "application/json"
    assert headers[":path"] == "/webhooks/ifax/default"
    assert json.loads(body) == {
        "event": "fax.completed",
        "timestamp": ended,
        "data": {
            "jobId": job_id,
            "fromNumber": "+441224515014",
            "toNumber": "+12025550041",
            "faxCallLength": ended - began,
            "faxCallStart": began,
            "faxCallEnd": ended,
            "faxTotalPages": 20,
            "faxTransferredPages": 10,
            "faxStatus": "failed",
            "message": "NORMAL_TEMPORARY_FAILURE",
            "code": 41,
        },
    }
    assert len(receiver.received) == 1


def test_the_signature_is_the_lower_case_hmac_sha256_of_the_raw_body(
    start: StartSandbox, receiver: Receiver
) -> None:
    server, client = start()
    send(client)
    server.drain()
    ((headers, body, _),) = receiver.received
    assert headers["x-ifax-signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def test_a_secret_that_is_rotated_signs_from_the_next_try_on(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    send(client)
    server.drain()
    page = f"{server.control_url}/accounts/default/webhook-secret"
    assert httpx.put(page, json="later", trust_env=False).status_code == 200
    send(client)
    server.drain()
    signed = [
        hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        for secret, (_, body, _) in zip((SECRET, "later"), receiver.received, strict=True)
    ]
    assert [headers["x-ifax-signature"] for headers, _, _ in receiver.received] == signed


def test_a_webhook_carries_what_the_form_says_from_its_next_try_on(
    start: StartSandbox, receiver: Receiver
) -> None:
    server, client = start()
    page = f"{server.control_url}/accounts/default/webhook"
    for form in (
        {"basic": "ifax:pass:wörd", "signed": False},
        {"url": f"{receiver.url}/a-secret", "basic": "", "signed": True},
    ):
        assert httpx.put(page, json=form, trust_env=False).status_code == 200
        send(client)
        server.drain()
    (first, _, _), (second, body, _) = receiver.received
    assert first["authorization"] == "Basic " + base64.b64encode("ifax:pass:wörd".encode()).decode()
    assert "x-ifax-signature" not in first
    assert second[":path"].endswith("/webhooks/ifax/default/a-secret")
    assert "authorization" not in second
    assert second["x-ifax-signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "form", [[], {"user": "x"}, {"signed": 1}, {"url": "ftp://x"}, {"basic": "no-colon"}, {"basic": None}]
)
def test_a_form_that_makes_no_sense_is_refused(start: StartSandbox, form: Any) -> None:
    server, _ = start()
    page = f"{server.control_url}/accounts/default/webhook"
    assert httpx.put(page, json=form, trust_env=False).status_code == 400


def test_the_documented_waits_are_5_10_20_30_and_60_minutes() -> None:
    assert [wait / 60 for wait in RETRY_WAITS] == [5, 10, 20, 30, 60]


def test_a_webhook_is_tried_again_after_the_scaled_waits_until_it_is_taken(
    start: StartSandbox, receiver: Receiver
) -> None:
    server, client = start(time_scale=0.0001)
    receiver.answers = [500, 404, 302, 100 + 399]
    send(client)
    server.drain()
    (kept,) = server.ledger()
    assert [attempt["answer"] for attempt in kept["webhooks"]] == [500, 404, 302, 499, 204]
    assert [attempt["attempt"] for attempt in kept["webhooks"]] == [1, 2, 3, 4, 5]
    times = [at for _, _, at in receiver.received]
    waits = [late - early for early, late in pairwise(times)]
    assert all(wait >= least for wait, least in zip(waits, (0.029, 0.059, 0.119, 0.179), strict=True))
    assert len({body for _, body, _ in receiver.received}) == 1
    counts = server.stats()["default"]["webhooks"]
    assert counts == {"sent": 1, "failed": 0, "lost": 0, "pending": 0, "tries": 5}


def test_a_webhook_is_given_up_after_five_retries(
    start: StartSandbox, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    server, client = start()
    receiver.answers = [503] * 10
    with caplog.at_level(logging.WARNING, "faxline_sandbox"):
        job_id = send(client)
        server.drain()
    assert len(receiver.received) == 6
    assert server.stats()["default"]["webhooks"]["failed"] == 1
    assert f"job {job_id}" in caplog.text
    assert NUMBER not in caplog.text


def test_a_receiver_that_cannot_be_reached_is_tried_again(start: StartSandbox, free_port: int) -> None:
    server, client = start(f"http://127.0.0.1:{free_port}/")
    send(client)
    server.drain()
    (kept,) = server.ledger()
    assert [attempt["error"] for attempt in kept["webhooks"]] == ["ConnectError"] * 6


def test_a_receiver_that_takes_too_long_is_tried_again(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start(webhook_timeout=0.05)
    receiver.proceed.clear()
    send(client)
    server.drain()
    (kept,) = server.ledger()
    assert [attempt["error"] for attempt in kept["webhooks"]] == ["TimeoutError"] * 6
    assert all(attempt["seconds"] >= 0.05 for attempt in kept["webhooks"])


def test_webhooks_on_their_way_at_once_are_bounded(
    start: StartSandbox, receiver: Receiver, wait_until: Callable[..., Any]
) -> None:
    server, client = start(webhook_concurrency=2)
    receiver.proceed.clear()
    for _ in range(5):
        send(client)
    wait_until(lambda: server.stats()["default"]["webhooks"]["pending"] == 5)
    wait_until(lambda: len(receiver.received) == 2)
    assert server.stats()["default"]["webhooks"]["tries"] == 2
    receiver.proceed.set()
    server.drain()
    assert len(receiver.received) == 5


def test_a_canceled_fax_is_told_too(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    job_id = send(client, send_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    client.post("/fax-cancel", json={"jobId": job_id})
    server.drain()
    (webhook,) = receiver.payloads()
    assert (webhook["event"], webhook["data"]["jobId"]) == ("fax.completed", job_id)
    assert (webhook["data"]["faxStatus"], webhook["data"]["faxTransferredPages"]) == ("canceled", 0)
    assert (webhook["data"]["message"], webhook["data"]["code"]) == ("ORIGINATOR_CANCEL", 487)


def test_the_webhook_of_a_canceled_fax_can_be_switched_off(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start(webhook_on_cancel=False)
    job_id = send(client, send_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    client.post("/fax-cancel", json={"jobId": job_id})
    server.drain()
    assert receiver.received == []


def test_an_account_without_a_webhook_url_gets_none() -> None:
    config = SandboxConfig(accounts={"t": Account()}, call_seconds=0.0, page_seconds=0.0)
    with (
        SandboxServer(config) as server,
        httpx.Client(
            base_url=f"{server.url}/customer", headers={"accessToken": "t"}, trust_env=False
        ) as client,
    ):
        send(client)
        server.drain()
        assert server.ledger()[0]["webhooks"] == []
        assert server.stats()["default"]["webhooks"]["pending"] == 0


# --- webhook faults


def test_a_lost_webhook_never_comes(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    server.webhook_fault("lose", match={"subject": "mine"})
    for subject in ("mine", "other", "mine"):
        send(client, subject=subject)
    server.drain()
    assert len(receiver.received) == 2
    first, other, third = server.ledger()
    assert [attempt["error"] for attempt in first["webhooks"]] == ["lost"]
    assert [fax["webhooks"][0]["answer"] for fax in (other, third)] == [204, 204]
    assert server.stats()["default"]["webhooks"]["lost"] == 1


def test_a_doubled_webhook_comes_twice_with_the_same_body(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    server.webhook_fault("double")
    send(client)
    server.drain()
    (_, first, _), (_, second, _) = receiver.received
    assert first == second


def test_a_late_webhook_comes_with_the_first_retry(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    server.webhook_fault("late")
    send(client)
    server.drain()
    assert len(receiver.received) == 1
    assert [attempt["error"] for attempt in server.ledger()[0]["webhooks"]] == ["lost", None]


def test_a_delayed_webhook_comes_so_many_seconds_later(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    server.webhook_fault("delay", seconds=0.2)
    send(client)
    server.drain()
    assert receiver.received[0][2] - server.ledger()[0]["history"][-1]["at"] >= 0.19


def test_an_early_webhook_comes_before_the_answer_to_fax_send(
    start: StartSandbox, receiver: Receiver, wait_until: Callable[..., Any]
) -> None:
    server, client = start(call_seconds=3600.0)
    server.webhook_fault("early")
    receiver.proceed.clear()
    answered = threading.Event()

    def sending() -> None:
        send(client)
        answered.set()

    thread = threading.Thread(target=sending)
    thread.start()
    wait_until(lambda: receiver.received)
    assert not answered.is_set()
    receiver.proceed.set()
    thread.join()
    assert receiver.payloads()[0]["data"]["faxStatus"] == "delivered"
    server.drain()


def test_an_early_webhook_that_fails_holds_the_answer_for_its_first_try_only(
    start: StartSandbox, receiver: Receiver, wait_until: Callable[..., Any]
) -> None:
    server, client = start(time_scale=1.0)
    receiver.answers = [500]
    server.webhook_fault("early")
    send(client)
    assert len(receiver.received) == 1
    wait_until(lambda: server.stats()["default"]["webhooks"]["pending"] == 1)


def test_a_shuffled_webhook_is_overtaken_by_the_next(start: StartSandbox, receiver: Receiver) -> None:
    server, client = start()
    server.webhook_fault("shuffle", seconds=30)
    first = send(client)
    second = send(client)
    server.drain()
    assert [webhook["data"]["jobId"] for webhook in receiver.payloads()] == [second, first]


def test_a_shuffled_webhook_that_nobody_overtakes_comes_all_the_same(
    start: StartSandbox, receiver: Receiver
) -> None:
    server, client = start()
    server.webhook_fault("shuffle", seconds=0.05)
    send(client)
    server.drain()
    assert len(receiver.received) == 1


def test_faults_can_be_scripted_shown_and_forgotten_on_the_control_page(
    start: StartSandbox, receiver: Receiver
) -> None:
    server, client = start()
    page = f"{server.control_url}/webhook-faults"
    two = [{"action": "lose", "times": 2}, {"action": "double", "times": None, "match": {"jobId": 5}}]
    assert client.post(page, json=two).status_code == 200
    send(client)
    server.drain()
    left = client.get(page).json()
    assert [(fault["action"], fault["times"]) for fault in left] == [("lose", 1), ("double", None)]
    assert client.delete(page).json() == []
    send(client)
    server.drain()
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("number", "errors"),
    [
        ("+12025550601", ["lost"]),
        ("+12025550602", [None, None]),
        ("+12025550603", ["lost", None]),
        ("+12025550604", [None]),
    ],
)
def test_magic_numbers_lose_double_delay_or_hasten_the_webhook(
    start: StartSandbox, number: str, errors: list[str | None]
) -> None:
    server, client = start()
    send(client, number)
    server.drain()
    assert [attempt["error"] for attempt in server.ledger()[0]["webhooks"]] == errors
