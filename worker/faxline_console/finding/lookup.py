"""Looks faxes up for a person by their ids: live ones in Redis, ended ones in the archive."""

from collections.abc import Iterable, Sequence

from starlette.concurrency import run_in_threadpool

from faxline import JobNotFound, QueueUnavailable
from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.archived import ArchivedFax
from faxline.reading.job import Job
from faxline_console.access.people import Person
from faxline_console.archive.ended import Archive, Ended
from faxline_console.archive.jobs import job_of
from faxline_console.finding.removed import Removed
from faxline_console.live.lines import Lines


class Lookup:
    """Looks faxes up.

    Args:
        lines: to the accounts.
        archive: finds the archive.
    """

    def __init__(self, lines: Lines, archive: Archive) -> None:
        self._lines = lines
        self._archive = archive
        self.removed = Removed(lines, archive)

    @property
    def ended(self) -> Ended | None:
        """The archive; None as long as there is none."""
        return self._archive()

    async def one(self, person: Person, account: str, name: str) -> Job:
        """A fax, from Redis, or else from the archive.

        Raises:
            JobNotFound: there is none, or this person may not see it: both look alike.
            QueueUnavailable: Redis does not answer, and the archive has no such fax.
        """
        line, away = await self.removed.line(person, account), None
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

    async def archived(self, person: Person, job: Job) -> ArchivedFax:
        """What the archive has of a fax that this person sees.

        An id is free again when Redis forgets its fax, and then the archive has two faxes of that id: what it
        has of another one is not shown, whosever that was.

        Raises:
            JobNotFound: it has nothing of this fax, or not yet.
            ArchiveUnavailable: there is no archive, or it is away.
        """
        if self.ended is None:
            raise ArchiveUnavailable("there is no archive: this comes from there")
        fax = await run_in_threadpool(self.ended.fax, job.account, job.id)
        if fax.queued_at != job.created_at or not person.sees(job.account, fax.metadata):
            raise JobNotFound(f"the archive has nothing of job {job.id!r} yet")
        return fax

    async def several(self, person: Person, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Job]:
        """The faxes at these places (account and id), from Redis or else from the archive.

        Those that are not there, or that this person may not see, are left out.

        Raises:
            QueueUnavailable: Redis does not answer, and the archive has not all of them.
        """
        wanted: dict[str, list[str]] = {}
        for account, name in dict.fromkeys(places):
            wanted.setdefault(account, []).append(name)
        accounts = [*self._lines.accounts_of(person), *await self.removed.names(person)]
        own = {account: wanted[account] for account in accounts if account in wanted}
        found: dict[tuple[str, str], Job] = {}
        for account, names in own.items():
            jobs, away = dict[str, Job](), None
            try:
                jobs = {job.id: job for job in await self._lines.of(account).named(names)}
            except QueueUnavailable as error:
                away = error
            ended = await self._ended(account, [name for name in names if name not in jobs])
            jobs |= {job.id: job for job in ended}
            if away is not None and len(jobs) < len(names):
                raise away
            found |= {
                (account, name): jobs[name]
                for name in names
                if name in jobs and person.sees(account, jobs[name].metadata)
            }
        return found

    async def of_group(self, person: Person, account: str, group: str) -> list[Job]:
        """The faxes of a group that Redis has a record of, as far as this person sees them.

        Raises:
            JobNotFound: it is of no account of this person.
            QueueUnavailable: Redis does not answer.
        """
        line = self._lines.for_person(person, account)
        jobs = await line.named(sorted(await line.members(group)))
        return [job for job in jobs if person.sees(account, job.metadata)]

    async def _ended(self, account: str, names: Sequence[str]) -> Sequence[Job]:
        if self.ended is None or not names:
            return ()
        try:
            return await run_in_threadpool(self.ended.faxes, account, names)
        except ArchiveUnavailable:
            return ()

    def _in_archive(self, account: str, name: str) -> ArchivedFax:
        if self.ended is None:
            raise JobNotFound(f"no job {name!r} on account {account!r}")
        return self.ended.fax(account, name)
