"""The archive as the console reads it: pages, counts and lookups, on each database, with keys and without."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import ColumnElement, Connection, Select, text

from faxline.contract.sealing.keyring import Keyring, new_key
from faxline_archive.privacy import Privacy
from faxline_archive.search import page_query
from faxline_console.access.people import Person, Role
from faxline_console.archive.audit import audit_of
from faxline_console.archive.ended import Ended
from faxline_console.archive.open_faxes import name_open
from faxline_console.archive.pages import find_page
from faxline_console.archive.searches import looked_up, named, searches
from faxline_console.asking.marks import Mark
from faxline_console.asking.parsing import parse_query
from faxline_console.asking.query import Query
from faxline_console.finding.tallies import FRESH, MOST, REMEMBERED, SHARE, Known, Tally, count_ended
from faxline_console.mailings.progress import progress_of
from faxline_console.mailings.store import Pushed
from tests.archives import new_archive
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

ANYBODY = Person("ada", Role.VIEWER)
RADIOLOGIST = Person("eve", Role.CLERK, department=("department", "radiology"))
BOTH = ["north", "south"]


@pytest.fixture(params=["plain", pytest.param("sealed", marks=pytest.mark.slow)])
def staged(archive_url: str, request: pytest.FixtureRequest) -> Iterator[StagedArchive]:
    engine = new_archive(archive_url)
    staged = StagedArchive(engine, Keyring.read(new_key("2027")) if request.param == "sealed" else None)
    staged.add("a", account="north", group="june", metadata={"department": "radiology"})
    staged.add("b", account="north", at=1, state="failed", reason="busy", metadata={"department": "billing"})
    staged.add("c", account="south", at=2, state="failed", reason="bad_value", to="+12025550168")
    staged.add(
        "d",
        account="north",
        at=3,
        told={"partial": True, "jobId": 777},
        metadata={"department": "radiology", "case": "7"},
    )
    staged.add("e", account="south", at=4, state="submitted", metadata={"department": "radiology"})
    yield staged
    engine.dispose()


def found(staged: StagedArchive, line: str, person: Person = ANYBODY) -> str:
    ended = Ended(staged.engine, staged.keyring)
    jobs = find_page(ended, BOTH, parse_query(line, UTC), person, after=None, limit=50)
    return "".join(job.id for job in jobs)


def test_the_faxes_of_one_millisecond_are_found_page_by_page_by_account_in_the_order_of_their_letters(
    staged: StagedArchive,
) -> None:
    names = sorted(
        {f"{first}{second}{third}" for first in "aB_" for second in "-.:1b" for third in "A_a"}, reverse=True
    )
    odd = StagedFax("", at=9, state="failed", reason="odd", metadata={"box": "7"})
    every = [(account, name) for account in BOTH for name in names]
    staged.add_all(replace(odd, account=account, job=name) for account, name in every)
    ended = Ended(staged.engine, staged.keyring)
    for line in (
        "meta.box:7",
        "reason:odd",
        "reason:odd state:failed,canceled",
        "meta.box:7 reason:odd,busy",
    ):
        query, seen, mark = parse_query(line, UTC), list[tuple[str, str]](), None
        while page := find_page(ended, BOTH, query, ANYBODY, after=mark, limit=7):
            seen += [(job.account, job.id) for job in page]
            mark = Mark.of(page[-1])
        assert [one for one in seen if one[1] != "b"] == every


def test_a_line_with_what_no_database_takes_finds_nothing(staged: StagedArchive) -> None:
    for line in ("id:x\0", "group:\0x", "reason:\0x", "meta.\0:7", "meta.case:7\0\0x"):
        assert found(staged, line) == ""
        assert found(staged, f"-{line}") == "dcba"
    ended = Ended(staged.engine, staged.keyring)
    assert audit_of(ended, "north", "x\0") == []
    assert ended.faxes("north", ["x\0"]) == []


def counted(staged: StagedArchive, line: str, person: Person = ANYBODY) -> dict[str, str]:
    ended = Ended(staged.engine, staged.keyring)
    tallied = count_ended(ended, BOTH, parse_query(line, ZoneInfo("UTC")), person, Known())
    return {state: str(tally) for state, tally in tallied.items()}


def test_what_a_line_asks_for_is_found_the_latest_first(staged: StagedArchive) -> None:
    lines = {
        "": "dcba",
        "jobid:777": "d",
        "jobid:777,12345": "dcba",
        "id:a,c": "ca",
        "id:a jobid:777": "",
        "-jobid:777": "cba",
        "state:partial": "d",
        "state:failed": "cb",
        "to:+12025550168": "c",
        "-to:+12025550168": "dba",
        "meta.case:7": "d",
        "-meta.department:billing": "dca",
        "group:june": "a",
    }
    assert {line: found(staged, line) for line in lines} == lines


def test_a_department_finds_and_counts_its_own_faxes_alone(staged: StagedArchive) -> None:
    for line in (
        "",
        "id:a,b,c,d",
        "jobid:777,12345",
        "-meta.department:radiology",
        "meta.department:billing",
    ):
        assert set(found(staged, line, RADIOLOGIST)) <= {"a", "d"}
    assert found(staged, "", RADIOLOGIST) == "da"
    assert counted(staged, "", RADIOLOGIST) == {
        "": "2",
        "delivered": "1",
        "partial": "1",
        "failed": "0",
        "unconfirmed": "0",
        "canceled": "0",
    }
    assert counted(staged, "meta.department:billing", RADIOLOGIST) == {}


def test_each_tab_is_counted_and_the_states_add_up(staged: StagedArchive) -> None:
    every = counted(staged, "state:failed")
    assert every == {
        "": "4",
        "delivered": "1",
        "partial": "1",
        "failed": "2",
        "unconfirmed": "0",
        "canceled": "0",
    }
    assert counted(staged, "since:2026-10-28")[""] == "0"
    assert counted(staged, "group:june")[""] == "1"


def test_what_no_index_counts_is_not_counted(staged: StagedArchive) -> None:
    for line in ("to:+12025550168", "reason:busy", "id:a", "-group:june", "meta.a:1 meta.b:2"):
        assert counted(staged, line) == {}


def test_more_than_a_thousand_are_told_as_more() -> None:
    assert str(Tally(MOST, more=True)) == "1,000+"


def test_a_fax_that_is_named_and_those_in_part_are_found_by_an_index(tmp_path: Path) -> None:
    engine = new_archive(f"sqlite:///{tmp_path / 'archive.db'}")
    with engine.connect() as connection:
        for line, index in (("jobid:7", "job_id=?"), ("id:d", "job=?"), ("id:d jobid:7", "job_id=?")):
            looked = looked_up("north", parse_query(line, UTC))
            assert looked is not None
            assert f"(account=? AND {index}" in plan_of(connection, looked)
        pushed = named(connection, "north", parse_query("id:d", UTC))
        assert pushed is not None
        assert "queued_at=?" in plan_of(connection, page(parse_query("id:d", UTC), pushed))
        assert "ix_faxes_partial" in plan_of(connection, page(parse_query("state:partial", UTC)))
    engine.dispose()


def page(query: Query, *also: ColumnElement[bool]) -> Select[Any]:
    privacy = Privacy(None, "north")
    (search,) = searches(query, ANYBODY, privacy)
    return page_query("north", search.wanted, privacy, after=None, limit=50, also=(*search.also, *also))


def plan_of(connection: Connection, statement: Select[Any]) -> str:
    compiled = statement.compile(connection, compile_kwargs={"literal_binds": True})
    rows = connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()
    return " ".join(row[3] for row in rows)


def test_the_faxes_on_their_way_are_named_that_have_all_members(staged: StagedArchive) -> None:
    staged.add("f", account="south", at=5, state="queued", metadata={"department": "radiology", "case": "7"})
    ended = Ended(staged.engine, staged.keyring)

    def named_of(account: str, line: str = "", after: Mark | None = None, **members: str) -> object:
        return name_open(ended, account, parse_query(line, UTC), members, mark="1-0 1", after=after)

    assert named_of("south", department="radiology") == (["f", "e"], True, False)
    assert named_of("south", department="radiology", case="7") == (["f"], True, False)
    assert named_of("south", case="7", department="billing") == ([], True, False)
    assert named_of("south", "until:2026-10-26", department="radiology") == ([], True, False)
    assert named_of("south", department="radiology", after=Mark(BEGIN + 5000, "south", "f")) == (
        ["f", "e", "e"],
        True,
        False,
    )
    assert named_of("north", department="radiology") == ([], True, False)
    assert named_of("west", department="radiology") is None


@pytest.mark.parametrize(
    ("person", "counts"),
    [(ANYBODY, {"delivered": 1, "partial": 1, "failed": 1}), (RADIOLOGIST, {"delivered": 1})],
)
def test_how_far_a_mailing_is_is_counted_in_the_archive(
    staged: StagedArchive, person: Person, counts: dict[str, int]
) -> None:
    staged.add("x", account="north", group="june", told={"partial": True})
    staged.add("y", account="north", group="june", state="failed")
    mailing = Pushed("north", "june", "ada", datetime.now(UTC), 4, 0)
    ended = Ended(staged.engine, staged.keyring)
    found = asyncio.run(progress_of([mailing], person, ended, Mock()))
    assert dict(found["north", "june"].counts) == counts


def test_a_count_is_used_for_some_seconds_and_one_that_took_long_for_longer() -> None:
    now, took, counted = 100.0, 0.0, 0
    known = Known(lambda: now)

    def count() -> dict[str, Tally]:
        nonlocal now, counted
        now += took
        counted += 1
        return {"": Tally(counted)}

    assert known.tallies("few", count) == {"": Tally(1)}
    now += FRESH - 1
    assert known.tallies("few", count) == {"": Tally(1)}
    assert known.tallies("others", count) == {"": Tally(2)}
    took = 1.0
    now += 2
    assert known.tallies("few", count) == {"": Tally(3)}
    now += SHARE - 1
    assert known.tallies("few", count) == {"": Tally(3)}
    now += 2
    assert known.tallies("few", count) == {"": Tally(4)}


def test_counts_are_not_remembered_without_end() -> None:
    known = Known()
    for number in range(REMEMBERED + 1):
        known.tallies(str(number), lambda: {"": Tally(1)})
    assert known.tallies("0", lambda: {"": Tally(2)}) == {"": Tally(2)}
    assert known.tallies(str(REMEMBERED), lambda: {"": Tally(2)}) == {"": Tally(1)}
