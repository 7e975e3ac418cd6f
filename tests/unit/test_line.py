"""`FaxLine` on a real server: what it pushes, what it follows, and what it says when it cannot."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import FaxLine, JobNotFound, JobRejected, JobState, QueueUnavailable, WaitTimeout
from faxline.documents import digest
from faxline.errors import EntryRejected

TO = "+12345678901"
URL = "https://example.com/a.pdf"


@pytest.fixture
def line(redis_url: str) -> Iterator[FaxLine]:
    with FaxLine(redis_url) as line:
        yield line


@pytest.fixture
def emit(redis_client: redis.Redis, line: FaxLine) -> Callable[..., str]:
    """Write an event, and the job's record with its state, as the daemon would."""

    def write(name: str, job: str, state: str = "", **data: Any) -> str:
        if state:
            redis_client.hset(line.keys.job(job), mapping={"state": state, "n": "0"})
        fields: Any = {"event": f"fax.{name}", "job": job, "at": 1, "data": json.dumps(data)}
        entry: Any = redis_client.xadd(line.keys.events, fields)
        return str(entry.decode())

    return write


def pushed(client: redis.Redis, line: FaxLine) -> list[tuple[str, dict[str, Any]]]:
    entries: Any = client.xrange(line.keys.intake)
    return [(k.decode(), json.loads(v)) for _, fields in entries for k, v in fields.items()]


def blocked(client: redis.Redis) -> bool:
    clients: Any = client.client_list()
    return any(other["cmd"] in {"xread", "xreadgroup"} and "b" in other["flags"] for other in clients)


def test_a_fax_is_pushed_as_one_field_named_send(line: FaxLine, redis_client: redis.Redis) -> None:
    job = line.send(to=TO, files=[URL], id="a", priority="urgent", subject="Hello", metadata={"x": 1})
    fax = {"faxNumber": TO, "faxData": [{"fileName": "a.pdf", "fileUrl": URL}], "subject": "Hello"}
    expected = {"id": "a", "priority": "urgent", "metadata": {"x": 1}, "fax": fax}
    assert pushed(redis_client, line) == [("send", expected)]
    assert (job.id, job.state, job.priority) == ("a", JobState.INTAKE, "urgent")


def test_a_fax_without_an_id_gets_one_of_its_own(line: FaxLine) -> None:
    assert line.send(to=TO, files=[URL]).id != line.send(to=TO, files=[URL]).id


def test_a_fax_that_breaks_a_rule_is_not_pushed(line: FaxLine, redis_client: redis.Redis) -> None:
    with pytest.raises(EntryRejected):
        line.send(to="12345", files=[URL])
    with pytest.raises(EntryRejected):
        line.send(to=TO, files=[("a.pdf", b"no pdf")])
    assert redis_client.dbsize() == 0


def test_documents_are_stored_once_as_bytes(line: FaxLine, redis_client: redis.Redis, tmp_path: Path) -> None:
    data = bytes(range(256))
    (tmp_path / "a.bin").write_bytes(data)
    files: dict[str, str | Path | tuple[str, bytes]] = {
        "a": tmp_path / "a.bin",
        "b": ("b.bin", data),
        "c": str(tmp_path / "a.bin"),
    }
    for id_, file in files.items():
        line.send(to=TO, files=[file], id=id_)
    key = line.keys.document(digest(data).removeprefix("sha256:"))
    assert redis_client.get(key) == data
    assert set(redis_client.keys()) == {key.encode(), line.keys.intake.encode()}
    assert {entry["fax"]["faxData"][0]["document"] for _, entry in pushed(redis_client, line)} == {
        digest(data)
    }


def test_a_push_prolongs_a_documents_life_and_never_shortens_it(
    line: FaxLine, redis_client: redis.Redis, redis_url: str
) -> None:
    key = line.keys.document(digest(b"x").removeprefix("sha256:"))

    def left(ttl: float) -> Any:
        with FaxLine(redis_url, document_ttl=ttl) as other:
            other.send(to=TO, files=[("a", b"x")])
        return redis_client.pttl(key)

    assert 0 < left(1000) <= 1_000_000
    assert left(5000) > 4_000_000
    assert left(1000) > 4_000_000


def test_cancel_resend_and_push_add_their_entries(line: FaxLine, redis_client: redis.Redis) -> None:
    line.cancel("a")
    again = line.resend("a", to=TO, id="b", priority="bulk", metadata={"x": 1})
    line.push("cancel", {"id": "b"})
    resend = {"id": "b", "of": "a", "faxNumber": TO, "priority": "bulk", "metadata": {"x": 1}}
    assert pushed(redis_client, line) == [
        ("cancel", {"id": "a"}),
        ("resend", resend),
        ("cancel", {"id": "b"}),
    ]
    assert (again.id, again.of, again.kind) == ("b", "a", "resend")


def test_a_job_without_a_record_is_not_found(line: FaxLine) -> None:
    with pytest.raises(JobNotFound):
        line.job("a")


