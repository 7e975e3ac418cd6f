"""What of a mailing did not arrive whole: out of the archive, and by what Redis has, which is newer."""

from dataclasses import dataclass

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.states import FINAL_STATES, JobState
from faxline.reading.job import Job
from faxline_archive.schema import faxes
from faxline_archive.search import fax_of
from faxline_console.access.people import Person
from faxline_console.archive.ended import Archive, Ended, told
from faxline_console.archive.jobs import job_of
from faxline_console.live.line import ConsoleLine
from faxline_console.live.standing import LARGEST
from faxline_console.mailings.outcomes import OPEN, read_outcomes
from faxline_console.mailings.store import Pushed
from faxline_console.showing.formats import mask
from faxline_console.showing.words import state_of

COLUMNS = ("id", "to", "state", "reason", "code", "pages", "transferred")
UNKNOWN = "Not complete: nothing tells, yet or any more, how {:,} of {:,} went"


@dataclass(frozen=True, slots=True)
class Failures:
    """What did not arrive.

    Attributes:
        rows: one a fax, with the COLUMNS. Numbers are masked. The last one says so if some are missing.
        known: of how many faxes it is known how they stand.
    """

    rows: list[tuple[object, ...]]
    known: int


async def failures_of(
    line: ConsoleLine, name: str, person: Person, pushed: Pushed | None, archive: Archive
) -> Failures:
    """Read what did not arrive; of somebody with a department, of its own faxes.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    known, failed = await _archived(
        archive, line.account, name, person
    )  # before Redis: what ends now is in one
    members = await line.members(name)
    jobs = await line.named(sorted(members))
    for job in jobs:
        if person.sees(line.account, job.metadata):
            known.add(job.id)
            failed.pop(job.id, None)  # an older one of its id, or a receipt came late
            if job.state.final and not job.succeeded:
                failed[job.id] = job
    facts = await line.group_facts(name)
    since = {job.id: job.created_at for job in jobs if job.id in facts.rejected}
    rejected = facts.still(members, since)
    expected = pushed.pushed if pushed else 0
    if person.department is None:
        expected = max(expected, facts.size or 0, len(members))
    elif pushed is not None:
        rejected = {job: error for job, error in rejected.items() if pushed.owns(job)}
    known |= rejected.keys()
    ordered = sorted(failed.values(), key=lambda job: (len(job.id), job.id))
    rows = [_row(job) for job in ordered]
    rows += [(job, "", "Rejected", error.reason, None, None, None) for job, error in rejected.items()]
    if expected > len(known):
        rows.append((UNKNOWN.format(expected - len(known), expected), *[""] * (len(COLUMNS) - 1)))
    return Failures(rows, len(known))


def _row(job: Job) -> tuple[object, ...]:
    return job.id, mask(job.to), state_of(job)[1], job.reason, job.code, job.pages, job.transferred


async def _archived(
    archive: Archive, account: str, name: str, person: Person
) -> tuple[set[str], dict[str, Job]]:
    """The ids of those that have ended, and those of them that did not arrive whole."""
    if (ended := archive()) is None:
        return set(), {}
    try:
        outcomes = await run_in_threadpool(read_outcomes, ended, account, name, person)
        failed = await run_in_threadpool(_failed, ended, account, name, person)
    except ArchiveUnavailable:
        return set(), {}
    known = {job for job, outcome in outcomes.items() if outcome not in {None, OPEN}}
    trouble = {job for job in known if (outcome := outcomes[job]) and outcome.segment != "delivered"}
    return known, {job: fax for job, fax in failed.items() if job in trouble}


def _failed(ended: Ended, account: str, group: str, person: Person) -> dict[str, Job]:
    whole = (faxes.c.state == JobState.DELIVERED) & faxes.c.partial.isnot(other=True)
    query = select(faxes).where(faxes.c.account == account, faxes.c.group_name == group)
    query = query.where(faxes.c.state.in_(FINAL_STATES), ~whole).order_by(faxes.c.reuse).limit(LARGEST)
    with told(), ended.engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    jobs = (job_of(fax_of(row, ended.privacy(account))) for row in rows)
    return {job.id: job for job in jobs if person.sees(account, job.metadata)}
