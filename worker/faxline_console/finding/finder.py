"""Finds faxes for a person: live ones in Redis and ended ones in the archive, in one list."""

import asyncio
from collections.abc import Iterable, Sequence

from starlette.concurrency import run_in_threadpool

from faxline import QueueUnavailable
from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.phone_numbers import number_in
from faxline.reading.job import Job
from faxline.reading.open_jobs import OPEN
from faxline_console.access.people import Person, Right
from faxline_console.archive.jobs import EndedJob
from faxline_console.asking.marks import Mark
from faxline_console.asking.number_search import asks_for_more, by_last_four, turned
from faxline_console.asking.number_words import digits
from faxline_console.asking.query import Query, state_word, word_of
from faxline_console.finding.found import (
    LAST_FOUR,
    NO_ARCHIVE,
    NO_PLUS,
    NOT_ALL,
    NOT_NOTED,
    REDIS_AWAY,
    TOO_MANY,
    Found,
)
from faxline_console.finding.lookup import Lookup
from faxline_console.finding.own_faxes import found_by_archive, on_their_way
from faxline_console.finding.removed import find_with_removed
from faxline_console.finding.tallies import of_live
from faxline_console.live.line import ConsoleLine

MOST_LIVE = 200
"""The most live faxes of a state and an account that are gone through."""
MOST_NOTED = 1000
"""The most faxes of an account that the audit is told of for one search."""
MOST_NAMED = 500
"""The most faxes of groups and by their ids that are looked up in an account."""


