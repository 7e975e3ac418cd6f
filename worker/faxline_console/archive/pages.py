"""Ended faxes that a line finds, out of the archive: one page of them, and how many.

A person's accounts and department are conditions of each statement, so pages are full and show nothing else.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, func, select, union_all

from faxline.reading.job import Job
from faxline_archive.search import fax_of, find_joined, page_query
from faxline_console.access.people import Person
from faxline_console.archive.ended import Ended, told
from faxline_console.archive.jobs import job_of
from faxline_console.archive.searches import named, searches
from faxline_console.asking.marks import Mark
from faxline_console.asking.query import Query


def find_page(
    ended: Ended, names: Sequence[str], query: Query, person: Person, *, after: Mark | None, limit: int
) -> list[Job]:
    """The ended faxes behind a mark, the latest first. It waits for the database: call it in a thread.

    Example:
        >>> jobs = find_page(ended, ["north"], parse_query("state:failed", UTC), person, after=None, limit=50)

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    found: list[tuple[Mark, RowMapping]] = []
    with told(), ended.engine.connect() as connection:
        for account in names:
            privacy = ended.privacy(account)
            place = after.place(account) if after else None
            pushed = named(connection, account, query)
            also = () if pushed is None else (pushed,)
            asked = [(one.wanted, (*one.also, *also)) for one in searches(query, person, privacy)]
            rows = find_joined(connection, account, asked, privacy, after=place, limit=limit)
            found += [(Mark(row["queued_at"], account, row["job"]), row) for row in rows]
    found.sort(key=lambda one: one[0].order)
    jobs = [job_of(fax_of(row, ended.privacy(row["account"]))) for _, row in found[:limit]]
    return [job for job in jobs if person.sees(job.account, job.metadata)]


def count_faxes(
    ended: Ended, names: Sequence[str], query: Query, person: Person, most: int
) -> dict[str, Counter[bool]]:
    """How many faxes `find_page` would find of each state of the archive: in part, and others.

    Of each state no more than `most` are counted. It waits for the database: call it in a thread.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    found = defaultdict[str, Counter[bool]](Counter)
    with told(), ended.engine.connect() as connection:
        for account in names:
            privacy = ended.privacy(account)
            parts: list[Select[Any]] = []
            for search in searches(query, person, privacy):
                if (left := most - found[search.wanted.state or ""].total()) > 0:
                    rows = page_query(
                        account, search.wanted, privacy, after=None, limit=left, also=search.also
                    )
                    columns = rows.selected_columns
                    parts.append(select(rows.with_only_columns(columns.state, columns.partial).subquery()))
            if parts:
                those = union_all(*parts).subquery()
                by = those.c.state, those.c.partial
                for state, partial, count in connection.execute(select(*by, func.count()).group_by(*by)):
                    found[state][bool(partial)] += count
    return found
