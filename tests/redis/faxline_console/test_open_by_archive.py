"""Faxes on their way are found by their metadata, which Redis has no index of: the archive names them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import delete, insert, update

from faxline.contract.redis_keys import RedisKeys
from faxline_archive.schema import gaps, positions
from faxline_console.acting.picks import Pick
from tests.archives import new_archive
from tests.consoles import Console, shown
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

KEYS = RedisKeys("north")
OTHERS, MOST = 30, 5


@pytest.fixture(scope="module")
def stored() -> list[StagedFax]:
    others = [
        StagedFax(f"b{n:02}", "north", at=n, state="queued", metadata=of("billing")) for n in range(OTHERS)
    ]
    own = [
        StagedFax(f"r{n}", "north", at=40 + n, state="queued", metadata=of("radiology", n)) for n in range(8)
    ]
    sent = StagedFax("sent", "north", at=50, state="submitted", metadata=of("radiology", 50))
    return [*others, *own, sent, StagedFax("over", "north", at=60, metadata=of("radiology", 60))]


def of(department: str, case: int = 0) -> dict[str, Any]:
    return {"department": department, "case": case}


@pytest.fixture
def console(console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Console:
    """Before what is stored, where Redis is read no further than a few faxes."""
    for n in range(OTHERS):
        put(redis_client, f"b{n:02}", n, of("billing"))
    for n in range(8):
        put(redis_client, f"r{n}", 40 + n, of("radiology", n))
    put(redis_client, "sent", 50, of("radiology", 50), "submitted")
    redis_client.hset(KEYS.account_state, mapping={"archive": "1", "archived_events": "1-0 1"})
    monkeypatch.setattr("faxline_console.finding.own_faxes.FEW", MOST)
    monkeypatch.setattr("faxline_console.finding.own_faxes.MOST_READ", MOST)
    monkeypatch.setattr("faxline_console.finding.finder.MOST_LIVE", MOST)
    return console


def put(client: redis.Redis, job: str, at: int, metadata: dict[str, Any], state: str = "queued") -> None:
    told: Any = {"state": state, "number": "+12025550199", "created_at": BEGIN + at * 1000}
    told |= {"metadata": json.dumps(metadata), "priority": "normal", "n": 0}
    client.delete(KEYS.job(job))
    client.hset(KEYS.job(job), mapping=told)
    client.zrem(KEYS.ready, job)
    if state in {"queued", "submitted"}:
        client.zadd(KEYS.ready if state == "queued" else KEYS.submitted, {job: 2e15 + at})


def happen(client: redis.Redis, job: str, event: str = "fax.queued") -> None:
    client.xadd(KEYS.events, {"event": event, "job": job, "at": "1", "data": "{}"})


def found(console: Console, line: str = "", name: str = "radiologist", **more: str) -> list[str]:
    page = console.person(name).get("/faxes", params={"q": line, **more}).text
    picks = [Pick.read(part.partition('"')[0]) for part in page.split('name="pick" value="')[1:]]
    return [pick.job for pick in picks if pick]


def test_a_departments_faxes_are_found_however_many_of_others_stand_before_them(console: Console) -> None:
    own = ["over", "sent", *(f"r{n}" for n in reversed(range(8)))]
    assert found(console) == own
    assert "Not all faxes on their way" not in shown(console.person("radiologist").get("/faxes"))
    assert found(console, "state:queued") == own[2:]
    assert found(console, "state:sending") == ["sent"]
    assert found(console, "meta.department:radiology", "viewer") == own
    assert found(console, "meta.case:3") == found(console, "meta.case:3", "viewer") == ["r3"]
    assert found(console, "meta.case:3 meta.department:billing", "viewer") == []


def test_a_fax_that_the_archive_has_not_read_is_found_by_its_event(
    console: Console, redis_client: redis.Redis
) -> None:
    put(redis_client, "new", 70, of("radiology"))
    put(redis_client, "theirs", 71, of("billing"))
    assert "new" not in found(console)
    for job in ("new", "theirs", ""):
        happen(redis_client, job)
    assert found(console)[:3] == ["new", "over", "sent"]
    assert "theirs" not in found(console)


def test_where_a_fax_stands_and_whose_it_is_is_what_redis_says(
    console: Console, redis_client: redis.Redis
) -> None:
    put(redis_client, "r1", 41, of("radiology"), "submitted")
    put(redis_client, "r2", 42, of("billing"))  # the id was used again
    put(redis_client, "r3", 43, of("radiology"), "failed")
    redis_client.delete(KEYS.job("r4"))
    assert found(console, "state:queued") == ["r7", "r6", "r5", "r0"]
    assert found(console, "state:sending") == ["sent", "r1"]
    assert found(console, "state:failed") == ["r3"]
    assert "r2" in found(console, "meta.department:billing id:r2", "viewer")


def test_one_that_is_being_submitted_is_found_though_no_event_told_of_it(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline_console.archive.open_faxes.MOST", 2)
    put(redis_client, "r0", 40, of("radiology"), "submitting")
    redis_client.zadd(KEYS.permits, {"token|r0": 9e15})
    assert found(console, "state:sending") == ["sent", "r0"]


def test_pages_go_through_all_and_the_numbers_say_that_there_are_more(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline_console.archive.open_faxes.MOST", 3)
    monkeypatch.setattr("faxline_console.pages.faxes.ROWS", 2)
    person, seen, address = console.person("radiologist"), list[str](), "/faxes?q=state:queued"
    while address:
        page = person.get(address).text
        assert re.search(r"Queued\W+(<[^>]*>\W*)*\d\+", page)
        seen += re.findall(r"Select (r\d)", page)
        older = re.search(r'href="([^"]*after=[^"]*)"', page)
        address = older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"r{n}" for n in reversed(range(8))]


def test_an_archive_that_lacks_events_names_what_it_knows_where_redis_has_more_than_is_gone_through(
    redis_client: redis.Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    engine = new_archive(url)
    StagedArchive(engine).add("r0", account="north", state="queued", metadata=of("radiology"))
    here = {"account": "north", "stream": "events", "leaf": 1, "since": None}
    with engine.begin() as connection:
        connection.execute(insert(gaps).values(here))
    redis_client.hset(KEYS.account_state, mapping={"archive": "1", "archived_events": "1-0 1"})
    for n in range(3):
        put(redis_client, f"b{n}", n, of("billing"))
    put(redis_client, "r0", 3, of("radiology"))
    monkeypatch.setattr("faxline_console.finding.own_faxes.FEW", 1)
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        for most, said in ((5, False), (2, True)):
            monkeypatch.setattr("faxline_console.finding.own_faxes.MOST_READ", most)
            assert found(console, "state:queued") == ["r0"]
            page = shown(console.person("radiologist").get("/faxes"))
            assert ("Not all faxes on their way" in page) is said
    engine.dispose()


@pytest.mark.parametrize("why", ["a gap", "restored", "never read", "behind", "no archive reads"])
def test_where_the_archive_may_lack_faxes_redis_alone_is_gone_through(
    why: str,
    redis_client: redis.Redis,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    engine = new_archive(url)
    StagedArchive(engine).add("over", account="north", metadata=of("radiology"))
    put(redis_client, "r0", 1, of("radiology"))
    put(redis_client, "b0", 2, of("billing"))
    place = positions.c.stream == "events"
    marks: Any = {"archive": "1", "archived_events": "1-0 1"}
    redis_client.hset(KEYS.account_state, mapping=marks)
    monkeypatch.setattr("faxline_console.finding.own_faxes.FEW", 1)
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        assert found(console, "state:queued") == []  # the archive knows nothing of it
        with engine.begin() as connection:
            if why == "a gap":
                here = {"account": "north", "stream": "events", "leaf": 1, "since": None}
                connection.execute(insert(gaps).values(here))
            elif why == "restored":
                connection.execute(update(positions).where(place).values(mark="0-1 1"))
            elif why == "never read":
                connection.execute(delete(positions).where(place))
        if why == "behind":
            monkeypatch.setattr("faxline_console.finding.own_faxes.MOST_UNREAD", 1)
            for _ in range(2):
                happen(redis_client, "b0")
        elif why == "no archive reads":
            redis_client.hdel(KEYS.account_state, "archive")
        assert found(console, "state:queued") == ["r0"]
    engine.dispose()
