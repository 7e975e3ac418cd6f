"""Faxes that are sealed at rest, from intake to the call; keys that are missing burn and lose nothing."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine
from faxline.contract.page_count import digest
from faxline.contract.sealing.keyring import new_key
from faxline.contract.sealing.seals import key_of_document, key_of_request
from faxline_sandbox import Account, SandboxConfig, SandboxServer
from faxline_worker.config.settings import read_settings
from faxline_worker.ifax import Decision, Endpoint, IfaxClient, send_body
from faxline_worker.ifax.requests import PIECE
from faxline_worker.state.documents import StoredDocuments
from faxline_worker.state.store import Store
from faxline_worker.submission.documents import Documents
from tests.stage.daemon import make_intake
from tests.stage.intake import create_group, read_intake
from tests.stage.submitting import LARGE, record, turn

ONE, TWO = new_key("one"), new_key("two")
BOTH = f"{TWO}\n{ONE}"
NUMBER, COVER = "+12025550123", "a cover text that nobody may read"
SMALL = b"a small document"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(accounts={"t": Account()})) as server:
        yield server


@pytest.fixture
def store_of(redis_client: redis.Redis) -> Callable[..., Store]:
    def make(keys: str = "") -> Store:
        settings = {
            "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t",
            "FAXLINE_SEALING_KEYS": keys,
            "FAXLINE_SWEEP": "1",
        }
        store = Store(redis_client, read_settings(settings), "default")
        create_group(store)
        return store

    return make


def take(store: Store, client: Any) -> None:
    """What a dispatcher does with all that was pushed."""
    make_intake(store).take(read_intake(client, store))


def push(url: str, keys: str | None, job: str = "a", *documents: bytes, **more: Any) -> None:
    files = [(f"{i}.txt", data) for i, data in enumerate(documents or (SMALL, LARGE))]
    with FaxLine(url, keys=keys) as line:
        line.send(to=NUMBER, files=files, id=job, message=COVER, **more)


def arrived(server: SandboxServer, *documents: bytes) -> bool:
    """Whether the last fax that the sandbox took is this one, to the byte."""
    files = [
        {"fileName": f"{i}.txt", "fileData": b64encode(data).decode()} for i, data in enumerate(documents)
    ]
    expected = {"faxNumber": NUMBER, "message": COVER, "faxData": files}
    canonical = json.dumps(expected, sort_keys=True, separators=(",", ":"))
    found: str = server.ledger()[-1]["sha256"]
    return found == hashlib.sha256(canonical.encode()).hexdigest()


def everything(client: Any) -> bytes:
    """All that Redis holds, as its own dump has it."""
    found = []
    for key in client.scan_iter():
        match client.type(key):
            case b"string":
                found.append(client.get(key))
            case b"hash":
                found += [part for pair in client.hgetall(key).items() for part in pair]
            case b"stream":
                found += [
                    part for _, fields in client.xrange(key) for pair in fields.items() for part in pair
                ]
            case b"zset":
                found += client.zrange(key, 0, -1)
            case b"set":
                found += client.smembers(key)
        found.append(key)
    return b"\n".join(found)


@pytest.mark.parametrize("pushed_with", [ONE, None], ids=["sealed", "in clear"])
def test_with_keys_no_document_and_no_cover_text_is_found_and_the_fax_arrives_whole(
    store_of: Any, redis_client: Any, redis_url: str, sandbox: SandboxServer, pushed_with: str | None
) -> None:
    store = store_of(ONE)
    push(redis_url, pushed_with)
    marks = [COVER.encode(), SMALL, LARGE[:100], LARGE[-100:]]
    if pushed_with:
        assert not any(mark in everything(redis_client) for mark in marks)
        assert NUMBER.encode() not in everything(redis_client)
    take(store, redis_client)
    assert not any(mark in everything(redis_client) for mark in marks)
    turn(store, sandbox)
    assert record(store, redis_client)["state"] == "submitted"
    assert arrived(sandbox, SMALL, LARGE)
    assert not any(mark in everything(redis_client) for mark in marks)


def test_the_search_finds_what_is_not_sealed(store_of: Any, redis_client: Any, redis_url: str) -> None:
    store = store_of()
    push(redis_url, None)
    take(store, redis_client)
    assert all(mark in everything(redis_client) for mark in (COVER.encode(), SMALL, LARGE))


def test_a_document_inside_an_entry_is_sealed_too(store_of: Any, redis_client: Any, redis_url: str) -> None:
    store = store_of(ONE)
    with FaxLine(redis_url) as line:
        data = b64encode(SMALL).decode()
        fax = {"faxNumber": NUMBER, "faxData": [{"fileName": "a.txt", "fileData": data}]}
        line.push("send", {"id": "a", "fax": fax})
    take(store, redis_client)
    assert SMALL not in everything(redis_client)
    assert data.encode() not in everything(redis_client)
    assert store.documents.read(digest(SMALL))[0] == SMALL


def test_the_same_fax_in_clear_and_sealed_by_whatever_key_is_one(
    store_of: Any, redis_client: Any, redis_url: str
) -> None:
    store = store_of(BOTH)
    for keys in (ONE, None, TWO):
        push(redis_url, keys)
    take(store, redis_client)
    assert [fields[b"event"] for _, fields in redis_client.xrange(store.keys.events)] == [b"fax.queued"]


def test_a_repeat_whose_document_went_with_its_job_is_ignored_and_another_fax_is_rejected(
    store_of: Any, redis_client: Any, redis_url: str
) -> None:
    store = store_of(ONE)
    push(redis_url, ONE)
    take(store, redis_client)
    for data in (SMALL, LARGE):
        redis_client.delete(store.keys.document(digest(data).removeprefix("sha256:")))
    files = [{"fileName": f"{i}.txt", "document": digest(data)} for i, data in enumerate((SMALL, LARGE))]
    fax = {"faxNumber": NUMBER, "message": COVER, "faxData": files}
    with FaxLine(redis_url) as line:
        line.push("send", {"id": "a", "priority": "normal", "fax": fax})
        line.push("send", {"id": "b", "fax": fax})
        line.push("send", {"id": "a", "fax": fax | {"message": "another"}})
    take(store, redis_client)
    events = [(fields[b"event"], fields[b"job"]) for _, fields in redis_client.xrange(store.keys.events)]
    assert events == [(b"fax.queued", b"a"), (b"fax.rejected", b"b"), (b"fax.rejected", b"a")]


def test_an_entry_whose_key_the_daemon_lacks_is_set_aside_and_goes_once_the_key_is_there(
    store_of: Any, redis_client: Any, redis_url: str
) -> None:
    without = store_of(TWO)
    push(redis_url, ONE)
    push(redis_url, TWO, "b", b"another document")
    take(without, redis_client)
    (dead,) = redis_client.xrange(without.keys.dead)
    assert dead[1][b"why"] == b"key_missing"
    assert record(without, redis_client, "a") == {}
    assert record(without, redis_client, "b")["state"] == "queued", "the others go on"
    both = store_of(BOTH)
    order = redis_client.xadd(both.keys.orders, {"order": "redrive"}).decode()
    assert both.orders.redrive(order, dead[0].decode()) == "done"
    take(both, redis_client)
    assert record(both, redis_client, "a")["state"] == "queued"


def test_beyond_the_cap_of_the_dead_no_entry_goes_that_only_lacks_its_key(
    store_of: Any, redis_client: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline_worker.state.streams.DEAD", 2)
    store = store_of(TWO)
    redis_client.xadd(store.keys.status, {"body": "nonsense"}, id="1-1")
    store.streams.set_aside("status", "1-1", "malformed")
    for job in ("a", "b", "c"):
        push(redis_url, ONE, job)
    take(store, redis_client)
    redis_client.xadd(store.keys.status, {"body": "nonsense"}, id="2-1")
    store.streams.set_aside("status", "2-1", "malformed")
    reasons = [fields[b"why"] for _, fields in redis_client.xrange(store.keys.dead)]
    assert reasons == [b"key_missing"] * 3 + [b"malformed"]


def test_an_entry_in_clear_that_makes_our_code_raise_is_set_aside_sealed_and_can_be_put_back(
    store_of: Any, redis_client: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(ONE)
    push(redis_url, None)
    with monkeypatch.context() as patch:
        patch.setattr("faxline_worker.intake.entry_items.check_send", Mock(side_effect=KeyError))
        take(store, redis_client)
    (dead,) = redis_client.xrange(store.keys.dead)
    assert COVER.encode() not in everything(redis_client)
    order = redis_client.xadd(store.keys.orders, {"order": "redrive"}).decode()
    store.orders.redrive(order, dead[0].decode())
    take(store, redis_client)
    assert record(store, redis_client)["state"] == "queued"


@pytest.mark.parametrize("lost", ["the request's", "a document's"])
def test_a_job_whose_key_is_missing_spends_nothing_pauses_the_account_and_goes_once_it_is_there(
    store_of: Any, redis_client: Any, redis_url: str, sandbox: SandboxServer, lost: str
) -> None:
    push(redis_url, ONE)
    before = len(sandbox.ledger())
    take(store_of(ONE if lost == "the request's" else BOTH), redis_client)
    worker = store_of(TWO)
    turn(worker, sandbox)
    assert worker.state().paused == "key_missing"
    job = record(worker, redis_client)
    assert (job["state"], job["attempt"], job["tries"]) == ("queued", "0", "0")
    assert len(sandbox.ledger()) == before
    mended = store_of(BOTH)
    order = redis_client.xadd(mended.keys.orders, {"order": "resume"}).decode()
    mended.orders.pause_or_resume(order, "resume")
    turn(mended, sandbox)
    assert record(mended, redis_client)["state"] == "submitted"
    assert arrived(sandbox, SMALL, LARGE)


def test_a_request_that_was_changed_fails_its_job_before_anything_is_sent(
    store_of: Any, redis_client: Any, redis_url: str, sandbox: SandboxServer
) -> None:
    store = store_of(ONE)
    push(redis_url, ONE)
    take(store, redis_client)
    redis_client.hset(store.keys.job("a"), "request", store.seals.request("another job", "{}"))
    before = len(sandbox.ledger())
    turn(store, sandbox)
    failed = record(store, redis_client, "a")
    assert (failed["state"], failed["reason"], len(sandbox.ledger())) == ("failed", "seal_broken", before)


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 1_000_000])
def test_a_sealed_document_of_any_size_is_read_whole_while_it_is_sent(store_of: Any, size: int) -> None:
    store = store_of(ONE)
    data = LARGE[:size]
    store.documents.store(digest(data), data)
    document = Documents(store, 20).open(digest(data))
    assert document.size == size
    pieces = [document.read(at, min(at + PIECE, size)) for at in range(0, size, PIECE)]
    assert b"".join(pieces) == data


@pytest.mark.parametrize("before", [ONE, ""], ids=["sealed", "in clear"])
def test_a_document_that_is_sealed_anew_half_sent_arrives_whole(
    store_of: Any, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    name = digest(LARGE)
    store_of(before).documents.store(name, LARGE)
    store = store_of(BOTH)
    real, left = StoredDocuments.piece, ["once"]
    whole = StoredDocuments.head_and_piece

    def anew() -> None:
        if left:
            left.pop()
            assert store.documents.reseal(name, store.documents.stored(name))

    def piece(own: StoredDocuments, what: str, start: int, end: int) -> bytes:
        if start:
            anew()
        return real(own, what, start, end)

    def head_and_piece(own: StoredDocuments, what: str, start: int, end: int) -> Any:
        if start:
            anew()
        return whole(own, what, start, end)

    monkeypatch.setattr(StoredDocuments, "piece", piece)
    monkeypatch.setattr(StoredDocuments, "head_and_piece", head_and_piece)
    request = {"faxNumber": NUMBER, "message": COVER, "faxData": [{"fileName": "0.txt", "document": name}]}
    body = send_body(request, Documents(store, 20).open)
    with IfaxClient(sandbox.url, timeout=20) as client:
        assert client.call(Endpoint.SEND, "t", body, lambda: None).decision is Decision.ACCEPTED
    assert left == []
    assert arrived(sandbox, LARGE)


def test_a_sealed_document_that_was_changed_half_sent_leaves_a_doubt(
    store_of: Any, redis_client: Any, sandbox: SandboxServer
) -> None:
    store = store_of(ONE)
    name = digest(LARGE)
    store.documents.store(name, LARGE)
    request = {"faxNumber": NUMBER, "faxData": [{"fileName": "0.txt", "document": name}]}
    body = send_body(request, Documents(store, 20).open)
    redis_client.setrange(store.keys.document(name.removeprefix("sha256:")), 600_000, b"changed")
    before = len(sandbox.ledger())
    with IfaxClient(sandbox.url, timeout=20) as client:
        answer = client.call(Endpoint.SEND, "t", body, lambda: None)
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "document_unread")
    assert len(sandbox.ledger()) == before


def test_a_document_that_was_stored_in_clear_is_sealed_when_an_entry_needs_it(
    store_of: Any, redis_client: Any, redis_url: str
) -> None:
    push(redis_url, None, "a", SMALL)
    store = store_of(ONE)
    take(store, redis_client)
    stored = redis_client.get(store.keys.document(digest(SMALL).removeprefix("sha256:")))
    assert key_of_document(stored) == "one"
    assert key_of_request(record(store, redis_client)["request"]) == "one"
