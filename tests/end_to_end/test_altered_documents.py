"""Another document in the place of a fax's own is never faxed, with real processes, with and without keys."""

import hashlib
import json
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline.contract.errors import JobRejected
from faxline.contract.page_count import digest
from faxline.contract.sealing.keyring import new_key
from faxline_local.processes import free_port
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

KEY = new_key("one")
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0.02", "--time-scale", "0.001", "--burst", "400")
OURS, THEIRS = b"the letter of patient A", b"the letter of patient B"
LARGE, OTHER = (Random(seed).randbytes(14_000_000) for seed in (1, 2))
"""Two of 14 MB, and no two pieces alike."""
BUFFER = 65_536
HELD_AFTER = 1_000_000


class Relay:
    """Passes a worker's calls on to iFax; holds one in the middle of its body until it is let go."""

    def __init__(self) -> None:
        self.port = free_port()
        self.behind = 0
        self.holds = False
        self.held, self.go = threading.Event(), threading.Event()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER
        )  # the worker cannot be far ahead
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.go.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                worker, _ = self._listener.accept()
                ifax = socket.create_connection(("127.0.0.1", self.behind))
                for ends in ((worker, ifax, True), (ifax, worker, False)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        passed = 0
        with suppress(OSError):
            while part := source.recv(BUFFER):
                passed += len(part)
                if up and self.holds and passed > HELD_AFTER:
                    self.held.set()
                    self.go.wait(60)
                target.sendall(part)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()


@pytest.fixture(scope="module", params=["", KEY], ids=["in clear", "sealed"])
def keys(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    made = Relay()
    yield made
    made.close()


@pytest.fixture(scope="module")
def local(
    make_local: Callable[..., Local],
    tmp_path_factory: pytest.TempPathFactory,
    relay: Relay,
    keys: str,
) -> Iterator[Local]:
    settings = {
        "SEALING_KEYS": keys,
        "SWEEP": "1",
        "WAKE_LEASE": "2",
        "IFAX_URL": f"http://127.0.0.1:{relay.port}/v1",
    }
    folder = tmp_path_factory.mktemp("logs")
    with make_local(folder, settings=settings, sandbox=SANDBOX) as running:
        relay.behind = int(running.sandbox_url.rpartition(":")[2])
        yield running


@pytest.fixture
def line(local: Local, keys: str) -> Iterator[FaxLine]:
    with FaxLine(local.url_of("operator"), keys=keys or None) as made:
        yield made


@pytest.fixture
def client(local: Local) -> Iterator[Any]:
    """Who may do everything, as an older producer could with documents."""
    with connect(local.redis_url) as made:
        yield made


def document_key(line: FaxLine, data: bytes) -> str:
    return line.keys.document(digest(data).removeprefix("sha256:"))


def faxed(local: Local, job: str, number: str, data: bytes) -> list[bool]:
    """Of each time that the sandbox took this fax, whether it was this content."""
    file = {"fileName": "0.txt", "fileData": b64encode(data).decode()}
    whole = {"faxNumber": number, "subject": job, "faxData": [file]}
    right = hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return [fax["sha256"] == right for fax in local.ledger() if fax["subject"] == job]


def test_another_document_under_the_digest_before_registration_is_replaced_by_the_right_one(
    local: Local, line: FaxLine, client: Any
) -> None:
    data, number = OURS + b" 1", "+12025550141"
    client.set(document_key(line, data), THEIRS)
    line.send(to=number, files=[("0.txt", data)], id="before", subject="before")
    assert line.wait("before", timeout=60).state is JobState.DELIVERED
    assert faxed(local, "before", number, data) == [True]


def test_another_document_under_the_digest_of_an_entry_that_brings_none_is_rejected(
    local: Local, line: FaxLine, client: Any
) -> None:
    data, number = OURS + b" 2", "+12025550142"
    client.set(document_key(line, data), THEIRS)
    file = {"fileName": "0.txt", "document": digest(data)}
    line.push("send", {"id": "named", "fax": {"faxNumber": number, "subject": "named", "faxData": [file]}})
    with pytest.raises(JobRejected, match="do not match its digest") as caught:
        line.wait("named", timeout=60)
    assert caught.value.reason == "document_altered"
    assert faxed(local, "named", number, data) == []


def test_another_document_under_the_digest_while_the_fax_waits_fails_it(
    local: Local, line: FaxLine, client: Any, keys: str, wait_until: Callable[..., Any]
) -> None:
    data, number = OURS + b" 3", "+12025550143"
    line.pause(by="a test", timeout=30)
    try:
        line.send(to=number, files=[("0.txt", data)], id="waits", subject="waits")
        wait_until(lambda: client.hget(line.keys.job("waits"), "state") == b"queued", timeout=30)
        client.set(document_key(line, data), THEIRS)
    finally:
        line.resume(by="a test", timeout=30)
    ended = line.wait("waits", timeout=60)
    assert (ended.state, ended.reason) == (JobState.FAILED, "seal_broken" if keys else "document_altered")
    assert faxed(local, "waits", number, data) == []


def test_a_document_of_14_mb_that_is_altered_in_the_middle_of_its_send_leaves_a_doubt_and_no_fax(
    local: Local, line: FaxLine, client: Any, relay: Relay, wait_until: Callable[..., Any]
) -> None:
    number = "+12025550144"
    relay.held.clear()
    relay.go.clear()
    relay.holds = True
    try:
        line.send(to=number, files=[("0.txt", LARGE)], id="large", subject="large")
        assert relay.held.wait(60)
        client.set(document_key(line, LARGE), line._context.seals.document(digest(LARGE), OTHER))
        relay.go.set()
        wait_until(lambda: client.hget(line.keys.job("large"), "state") == b"in_doubt", timeout=60)
    finally:
        relay.holds = False
        relay.go.set()
    assert line.job("large").reason == "document_altered"
    assert faxed(local, "large", number, LARGE) == []
    line.resolve("large", fail=True, by="a test", timeout=30)
