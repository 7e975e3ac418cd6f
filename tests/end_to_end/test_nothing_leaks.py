"""Tokens, secrets, numbers, cover texts and documents go the whole way and are found nowhere on it.

The search itself is in conftest.py: it is made of every run of these tests. Here everything that can be
marked is, and everything goes wrong that can repeat a mark: answers and webhooks that quote it, entries that
do not parse.
"""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from faxline import EventName, FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline_local.stack import TOKEN, WEBHOOK_SECRET, Local
from faxline_worker.receipts.signature import HEADER, sign
from tests.stage.marks import MARK, marks_in

NUMBER = "+12025557100"
QUOTING = f"{MARK} {TOKEN} {NUMBER} (202) 555-7100 {WEBHOOK_SECRET}"
SETTINGS = {
    "LOG_LEVEL": "debug",
    "HTTP_TIMEOUT": "1.5",
    "LEASE_GRACE": "0.5",
    "IN_DOUBT__WAIT": "1",
    "IN_DOUBT__THEN": "fail",
    "RETRIES__SUBMISSION__BASE": "0.1",
    "RETRIES__SUBMISSION__ATTEMPTS": "2",
    "RETRIES__DELIVERY__ATTEMPTS": "1",
    "SWEEP": "0.5",
    "NUMBERS__CONCURRENT": "0",
}
SANDBOX = (
    *("--answer-seconds", "0.01", "0.05", "--call-seconds", "0.1", "--page-seconds", "0.01"),
    *("--time-scale", "0.001"),
)
ANSWERS: dict[str, dict[str, Any]] = {
    "refused": {"status": 400, "body": json.dumps({"status": -2, "code": -3001, "message": QUOTING})},
    "general": {"status": 400, "body": json.dumps({"status": -1, "message": QUOTING})},
    "html": {"status": 502, "body": f"<html>{QUOTING}</html>"},
    "text": {"status": 200, "body": QUOTING},
    "odd-number": {"status": 200, "body": json.dumps({"status": 1, "data": {"jobId": NUMBER}})},
    "unavailable": {"status": 503, "body": QUOTING},
    "limited": {"status": 429, "body": QUOTING, "retry_after": 0},
}
ENTRIES = (
    QUOTING,
    json.dumps({"id": f"to {NUMBER}, 1 (202) 555-7100"}),
    json.dumps({"id": "by-hand-1", QUOTING: QUOTING, "fax": {"faxNumber": NUMBER, "faxData": []}}),
    json.dumps({"id": "by-hand-2", "fax": {"faxNumber": QUOTING, "faxData": [{"fileName": QUOTING}]}}),
    json.dumps(
        {
            "id": "by-hand-3",
            "fax": {"faxNumber": NUMBER, "faxData": [{"fileName": MARK, "fileData": QUOTING}]},
        }
    ),
)
RECEIPTS = (
    QUOTING,
    json.dumps({"data": {"jobId": QUOTING, "faxStatus": QUOTING}}),
    json.dumps({"data": {"jobId": 4711, "faxStatus": QUOTING, "message": QUOTING}}),
    json.dumps({"data": {"jobId": 4712, "faxStatus": "failed", "message": NUMBER, "toNumber": NUMBER}}),
)


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("logs")
    with make_local(folder, settings=SETTINGS, sandbox=SANDBOX) as running:
        yield running


@pytest.fixture
def messages(local: Local) -> Iterator[list[str]]:
    """Every command that anybody sends to the broker's database meanwhile, messages and all."""
    seen: list[str] = []
    over = threading.Event()

    broker = local.url_of("admin", 1)  # a database of the one server, or a server of its own

    def watch() -> None:
        with connect(broker) as client, client.monitor() as monitor:
            database = client.get_connection_kwargs().get("db") or 0
            ready.set()
            while not over.is_set():
                command = monitor.next_command()
                if command["db"] == database:
                    seen.append(command["command"])

    ready = threading.Event()
    thread = threading.Thread(target=watch, name="monitor")
    thread.start()
    ready.wait(10)
    yield seen
    over.set()
    with connect(broker) as client:
        client.ping()  # one more command, so that the watch looks up
    thread.join()


def push(line: FaxLine, name: str, number: str = NUMBER) -> None:
    texts = dict.fromkeys(("subject", "from_name", "to_name", "message"), f"{MARK} {NUMBER}")
    files = [
        (f"{MARK}.txt", f"Dear {MARK}, {NUMBER}".encode()),
        f"https://example.com/{MARK}.pdf?key={TOKEN}",
    ]
    line.send(to=number, files=files, id=name, **texts | {"subject": name})  # type: ignore[arg-type]


@pytest.mark.slow
def test_nothing_that_is_marked_is_found_in_logs_metrics_events_audit_or_messages(
    local: Local, messages: list[str], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    del tmp_path
    with FaxLine(local.url_of("operator")) as line, connect(local.redis_url) as client:
        for name, answer in ANSWERS.items():
            fault = (
                {"action": "status", **answer} if answer["status"] >= 400 else {"action": "garbage", **answer}
            )
            local.control("POST", "faults", {"match": {"subject": name}, "times": 1, **fault})
        for name in (*ANSWERS, "good"):
            push(line, name)
        for place, digits in enumerate(("0017", "0206", "0444", "0504")):
            push(line, f"number-{place}", f"+1202555{digits}")
        for entry in ENTRIES:
            client.xadd(line.keys.intake, {"send": entry})
        client.xadd(line.keys.intake, {QUOTING: QUOTING})
        for body in RECEIPTS:
            for secret in (WEBHOOK_SECRET, MARK):
                webhook(local, body.encode(), secret)
        names = [*ANSWERS, "good", *(f"number-{i}" for i in range(4))]
        wait_until(lambda: all(line.job(name).state.final for name in names), timeout=40)
        # Pushed last: it is refused with -3009, which pauses the account for every fax behind it.
        push(line, "number-4", "+12025553009")
        wait_until(lambda: line.account_state().paused, timeout=30)
        assert line.job("good").state is JobState.DELIVERED
        assert sum(event.name == EventName.REJECTED for event in line.events(after="0", timeout=1)) == 6
        document: Any = next(iter(client.scan_iter(f"{line.keys.prefix}document:*")))
        assert MARK.encode() in (client.get(document) or b""), "the marks were on their way"
    assert messages
    assert marks_in({"messages": messages}) == []


def webhook(local: Local, body: bytes, secret: str) -> None:
    httpx.post(
        f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/default",
        content=body,
        headers={HEADER: sign(body, secret.encode())},
        trust_env=False,
    )


@pytest.mark.parametrize("leak", [TOKEN, WEBHOOK_SECRET, NUMBER, NUMBER[1:], f"Dear {MARK},", "+4930123456"])
def test_the_search_finds_what_leaks(leak: str) -> None:
    assert len(marks_in({"log": ["fine", f'{{"event": "a line", "error": "{leak}"}}']})) == 1


@pytest.mark.parametrize(
    "fine",
    [
        "…7100",
        '"at": 1700000000000',
        '"retry_at":1700000000000',
        "wake 1700000000000000-1",
        "12345",
        'fax_delivery_seconds_sum{account="a"} 233.14981341362',
    ],
)
def test_the_search_takes_no_measure_for_a_leak(fine: str) -> None:
    assert marks_in({"log": [fine]}) == []
