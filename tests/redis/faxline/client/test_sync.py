"""`FaxLine` on a real server: what it pushes, what it follows, and what it says when it cannot."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import (
    AsyncFaxLine,
    FaxLine,
    Group,
    Job,
    JobNotFound,
    JobRejected,
    JobState,
    QueueUnavailable,
    WaitTimeout,
)
from faxline.contract.errors import EntryRejected
from faxline.contract.page_count import digest
from faxline.reading.processes import ROLES
from tests.stage.heartbeats import beat

TO = "+12345678901"
URL = "https://example.com/a.pdf"


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


def test_documents_are_uploaded_as_bytes_each_push_under_a_name_of_its_own(
    line: FaxLine, redis_client: redis.Redis, tmp_path: Path
) -> None:
    data = bytes(range(256))
    (tmp_path / "a.bin").write_bytes(data)
    files: dict[str, str | Path | tuple[str, bytes]] = {
        "a": tmp_path / "a.bin",
        "b": ("b.bin", data),
        "c": str(tmp_path / "a.bin"),
    }
    for id_, file in files.items():
        line.send(to=TO, files=[file], id=id_)
    named = [entry["fax"]["faxData"][0] for _, entry in pushed(redis_client, line)]
    keys = {line.keys.upload(file["upload"]) for file in named}
    assert {file["document"] for file in named} == {digest(data)}
    assert len(keys) == len(files), "each push has a key of its own, which nobody else knows"
    assert set(redis_client.keys()) == {key.encode() for key in (*keys, line.keys.intake)}
    assert {redis_client.get(key) for key in keys} == {data}


def test_an_upload_lives_for_as_long_as_was_asked_for(redis_client: redis.Redis, redis_url: str) -> None:
    with FaxLine(redis_url, document_ttl=1000) as line:
        line.send(to=TO, files=[("a", b"x")])
        ((_, entry),) = pushed(redis_client, line)
        left = int(redis_client.pttl(line.keys.upload(entry["fax"]["faxData"][0]["upload"])))
    assert 900_000 < left <= 1_000_000


def test_cancel_resend_and_push_add_their_entries(line: FaxLine, redis_client: redis.Redis) -> None:
    line.cancel("a")
    again = line.resend("a", to=TO, id="b", priority="bulk", metadata={"x": 1})
    line.push("cancel", {"id": "b"})
    resend = {"id": "b", "of": "a", "faxNumber": TO, "priority": "bulk", "metadata": {"x": 1}}
    assert pushed(redis_client, line) == [
        ("cancel", {"id": "a", "user": "default"}),
        ("resend", resend | {"user": "default"}),
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


def wait_in_vain(line: FaxLine, waited: Any) -> str:
    with pytest.raises(WaitTimeout) as caught:
        line.wait(waited, timeout=0.01)
    return str(caught.value)


def test_waiting_longer_than_allowed_says_how_far_it_is_and_who_is_not_at_work(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    late, nobody = "did not end within 0.01 s", "No part of the daemon is at work on this Redis"
    output = wait_in_vain(line, "a")
    assert output.startswith(f"job 'a' {late}: intake has taken no such job. {nobody}")
    pushed = line.send(to=TO, files=[URL], id="a")
    assert wait_in_vain(line, pushed).startswith(f"job 'a' {late}: intake has not taken it yet. {nobody}")
    redis_client.hset(line.keys.job("a"), mapping={"state": "in_doubt", "n": "0"})
    for role in ROLES:
        beat(redis_client, role, accounts=["acme"])
    output = wait_in_vain(line, "a")
    assert output.startswith(
        f"job 'a' {late}: it is in doubt. No dispatcher and no worker and no webhook at work"
    )
    assert "They have acme" in output
    for role in ROLES:
        beat(redis_client, role, accounts=["default"])
    assert wait_in_vain(line, "a") == f"job 'a' {late}: it is in doubt"
    redis_client.hset(line.keys.job("a"), "state", "queued")
    beat(redis_client, "webhook", silent=3600)  # which does not matter yet
    assert wait_in_vain(line, pushed) == f"job 'a' {late}: it is queued"


def test_several_that_do_not_end_say_who_is_not_at_work(line: FaxLine) -> None:
    pushed = line.send(to=[TO, "+12345678902"], files=[URL], id="a")
    output = wait_in_vain(line, pushed)
    assert output.startswith("2 of 2 jobs of group 'a' did not end within 0.01 s. No part of the daemon")


def test_a_wait_that_is_over_is_told_though_nobody_may_ask_who_is_at_work(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    redis_client.set("fax:processes:dispatcher", "no heartbeats")
    assert wait_in_vain(line, "a").endswith("intake has taken no such job")


@pytest.mark.parametrize(
    "url", ["localhost:6379", "redis://:pa/ss@localhost:6379/0", "redis://localhost:pa/0", "http://localhost"]
)
def test_a_url_that_is_none_is_told_with_the_form_of_one_and_nothing_of_it(url: str) -> None:
    for kind in (FaxLine, AsyncFaxLine):
        with pytest.raises(ValueError, match=r"use redis://HOST:PORT/0") as caught:
            kind(url)
        assert "'pa'" not in str(caught.value)
        assert caught.value.__suppress_context__  # so no traceback shows redis-py's


def test_an_option_of_a_url_that_makes_no_sense_is_named() -> None:
    with pytest.raises(ValueError, match="'socket_timeout'"):
        FaxLine("redis://localhost/0?socket_timeout=x")


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


@pytest.fixture
def older(redis_client: redis.Redis, line: FaxLine) -> Job:
    """A push of an id that a job had before, which has ended; intake has not taken the entry yet."""
    redis_client.hset(line.keys.job("a"), mapping={"state": "delivered", "n": "0", "created_at": "1"})
    return line.send(to=TO, files=[URL], id="a")


def test_an_older_jobs_end_is_not_taken_for_that_of_an_entry_which_intake_has_yet_to_take(
    line: FaxLine, older: Job
) -> None:
    with pytest.raises(WaitTimeout):
        line.wait(older, timeout=0.3)


def test_a_repeat_that_intake_ignored_has_the_older_jobs_end(
    line: FaxLine, older: Job, redis_client: redis.Redis
) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(line.wait, older, 30)
        redis_client.xdel(line.keys.intake, older.entry or "")
        assert waiting.result().state is JobState.DELIVERED


def test_an_entry_of_a_reused_id_that_intake_rejected_has_no_end(
    line: FaxLine, older: Job, redis_client: redis.Redis, emit: Callable[..., str]
) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(line.wait, older, 30)
        emit("rejected", "a", reason="id_reused", member="id", message="taken", entry=older.entry)
        redis_client.xdel(line.keys.intake, older.entry or "")
        with pytest.raises(JobRejected, match="taken"):
            waiting.result()


def test_a_rejection_that_is_read_while_intake_has_the_entry_still_is_told(
    line: FaxLine, older: Job, redis_client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    def reads_on() -> bool:
        clients: Any = redis_client.client_list()
        return any(other["cmd"] == "xread" and "b" in other["flags"] for other in clients)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(line.wait, older, 30)
        wait_until(reads_on)  # so it has seen the entry in intake
        rejected = {"entry": older.entry, "reason": "id_reused", "member": "id", "message": "taken"}
        fields: Any = {"event": "fax.rejected", "job": "a", "at": 1, "data": json.dumps(rejected)}
        with redis_client.pipeline() as pipe:  # in one step, as intake does
            pipe.xadd(line.keys.events, fields)
            pipe.xdel(line.keys.intake, older.entry or "")
            pipe.execute()
        with pytest.raises(JobRejected, match="taken"):
            waiting.result()


def test_who_may_not_ask_how_far_intake_is_gets_the_older_jobs_end(
    redis_url: str, older: Job, redis_client: Any
) -> None:
    rules = ["on", "nopass", "~*", "+@all", "-xrange", "-xinfo"]
    redis_client.execute_command("ACL", "SETUSER", "confined", *rules)
    try:
        with FaxLine(redis_url.replace("://", "://confined:x@")) as confined:
            assert confined.wait(older, timeout=5).state is JobState.DELIVERED
    finally:
        redis_client.execute_command("ACL", "DELUSER", "confined")


def test_an_end_whose_event_was_missed_is_seen_all_the_same(
    redis_url: str, line: FaxLine, redis_client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    names = ["a", "g.1", "g.2"]
    redis_client.sadd(line.keys.group("g"), "g.1", "g.2")
    for name in names:
        redis_client.hset(line.keys.job(name), mapping={"state": "queued", "n": "0"})
    with redis.Redis.from_url(redis_url, socket_timeout=0.4) as client, ThreadPoolExecutor() as pool:
        waits = [pool.submit(FaxLine(client).wait, name, 30) for name in ("a", "g")]
        wait_until(lambda: blocked(redis_client))
        for name in names:
            redis_client.hset(line.keys.job(name), "state", "delivered")
        assert [wait.result().state for wait in waits] == [JobState.DELIVERED] * 2


def test_a_state_of_a_newer_daemon_is_read_as_unknown(line: FaxLine, redis_client: redis.Redis) -> None:
    redis_client.hset(line.keys.job("a"), mapping={"state": "of_tomorrow", "n": "0"})
    job = line.job("a")
    assert (job.state, job.state.final, job.to_dict()["state"]) == (JobState.UNKNOWN, False, "unknown")


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
        events.close()
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


@pytest.mark.parametrize("call", ["send", "cancel", "job", "group", "jobs", "accounts"])
def test_what_went_wrong_speaks_of_repeating_it_only_where_something_was_pushed(
    free_port: int, call: str
) -> None:
    calls: dict[str, Callable[[FaxLine], Any]] = {
        "send": lambda line: line.send(to=TO, files=[URL]),
        "cancel": lambda line: line.cancel("a"),
        "job": lambda line: line.job("a"),
        "group": lambda line: line.group("a"),
        "jobs": lambda line: line.jobs(),
        "accounts": lambda line: line.accounts(),
    }
    with FaxLine(f"redis://127.0.0.1:{free_port}/0") as line, pytest.raises(QueueUnavailable) as caught:
        calls[call](line)
    assert ("with the same id" in str(caught.value)) == (call in {"send", "cancel"})


def test_the_jobs_of_a_group_are_read_in_batches_in_the_order_of_their_ids(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    ids = [f"g.{i}" for i in range(1, 1201)]
    with redis_client.pipeline(transaction=False) as pipe:
        for i, name in enumerate(ids):
            state = "failed" if i % 3 else "delivered"
            fields: Any = {"state": state, "reason": "busy", "pages": "2", "transferred": "1", "n": "0"}
            pipe.hset(line.keys.job(name), mapping=fields)
            pipe.sadd(line.keys.group("g"), name)
        pipe.sadd(line.keys.group("g"), "g.long-gone")
        pipe.execute()
    group = line.group("g")
    assert [job.id for job in group.jobs] == ids
    assert (group.total, group.ended, group.forgotten, group.final) == (1201, 1201, 1, True)
    assert group.counts == {JobState.DELIVERED: 400, JobState.FAILED: 800}
    assert (group.pages, group.transferred, group.partial) == (2400, 1200, True)
    assert line.wait("g", timeout=5) == group


def test_a_group_that_grows_while_it_is_waited_for_is_waited_for_whole(
    line: FaxLine, emit: Callable[..., str], redis_client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(line.wait, "g", 30)  # before there is anything of it
        wait_until(lambda: blocked(redis_client))
        redis_client.sadd(line.keys.group("g"), "a")
        emit("queued", "a", "queued")
        redis_client.sadd(line.keys.group("g"), "b")
        emit("queued", "b", "queued")
        emit("delivered", "a", "delivered")
        emit("delivered", "b", "delivered")
        ended = waiting.result()
    assert isinstance(ended, Group)
    assert [job.id for job in ended.jobs] == ["a", "b"]


def test_a_job_goes_before_a_group_of_its_name(
    line: FaxLine, emit: Callable[..., str], redis_client: redis.Redis
) -> None:
    emit("delivered", "a", "delivered")
    emit("failed", "b", "failed")
    redis_client.sadd(line.keys.group("a"), "b")
    assert line.job("a").kind == "send"
    assert line.wait("a", timeout=5).state is JobState.DELIVERED
    assert line.group("a").state is JobState.FAILED


def test_a_full_redis_takes_neither_document_nor_entry(line: FaxLine, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable, match="full"):
            line.send(to=TO, files=[("a", b"x")])
    finally:
        redis_client.config_set("maxmemory", 0)
    assert redis_client.dbsize() == 0