class Finder(Lookup):
    """Finds faxes by a line, too. Takes what `Lookup` takes."""

    async def find(self, person: Person, query: Query, after: Mark | None, limit: int) -> Found:
        """The faxes behind a mark. If Redis or the archive is away, the others are found, and it says so.

        Without the right to reveal, a number is compared by its last four digits alone. With it, the audit
        notes which faxes a search for more of a number tells of, before it does.

        Raises:
            QueryInvalid: the line has too many alternatives.
        """
        if "to" not in query.terms:
            return await self._find(person, query, after, limit)
        if not person.may(Right.REVEAL):
            return await self._find(person, by_last_four(query), after, limit)
        found = await self._find(person, query, after, limit)
        if not asks_for_more(query):
            return found
        told = {(job.account, job.id): job for job in found.told}
        if query.terms["to"].without:  # that a fax is left out tells its number, too
            told = await self._left_out(person, turned(query), after, found.last if found.more else None)
            if len(told) > MOST_NOTED:
                return Found([], notes=[*found.notes, TOO_MANY], missing=True)
        try:
            await self._note(person, told.values())
        except QueueUnavailable:
            return Found([], notes=[*found.notes, NOT_NOTED], missing=True)
        return found

    async def _left_out(
        self, person: Person, query: Query, after: Mark | None, end: Mark | None
    ) -> dict[tuple[str, str], Job]:
        """The faxes from one mark to another that a search leaves out, until there are too many."""
        told: dict[tuple[str, str], Job] = {}
        while len(told) <= MOST_NOTED:
            found = await self._find(person, query, after, MOST_LIVE)
            told |= {(job.account, job.id): job for job in found.told}
            after = found.last
            if not found.more or after is None or (end is not None and after.order >= end.order):
                break
        return told

    async def _note(self, person: Person, told: Iterable[Job]) -> None:
        names: dict[str, dict[str, None]] = {}
        for job in told:
            names.setdefault(job.account, {})[job.id] = None
        by = f"{person.name}: search"
        await asyncio.gather(
            *(
                self._lines.of(account).note("reveal", by=by, jobs=list(some)[:MOST_NOTED])
                for account, some in names.items()
            )
        )

    async def _find(self, person: Person, query: Query, after: Mark | None, limit: int) -> Found:
        names, removed = self.accounts(person, query), await self.removed.searched(person, query)
        found, away = Found([]), 0
        try:
            read = await asyncio.gather(
                *(self._live(self._lines.of(name), query, person, after) for name in names)
            )
            every = [job for jobs, _ in read for job in jobs]
            jobs = [job for job in every if query.matches(job)]
            found.told += every
            found.live = of_live([state_word(job) for job in every])
            found.whole = all(whole for _, whole in read)
            if not found.whole:
                found.notes.append(NOT_ALL)
        except QueueUnavailable:
            jobs, away, found.missing = [], 1, True
            found.notes.append(REDIS_AWAY)
        if after is not None:
            jobs = [job for job in jobs if Mark.of(job).order > after.order]
        if self.ended is None:
            found.notes.append(NO_ARCHIVE)
            away += 1
        else:
            if (to := query.terms.get("to")) and not all(map(number_in, to.values)):
                found.notes.append(NO_PLUS if person.may(Right.REVEAL) else LAST_FOUR)
            try:
                archived = await run_in_threadpool(
                    find_with_removed, self.ended, names, removed, query, person, after=after, limit=limit + 1
                )
            except ArchiveUnavailable:
                archived, away, found.missing = [], away + 1, True
                found.notes.append("The archive's database does not answer: ended faxes may be missing here.")
            found.told += archived
            live_ones = {(job.account, job.id) for job in jobs}
            jobs += [job for job in archived if (job.account, job.id) not in live_ones]
        jobs.sort(key=lambda job: Mark.of(job).order)
        found.more, found.away = len(jobs) > limit, away > 1
        found.jobs = await self._whole(jobs[:limit], query, person, found)
        return found

    async def _whole(self, jobs: Sequence[Job], query: Query, person: Person, found: Found) -> list[Job]:
        """The same with all that a page shows: of those on their way only what decided was read."""
        live: dict[str, list[str]] = {}
        for job in jobs:
            if not isinstance(job, EndedJob):
                live.setdefault(job.account, []).append(job.id)
        try:
            read = await asyncio.gather(*(self._lines.of(name).named(ids) for name, ids in live.items()))
        except QueueUnavailable:
            found.missing = True
            found.notes.append(REDIS_AWAY)
            read = []
        every = [job for some in read for job in some if person.sees(job.account, job.metadata)]
        now = {(job.account, job.id): job for job in every if query.matches(job)}
        known = (job if isinstance(job, EndedJob) else now.get((job.account, job.id)) for job in jobs)
        return [job for job in known if job is not None]

    def accounts(self, person: Person, query: Query) -> list[str]:
        """The accounts of a person that a line asks for."""
        names, term = self._lines.accounts_of(person), query.terms.get("account")
        return [name for name in names if term is None or term.matches(name)]

    async def _live(
        self, line: ConsoleLine, query: Query, person: Person, after: Mark | None
    ) -> tuple[list[Job], bool]:
        """What one account has in any state, and whether that is all.

        Ids and groups are looked up, and members of the metadata in the archive. Otherwise the open faxes are
        gone through, state by state: of the states that are not asked for, too, as the page counts them.
        Those of whole accounts are counted elsewhere.
        """
        names, groups, only = _exactly(query, "id"), _exactly(query, "group"), query.fields(person)
        if names or groups:
            of_groups = [await line.members(group) for group in groups]
            wanted = sorted({*names}.union(*of_groups))
            found, whole = await line.named(wanted[:MOST_NAMED], only), len(wanted) <= MOST_NAMED
        elif self.ended and (told := await found_by_archive(line, self.ended, query, person, after)):
            found, whole = told
        else:
            counted = query.is_of_accounts and person.department is None
            asked = query.terms.get("state") if counted else None
            states = [state for state in OPEN if asked is None or asked.matches(word_of(state))]
            most = MOST_LIVE // max(1, len(states)) if counted else MOST_LIVE
            found, whole = await on_their_way(line, states, person, most, only)
        anyhow = query.any_state
        jobs = [job for job in found if person.sees(line.account, job.metadata) and anyhow.matches(job)]
        if "to" in query.terms and not asks_for_more(query):
            jobs = [job for job in jobs if anyhow.matches(job, digits(job.to or ""))]
        elif "to" in query.terms:  # of those that end in the same four digits
            numbers = await line.numbers([job.id for job in jobs])
            jobs = [job for job in jobs if anyhow.matches(job, numbers.get(job.id, ""))]
        return jobs, whole


def _exactly(query: Query, word: str) -> tuple[str, ...]:
    term = query.terms.get(word)
    return term.values if term is not None and not term.without else ()
