"""Many faxes at once, on a real server: what is sent, how often, and what is left when Redis goes away."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from faxline import AsyncFaxLine, Fax, FaxesRejected, FaxLine, PushInterrupted
from faxline.contract.page_count import digest, open_document
from faxline.sending import documents as documents_module
from faxline.sending import mailing as mailings_module
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from tests.hostile_files import plain_pdf

TO = "+12345678901"
URL = "https://example.com/a.pdf"


def entries(client: redis.Redis, line: FaxLine) -> list[dict[str, Any]]:
    found: Any = client.xrange(line.keys.intake)
    return [json.loads(fields[b"send"]) for _, fields in found]


def calls(client: redis.Redis, *commands: str) -> list[int]:
    stats: Any = client.info("commandstats")
    return [stats.get(f"cmdstat_{command}", {"calls": 0})["calls"] for command in commands]


def uploaded(client: redis.Redis, line: FaxLine) -> dict[str, Any]:
    """What is uploaded of each document that the entries name."""
    files = [file for entry in entries(client, line) for file in entry["fax"]["faxData"]]
    return {file["document"]: client.get(line.keys.upload(file["upload"])) for file in files}


def as_named(*contents: bytes) -> dict[str, bytes]:
    return {digest(data): data for data in contents}


def test_a_thousand_faxes_of_one_file_go_in_four_round_trips_and_open_it_once(
    line: FaxLine, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def opening(data: bytes) -> Any:
        opened.append(data)
        return open_document(data)

    monkeypatch.setattr(documents_module, "open_document", opening)
    first, copy = tmp_path / "a.pdf", tmp_path / "b.pdf"
    first.write_bytes(plain_pdf())
    copy.write_bytes(first.read_bytes())
    redis_client.config_resetstat()
    seen = []
    mailing = line.send_many(
        (Fax(to=TO, files=[first if i % 2 else str(copy)]) for i in range(1000)),
        group="june",
        progress=lambda *counts: seen.append(counts),
    )
    assert calls(redis_client, "exec", "xadd", "set") == [4, 1000, 1]
    assert seen == [(300, 1000), (600, 1000), (900, 1000), (1000, 1000)]
    assert len(opened) == 1
    assert uploaded(redis_client, line) == as_named(first.read_bytes())
    found = entries(redis_client, line)
    assert [entry["id"] for entry in found] == [f"june.{i}" for i in range(1, 1001)]
    assert [job.id for job in mailing.jobs] == [entry["id"] for entry in found]
    assert {entry["group"] for entry in found} == {"june"}


def test_an_entry_is_the_one_that_send_would_push(line: FaxLine, redis_client: redis.Redis) -> None:
    fax = Fax(
        to=TO,
        files=[URL, ("a.txt", b"Hello")],
        id="a",
        priority="bulk",
        expires_at="2040-01-01T00:00:00Z",
        in_doubt="fail",
        attempts=2,
        group="june",
        metadata={"x": 1},
        subject="Hello",
        faxQuality="HD",
    )
    one = line.send(**fax)
    many = line.send_many([fax], group="july").jobs[0]
    first, second = entries(redis_client, line)
    names = {entry["fax"]["faxData"][-1].pop("upload") for entry in (first, second)}
    assert second == first | {"group_size": 1}
    assert len(names) == 2
    assert (one.id, one.group, one.priority, one.size) == (many.id, many.group, many.priority, many.size)
    assert many.entry != one.entry


def test_an_id_is_a_uuid_where_neither_it_nor_a_group_is_given(line: FaxLine) -> None:
    ids = [job.id for job in line.send_many([Fax(to=TO, files=[URL])] * 2).jobs]
    assert len({*ids}) == 2
    assert {len(name) for name in ids} == {36}


def test_no_faxes_are_no_push(line: FaxLine, redis_client: redis.Redis) -> None:
    assert line.send_many([]).jobs == ()
    assert line.wait(line.send_many([]), 1).total == 0
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize(
    ("faxes", "says"),
    [
        ([{"files": [URL]}], r"fax 0 \(june\.1\): fax\.faxNumber: this member is required"),
        ([{"to": TO}], r"fax\.faxData: at least one file is required"),
        ([{"to": TO, "files": [URL], "colour": 1}], r"fax\.colour: there is no such member"),
        ([{"to": [TO] * 2, "files": [URL], "id": "a"}], "group: a list of numbers makes its own group"),
        ([{"to": TO, "files": [URL]}, {"to": TO, "files": [URL], "id": "june.1"}], "also the id of fax 0"),
    ],
)
def test_what_breaks_a_rule_is_told_with_its_place(
    line: FaxLine, redis_client: redis.Redis, faxes: list[Any], says: str
) -> None:
    with pytest.raises(FaxesRejected, match=says):
        line.send_many(faxes, group="june")
    assert redis_client.dbsize() == 0


def test_a_list_of_numbers_takes_the_ids_of_its_jobs(line: FaxLine) -> None:
    faxes = [Fax(to=TO, files=[URL], id="a.2"), Fax(to=[TO, TO], files=[URL], id="a")]
    with pytest.raises(FaxesRejected, match=r"a\.2 is also the id of fax 0 \(this is fax 1\)"):
        line.send_many(faxes)


def test_of_many_errors_a_message_repeats_some_and_counts_the_others(line: FaxLine) -> None:
    with pytest.raises(FaxesRejected, match=r"7 of 8 faxes break a rule.*; and 2 more$") as caught:
        line.send_many([Fax(to=TO, files=[URL]), *[Fax(to="+0", files=[URL])] * 7])
    assert [fax.index for fax in caught.value.rejected] == list(range(1, 8))
    assert "+0" not in str(caught.value)


def test_large_documents_are_spread_over_round_trips(line: FaxLine, redis_client: redis.Redis) -> None:
    redis_client.config_resetstat()
    contents = [bytes([i]) * 6_000_000 for i in range(5)]
    line.send_many([Fax(to=TO, files=[("a", data)]) for data in contents for _ in range(2)])
    assert calls(redis_client, "exec", "set") == [3, 5]
    assert uploaded(redis_client, line) == as_named(*contents)


def test_files_that_are_not_kept_in_memory_are_read_again_for_the_push(
    line: FaxLine, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_module, "_KEPT", 0)
    paths = [tmp_path / name for name in ("a.txt", "b.txt")]
    for path in paths:
        path.write_text(path.name)
    line.send_many([Fax(to=TO, files=[path]) for path in paths])
    assert uploaded(redis_client, line) == as_named(*(path.read_bytes() for path in paths))
    check = open_document

    def changing(data: bytes) -> Any:
        if data == b"b.txt":
            paths[1].write_text("other")
        return check(data)

    monkeypatch.setattr(documents_module, "open_document", changing)
    with pytest.raises(
        PushInterrupted, match=r"the file b\.txt was changed .* 0 of 2 faxes were certainly pushed"
    ):
        line.send_many([Fax(to=TO, files=[path]) for path in paths])


def test_a_documents_content_comes_along_again_where_no_entry_named_it_for_some_seconds(
    redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0, 6, 12, 30, 36])
    monkeypatch.setattr(mailings_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    redis_client.config_resetstat()
    with FaxLine(redis_url, document_ttl=200) as line:
        line.send_many([Fax(to=TO, files=[("a.txt", b"x")])] * 1500)
    assert calls(redis_client, "exec", "set", "pexpire") == [5, 2, 0]


@pytest.fixture
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as own:
        yield own


def test_a_redis_that_goes_away_in_the_middle_is_told_with_what_was_pushed(server: RedisServer) -> None:
    with FaxLine(server.url()) as line:
        faxes = [Fax(to=TO, files=[URL])] * 1000
        with pytest.raises(PushInterrupted, match="300 of 1000 faxes were certainly pushed") as caught:
            line.send_many(faxes, progress=lambda *_: server.close())
        assert (caught.value.pushed, len(caught.value.ids)) == (300, 1000)
        assert caught.value.__suppress_context__


def test_after_a_lost_reply_the_same_ids_push_the_same_jobs(
    line: FaxLine, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, count = redis.client.Pipeline.execute, itertools.count()

    def lost(pipe: Any, *args: Any, **options: Any) -> Any:
        replies = execute(pipe, *args, **options)
        if next(count) == 1:
            raise redis.ConnectionError(f"lost on the way to {TO}")
        return replies

    monkeypatch.setattr(redis.client.Pipeline, "execute", lost)
    faxes = [Fax(to=TO, files=[URL], metadata={"n": i}) for i in range(700)]
    with pytest.raises(PushInterrupted, match=r"Redis at \S+ did not answer") as caught:
        line.send_many(faxes)
    assert TO not in str(caught.value)
    assert (caught.value.pushed, redis_client.xlen(line.keys.intake)) == (300, 600)
    again = [Fax(**fax, id=name) for fax, name in zip(faxes, caught.value.ids, strict=True)]
    line.send_many(again)
    found = entries(redis_client, line)
    assert len(found) == 1300
    assert {entry["id"]: entry for entry in found[:600]}.items() <= {
        entry["id"]: entry for entry in found[600:]
    }.items()


class Query:
    """Faxes out of a database that goes away while they are read for the second time."""

    def __init__(self, fails_at: int) -> None:
        self._readings, self._fails_at = 0, fails_at

    def __iter__(self) -> Iterator[Fax]:
        self._readings += 1
        for n in range(700):
            if self._readings == 2 and n == self._fails_at:
                raise LookupError("the database went away")
            yield Fax(to=TO, files=[URL], subject=str(n))


def test_faxes_that_raise_when_some_are_pushed_do_not_take_the_ids_with_them(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    with pytest.raises(PushInterrupted, match="LookupError was raised: 300 of 700 faxes were") as caught:
        line.send_many(Query(500))
    assert isinstance(caught.value.__cause__, LookupError)
    assert [entry["id"] for entry in entries(redis_client, line)] == [*caught.value.ids[:300]]
    assert len(set(caught.value.ids)) == 700


def test_a_progress_that_raises_does_not_take_the_ids_with_it(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    def gone(*_: int) -> None:
        raise BrokenPipeError

    with pytest.raises(PushInterrupted, match="BrokenPipeError was raised: 300 of 400") as caught:
        line.send_many([Fax(to=TO, files=[URL])] * 400, progress=gone)
    assert [entry["id"] for entry in entries(redis_client, line)] == [*caught.value.ids[:300]]


async def push_all(url: str, faxes: Any) -> None:
    async with AsyncFaxLine(url) as line:
        await line.send_many(faxes)


def test_with_asyncio_the_ids_are_told_as_well(
    line: FaxLine, redis_url: str, redis_client: redis.Redis
) -> None:
    with pytest.raises(PushInterrupted) as caught:
        asyncio.run(push_all(redis_url, Query(500)))
    assert [entry["id"] for entry in entries(redis_client, line)] == [*caught.value.ids[:300]]


def test_faxes_that_raise_before_any_is_pushed_raise_as_they_are(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    with pytest.raises(LookupError, match="the database went away"):
        line.send_many(Query(100))
    assert redis_client.dbsize() == 0


def test_a_full_redis_leaves_no_entry_without_its_document(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url()) as client, FaxLine(server.url()) as line:
        memory: Any = client.info("memory")
        client.config_set("maxmemory", memory["used_memory"] + 6_000_000)
        contents = [i.to_bytes(2, "big") * 2_500 for i in range(1500)]
        with pytest.raises(
            PushInterrupted, match=r"Redis at \S+ is full: [1-9][0-9]* of 1500 faxes"
        ) as caught:
            line.send_many([Fax(to=TO, files=[("a", data)]) for data in contents])
        assert client.xlen(line.keys.intake) == caught.value.pushed > 0
        needed = contents[: caught.value.pushed]
        assert uploaded(client, line) == as_named(*needed)


def test_faxes_that_can_be_gone_through_again_are_not_kept(line: FaxLine, redis_client: redis.Redis) -> None:
    alive: set[int] = set()
    most = 0

    class Tracked(dict[str, Any]):
        def __init__(self, name: str) -> None:
            nonlocal most
            super().__init__(to=TO, files=[URL], id=name)
            alive.add(id(self))
            most = max(most, len(alive))

        def __del__(self) -> None:
            alive.discard(id(self))

    class Faxes:
        def __iter__(self) -> Iterator[Any]:
            return (Tracked(f"a-{i}") for i in range(1000))

    mailing = line.send_many(Faxes(), group="june")
    assert [job.id for job in mailing.jobs] == [f"a-{i}" for i in range(1000)]
    assert [entry["id"] for entry in entries(redis_client, line)] == [job.id for job in mailing.jobs]
    assert most < 10
    assert len(line.send_many(iter([Fax(to=TO, files=[URL])] * 3)).jobs) == 3


def test_a_group_that_is_read_job_by_job_holds_none(line: FaxLine, redis_client: redis.Redis) -> None:
    for i in range(3):
        redis_client.hset(line.keys.job(f"june.{i}"), mapping={"state": "delivered", "pages": 1})
        redis_client.sadd(line.keys.group("june"), f"june.{i}")
    seen: list[str] = []
    for found in (
        line.group("june", each=lambda job: seen.append(job.id)),
        line.wait(line.group("june"), 1, each=lambda job: seen.append(job.id)),
    ):
        assert (found.total, found.delivered, found.pages, found.jobs) == (3, 3, 3, ())
    assert seen == ["june.0", "june.1", "june.2"] * 2
