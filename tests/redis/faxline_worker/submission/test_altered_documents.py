"""Another document in the place of a fax's own is never faxed: it is noticed before its last byte leaves."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.contract.page_count import digest
from faxline.contract.sealing.keyring import new_key
from faxline_sandbox import Account, SandboxConfig, SandboxServer
from faxline_worker.config.settings import read_settings
from faxline_worker.ifax import Decision, Endpoint, IfaxClient, send_body
from faxline_worker.ifax.errors import DocumentAlteredError
from faxline_worker.ifax.requests import PIECE
from faxline_worker.state.documents import StoredDocuments
from faxline_worker.state.store import Store
from faxline_worker.submission.documents import DocumentChangedError, Documents
from tests.stage.daemon import make_intake
from tests.stage.intake import create_group, read_intake
from tests.stage.submitting import LARGE, record, turn

KEY = new_key("one")
NUMBER = "+12025550123"
OURS = b"the letter of patient A"
THEIRS = b"the letter of patient B"
OTHER = b"".join(b"%09d!" % (999_999_999 - i) for i in range(100_000))
"""As LARGE, with no piece of it."""


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(accounts={"t": Account()})) as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> tuple[SandboxServer, int]:
    """The sandbox, and how many faxes it had accepted before."""
    return running, len(running.ledger())


@pytest.fixture(params=["", KEY], ids=["in clear", "sealed"])
def keys(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture
def store(redis_client: redis.Redis, keys: str) -> Store:
    settings = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t", "FAXLINE_SEALING_KEYS": keys, "FAXLINE_SWEEP": "1"}
    made = Store(redis_client, read_settings(settings), "default")
    create_group(made)
    return made


def take(store: Store, client: Any) -> None:
    """What a dispatcher does with all that was pushed."""
    make_intake(store).take(read_intake(client, store))


def push(url: str, keys: str, data: bytes, job: str = "a", to: str = NUMBER) -> None:
    with FaxLine(url, keys=keys or None) as line:
        line.send(to=to, files=[("0.txt", data)], id=job)


def overwrite(store: Store, client: Any, data: bytes, other: bytes) -> None:
    """Put another document in the place of one, as whoever may write there can."""
    client.set(store.keys.document(digest(data).removeprefix("sha256:")), other)


def calls(store: Store, client: Any) -> int:
    """How many calls to iFax the audit has."""
    return sum(fields[b"what"] == b"fax-send" for _, fields in client.xrange(store.keys.audit))


def test_another_document_in_a_small_ones_place_fails_the_fax_and_ifax_is_not_called(
    store: Store, keys: str, redis_client: Any, redis_url: str, sandbox: tuple[SandboxServer, int]
) -> None:
    server, before = sandbox
    push(redis_url, keys, OURS)
    take(store, redis_client)
    overwrite(store, redis_client, OURS, THEIRS)
    turn(store, server)
    failed = record(store, redis_client)
    reason = "seal_broken" if keys else "document_altered"
    assert (failed["state"], failed["reason"], failed.get("marked", "")) == ("failed", reason, "")
    assert (len(server.ledger()), calls(store, redis_client)) == (before, 0)


def test_the_sealed_document_of_another_fax_does_not_open_in_a_documents_place(
    redis_client: Any, redis_url: str, sandbox: tuple[SandboxServer, int]
) -> None:
    server, before = sandbox
    settings = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t", "FAXLINE_SEALING_KEYS": KEY}
    store = Store(redis_client, read_settings(settings), "default")
    create_group(store)
    push(redis_url, KEY, OURS)
    push(redis_url, KEY, THEIRS, "b", to="+12025550124")
    take(store, redis_client)
    overwrite(store, redis_client, OURS, store.documents.stored(digest(THEIRS)) or b"")
    turn(store, server)
    failed = record(store, redis_client)
    assert (failed["state"], failed["reason"]) == ("failed", "seal_broken")
    assert [fax["toNumber"] for fax in server.ledger()[before:]] == ["+12025550124"]


def test_a_document_in_clear_goes_out_for_a_job_that_was_registered_before_there_were_keys(
    redis_client: Any, redis_url: str, sandbox: tuple[SandboxServer, int]
) -> None:
    server, before = sandbox
    settings = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t", "FAXLINE_SEALING_KEYS": ""}
    without = Store(redis_client, read_settings(settings), "default")
    create_group(without)
    push(redis_url, "", OURS)
    push(redis_url, "", LARGE, "b", to="+12025550124")
    take(without, redis_client)
    worker = Store(redis_client, read_settings(settings | {"FAXLINE_SEALING_KEYS": KEY}), "default")
    turn(worker, server)
    assert len(server.ledger()) == before + 2
    assert record(worker, redis_client)["state"] == "submitted"


@pytest.mark.parametrize("when", ["before it is sent", "in the middle"])
def test_another_document_in_a_large_ones_place_leaves_a_doubt_and_ifax_takes_nothing(
    store: Store,
    keys: str,
    redis_client: Any,
    redis_url: str,
    sandbox: tuple[SandboxServer, int],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    server, before = sandbox
    push(redis_url, keys, LARGE)
    take(store, redis_client)
    other = store.seals.document(digest(LARGE), OTHER)  # also by one who has the key
    read: Callable[..., bytes] = StoredDocuments.piece

    def piece(own: StoredDocuments, name: str, start: int, end: int) -> bytes:
        if start:
            overwrite(store, redis_client, LARGE, other)
        return read(own, name, start, end)

    if when == "in the middle":
        monkeypatch.setattr(StoredDocuments, "piece", piece)
    else:
        overwrite(store, redis_client, LARGE, other)
    turn(store, server)
    doubt = record(store, redis_client)
    assert (doubt["state"], doubt["reason"]) == ("in_doubt", "document_altered")
    assert (len(server.ledger()), calls(store, redis_client)) == (before, 1)


def test_the_last_piece_of_an_altered_document_never_leaves(store: Store, redis_client: Any) -> None:
    name = digest(LARGE)
    store.documents.store(name, LARGE)
    overwrite(store, redis_client, LARGE, store.seals.document(name, OTHER))
    got: list[int] = []

    def listen(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while part := connection.recv(1 << 16):
                    got.append(len(part))
            except ConnectionResetError:
                pass

    request = {"faxNumber": NUMBER, "faxData": [{"fileName": "0.txt", "document": name}]}
    body = send_body(request, Documents(store, 20).open)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=listen, args=(listener,))
        server.start()
        with IfaxClient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=20) as client:
            answer = client.call(Endpoint.SEND, "t", body, lambda: None)
        server.join()
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "document_altered")
    last = len(LARGE) - len(LARGE) // PIECE * PIECE
    assert sum(got) < len(body) - last


@pytest.mark.parametrize("sizes", [[100], [PIECE], [200_000, 200_001], [PIECE, 1]])
def test_each_document_of_no_more_than_a_piece_is_held_against_its_digest_before_anything_is_sent(
    store: Store, redis_client: Any, sizes: list[int]
) -> None:
    names = [digest(LARGE[:size]) for size in sizes]
    for name, size in zip(names, sizes, strict=True):
        store.documents.store(name, LARGE[:size])
    request = {
        "faxNumber": NUMBER,
        "faxData": [{"fileName": "0.txt", "document": name} for name in names],
    }
    send_body(request, Documents(store, 20).open)
    overwrite(store, redis_client, LARGE[: sizes[-1]], store.seals.document(names[-1], OTHER[: sizes[-1]]))
    with pytest.raises(DocumentChangedError):
        send_body(request, Documents(store, 20).open)


def test_what_is_read_again_on_the_way_is_held_against_its_digest_again(
    store: Store, redis_client: Any
) -> None:
    first, second = LARGE[:200_000], LARGE[:200_001]  # a call has room for one of them
    for data in (first, second):
        store.documents.store(digest(data), data)
    files = [{"fileName": "0.txt", "document": digest(data)} for data in (first, second)]
    body = send_body({"faxNumber": NUMBER, "faxData": files}, Documents(store, 20).open)
    assert json.loads(b"".join(body))["faxData"]
    overwrite(store, redis_client, second, store.seals.document(digest(second), OTHER[:200_001]))
    with pytest.raises(DocumentAlteredError):
        list(body)
