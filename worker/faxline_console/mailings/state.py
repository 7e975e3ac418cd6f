"""How far one mailing is: what is on its way by the indexes of Redis, what has ended out of the archive.

A record is read only of a fax that neither of them tells of, and of those that iFax has.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic

from starlette.concurrency import run_in_threadpool

from faxline.contract.errors import ArchiveUnavailable, JobRejected
from faxline_console.access.people import Person
from faxline_console.archive.ended import Archive
from faxline_console.live.line import ConsoleLine
from faxline_console.live.standing import Standing
from faxline_console.mailings.outcomes import GONE, OPEN, Outcome, Told, outcome_of, read_outcomes
from faxline_console.mailings.progress import OPEN as OPEN_SEGMENTS
from faxline_console.mailings.store import Pushed

MOST_READ = 1000
"""The most records that are read for a page."""
LASTS = 600.0
"""Seconds that it is remembered what records told. A late receipt may change it."""
MOST_KEPT = 20
"""The most mailings of which it is remembered."""


@dataclass(slots=True)
class MailingState:
    """A mailing at one moment, as a person sees it.

    Attributes:
        counts: how many faxes are in each segment of a bar.
        reasons: why so many failed or were not confirmed.
        failed: the ids of those that failed.
        rejected: why intake rejected the others.
        size: how many are pushed in all, if Redis knows; None for somebody with a department.
        registered: whether Redis knows of any.
        unread: how many have not been looked at yet.
    """

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    rejected: Mapping[str, JobRejected] = field(default_factory=dict)
    size: int | None = None
    registered: bool = False
    unread: int = 0

    @property
    def forgotten(self) -> int:
        """How many have ended, and nothing tells how any more."""
        return self.counts[GONE.segment]

    @property
    def ended(self) -> int:
        """How many are known to have ended, or were rejected."""
        return self.known - sum(self.counts[segment] for segment in OPEN_SEGMENTS)

    @property
    def known(self) -> int:
        """How many there are of which it is known where they stand."""
        return self.counts.total() + len(self.rejected)

    def add(self, job: str, outcome: Outcome) -> None:
        """Count a fax."""
        self.counts[outcome.segment] += 1
        if outcome.reason:
            self.reasons[outcome.reason] += 1
        if outcome.segment == "failed":
            self.failed.append(job)


class Mailings:
    """Tells how far mailings are, and remembers what it read in records.

    Example:
        >>> (await mailings.state(line, "june", person)).counts
        Counter({'delivered': 9_120, 'queued': 880})

    Args:
        archive: finds the archive.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._kept: dict[object, tuple[float, Told]] = {}

    async def state(
        self, line: ConsoleLine, name: str, person: Person, pushed: Pushed | None = None
    ) -> MailingState:
        """How far a mailing is; of somebody with a department, its own faxes of it.

        Args:
            line: of its account.
            name: of its group.
            person: who looks.
            pushed: as the list has it; None if the list does not. It tells whose the rejected faxes are.

        Raises:
            QueueUnavailable: Redis does not answer.
        """
        archived = await self._archived(line.account, name, person)  # before Redis: what ends now is in one
        standing = await line.standing(name)
        kept = self._remembered((line.account, name, person.department))
        state = await _begin(line, name, standing, person, pushed)
        told = kept | archived
        if not standing.members:
            _add(state, told, told)
            state.unread = max(0, standing.total - state.counts.total())
            return state
        unknown = _add(state, told, standing.rest)
        unknown += _add_open(state, told, standing, alone=person.department is not None)
        await self._read(state, line, unknown, person, kept)
        return state

    async def _archived(self, account: str, name: str, person: Person) -> Told:
        if (ended := self._archive()) is None:
            return {}
        try:
            return await run_in_threadpool(read_outcomes, ended, account, name, person)
        except ArchiveUnavailable:
            return {}

    def _remembered(self, place: object) -> Told:
        if place not in self._kept or self._kept[place][0] < monotonic():
            self._kept.pop(place, None)
            if len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[place] = monotonic() + LASTS, {}
        return self._kept[place][1]

    @staticmethod
    async def _read(
        state: MailingState, line: ConsoleLine, unknown: list[str], person: Person, kept: Told
    ) -> None:
        """Count by their records as many as one page may read, and remember them."""
        some, others = unknown[:MOST_READ], unknown[MOST_READ:]
        jobs = {job.id: job for job in await line.named(some)}
        for name in some:
            if (job := jobs.get(name)) is None:
                found = GONE if person.department is None else None
            else:
                found = outcome_of(job) if person.sees(line.account, job.metadata) else None
            kept[name] = OPEN if job is not None and found is not None and not job.state.final else found
            if found is not None:
                state.add(name, found)
        state.unread = len(others)


async def _begin(
    line: ConsoleLine, name: str, standing: Standing, person: Person, pushed: Pushed | None
) -> MailingState:
    """What Redis tells of a group besides its faxes: how many are pushed, and which were rejected."""
    facts = await line.group_facts(name)
    since = {
        job.id: job.created_at for job in await line.named(sorted(standing.members & facts.rejected.keys()))
    }
    rejected = facts.still(standing.members, since)
    if person.department is not None:  # others may have pushed into it since
        rejected = {job: error for job, error in rejected.items() if pushed is not None and pushed.owns(job)}
    return MailingState(
        rejected=rejected,
        size=facts.size if person.department is None else None,
        registered=bool(standing.total or facts.rejected),
    )


def _add(state: MailingState, told: Told, names: Iterable[str]) -> list[str]:
    """Count those that have ended. Returns those of which it is not told how."""
    unknown: list[str] = []
    for name in names:
        outcome = told.get(name, OPEN)
        if outcome == OPEN:
            unknown.append(name)
        elif outcome is not None:
            state.add(name, outcome)
    return unknown


def _add_open(state: MailingState, told: Told, standing: Standing, *, alone: bool) -> list[str]:
    """Count those that are on their way. Returns those whose records are to be read.

    Only the record tells whether a fax that iFax has waits there for its date, and whose a fax is that is not
    in the archive yet. Where iFax has more than are read, all of them count as being sent.
    """
    unknown: list[str] = []
    for segment, names in standing.places.items():
        own = [name for name in names if told.get(name, OPEN) is not None]
        strange = [name for name in own if name not in told] if alone else []
        state.counts[segment] += len(own) - len(strange)
        unknown += strange
    submitted = [name for name in standing.submitted if told.get(name, OPEN) is not None]
    if not alone and len(submitted) > MOST_READ:
        state.counts["sending"] += len(submitted)
        return unknown
    return unknown + submitted
