"""Orders that take their time: jobs and numbers are forgotten, everything is sealed anew."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine, JobNotFound, NoKeys, NotForgotten
from faxline.contract.page_count import digest
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import new_key
from faxline_worker.config.settings import read_settings
from faxline_worker.maintenance import long_orders
from faxline_worker.maintenance.long_orders import Maintenance
from faxline_worker.maintenance.outcome import MaintenanceBusyError
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import make_dispatcher

ONE, TWO = new_key("one"), new_key("two")
BOTH = f"{TWO}\n{ONE}"
NUMBER, OTHER = "+12025550123", "+12025550199"
DOCUMENT = b"a document"
METADATA = {"patient": "metadata that nobody may find again"}


def store_of(client: redis.Redis, keys: str = ONE) -> Store:
    settings = {
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "t",
        "FAXLINE_SEALING_KEYS": keys,
        "FAXLINE_SWEEP": "0.2",
        "FAXLINE_DOCUMENT_GRACE": "1000",
        "FAXLINE_NUMBERS__CONCURRENT": "0",
    }
    return Store(client, read_settings(settings), "default")


@pytest.fixture
def running(redis_url: str) -> Iterator[Callable[..., Store]]:
    """`running(keys)`: a dispatcher with these keys, in the place of the one before; its store."""
    made: list[Any] = []

    def stop() -> None:
        while made:
            dispatcher, client = made.pop()
            dispatcher.stop()
            client.close()

    def start(keys: str = ONE) -> Store:
        stop()
        client = redis.Redis.from_url(redis_url)
        store = store_of(client, keys)
        dispatcher = make_dispatcher(client, {"default": store}, consumer=f"dispatcher-{len(made)}")
        dispatcher.start()
        made.append((dispatcher, client))
        return store

    yield start
    stop()


@pytest.fixture
def line(redis_url: str) -> Iterator[FaxLine]:
    with FaxLine(redis_url, keys=ONE) as made:
        yield made


@pytest.fixture
def pushed(line: FaxLine, wait_until: Callable[..., Any]) -> Callable[..., None]:
    def push(job: str, number: str = NUMBER, **more: Any) -> None:
        files = [("a.txt", DOCUMENT)]
        line.send(to=number, files=files, id=job, metadata=METADATA, message="a cover text", **more)
        wait_until(lambda: registered(line, job))

    return push


def registered(line: FaxLine, job: str) -> bool:
    try:
        return bool(line.job(job))
    except JobNotFound:
        return False


def deliver(store: Store, job: str, job_id: str) -> None:
    admitted = store.submission.admit(f"permit-{job_id}", "")
    assert isinstance(admitted, Admitted)
    assert admitted.job == job
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id})
    receipt(store, job_id)


def receipt(store: Store, job_id: str) -> str:
    entry: Any = store.client.xadd(store.keys.status, {"kind": "receipt"})
    receipt = {"job_id": job_id, "outcome": "delivered", "to": NUMBER, "code": 0}
    return store.receipts.apply([(entry.decode(), receipt)])[0].result


def found(client: Any, *texts: str) -> list[str]:
    """The keys that hold one of the texts, or have it in their name."""
    keys = []
    for key in client.scan_iter():
        match client.type(key):
            case b"string":
                held = client.get(key)
            case b"hash":
                held = repr(client.hgetall(key)).encode()
            case b"stream":
                held = repr(client.xrange(key)).encode()
            case b"zset":
                held = repr(client.zrange(key, 0, -1)).encode()
            case _:
                held = repr(client.smembers(key)).encode()
        if any(text.encode() in key + b" " + held for text in texts):
            keys.append(key.decode())
    return sorted(keys)


def test_a_job_that_is_forgotten_leaves_its_id_in_the_audit_and_nothing_else(
    running: Any, line: FaxLine, pushed: Any, redis_client: Any
) -> None:
    store = running()
    pushed("a-job", group="mailing")
    deliver(store, "a-job", "77")
    store.streams.set_aside(
        "status", redis_client.xadd(store.keys.status, {"body": "{}"}).decode(), "malformed"
    )
    redis_client.xadd(
        store.keys.dead, {"stream": "intake", "entry": "1-0", "why": "KeyError", "send": '{"id":"a-job"}'}
    )
    done = line.forget("a-job", by="me@here", timeout=20)
    assert (done.jobs, done.events, done.set_aside) == (1, 3, 1)
    left = found(redis_client, "a-job")
    assert [key for key in left if not key.startswith(store.keys.reply(""))] == [store.keys.audit]
    assert all(redis_client.pttl(key) > 0 for key in left if key != store.keys.audit)
    assert found(redis_client, NUMBER, METADATA["patient"]) == []
    assert not redis_client.exists(store.keys.document(digest(DOCUMENT).removeprefix("sha256:")))
    assert redis_client.xlen(store.keys.dead) == 1, "what is about others stays"
    assert receipt(store, "77") == "repeated", "a late receipt finds nobody"
    with pytest.raises(JobNotFound):
        line.forget("a-job", by="me@here", timeout=20)


def test_a_forgotten_jobs_document_stays_while_another_job_needs_it(
    running: Any, line: FaxLine, pushed: Any, redis_client: Any
) -> None:
    store = running()
    pushed("a")
    deliver(store, "a", "77")
    pushed("b")
    line.forget("a", by="me@here", timeout=20)
    assert redis_client.exists(store.keys.document(digest(DOCUMENT).removeprefix("sha256:")))
    assert store.documents.read(digest(DOCUMENT))[0] == DOCUMENT


def test_a_job_that_has_not_ended_is_not_forgotten_and_the_error_says_what_to_do(
    running: Any, line: FaxLine, pushed: Any
) -> None:
    running()
    pushed("a")
    with pytest.raises(NotForgotten, match="cancel it first") as caught:
        line.forget("a", by="me@here", timeout=20)
    assert caught.value.state == "queued"
    assert line.job("a").state == "queued"


def test_a_job_that_redis_has_no_more_is_left_to_the_archive_if_there_is_one(
    running: Any, line: FaxLine, redis_client: redis.Redis
) -> None:
    running()
    with pytest.raises(JobNotFound):
        line.forget("gone", by="me@here", timeout=20)
    redis_client.hset(RedisKeys("default").account_state, "archive", "1")
    done = line.forget("gone", by="me@here", timeout=20)
    assert (done.jobs, done.archive, done.to_dict()["archive"]) == (0, True, True)


def test_all_of_a_number_is_forgotten_but_jobs_that_have_not_ended(
    running: Any, line: FaxLine, pushed: Any, redis_client: Any, wait_until: Callable[..., Any]
) -> None:
    store = running()
    for i in range(3):
        pushed(f"a{i}")
        deliver(store, f"a{i}", str(100 + i))
    pushed("other", OTHER)
    deliver(store, "other", "200")
    pushed("open")
    assert receipt(store, "999") == "unmatched"
    done = line.forget_number(NUMBER, by="me@here", timeout=20)
    assert (done.jobs, done.open, done.events, done.set_aside) == (3, 1, 9, 0)
    assert store.keys.job_ids + "999" in found(redis_client, NUMBER), "it may be the word on the open one"
    line.cancel("open")
    wait_until(lambda: line.job("open").state.final)
    redis_client.xadd(
        store.keys.dead,
        {"stream": "status", "entry": "1-0", "why": "malformed", "body": f'{{"toNumber":"{NUMBER}"}}'},
    )
    done = line.forget_number("+1 (202) 555-0123", by="me@here", timeout=20)
    assert (done.jobs, done.open, done.set_aside, done.unsent) == (1, 0, 1, 0)
    assert found(redis_client, NUMBER, NUMBER[1:]) == []
    assert found(redis_client, OTHER) == [store.keys.job("other")]
    last = line.audit()[-1]
    assert (last.what, last.who, last.about) == ("forget", "me@here", "…0123")


def fax_to(number: object, job: str = "z", **more: Any) -> dict[str, Any]:
    return {"id": job, "fax": {"faxNumber": number, "faxData": []}, **more}


def set_aside(store: Store, fields: dict[str, Any]) -> str:
    stream = "status" if "body" in fields else "intake"
    known: dict[str, Any] = {"stream": stream, "entry": "1-0", "why": "E"}
    entry: Any = store.client.xadd(store.keys.dead, known | fields)
    return str(entry.decode())


@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        ("send", fax_to(NUMBER + "168")),
        ("send", fax_to(OTHER, metadata={"invoice": NUMBER[1:]})),
        ("send", fax_to([OTHER, NUMBER + "1"])),
        ("resend", {"id": "z", "of": "a", "faxNumber": OTHER, "metadata": {"was": NUMBER}}),
        ("cancel", {"id": NUMBER[1:]}),
        ("body", {"toNumber": NUMBER + "168", "fromNumber": OTHER}),
        ("body", {"toNumber": OTHER, "message": f"redirected to {NUMBER}"}),
        ("body", {"toNumber": NUMBER[:4] + "1" + NUMBER[5:]}),
        ("send", f"not JSON: {NUMBER}"),
    ],
)
def test_what_was_set_aside_of_others_stays_wherever_a_forgotten_number_stands_in_it(
    running: Any, line: FaxLine, kind: str, entry: object
) -> None:
    store = running()
    dead = set_aside(store, {kind: entry if isinstance(entry, str) else json.dumps(entry)})
    done = line.forget_number(NUMBER, by="me@here", timeout=20)
    assert (done.set_aside, done.unsent) == (0, 0)
    assert [one.id for one in line.dead()] == [dead]


@pytest.mark.parametrize(
    "body",
    [
        {"jobId": 1, "toNumber": NUMBER},
        {"data": {"to_number": f" {NUMBER[1:]} ", "faxStatus": "odd"}},
        {"toNumber": OTHER, "fromNumber": NUMBER},
        {"toNumber": NUMBER[2:]},
    ],
)
def test_a_receipt_that_was_set_aside_goes_with_the_number_of_its_recipient_or_sender(
    running: Any, line: FaxLine, body: dict[str, Any]
) -> None:
    store = running()
    set_aside(store, {"body": json.dumps(body)})
    assert line.forget_number(NUMBER, by="me@here", timeout=20).set_aside == 1
    assert line.dead() == []


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        ("send", fax_to(NUMBER)),
        ("send", fax_to([OTHER, NUMBER])),
        ("resend", {"id": "z", "of": "other", "faxNumber": NUMBER}),
    ],
)
def test_a_fax_that_was_set_aside_unsent_stays_with_the_forgotten_number_and_is_counted(
    running: Any, line: FaxLine, kind: str, entry: dict[str, Any], sealed: bool
) -> None:
    store, text = running(), json.dumps(entry)
    dead = set_aside(store, {kind: line._context.seals.entry(kind, entry, text) if sealed else text})
    done = line.forget_number(NUMBER, by="me@here", timeout=20)
    assert (done.set_aside, done.unsent, done.to_dict()["unsent"]) == (0, 1, 1)
    assert [one.id for one in line.dead()] == [dead]
    line.drop(dead, by="me@here", timeout=20)
    assert "unsent" not in line.forget_number(NUMBER, by="me@here", timeout=20).to_dict()


def test_a_job_whose_resend_was_set_aside_is_not_forgotten_with_its_number(
    running: Any, line: FaxLine, pushed: Any
) -> None:
    store = running()
    for i, job in enumerate(("a", "b")):
        pushed(job)
        deliver(store, job, str(100 + i))
    dead = set_aside(store, {"resend": json.dumps({"id": "z", "of": "a"})})
    done = line.forget_number(NUMBER, by="me@here", timeout=20)
    assert (done.jobs, done.unsent) == (1, 1)
    assert line.job("a").state == "delivered"
    line.redrive(dead, by="me@here", timeout=20)


def test_everything_is_sealed_anew_and_the_old_key_can_be_taken_away(
    running: Any, line: FaxLine, pushed: Any, redis_client: Any
) -> None:
    old = running(ONE)
    pushed("a")
    pushed("b")
    redis_client.set(old.keys.document(digest(b"in clear").removeprefix("sha256:")), b"in clear")
    redis_client.hset(old.keys.job("b"), "request", '{"faxNumber":"+12025550123","faxData":[]}')
    push = line._context.seals.entry("send", {"id": "z"}, '{"id":"z"}')
    for i, text in enumerate((push, '{"id":"y"}')):
        redis_client.xadd(
            old.keys.dead, {"stream": "intake", "entry": f"{i}-0", "why": "KeyError", "send": text}
        )
    running(BOTH)
    values = line.rotate_keys(by="me@here", timeout=20)
    assert values.by_kind == {
        "documents": {"two": 2},
        "uploads": {},
        "requests": {"two": 2},
        "entries": {},
        "set_aside": {"two": 2},
    }
    new = store_of(redis_client, TWO)
    assert new.documents.read(digest(DOCUMENT))[0] == DOCUMENT
    assert new.documents.read(digest(b"in clear"))[0] == b"in clear"
    kept = redis_client.hget(new.keys.job("a"), "request").decode()
    assert json.loads(new.seals.open_request("a", kept))["message"] == "a cover text"


def test_a_value_that_changes_while_it_is_sealed_anew_is_left_alone(redis_client: redis.Redis) -> None:
    store = store_of(redis_client, BOTH)
    name = digest(b"one")
    store.documents.store(name, b"one")
    before = store.documents.stored(name)
    assert before is not None
    redis_client.set(store.keys.document(name.removeprefix("sha256:")), b"another")
    assert not store.documents.reseal(name, before)
    assert store.documents.stored(name) == b"another"
    redis_client.hset(store.keys.job("a"), "request", "")
    assert not store.maintenance.reseal_request("a", "{}")
    assert redis_client.hget(store.keys.job("a"), "request") == b""
    redis_client.delete(store.keys.job("a"))
    assert not store.maintenance.reseal_request("a", "{}")
    assert not redis_client.exists(store.keys.job("a"))


def test_a_document_that_is_sealed_anew_keeps_its_time_to_live(redis_client: redis.Redis) -> None:
    name = digest(b"one")
    key = "fax:{default}:document:" + name.removeprefix("sha256:")
    store_of(redis_client, ONE).documents.store(name, b"one")
    redis_client.pexpire(key, 5_000_000)
    store = store_of(redis_client, BOTH)
    stored = store.documents.stored(name)
    assert stored is not None
    assert store.documents.reseal(name, stored)
    assert 4_000_000 < int(redis_client.pttl(key)) <= 5_000_000


def test_a_value_whose_key_is_gone_is_told_and_the_others_are_sealed_anew(
    running: Any, line: FaxLine, redis_client: redis.Redis
) -> None:
    gone = store_of(redis_client, new_key("gone"))
    gone.documents.store(digest(b"lost"), b"lost")
    store_of(redis_client, ONE).documents.store(digest(b"found"), b"found")
    running(BOTH)
    values = line.rotate_keys(by="me@here", timeout=20)
    assert values.resealed == {"documents": 1, "failed": 1}
    assert values.by_kind["documents"] == {"two": 1, "gone": 1}


def test_without_keys_nothing_is_sealed_anew_and_what_is_in_clear_is_counted(
    running: Any, redis_url: str, redis_client: redis.Redis
) -> None:
    store_of(redis_client, "").documents.store("sha256:" + "ab" * 32, b"in clear")
    running("")
    with FaxLine(redis_url) as line:
        with pytest.raises(NoKeys, match="FAXLINE_SEALING_KEYS"):
            line.rotate_keys(by="me@here", timeout=20)
        assert line.sealed_values(by="me@here", timeout=20).by_kind["documents"] == {"": 1}


def test_of_two_dispatchers_one_carries_an_order_out_and_the_other_waits(redis_client: redis.Redis) -> None:
    store = store_of(redis_client)
    assert store.maintenance.lock("another", 30)
    entry: Any = redis_client.xadd(store.keys.orders, {"order": "keys"})
    with pytest.raises(MaintenanceBusyError):
        Maintenance(store, Mock(), "this").carry_out(entry.decode(), {"order": "keys"})
    assert redis_client.xlen(store.keys.orders) == 1
    redis_client.delete(store.keys.maintenance_lock)
    assert Maintenance(store, Mock(), "this").carry_out(entry.decode(), {"order": "keys"}) == "done"
    assert redis_client.xlen(store.keys.orders) == redis_client.exists(store.keys.maintenance_lock) == 0


def test_a_dispatcher_whose_lock_ran_out_leaves_its_successors_lock_alone(redis_client: redis.Redis) -> None:
    store = store_of(redis_client)
    entry: Any = redis_client.xadd(store.keys.orders, {"order": "keys"})
    assert store.maintenance.lock("frozen", 30)
    redis_client.delete(store.keys.maintenance_lock)
    assert store.maintenance.lock("successor", 30)
    assert store.maintenance.complete_order(entry.decode(), {"order": "keys"}, "done", {}, "frozen") == "done"
    assert not store.maintenance.lock("third", 30)


def test_an_order_whose_dispatcher_ends_in_the_middle_stays_for_the_next(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(redis_client, BOTH)
    for data in (b"one", b"two", b"three"):
        redis_client.set(store.keys.document(digest(data).removeprefix("sha256:")), data)
    calls = iter([False, False, True])
    entry: Any = redis_client.xadd(store.keys.orders, {"order": "rotate"})
    house = Maintenance(store, Mock(), "this", stopping=lambda: next(calls))
    with pytest.raises(MaintenanceBusyError):
        house.carry_out(entry.decode(), {"order": "rotate"})
    assert redis_client.xlen(store.keys.orders) == 1
    monkeypatch.setattr(long_orders, "LEASE", 0.001)
    redis_client.delete(store.keys.maintenance_lock)
    assert Maintenance(store, Mock(), "next").carry_out(entry.decode(), {"order": "rotate"}) == "done"
    heads = dict(store.documents.heads())
    assert len(heads) == 3
    assert all(head.startswith(b"\x93FAXSEAL") for head in heads.values())


def test_the_command_makes_keys_rotates_counts_and_forgets(
    running: Any, cli: Any, pushed: Any, wait_until: Callable[..., Any], line: FaxLine
) -> None:
    running(BOTH)
    pushed("a")
    code, out, _ = cli("keys", "new", "--id", "three")
    assert (code, out.startswith("three:"), len(out)) == (0, True, 51)
    assert cli("keys", "new", "--id", "a b")[0] == 2
    code, out, _ = cli("keys", "--json", "--timeout", "20")
    assert json.loads(out)["sealed"]["documents"] == {"one": 1}
    code, out, _ = cli("keys", "rotate", "--timeout", "20")
    assert code == 0
    assert [row.split() for row in out.splitlines()[1:]] == [
        ["key", "documents", "uploads", "requests", "entries", "set", "aside"],
        ["two", "1", "0", "1", "0", "0"],
    ]
    code, out, error = cli("forget", "a", "--timeout", "20")
    assert (code, "cancel it first" in error) == (2, True)
    line.cancel("a")
    wait_until(lambda: line.job("a").state.final)
    code, out, _ = cli("forget", "a", "--json", "--timeout", "20")
    assert (code, json.loads(out)) == (
        0,
        {"job": "a", "forgotten": 1, "open": 0, "events": 2, "set_aside": 0},
    )
    code, out, _ = cli("forget", "--number", NUMBER, "--timeout", "20")
    assert out == "…0123: 0 jobs are forgotten, with 0 events and 0 entries that were set aside\n"
    code, out, _ = cli("forget", "--number", "+1 202 555 0124", "--number", NUMBER, "--timeout", "20")
    assert [line.partition(":")[0] for line in out.splitlines()] == ["…0124", "…0123"]
    assert cli("forget", "--number", NUMBER, "--number", "12", "--timeout", "20")[:2] == (2, "")
    assert cli("forget")[0] == cli("forget", "a", "--number", NUMBER)[0] == 2
    assert cli("forget", "nobody", "--timeout", "20")[0] == 4
