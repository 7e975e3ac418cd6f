"""Ended faxes that a line finds, out of the archive: one page of them, and how many.

A person's accounts and department are conditions of each statement, so pages are full and show nothing else.
"""

from collections import Counter
from collections.abc import Sequence

from faxline.reading.job import Job
from faxline_archive.joined_search import Part, count_states, find_joined
from faxline_archive.search import fax_of
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
    parts: list[Part] = []
    with told(), ended.engine.connect() as connection:
        for account in names:
            privacy, place = ended.privacy(account), after.place(account) if after else None
            pushed = named(connection, account, query)
            also = () if pushed is None else (pushed,)
            parts += [
                Part(account, privacy, one.wanted, (*one.also, *also), place)
                for one in searches(query, person, privacy)
            ]
        rows = find_joined(connection, parts, limit)
    rows.sort(key=lambda row: Mark(row["queued_at"], row["account"], row["job"]).order)
    jobs = [job_of(fax_of(row, ended.privacy(row["account"]))) for row in rows[:limit]]
    return [job for job in jobs if person.sees(job.account, job.metadata)]


def count_faxes(ended: Ended, names: Sequence[str], query: Query, person: Person, most: int) -> Counter[str]:
    """How many faxes `find_page` would find of each state of the archive.

    Of a state no more are counted once there are `most`. It waits for the database: call it in a thread.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    found = Counter[str]()
    with told(), ended.engine.connect() as connection:
        for account in names:
            privacy = ended.privacy(account)
            asked = (one for one in searches(query, person, privacy) if found[one.wanted.state or ""] < most)
            parts = (Part(account, privacy, one.wanted, one.also) for one in asked)
            found.update(count_states(connection, parts, most))
    return found
