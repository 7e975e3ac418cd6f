"""Finds faxes for a person: live ones in Redis and ended ones in the archive, in one list."""

import asyncio
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from faxline import JobNotFound, QueueUnavailable
from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.states import JobState
from faxline.reading.archived import ArchivedFax
from faxline.reading.job import Job
from faxline_console.ended import Ended, Mark, job_of
from faxline_console.ended_query import whole_numbers
from faxline_console.line import ConsoleLine
from faxline_console.lines import Lines
from faxline_console.people import Person
from faxline_console.query import Query

MOST_LIVE = 200
"""The most live faxes of an account that are gone through."""
NO_ARCHIVE = (
    "There is no archive: faxes that have ended are found by their id or group, as long as Redis has them."
)
NOT_WHOLE = (
    "The archive finds a number only when it is whole, with its country code: only live faxes are searched."
)


@dataclass(slots=True)
class Found:
    """A part of the list.

    Attributes:
        jobs: the latest first.
        more: whether there are older ones.
        notes: what is missing, and why.
        away: whether nothing could be searched at all.
    """

    jobs: list[Job]
    more: bool = False
    notes: list[str] = field(default_factory=list)
    away: bool = False

    @property
    def last(self) -> Mark | None:
        """Where it ended."""
        return Mark.of(self.jobs[-1]) if self.jobs else None


class Finder:
    """Finds faxes.

    Args:
        lines: to the accounts.
        ended: the archive; None without one.
    """

    def __init__(self, lines: Lines, ended: Ended | None) -> None:
        self._lines = lines
        self.ended = ended

    async def find(self, person: Person, query: Query, after: Mark | None, limit: int) -> Found:
        """The faxes behind a mark. If Redis or the archive is away, the others are found, and it says so.

        Raises:
            QueryInvalid: the line has too many alternatives.
        """
        names = [
            name
            for name in self._lines.accounts_of(person)
            if "account" not in query.terms or query.terms["account"].matches(name)
        ]
        found, away = Found([]), 0
        try:
            live = await asyncio.gather(*(self._live(self._lines.of(name), query, person) for name in names))
            jobs = [job for some in live for job in some]
            if any(len(some) >= MOST_LIVE for some in live):
                found.notes.append(
                    f"Of the faxes on their way, the first {MOST_LIVE} of each account are shown."
                )
        except QueueUnavailable:
            jobs, away = [], 1
            found.notes.append(
                "Redis does not answer: faxes on their way are missing here, ended ones are not."
            )
        if after is not None:
            jobs = [job for job in jobs if Mark.of(job).order > after.order]
        if self.ended is None:
            found.notes.append(NO_ARCHIVE)
            away += 1
        else:
            if "to" in query.terms and not whole_numbers(query.terms["to"]):
                found.notes.append(NOT_WHOLE)
            try:
                archived = await run_in_threadpool(self.ended.page, names, query, person, after, limit + 1)
            except ArchiveUnavailable:
                archived, away = [], away + 1
                found.notes.append("The archive's database does not answer: ended faxes may be missing here.")
            live_ones = {(job.account, job.id) for job in jobs}
            jobs += [job for job in archived if (job.account, job.id) not in live_ones]
        jobs.sort(key=lambda job: Mark.of(job).order)
        found.jobs, found.more, found.away = jobs[:limit], len(jobs) > limit, away > 1
        return found

    async def one(self, person: Person, account: str, name: str) -> Job:
        """A fax, from Redis, or else from the archive.

        Raises:
            JobNotFound: there is none, or this person may not see it: both look alike.
            QueueUnavailable: Redis does not answer, and the archive has no such fax.
        """
        line, away = self._lines.for_person(person, account), None
        try:
            job = await line.job(name)
        except (JobNotFound, QueueUnavailable) as error:
            away = error
            try:
                job = job_of(await run_in_threadpool(self._in_archive, account, name))
            except (JobNotFound, ArchiveUnavailable):
                raise error from None
        if not person.sees(account, job.metadata):
            raise JobNotFound(f"no job {name!r} on account {account!r}") from away
        return job

    def _in_archive(self, account: str, name: str) -> ArchivedFax:
        if self.ended is None:
            raise JobNotFound(f"no job {name!r} on account {account!r}")
        return self.ended.fax(account, name)

    async def _live(self, line: ConsoleLine, query: Query, person: Person) -> list[Job]:
        """What one account has. Ids and groups are looked up; otherwise the open faxes are gone through."""
        named = {*_exactly(query, "id")}
        for group in _exactly(query, "group"):
            named |= await line.members(group)
        if named:
            jobs = await line.named(sorted(named)[:MOST_LIVE])
        else:
            states = [state for state, word in _OPEN.items() if _may_be(query, word)]
            jobs = await line.on_their_way(states, MOST_LIVE) if states else []
        return [job for job in jobs if person.sees(line.account, job.metadata) and query.matches(job)]


_OPEN = {
    JobState.IN_DOUBT: "in_doubt",
    JobState.SUBMITTING: "sending",
    JobState.SUBMITTED: "sending",
    JobState.QUEUED: "queued",
}
"""The states of faxes on their way, as a line names them."""


def _may_be(query: Query, state: str) -> bool:
    """Whether the line wants faxes of a state: those of the others are not read at all."""
    return "state" not in query.terms or query.terms["state"].matches(state)


def _exactly(query: Query, word: str) -> tuple[str, ...]:
    term = query.terms.get(word)
    return term.values if term is not None and not term.without else ()