def test_waiting_ends_with_the_job(
    line: FaxLine, emit: Callable[..., str], redis_client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    job, found = line.send(to=TO, files=[URL], id="a"), []
    waiter = threading.Thread(target=lambda: found.append(line.wait(job, timeout=30)))
    waiter.start()
    wait_until(lambda: blocked(redis_client))
    emit("queued", "a", "queued")
    emit("delivered", "b", "delivered")
    emit("delivered", "a", "delivered")
    waiter.join(20)
    assert [job.state for job in found] == [JobState.DELIVERED]


def test_waiting_for_a_job_that_has_ended_returns_it(line: FaxLine, emit: Callable[..., str]) -> None:
    emit("failed", "a", "failed")
    assert line.wait("a", timeout=5).state is JobState.FAILED


def test_waiting_misses_no_event_between_the_look_and_the_read(
    line: FaxLine, emit: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emit("queued", "a", "queued")
    look = line._client.hgetall

    def record(key: str) -> Any:
        found = look(key)
        if found[b"state"] == b"queued":
            emit("delivered", "a", "delivered")
        return found

    monkeypatch.setattr(line._client, "hgetall", record)
    assert line.wait("a", timeout=20).state is JobState.DELIVERED


def test_waiting_longer_than_allowed_is_told(line: FaxLine) -> None:
    with pytest.raises(WaitTimeout):
        line.wait("a", timeout=0.01)


def test_waiting_for_a_rejected_entry_tells_why(line: FaxLine, emit: Callable[..., str]) -> None:
    job = line.send(to=TO, files=[URL], id="a")
    emit("rejected", "a", reason="id_reused", member="id", message="taken", entry=job.entry)
    for waited in (job, "a"):
        with pytest.raises(JobRejected) as caught:
            line.wait(waited, timeout=5)
        assert (caught.value.member, caught.value.reason) == ("id", "id_reused")


def test_the_rejection_of_an_earlier_push_is_not_taken_for_this_ones(
    line: FaxLine, emit: Callable[..., str]
) -> None:
    first = line.send(to=TO, files=[URL], id="a")
    emit("rejected", "a", reason="bad_document", entry=first.entry)
    second = line.send(to=TO, files=[URL], id="a")
    with pytest.raises(WaitTimeout):
        line.wait(second, timeout=0.01)


def test_a_reason_of_a_newer_daemon_is_still_a_rejection(line: FaxLine, emit: Callable[..., str]) -> None:
    emit("rejected", "a", reason="of_tomorrow", message="why")
    with pytest.raises(JobRejected, match="of_tomorrow: why"):
        line.wait("a", timeout=5)


def test_events_are_followed_from_the_call_on(line: FaxLine, emit: Callable[..., str]) -> None:
    emit("queued", "before")
    events = line.events(timeout=20)
    emit("queued", "after")
    assert next(events).job == "after"


def test_kept_events_are_read_from_the_start_or_after_an_id(line: FaxLine, emit: Callable[..., str]) -> None:
    first = emit("queued", "a")
    emit("queued", "b")
    assert [event.job for event in line.events(after="0", timeout=0.01)] == ["a", "b"]
    assert [event.job for event in line.events(after=first, timeout=0.01)] == ["b"]


@pytest.mark.parametrize("protocol", [2, 3])
def test_events_are_read_on_either_protocol(emit: Callable[..., str], redis_url: str, protocol: int) -> None:
    emit("queued", "a")
    with redis.Redis.from_url(redis_url, protocol=protocol) as client:
        assert [event.job for event in FaxLine(client).events(after="0", timeout=0.05)] == ["a"]


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_group_takes_an_event_that_was_not_finished_again(
    emit: Callable[..., str], redis_url: str, protocol: int
) -> None:
    emit("queued", "a")
    emit("queued", "b")
    with redis.Redis.from_url(redis_url, protocol=protocol) as client:
        other = FaxLine(client)
        events = other.events(group="billing", timeout=20)
        assert [next(events).job, next(events).job] == ["a", "b"]  # asking for b finished a
        events.close()  # type: ignore[attr-defined]
        assert [event.job for event in other.events(group="billing", timeout=0.05)] == ["b"]
        assert [event.job for event in other.events(group="billing", timeout=0.05)] == []


def test_a_clients_own_short_timeout_is_outlasted(
    redis_url: str,
) -> None:
    with redis.Redis.from_url(redis_url, socket_timeout=1) as client:
        assert list(FaxLine(client).events(timeout=1.5)) == []


def test_a_client_that_decodes_replies_is_refused(redis_url: str) -> None:
    with (
        redis.Redis.from_url(redis_url, decode_responses=True) as client,
        pytest.raises(ValueError, match="decode"),
    ):
        FaxLine(client)


def test_a_redis_that_is_away_is_told_for_every_call(free_port: int) -> None:
    with FaxLine(f"redis://127.0.0.1:{free_port}/0") as line:
        calls: list[Callable[[], Any]] = [
            lambda: line.send(to=TO, files=[URL]),
            lambda: line.job("a"),
            lambda: line.wait("a", timeout=1),
            line.events,
            lambda: line.events(group="g"),
        ]
        for call in calls:
            with pytest.raises(QueueUnavailable):
                call()


def test_a_full_redis_takes_neither_document_nor_entry(line: FaxLine, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable, match="full"):
            line.send(to=TO, files=[("a", b"x")])
    finally:
        redis_client.config_set("maxmemory", 0)
    assert redis_client.dbsize() == 0
