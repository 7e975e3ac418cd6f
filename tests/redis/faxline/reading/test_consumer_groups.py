"""Reading events in a consumer group, as it shows in Redis."""

import asyncio
import json
import os
import socket
from contextlib import aclosing
from typing import Any

import pytest
import redis

from faxline import AsyncFaxLine, EventsMissed, FaxLine, NotAllowed
from faxline.cli.running import run
from faxline.reading import consumer_groups
from faxline.reading.unread_events import unread
from faxline_worker.state.store import Store
from tests.stage.daemon import usual_settings


class Stream:
    """The events stream, which the test writes by itself."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client = client
        self.key = key

    def add(self, *jobs: str) -> list[str]:
        data = json.dumps({"state": "queued"})
        fields = [{"event": "fax.queued", "job": job, "at": "1700000000000", "data": data} for job in jobs]
        return [self._client.xadd(self.key, each).decode() for each in fields]  # type: ignore[arg-type, union-attr]

    def consumers(self, group: str = "g") -> dict[str, int]:
        found: Any = self._client.xinfo_consumers(self.key, group)
        return {each["name"].decode(): each["pending"] for each in found}


@pytest.fixture
def stream(redis_client: redis.Redis, line: FaxLine) -> Stream:
    return Stream(redis_client, line.keys.events)


def jobs(line: FaxLine, group: str | None = "g", after: str = "$") -> list[str]:
    return [event.job for event in line.events(group=group, after=after, timeout=0.05)]


def test_a_reader_that_ends_in_order_leaves_no_consumer_and_one_with_work_left_gives_it_back(
    line: FaxLine, stream: Stream
) -> None:
    stream.add("a", "b", "c")
    with line.events(group="g") as events:
        assert next(events).job == "a"
        [name] = stream.consumers()
        assert name.split(":")[:2] == [socket.gethostname(), str(os.getpid())]
    assert stream.consumers() == {name: 3}
    assert jobs(line) == ["a", "b", "c"]
    assert stream.consumers() == {name: 0}  # its host might have hung: it is removed an hour later


def test_a_loop_that_is_left_gives_back_what_it_was_at(line: FaxLine, stream: Stream) -> None:
    stream.add("a", "b")
    for event in line.events(group="g"):
        assert event.job == "a"
        break
    assert jobs(line) == ["a", "b"]


def test_a_consumer_that_ended_and_left_nothing_is_removed(
    line: FaxLine, stream: Stream, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(line)
    for name in ("dead", "owing"):
        redis_client.xgroup_createconsumer(stream.key, "g", name)
    stream.add("a")
    redis_client.xreadgroup("g", "owing", {stream.key: ">"})
    monkeypatch.setattr(consumer_groups, "GONE", -1.0)
    jobs(line)
    assert stream.consumers() == {"owing": 1}


def test_events_that_went_quickly_are_acknowledged_together(
    line: FaxLine, stream: Stream, redis_client: redis.Redis
) -> None:
    stream.add(*map(str, range(500)))
    before: Any = redis_client.info("commandstats")
    with line.events(group="g", timeout=60) as events:
        assert [next(events).job for _ in range(500)] == [str(number) for number in range(500)]
    after: Any = redis_client.info("commandstats")
    calls = {
        name: after[f"cmdstat_{name}"]["calls"] - before.get(f"cmdstat_{name}", {"calls": 0})["calls"]
        for name in ("xack", "xreadgroup")
    }
    assert calls["xack"] < 20
    assert calls["xreadgroup"] < 20


def test_a_reader_at_work_for_long_renews_what_it_holds(
    line: FaxLine, stream: Stream, redis_client: redis.Redis
) -> None:
    def given_out() -> list[int]:
        pending: Any = redis_client.xpending_range(stream.key, "g", "-", "+", 10)
        return [each["times_delivered"] for each in pending]

    stream.add("a", "b")
    with line.events(group="g", claim_after=0) as events:  # so any work is long
        assert next(events).job == "a"
        assert given_out() == [1, 1]
        assert next(events).job == "b"
        assert given_out() == [2]  # and a is acknowledged


def test_an_event_that_was_erased_is_not_missed(
    line: FaxLine, stream: Stream, redis_client: redis.Redis
) -> None:
    ids = stream.add("a", "b", "c")
    assert jobs(line) == ["a", "b", "c"]
    redis_client.xdel(stream.key, *ids)
    stream.add("d", "e")
    assert jobs(line) == ["d", "e"]
    with line.events(group="g", timeout=30) as events:
        [erased] = stream.add("f")
        stream.add("g", "h")
        assert next(events).job == "f"
        redis_client.xdel(stream.key, erased)
    assert jobs(line) == ["g", "h"]


def test_a_time_before_the_first_event_misses_nothing(line: FaxLine, stream: Stream) -> None:
    stream.add("a")
    assert jobs(line, group=None, after="1700000000000-0") == ["a"]


def test_the_command_says_what_was_missed_and_goes_on(
    stream: Stream,
    redis_url: str,
    redis_client: redis.Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, *_ = stream.add("a", "b", "c")
    redis_client.xtrim(stream.key, maxlen=1, approximate=False)
    assert run(["--redis", redis_url, "events", "--after", first, "--timeout", "0.05"]) == 0
    said = capsys.readouterr()
    assert f"events from {first} to " in said.err
    assert said.out.split()[-1] == "c"


def test_an_asyncio_reader_gives_back_what_it_was_at_and_asks_nothing_of_a_line_that_is_closed(
    redis_url: str, stream: Stream
) -> None:
    stream.add("a", "b")

    async def read() -> None:
        async with AsyncFaxLine(redis_url) as twin:
            async with aclosing(twin.events(group="g")) as events:
                assert (await anext(events)).job == "a"
            left = twin.events(group="g")
            assert (await anext(left)).job == "a"
        await left.aclose()

    asyncio.run(read())
    assert sum(stream.consumers().values()) == 2


def test_a_user_of_an_older_acl_is_told_what_it_lacks(redis_url: str, redis_client: redis.Redis) -> None:
    rules = ["+@connection", "+multi", "+exec", "+xread", "+xreadgroup", "+xack", "+xgroup|create"]
    redis_client.acl_setuser("older", enabled=True, nopass=True, keys=["*"], commands=rules)
    try:
        with (
            FaxLine(redis_url.replace("//", "//older:x@")) as older,
            pytest.raises(NotAllowed, match="may not read events in a consumer group, which takes XAUTO"),
        ):
            next(older.events(group="g"))
    finally:
        redis_client.acl_deluser("older")


def behind(line: FaxLine) -> tuple[str, str]:
    [found] = [check for check in line.checks() if check.name == "events of default"]
    return str(found.result), found.text


def test_the_doctor_and_the_gauge_tell_how_far_the_groups_are_behind(
    line: FaxLine, stream: Stream, redis_client: redis.Redis
) -> None:
    store = Store(redis_client, usual_settings(), "default")
    assert store.streams.events_unread() == 0
    assert behind(line) == ("ok", "there are none yet")
    stream.add(*map(str, range(10)))
    assert behind(line) == ("ok", "no group reads them")
    assert len(jobs(line, "crm")) == 10
    assert behind(line) == (
        "ok",
        "1 group reads them; furthest behind is 'crm' with 0 unread; 0 are being worked on",
    )
    stream.add(*map(str, range(10, 20)))
    assert store.streams.events_unread() == 10
    assert behind(line)[0] == "ok"  # nothing was dropped yet, so there is room
    redis_client.xtrim(stream.key, maxlen=12, approximate=False)
    result, text = behind(line)
    assert result == "warn"
    assert text.startswith("group 'crm' has 10 of 12 events unread, and the oldest are about to be dropped")
    redis_client.xtrim(stream.key, maxlen=5, approximate=False)
    assert store.streams.events_unread() == 5
    result, text = behind(line)
    assert result == "fail"
    assert text.startswith("group 'crm' was away while events were dropped")
    with line.events(group="crm", timeout=30) as events:
        with pytest.raises(EventsMissed):
            next(events)
        assert [next(events).job for _ in range(5)] == ["15", "16", "17", "18", "19"]
    assert (store.streams.events_unread(), behind(line)[0]) == (0, "ok")


def test_what_was_dropped_unread_does_not_count_as_unread_for_ever(
    line: FaxLine, stream: Stream, redis_client: redis.Redis
) -> None:
    def add(*at: int) -> None:
        fields: Any = {"event": "fax.queued", "job": "a", "at": "1700000000000", "data": "{}"}
        for each in at:
            redis_client.xadd(stream.key, fields, id=f"{each}-0")

    add(1)
    assert len(jobs(line)) == 1
    add(*range(2, 102))
    redis_client.xtrim(stream.key, maxlen=20, approximate=False)
    with line.events(group="g", timeout=0.2) as events:
        with pytest.raises(EventsMissed):
            next(events)
        assert len(list(events)) == 20
    add(102)
    groups: Any = redis_client.xinfo_groups(stream.key)
    known: Any = redis_client.xinfo_stream(stream.key)
    for lag in (groups[0]["lag"], 82, None):  # Redis 7.0 and Valkey count 82
        assert 1 <= unread(groups[0] | {"lag": lag}, known) <= 2
    assert behind(line)[0] == "ok"


def test_a_user_that_may_not_look_at_the_groups_fails_no_doctor(
    redis_url: str, stream: Stream, redis_client: redis.Redis
) -> None:
    stream.add("a")
    redis_client.acl_setuser("older", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-xinfo"])
    try:
        with FaxLine(redis_url.replace("//", "//older:x@")) as older:
            texts = [check.text for check in older.checks() if check.name == "account default"]
    finally:
        redis_client.acl_deluser("older")
    assert any("use the user `operator`" in text for text in texts)
