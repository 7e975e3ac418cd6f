"""With keys no document and no cover text is ever on Redis' disk; what is forgotten is gone."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline.contract.sealing.keyring import new_key
from faxline_local.stack import Local
from tests.clusters import nodes_of
from tests.stage.marks import MARK

pytestmark = pytest.mark.slow

ONE, TWO = new_key("one"), new_key("two")
SETTINGS = {
    "SEALING_KEYS": json.dumps([TWO, ONE]),
    "DOCUMENT_GRACE": "0",
    "SWEEP": "0.5",
    "WAKE_LEASE": "2",
    "LIMITS__REQUESTS": "5000",
    "LIMITS__BURST": "400",
}
SANDBOX = (
    *("--call-seconds", "0.2", "--page-seconds", "0.02", "--answer-seconds", "0.05", "0.2"),
    *("--time-scale", "0.001", "--burst", "400", "--requests", "5000"),
)
LARGE = b"".join(f"{MARK} {i:07} ".encode() for i in range(50_000))
"""Far more than a piece, and no two pieces alike."""


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("logs")
    with make_local(folder, workers=2, threads=10, settings=SETTINGS, sandbox=SANDBOX) as running:
        with connect(running.redis_url) as client:
            for node in nodes_of(client):
                node.config_set("rdbcompression", "no")  # else LZF may hide a text from the search
        yield running


@pytest.fixture
def client(local: Local) -> Iterator[redis.Redis]:
    with connect(local.redis_url) as made:
        yield made


@pytest.fixture
def line(local: Local) -> Iterator[FaxLine]:
    with FaxLine(local.redis_url, keys=ONE) as made:
        yield made


def on_disk(client: Any) -> bytes:
    """All that Redis has on its disk: the append-only file with every command, and a dump of this moment."""
    found = []
    for node in nodes_of(client):
        node.save()
        folder = Path(str(cast("Any", node.config_get("dir"))["dir"]))
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".log"]
        assert len(files) >= 2, "the dump and the append-only file"
        found += [path.read_bytes() for path in files]
    return b"".join(found)


def rewritten(client: Any, wait_until: Callable[..., Any]) -> None:
    """The append-only file is written anew, without what is over."""
    nodes: list[Any] = nodes_of(client)
    for node in nodes:
        node.bgrewriteaof()
    words = ("in_progress", "scheduled")
    wait_until(
        lambda: not any(node.info("persistence")[f"aof_rewrite_{word}"] for node in nodes for word in words),
        timeout=30,
    )


def push(line: FaxLine, job: str, number: str, *documents: bytes) -> None:
    files = [(f"{i}.txt", data) for i, data in enumerate(documents)]
    line.send(to=number, files=files, id=job, subject=job, message=f"Dear {MARK}")


def arrived(local: Local, job: str, number: str, *documents: bytes) -> int:
    """How many times the sandbox took just this fax, to the byte."""
    files = [
        {"fileName": f"{i}.txt", "fileData": b64encode(data).decode()} for i, data in enumerate(documents)
    ]
    whole = {"faxNumber": number, "subject": job, "message": f"Dear {MARK}", "faxData": files}
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    of_job = [fax["sha256"] for fax in local.ledger() if fax["subject"] == job]
    assert set(of_job) <= {digest}, "it is another fax"
    return len(of_job)


def test_no_document_and_no_cover_text_is_on_the_disk_at_any_moment_and_every_fax_arrives_whole(
    local: Local, line: FaxLine, client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    faxes = {f"sealed-{i}": f"+1202{6_100_000 + i}" for i in range(30)}
    for job, number in faxes.items():
        push(line, job, number, f"{MARK} {job}".encode(), LARGE)

    looks = []

    def over() -> bool:
        disk = on_disk(client)
        assert MARK.encode() not in disk
        assert b64encode(LARGE[:300])[:-4] not in disk
        states = [client.hget(line.keys.job(job), "state") for job in faxes]
        looks.append(states)
        return all(state == b"delivered" for state in states)

    wait_until(over, timeout=60)
    assert any(states.count(b"delivered") < len(faxes) for states in looks), "it was looked at under way"
    assert [
        arrived(local, job, number, f"{MARK} {job}".encode(), LARGE) for job, number in faxes.items()
    ] == [1] * 30
    wait_until(lambda: not list(client.scan_iter(line.keys.document("*"))))
    assert {client.hget(line.keys.job(job), "request") for job in faxes} == {b""}


def test_the_search_of_the_disk_finds_what_is_not_sealed(client: redis.Redis) -> None:
    client.set("in clear", "a text in clear")
    assert b"a text in clear" in on_disk(client)
    client.delete("in clear")


def test_what_a_number_left_is_not_on_the_disk_once_it_is_forgotten(
    line: FaxLine, client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    number = "+12026200001"
    for i in range(3):
        push(line, f"forgotten-{i}", number, b"a document")
    for i in range(3):
        assert line.wait(f"forgotten-{i}", timeout=60).state is JobState.DELIVERED
    rewritten(client, wait_until)
    assert number.encode() in on_disk(client), "the records have it"
    assert line.forget_number(number, by="test", timeout=30).jobs == 3
    rewritten(client, wait_until)
    disk = on_disk(client)
    assert number[1:].encode() not in disk
    assert b"forgotten-0" in disk, "the audit has the id"


def test_a_rotation_under_load_loses_no_fax_and_leaves_nothing_by_the_old_key(
    local: Local, line: FaxLine, client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    faxes = {f"turned-{i}": f"+1202{6_300_000 + i}" for i in range(60)}
    line.pause(by="test", timeout=20)
    for job, number in faxes.items():
        push(line, job, number, LARGE[len(job) :], f"a small one for {job}".encode())
    wait_until(lambda: client.xlen(line.keys.intake) == 0, timeout=30)
    before = line.sealed_values(by="test", timeout=30).by_kind["documents"]
    assert before == {"one": 62}
    line.resume(by="test", timeout=20)
    wait_until(lambda: client.zcard(line.keys.permits) > 0)
    values = line.rotate_keys(by="test", timeout=60)
    assert values.resealed.get("documents", 0) > 0
    assert "one" not in values.by_kind["documents"]
    assert {line.wait(job, timeout=90).state for job in faxes} == {JobState.DELIVERED}
    assert [
        arrived(local, job, number, LARGE[len(job) :], f"a small one for {job}".encode())
        for job, number in faxes.items()
    ] == [1] * 60
    assert {line.job(job).attempt for job in faxes} == {1}
