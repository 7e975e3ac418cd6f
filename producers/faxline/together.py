"""Waiting for jobs together: a group's, those of a list of numbers, or those of a mailing."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from faxline.errors import JobRejected
from faxline.events import Event, EventName, position
from faxline.groups import Group
from faxline.jobs import Job
from faxline.listing import BATCH, light_records
from faxline.mailings import Mailing, Progress, names_of
from faxline.questions import Steps, Terms
from faxline.records import jobs_of, members_of
from faxline.streams import in_intake, newest, page, rejections

POLL = 0.2
"""Seconds between two looks whether intake has taken entries whose ids older jobs had: no event tells."""
_ENDS = {EventName.DELIVERED, EventName.FAILED, EventName.CANCELED, EventName.UNCONFIRMED}


class StillOpen(Exception):  # noqa: N818 - the time is over; becomes a WaitTimeout
    """What has not ended, in words."""


@dataclass(slots=True)
class Together:
    """What is waited for, and how far it is.

    Attributes:
        name: the group's, or nothing.
        by_name: it is the group as Redis knows it, whoever pushed its jobs.
        pushed: else the jobs that a push made, by name, each with its entry.
        owners: each entry (its stream id and its jobs) by all that a rejection of it may name.
        raises: a rejection ends the wait.
        open: the jobs that are known and have not ended.
        ended: those that have.
        rejected: those whose entry was rejected.
        older: jobs of these names had ended before their entries were pushed, which intake has yet to take.
    """

    name: str
    by_name: bool = False
    pushed: dict[str, str] = field(default_factory=dict)
    owners: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    raises: bool = False
    open: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    rejected: dict[str, JobRejected] = field(default_factory=dict)
    older: bool = False

    @classmethod
    def of_list(cls, job: Job) -> "Together":
        """The jobs of a list of numbers."""
        made = cls(job.id, raises=True)
        made._add(job)
        return made

    @classmethod
    def of_mailing(cls, mailing: Mailing) -> "Together":
        """The jobs of a mailing."""
        groups = {job.group for job in mailing.jobs}
        made = cls(next(iter(groups)) or "" if len(groups) == 1 else "")
        for job in mailing.jobs:
            made._add(job)
        return made

    def _add(self, job: Job) -> None:
        entry, names = job.entry or "", names_of(job)
        self.open.update(names)
        self.pushed.update(dict.fromkeys(names, entry))
        self.owners.update(dict.fromkeys((entry, job.id, *names), (entry, names)))

    @property
    def total(self) -> int:
        """How many jobs are known."""
        return len(self.open) + len(self.ended)

    def see(self, event: Event) -> None:
        """Take an event in.

        Raises:
            JobRejected: the entry was rejected, and that ends the wait.
        """
        if event.name in _ENDS and event.job in self.open:
            self.end([event.job])
        elif event.name == EventName.REJECTED:
            owner = self.owners.get(str(event.data.get("entry"))) or self.owners.get(event.job)
            entry, names = owner or ("", [])
            if names and event.concerns(entry or None):
                if self.raises:
                    raise event.rejection()
                self.rejected.update(dict.fromkeys(names, event.rejection()))
                self.end(names)

    def end(self, names: Iterable[str]) -> None:
        """These have come to their end."""
        for name in names:
            self.open.discard(name)
            self.ended.add(name)


def ends_of(terms: Terms, waited: Together, until: float, progress: Progress | None) -> Steps[Group]:
    """Wait for all of them.

    Raises:
        JobRejected: the entry of the list of numbers was rejected.
        StillOpen: some are when the time is over.
    """
    after = yield from newest(terms)  # before the look at the records, so that no event falls between
    if waited.by_name:
        waited.open |= yield from members_of(terms, waited.name)
    elif waited.pushed:
        first = min(waited.pushed.values(), key=position)
        yield from rejections(terms, first.partition("-")[0], waited.see)
    yield from _look(terms, waited)
    told = -1
    while True:
        if progress is not None and len(waited.ended) != told:
            told = len(waited.ended)
            progress(told, waited.total)
        if not waited.open and not (yield from _grown(terms, waited)):
            break
        left = until - time.monotonic()
        if left <= 0:
            of = f" of group {waited.name!r}" if waited.name else ""
            raise StillOpen(f"{len(waited.open)} of {waited.total} jobs{of}")
        entries = yield from page(terms, after, min(left, POLL) if waited.older else left)
        for entry, fields in entries:
            after = entry.decode()
            waited.see(Event.from_entry(entry, fields))
        if not entries or waited.older:  # a reader that is slower than the capped stream misses events
            yield from _look(terms, waited)
    if waited.pushed:
        yield from rejections(terms, f"({after}", waited.see)
    jobs = yield from jobs_of(terms, waited.ended - waited.rejected.keys())
    forgotten = len(waited.ended) - len(waited.rejected) - len(jobs)
    return Group.from_jobs(terms.account, waited.name, jobs, rejected=waited.rejected, forgotten=forgotten)


def _look(terms: Terms, waited: Together) -> Steps[None]:
    """Which of the open ones have ended by their records."""
    names, waited.older = sorted(waited.open), False
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        found = yield from light_records(terms.keys, batch)
        final = [job for job in found.values() if job.state.final]
        ended = {job.id for job in final}
        older = {job.id for job in final if job.id in waited.pushed and job.is_older(waited.pushed[job.id])}
        if older and (yield from in_intake(terms, (waited.pushed[name] for name in older))):
            waited.older = True
            ended -= older
        waited.end(ended)
        if waited.by_name:  # a group's job had a record once: its retention is over
            waited.end(name for name in batch if name not in found)


def _grown(terms: Terms, waited: Together) -> Steps[bool]:
    """Whether a group got jobs meanwhile that are open."""
    if waited.by_name:
        waited.open |= (yield from members_of(terms, waited.name)) - waited.ended
        yield from _look(terms, waited)
    return bool(waited.open)
