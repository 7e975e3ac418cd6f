"""A search tells nobody more of a number than a reveal would, and as a reveal does it stands in the audit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import QueueUnavailable
from faxline.contract.redis_keys import RedisKeys
from faxline_archive.database import open_database
from faxline_console.finding import finder as finding
from faxline_console.live.line import ConsoleLine
from tests.archives import new_archive
from tests.consoles import Console, Somebody, put_fax
from tests.stage.archives import StagedArchive, StagedFax

KEYS = RedisKeys("north")
NUMBER = "+4930901820168"
OTHER = "+12025550168"


@pytest.fixture
def console(redis_url: str, tmp_path: Path, redis_client: redis.Redis) -> Iterator[Console]:
    engine = new_archive(f"sqlite:///{tmp_path / 'archive.db'}")
    StagedArchive(engine).add("ended", account="north", to=NUMBER)
    engine.dispose()
    for job, number in (("own", NUMBER), ("other", OTHER)):
        put_fax(redis_client, job, number=number)
        redis_client.zadd(KEYS.ready, {job: 1})
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=f"sqlite:///{tmp_path / 'archive.db'}") as console:
        yield console


def page_of(person: Somebody, line: str) -> str:
    return person.get(person.act("/faxes", q=line).headers["location"]).text


def found(page: str) -> list[str]:
    return sorted(name for name in ("ended", "other", "own") if f'href="/faxes/north/{name}"' in page)


def noted(client: redis.Redis) -> list[tuple[str, str]]:
    orders: Any = client.xrange(KEYS.orders)
    told = [(fields[b"by"].decode(), sorted(fields[b"jobs"].decode().split())) for _, fields in orders]
    return [(by, " ".join(jobs)) for by, jobs in told]


def test_a_viewers_searches_tell_the_last_four_digits_alone(
    console: Console, redis_client: redis.Redis
) -> None:
    viewer = console.person("viewer")
    whatever = {
        line: found(page_of(viewer, line)) for line in ("to:0168", "to:20168", "to:90168", f"to:{OTHER}")
    }
    assert [*whatever.values()] == [["other", "own"]] * 4
    assert found(page_of(viewer, f"id:own to:{OTHER}")) == ["own"]
    assert found(page_of(viewer, f"-to:{OTHER}")) == found(page_of(viewer, "to:+12025550123")) == []
    assert "Your role does not reveal numbers" in page_of(viewer, f"to:{NUMBER}")
    csv = viewer.act("/faxes/plan", verb="export", all="1", q=f"to:{NUMBER}").text
    assert sorted(row.partition(",")[0] for row in csv.splitlines()[1:3]) == ["other", "own"]
    assert "ended,north" not in csv
    assert noted(redis_client) == []


@pytest.mark.parametrize("line", [f"to:{NUMBER}", "to:4930901820168", f"to:{NUMBER} -state:failed"])
def test_a_search_for_more_of_a_number_is_noted_as_a_reveal_of_what_it_finds(
    console: Console, redis_client: redis.Redis, line: str
) -> None:
    assert found(page_of(console.person("clerk"), line)) == ["ended", "own"]
    assert noted(redis_client) == [("clerk: search", "ended own")]


@pytest.mark.parametrize(
    ("line", "rows", "told"),
    [
        ("to:0168", ["other", "own"], []),
        ("id:own to:20168", ["own"], ["own"]),
        (f"-to:{NUMBER}", ["other"], ["ended own"]),
        (f"to:{NUMBER} state:in_doubt", [], ["own", "ended own"]),
        ("to:+12025550123", [], []),
    ],
    ids=["last four", "an end", "left out", "another state", "no hit"],
)
def test_what_is_noted_is_what_a_search_tells_of_numbers(
    console: Console, redis_client: redis.Redis, line: str, rows: list[str], told: list[str]
) -> None:
    page = page_of(console.person("clerk"), line)
    assert found(page) == rows
    assert [jobs for _, jobs in noted(redis_client)] == told


def test_every_fax_that_a_page_leaves_out_is_noted_or_nothing_is_shown(
    console: Console, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'archive.db'}", writes=True)
    left_out = [StagedFax(f"f{number}", "north", at=60 + number, to=NUMBER) for number in range(450)]
    shown_too = [StagedFax(f"g{number}", "north", at=100 * number, to=OTHER) for number in (1, 2, 3, 4)]
    StagedArchive(engine).add_all(sorted([*left_out, *shown_too], key=lambda fax: fax.at))
    engine.dispose()
    clerk = console.person("clerk")
    assert 'href="/faxes/north/g1"' in page_of(clerk, f"-to:{NUMBER}")
    ((_, jobs),) = noted(redis_client)
    assert jobs.split() == sorted(["ended", "own", *(fax.job for fax in left_out)])
    redis_client.delete(KEYS.orders)
    monkeypatch.setattr(finding, "MOST_NOTED", 400)
    page = page_of(clerk, f"-to:{NUMBER}")
    assert "more faxes to a number than the audit notes" in shown_of(page)
    assert ("/faxes/north/g1" in page, noted(redis_client)) == (False, [])


@pytest.mark.usefixtures("orders")
def test_the_audit_has_a_search_for_a_number_as_a_reveal(console: Console, redis_client: redis.Redis) -> None:
    page_of(console.person("clerk"), f"to:{NUMBER}")
    while redis_client.xlen(KEYS.audit) < 2:
        redis_client.xread({KEYS.audit: "$"}, block=20)
    entries: Any = redis_client.xrange(KEYS.audit)
    names = (b"what", b"who", b"job")
    assert sorted(tuple(fields[name].decode() for name in names) for _, fields in entries) == [
        ("reveal", "clerk: search", "ended"),
        ("reveal", "clerk: search", "own"),
    ]


def test_nothing_is_shown_of_a_search_that_the_audit_cannot_note(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise QueueUnavailable("away")

    monkeypatch.setattr(ConsoleLine, "note", fails)
    page = page_of(console.person("clerk"), f"to:{NUMBER}")
    assert found(page) == []
    assert "Redis does not take the note now: nothing is shown." in shown_of(page)


def shown_of(page: str) -> str:
    return " ".join(page.split())
