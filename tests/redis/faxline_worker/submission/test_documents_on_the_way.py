"""Documents are read from Redis in pieces while they are sent; what goes wrong meanwhile is told right."""

import hashlib
import json
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from redis.exceptions import OutOfMemoryError

from faxline.contract.page_count import digest
from faxline_sandbox import Account, SandboxConfig, SandboxServer
from faxline_worker.config.settings import read_settings
from faxline_worker.ifax import Answer, Body, Decision, Document, Endpoint, IfaxClient, send_body
from faxline_worker.ifax.requests import PIECE
from faxline_worker.state.store import Store
from faxline_worker.submission import patience
from faxline_worker.submission.documents import DocumentMissingError, Documents
from tests.stage.daemon import make_intake
from tests.stage.intake import create_group, read_intake
from tests.stage.submitting import LARGE, submitter

TOKEN = "t"
NUMBER = "+12025550123"


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(accounts={TOKEN: Account()})) as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> tuple[SandboxServer, int]:
    """The sandbox, and how many faxes it had accepted before."""
    return running, len(running.ledger())


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    made = Store(redis_client, read_settings({"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": TOKEN}), "default")
    create_group(made)
    return made


def kept(store: Store, data: bytes) -> str:
    store.documents.store(digest(data), data)
    return digest(data)


def request(*names: str) -> dict[str, Any]:
    files = [{"fileName": f"{i}.txt", "document": name} for i, name in enumerate(names)]
    return {"faxNumber": NUMBER, "faxData": files}


def reads(client: Any) -> dict[str, int]:
    stats = client.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("get", "getrange", "strlen")}


def call(server: SandboxServer, body: Body, mark: Callable[[], None] = lambda: None) -> Answer:
    with IfaxClient(server.url, timeout=20) as client:
        return client.call(Endpoint.SEND, TOKEN, body, mark)


def opened(store: Store, *data: bytes, patience: float = 20) -> Body:
    documents = Documents(store, patience)
    return send_body(request(*(kept(store, one) for one in data)), documents.open)


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 1_000_000])
def test_a_document_of_any_size_arrives_whole(
    sandbox: tuple[SandboxServer, int], store: Store, size: int
) -> None:
    server, _ = sandbox
    data = LARGE[:size]
    assert call(server, opened(store, data)).decision is Decision.ACCEPTED
    expected = {"faxNumber": NUMBER, "faxData": [{"fileName": "0.txt", "fileData": b64encode(data).decode()}]}
    canonical = json.dumps(expected, sort_keys=True, separators=(",", ":"))
    assert server.ledger()[-1]["sha256"] == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize(
    ("sizes", "at_once", "on_the_way"),
    [
        ([100], {"getrange": 1}, {}),
        ([PIECE - 1], {"getrange": 1}, {}),
        ([PIECE + 1], {"getrange": 1, "strlen": 1}, {"getrange": 1}),
        ([4 * PIECE], {"getrange": 1, "strlen": 1}, {"getrange": 3}),
        ([1000, 2000, 3000], {"getrange": 3}, {}),
        ([200_000, 200_001, 200_002], {"getrange": 3}, {"getrange": 2}),  # no call holds more than a piece
    ],
)
def test_a_small_document_costs_one_command_and_a_large_one_a_command_a_piece(
    store: Store,
    redis_client: Any,
    sizes: list[int],
    at_once: dict[str, int],
    on_the_way: dict[str, int],
) -> None:
    names = [kept(store, LARGE[:size]) for size in sizes]
    before = reads(redis_client)
    body = send_body(request(*names), Documents(store, 20).open)
    between = reads(redis_client)
    list(body)
    after = reads(redis_client)
    assert {name: n - before[name] for name, n in between.items() if n != before[name]} == at_once
    assert {name: n - between[name] for name, n in after.items() if n != between[name]} == on_the_way


def test_a_document_that_is_not_there_is_missed_before_anything_is_sent(store: Store) -> None:
    with pytest.raises(DocumentMissingError):
        send_body(request(digest(b"never stored")), Documents(store, 20).open)


def test_a_redis_that_is_away_before_the_call_is_told_as_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = kept(store, LARGE)
    monkeypatch.setattr(store.documents, "piece", Mock(side_effect=redis.ConnectionError))
    with pytest.raises(redis.ConnectionError):
        send_body(request(name), Documents(store, 20).open)


def failing(store: Store, monkeypatch: pytest.MonkeyPatch, *failures: Any) -> Mock:
    """From the document's second piece on something else happens: an error, or what a function does."""
    real, left = store.documents.piece, list(failures)

    def piece(name: str, start: int, end: int) -> bytes:
        if start and left:
            failure = left.pop(0)
            if isinstance(failure, BaseException):
                raise failure
            failure()
        return real(name, start, end)

    read = Mock(side_effect=piece)
    monkeypatch.setattr(store.documents, "piece", read)
    return read


