"""The faxes on their way that a person sees, however many of others stand before them."""

from collections import Counter
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_console.access.people import Person
from faxline_console.archive.ended import Ended
from faxline_console.archive.open_faxes import members_of, name_open
from faxline_console.asking.marks import Mark
from faxline_console.asking.query import Query
from faxline_console.live.line import ConsoleLine

MOST_READ = 2000
"""The most faxes of a state and an account that are gone through for somebody with a department."""
FEW = 200
"""So many faxes on their way of an account are gone through, and the archive is not asked."""
MOST_UNREAD = 500
"""The most events of an account that the archive may not have read, for it to be asked."""


async def on_their_way(
    line: ConsoleLine, states: Sequence[JobState], person: Person, most: int, only: Sequence[str] = ()
) -> tuple[list[Job], bool]:
    """The faxes of these states that a person sees, and whether they are all.

    Args:
        line: to the account.
        states: open ones.
        person: who asks. For somebody with a department more are read, as those of others may stand before.
        most: how many of each state are enough.
        only: the fields of the records that are read, with the metadata among them; empty: all.
    """
    if not states:
        return [], True
    if person.department is not None:
        most = MOST_READ
    found = await line.on_their_way(states, most, only)
    whole = all(count < most for count in Counter(job.state for job in found).values())
    return [job for job in found if person.sees(line.account, job.metadata)], whole


async def found_by_archive(
    line: ConsoleLine, ended: Ended, query: Query, person: Person, after: Mark | None
) -> tuple[list[Job], bool] | None:
    """The faxes that have the members of the metadata which a search is for, and whether they are all.

    The archive names those on their way, and the events that it has not read name others. What is known of
    each is what Redis has now, so some may have ended, and some are not looked for.

    Returns:
        None if Redis alone is to be gone through: there are few, no member is asked for, the archive is away
        or behind, or it lacks events and Redis can be gone through to its end.
    """
    if not (members := members_of(query, person)):
        return None
    if (unread := await line.unarchived(FEW, MOST_UNREAD)) is None:
        return None
    try:
        named = await run_in_threadpool(
            name_open, ended, line.account, query, members, mark=unread.mark, after=after
        )
    except ArchiveUnavailable:
        return None
    if named is None or (named.lacks and unread.most < MOST_READ):
        return None
    only = query.fields(person)
    sending = await line.on_their_way([JobState.SUBMITTING], MOST_READ, only)  # no event tells of them
    jobs = await line.named([*dict.fromkeys([*named.jobs, *unread.jobs])], only)
    return list({job.id: job for job in (*sending, *jobs)}.values()), named.whole and not named.lacks
