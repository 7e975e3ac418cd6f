"""Removed accounts are searched as the others are, but only where they may have a fax of the page."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

import pytest

from faxline_console.access.people import Person, Role
from faxline_console.archive.ended import Ended
from faxline_console.archive.facts import Span, spans
from faxline_console.archive.pages import find_page
from faxline_console.asking.marks import Mark
from faxline_console.asking.parsing import parse_query
from faxline_console.finding import removed
from faxline_console.finding.removed import find_with_removed
from tests.archives import new_archive
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

ANYBODY = Person("ada", Role.VIEWER)
SERVED = ["north", "south"]
GONE = ["between", "late", "old"]


@pytest.fixture
def ended(archive_url: str) -> Iterator[Ended]:
    """Four faxes of accounts that are there; old, between and late ones of three that were removed."""
    staged = StagedArchive(new_archive(archive_url))
    staged.add_all(StagedFax(f"n{at}", "north" if at % 20 else "south", at=at) for at in (10, 20, 30, 40))
    staged.add_all(StagedFax(f"o{at}", "old", at=at) for at in (1, 2))
    staged.add_all(StagedFax(f"b{at}", "between", at=at, group="june", reason="busy") for at in (3, 25))
    staged.add_all(StagedFax(f"l{at}", "late", at=at) for at in (40, 50))
    yield Ended(staged.engine, None)
    staged.engine.dispose()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The accounts of each search of the archive."""
    found: list[Sequence[str]] = []

    def asking(of: Ended, names: Sequence[str], *more: Any, **options: Any) -> Any:
        found.append(names)
        return find_page(of, names, *more, **options)

    monkeypatch.setattr(removed, "find_page", asking)
    return found


def at(seconds: int) -> int:
    return BEGIN + seconds * 1000


def test_it_is_known_from_when_to_when_each_had_faxes(ended: Ended) -> None:
    assert spans(ended, [*GONE, "nobody"]) == {
        "old": Span(at(1), at(2)),
        "between": Span(at(3), at(25)),
        "late": Span(at(40), at(50)),
    }


@pytest.mark.parametrize(
    "line", ["", "state:delivered", "id:n10,o1,b25,l40", "-account:x", "until:2026-10-27"]
)
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_each_page_is_the_one_of_a_search_of_all_accounts(ended: Ended, line: str, limit: int) -> None:
    query, gone, after, seen = parse_query(line, UTC), spans(ended, GONE), None, 0
    while True:
        found = find_with_removed(ended, SERVED, gone, query, ANYBODY, after=after, limit=limit)
        every = find_page(ended, [*SERVED, *GONE], query, ANYBODY, after=after, limit=limit)
        assert [(job.account, job.id) for job in found] == [(job.account, job.id) for job in every]
        seen += len(found)
        if len(found) < limit:
            break
        after = Mark.of(found[-1])
    assert seen == (4 if line.startswith("id") else 10)


@pytest.mark.parametrize(
    ("limit", "searched"),
    [(1, ["late"]), (2, ["late"]), (3, ["between", "late"]), (4, ["between", "late"]), (5, sorted(GONE))],
)
def test_of_removed_accounts_only_those_are_searched_that_may_have_a_fax_of_the_page(
    ended: Ended, asked: list[Sequence[str]], limit: int, searched: list[str]
) -> None:
    gone = spans(ended, GONE)
    find_with_removed(ended, SERVED, gone, parse_query("", UTC), ANYBODY, after=None, limit=limit)
    assert [sorted(names) for names in asked] == [SERVED, searched]


def test_where_the_others_fill_the_page_with_later_faxes_none_is(
    ended: Ended, asked: list[Sequence[str]]
) -> None:
    gone = {"old": Span(at(1), at(2))}
    find_with_removed(ended, SERVED, gone, parse_query("", UTC), ANYBODY, after=None, limit=4)
    assert asked == [SERVED]


@pytest.mark.parametrize(
    ("line", "searched"),
    [
        ("id:o1,b3", ["between", "old"]),
        ("jobid:12345", sorted(GONE)),
        ("jobid:7", []),
        ("group:june", ["between"]),
        ("reason:busy", ["between"]),
        ("id:o1 group:june", ["old"]),
        ("-group:june", sorted(GONE)),
        ("to:+12025550123", sorted(GONE)),
    ],
)
def test_where_a_line_names_faxes_those_are_that_have_some_of_that_name(
    ended: Ended, asked: list[Sequence[str]], line: str, searched: list[str]
) -> None:
    query = parse_query(line, UTC)
    find_with_removed(ended, SERVED, spans(ended, GONE), query, ANYBODY, after=None, limit=50)
    assert sorted(name for names in asked[1:] for name in names) == searched