def test_a_document_that_goes_away_half_sent_leaves_a_doubt_and_ifax_takes_nothing(
    sandbox: tuple[SandboxServer, int],
    store: Store,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, before = sandbox
    body = opened(store, LARGE)
    failing(store, monkeypatch, redis_client.flushdb)
    marked = Mock()
    answer = call(server, body, marked)
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "document_lost")
    assert marked.call_count == 1
    assert len(server.ledger()) == before


def test_a_document_that_is_another_kind_of_key_half_sent_leaves_a_doubt(
    sandbox: tuple[SandboxServer, int],
    store: Store,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, before = sandbox
    body = opened(store, LARGE)
    key = store.keys.document(digest(LARGE).removeprefix("sha256:"))

    def replace() -> None:
        redis_client.delete(key)
        redis_client.rpush(key, "no document")

    failing(store, monkeypatch, replace)
    answer = call(server, body)
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "document_unread")
    assert len(server.ledger()) == before


def test_a_redis_that_is_away_for_a_while_is_waited_for_and_the_fax_arrives_whole(
    sandbox: tuple[SandboxServer, int], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, before = sandbox
    monkeypatch.setattr(patience, "AWAY", 0.01)
    body = opened(store, LARGE)
    failing(store, monkeypatch, redis.ConnectionError(), redis.TimeoutError(), OutOfMemoryError())
    assert call(server, body).decision is Decision.ACCEPTED
    assert len(server.ledger()) == before + 1


@pytest.mark.parametrize("error", [redis.ConnectionError("at host"), redis.TimeoutError("at host")])
def test_a_redis_that_stays_away_leaves_a_doubt_and_ifax_takes_nothing(
    sandbox: tuple[SandboxServer, int], store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    server, before = sandbox
    body = opened(store, LARGE, patience=0)
    failing(store, monkeypatch, *[error] * 100)
    answer = call(server, body)
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "document_unread")
    assert "host" not in answer.message
    assert len(server.ledger()) == before


def test_whatever_else_a_body_raises_half_sent_leaves_a_doubt(sandbox: tuple[SandboxServer, int]) -> None:
    server, before = sandbox

    def read(start: int, end: int) -> bytes:
        if start:
            raise ZeroDivisionError(NUMBER)
        return bytes(end)

    body = send_body(request("sha256:aa"), lambda _: Document(3 * PIECE, read))
    answer = call(server, body)
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "unexpected_error")
    assert NUMBER not in answer.message
    assert len(server.ledger()) == before


def test_a_job_whose_document_goes_away_half_sent_is_in_doubt_with_that_reason(
    sandbox: tuple[SandboxServer, int], store: Store, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, before = sandbox
    key = store.keys.document(digest(LARGE).removeprefix("sha256:"))
    entry = json.dumps({"id": "a", "fax": request(kept(store, LARGE))})
    redis_client.xadd(store.keys.intake, {"send": entry})
    make_intake(store).take(read_intake(redis_client, store))
    failing(store, monkeypatch, lambda: redis_client.delete(key))
    with IfaxClient(server.url, timeout=20) as client:
        submitter(store, client, token=lambda: TOKEN).turn("wake")
    events = redis_client.xrange(store.keys.events)
    assert [fields[b"event"] for _, fields in events] == [b"fax.queued", b"fax.in_doubt"]
    assert json.loads(events[-1][1][b"data"])["reason"] == "document_lost"
    assert len(server.ledger()) == before


def test_a_request_is_cut_at_its_deadline_though_its_body_never_comes() -> None:
    cut = threading.Event()

    def read(start: int, end: int) -> bytes:
        if start and not cut.wait(20):
            raise AssertionError("the request is still open long after its deadline")
        return bytes(end - start)

    def take(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass
        cut.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=take, args=(listener,))
        server.start()
        body = Body((b"{", Document(3 * PIECE, read)))
        with IfaxClient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5) as client:
            answer = client.call(Endpoint.SEND, TOKEN, body, lambda: None)
        server.join()
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "write_timeout")


def test_calls_that_are_over_leave_one_watch_at_the_most_and_are_not_cut_by_it(
    sandbox: tuple[SandboxServer, int], store: Store
) -> None:
    server, before = sandbox
    watches = {one.ident for one in threading.enumerate() if one.name == "deadlines"}
    with IfaxClient(server.url, timeout=20) as client:
        for _ in range(3):
            assert client.call(Endpoint.SEND, TOKEN, opened(store, LARGE), lambda: None).job_id
    assert len(server.ledger()) == before + 3
    assert len({one.ident for one in threading.enumerate() if one.name == "deadlines"} - watches) == 1
