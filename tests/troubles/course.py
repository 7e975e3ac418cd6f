"""The course of the troubles: everything is pushed, done to, ordered and sent, and comes to rest."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import redis

from faxline import EventName, FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline.contract.errors import NotSettled
from faxline_local.console import start_console
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import WEBHOOK_SECRET, Local
from faxline_worker.receipts.signature import HEADER, sign
from tests.troubles.faxes import REJECTED, TROUBLES, URL, number_of

ACCOUNTS = ("default", "broke")
SETTINGS = {
    "LIMITS__WINDOW": "60",
    "LIMITS__REQUESTS": "2000",
    "LIMITS__BURST": "300",
    "HTTP_TIMEOUT": "1.5",
    "LEASE_GRACE": "0.5",
    "IN_DOUBT__WAIT": "3",
    "RECEIPT_EXPECTED": "2",
    "RECEIPT_DEADLINE": "6",
    "RETRIES__SUBMISSION__BASE": "0.2",
    "RETRIES__DELIVERY__ATTEMPTS": "3",
    "RETRIES__DELIVERY__BUSY": "0.5",
    "RETRIES__DELIVERY__NO_ANSWER": "0.5",
    "RETRIES__DELIVERY__OTHER": "0.5",
    "SWEEP": "0.5",
    "WAKE_LEASE": "2",
}
SANDBOX = (
    *("--window", "60", "--requests", "2000", "--burst", "300", "--time-scale", "0.001"),
    *("--answer-seconds", "0.01", "0.1", "--call-seconds", "0.2", "--page-seconds", "0.01"),
)
STRANGERS = {
    "no signature": ("default", b"{}", None),
    "another's signature": ("default", b"{}", "secret"),
    "no such account": ("nobody", b"{}", WEBHOOK_SECRET),
    "too large": ("default", b" " * 70_000, WEBHOOK_SECRET),
    "no JSON": ("default", b"{", WEBHOOK_SECRET),
    "no status that we know": ("default", b'{"jobId":1,"faxStatus":"lost"}', WEBHOOK_SECRET),
    "inbound": ("default", b'{"jobId":1,"direction":"received"}', WEBHOOK_SECRET),
    "nobody's receipt": ("default", b'{"jobId":1,"faxStatus":"delivered"}', WEBHOOK_SECRET),
}
"""Webhooks beside the sandbox's: account, body, and the secret that signs it."""


@contextmanager
def running(folder: Path, binary: ServerBinary | None = None) -> Iterator[Local]:
    """The real processes, two dispatchers and two workers among them."""
    with Local(
        folder,
        dispatchers=2,
        workers=2,
        archives=1,
        threads=10,
        accounts=ACCOUNTS,
        settings=SETTINGS | {"PROBE__FIRST": "3600"},
        sandbox=SANDBOX,
        binary=binary,
    ) as local:
        assert start_console(local, folder)
        yield local


def _browse(local: Local) -> None:
    """Ask the console for pages."""
    port = local.part("console")._environment["FAXLINE_CONSOLE__PORT"]
    for path in ("/sign-in", "/faxes"):
        assert httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10, trust_env=False).status_code < 400


def provoke(local: Local, wait_until: Callable[..., Any]) -> None:
    """Let everything happen, and wait until nothing happens any more."""
    with (
        FaxLine(local.redis_url) as line,
        FaxLine(local.redis_url, account="broke") as broke,
        connect(local.redis_url) as client,
    ):
        _push_all(local, line)
        _browse(local)
        _reject(client, line)
        _break(broke, wait_until)
        _cancel(line)
        _write_by_hand(local)
        _settle(line, wait_until)
        _rest(local, line, client, wait_until)


def _push_all(local: Local, line: FaxLine) -> None:
    for place, (name, trouble) in enumerate(TROUBLES.items()):
        number = number_of(place, trouble)
        for page, fault in (("faults", trouble.fault), ("webhook-faults", trouble.webhook)):
            if fault is not None:
                local.control("POST", page, {"match": {"subject": name}, "times": 1, **fault})
        if trouble.outcome is not None:
            local.control("PUT", f"numbers/{number}", trouble.outcome)
        fax: dict[str, Any] = {
            "faxNumber": number,
            "subject": name,
            "faxData": [{"fileName": "a.pdf", "fileUrl": URL}],
        }
        line.push("send", {"id": name, **trouble.more, "fax": fax | dict(trouble.fax)})


def _reject(client: redis.Redis, line: FaxLine) -> None:
    for entry in REJECTED.values():
        client.xadd(line.keys.intake, {"send": entry if isinstance(entry, str) else json.dumps(entry)})


def _break(line: FaxLine, wait_until: Callable[..., Any]) -> None:
    """An account without a balance is paused; one of its jobs expires, one is canceled, one waits."""
    line.send(to="+12015553002", files=[URL], id="waits", priority="urgent")
    wait_until(lambda: line.account_state().paused, timeout=30)
    soon = datetime.now(UTC) + timedelta(seconds=2)
    line.send(to="+12025550111", files=[URL], id="expires", expires_at=soon.isoformat())
    line.send(to="+12025550112", files=[URL], id="unwanted")
    line.cancel("unwanted")


def _cancel(line: FaxLine) -> None:
    """One that iFax keeps for a date is canceled there; one that was delivered cannot be."""
    date = datetime.now(UTC) + timedelta(hours=1)
    line.send(to="+12025550113", files=[URL], id="kept", subject="kept", send_at=date.isoformat())
    assert any(
        event.job == "kept" and event.name == EventName.SUBMITTED
        for event in line.events(after="0", timeout=90)
    )
    line.cancel("kept")
    line.wait("normal", timeout=90)
    line.resend("normal", to="+12025550114", id="again")
    line.cancel("normal")


def _write_by_hand(local: Local) -> None:
    for account, body, secret in STRANGERS.values():
        httpx.post(
            f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/{account}",
            content=body,
            headers={} if secret is None else {HEADER: sign(body, secret.encode())},
            trust_env=False,
        )


def _settle(line: FaxLine, wait_until: Callable[..., Any]) -> None:
    """An operator gives a doubt up."""
    wait_until(lambda: line.job("given-up").state is JobState.IN_DOUBT, timeout=30)
    wait_until(lambda: _give_up(line, "given-up"), timeout=60)


def _rest(local: Local, line: FaxLine, client: redis.Redis, wait_until: Callable[..., Any]) -> None:
    ends = {name: trouble.end for name, trouble in TROUBLES.items()} | {
        "kept": "canceled",
        "again": "delivered",
    }
    wait_until(lambda: {name: str(line.job(name).state) for name in ends} == ends, timeout=60)
    assert local.control("POST", "drain?timeout=30", timeout=40)["drained"]
    wait_until(lambda: line.account_state().held_doubts == 1, timeout=30)
    wait_until(lambda: client.xlen(line.keys.status) == 0, timeout=30)
    wait_until(lambda: events_of(client, "default", EventName.DUPLICATE), timeout=30)


def events_of(
    client: redis.Redis, account: str, name: str | None = None
) -> list[tuple[str, str, dict[str, Any]]]:
    """An account's events: name, job, data."""
    entries: Any = client.xrange(f"fax:{{{account}}}:events")
    found = [(f[b"event"].decode(), f[b"job"].decode(), json.loads(f[b"data"])) for _, f in entries]
    return [event for event in found if name in {None, event[0]}]


def _give_up(line: FaxLine, job: str) -> bool:
    """As an operator does who is told that receipts are to be read first."""
    try:
        line.resolve(job, fail=True, by="operator@test")
    except NotSettled:
        return False
    return True
