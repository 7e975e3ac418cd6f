"""Wait for several jobs: those of a group, of a list of numbers, or of a mailing."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from faxline.contract.errors import JobRejected
from faxline.contract.events import FINAL_EVENTS, Event, EventName, position
from faxline.contract.wording import plural
from faxline.reading.event_stream import is_in_intake, read_newest_id, read_next, read_rejections
from faxline.reading.group import Each, Group
from faxline.reading.job import Job
from faxline.reading.lookup import GroupFacts, read_group, read_group_facts, read_members
from faxline.reading.open_jobs import BATCH, read_light_records
from faxline.reading.presence import WHOLE
from faxline.sending.mailing import Mailing, Progress, job_ids_of
from faxline.steps.commands import Context, Steps

POLL = 0.2
"""Seconds between two checks whether intake took entries whose ids belong to older jobs. No event says so."""


class PendingTimeout(Exception):
    """Jobs did not end in time. The message names them.

    Attributes:
        how: what is known about a single job, in words.
        needed: the roles of the daemon that the jobs need to go on.
    """

    def __init__(self, what: str, how: str = "", needed: tuple[str, ...] = WHOLE) -> None:
        super().__init__(what)
        self.how = how
        self.needed = needed


@dataclass(slots=True)
class PendingJobs:
    """The jobs to wait for, and how far they are.

    Attributes:
        name: the name of the group, if there is one.
        by_name: whether to wait for the group as Redis knows it, whoever pushed its jobs.
        pushed: otherwise, the jobs that a push made, each with the id of its entry.
        lists: the jobs of a list of numbers, by its id and by each of theirs: they are rejected together.
        raises: whether a rejection ends the wait.
        open: the known jobs that have not ended.
        ended: the jobs that have ended.
        rejected: the jobs whose entries were rejected.
        older: whether older jobs of the same ids have ended, and intake has not taken the new entries yet.
        facts: what Redis knows of the group's size and rejections.
        stale: whether jobs may have been registered or rejected since the last look at the group.
    """

    name: str
    by_name: bool = False
    pushed: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    raises: bool = False
    open: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    rejected: dict[str, JobRejected] = field(default_factory=dict)
    older: bool = False
    facts: GroupFacts = field(default_factory=lambda: GroupFacts(None, {}))
    stale: bool = True

    @classmethod
    def of_list(cls, job: Job) -> "PendingJobs":
        """The jobs of a list of numbers."""
        made = cls(job.id, raises=True)
        made._add(job)
        return made

    @classmethod
    def of_mailing(cls, mailing: Mailing) -> "PendingJobs":
        """The jobs of a mailing."""
        groups = {job.group for job in mailing.jobs}
        made = cls(next(iter(groups)) or "" if len(groups) == 1 else "")
        for job in mailing.jobs:
            made._add(job)
        return made

    def _add(self, job: Job) -> None:
        entry, names = job.entry or "", job_ids_of(job)
        self.open.update(names)
        self.pushed.update(dict.fromkeys(names, entry))
        if job.size:
            self.lists.update(dict.fromkeys((job.id, *names), names))

    def _rejected(self, event: Event) -> list[str]:
        """The jobs whose entry this event rejects. An unopened entry is known by its stream id only."""
        names = self.lists.get(event.job) or ([event.job] if event.job in self.pushed else [])
        if not names and event.data.get("entry") in self.pushed.values():
            names = [name for name, entry in self.pushed.items() if entry == event.data["entry"]]
        return names if names and event.concerns(self.pushed[names[0]] or None) else []

    @property
    def total(self) -> int:
        """How many jobs there are, as far as is known."""
        return max(len(self.open) + len(self.ended), self.facts.size or 0)

    @property
    def done(self) -> bool:
        """Whether all jobs have ended."""
        return len(self.ended) == self.total

    def see(self, event: Event) -> None:
        """Take an event into account.

        Raises:
            JobRejected: the entry was rejected, and this ends the wait.
        """
        self.stale = self.stale or event.name in {EventName.QUEUED, EventName.REJECTED}
        if event.name in FINAL_EVENTS and event.job in self.open:
            self.end([event.job])
        elif event.name == EventName.REJECTED:
            names = self._rejected(event)
            if names and self.raises:
                raise event.rejection()
            self.rejected.update(dict.fromkeys(names, event.rejection()))
            self.end(names)

    def end(self, names: Iterable[str]) -> None:
        """Note that these jobs have ended."""
        for name in names:
            self.open.discard(name)
            self.ended.add(name)


def wait_for_all(
    context: Context, waited: PendingJobs, until: float, progress: Progress | None, each: Each | None = None
) -> Steps[Group]:
    """Wait until all jobs have ended.

    Raises:
        JobRejected: the entry of the list of numbers was rejected.
        PendingTimeout: some jobs have not ended in time.
    """
    after = yield from read_newest_id(
        context
    )  # before the records are read, so that no event is missed in between
    if waited.pushed:
        first = min(waited.pushed.values(), key=position)
        yield from read_rejections(context, first.partition("-")[0], waited.see)
    yield from _look_at_group(context, waited)
    yield from _look(context, waited)
    reported = -1
    while True:
        if progress is not None and len(waited.ended) != reported:
            reported = len(waited.ended)
            progress(reported, waited.total)
        if not waited.open and waited.stale:
            yield from _look_at_group(context, waited)
            yield from _look(context, waited)
        if waited.done:
            break
        left = until - time.monotonic()
        if left <= 0:
            raise PendingTimeout(_open(waited))
        entries = yield from read_next(context, after, min(left, POLL) if waited.older else left)
        for entry, fields in entries:
            after = entry.decode()
            waited.see(Event.from_entry(entry, fields))
        if not entries or waited.older:  # a reader that is slower than the capped stream misses events
            waited.stale = True
            yield from _look(context, waited)
    if waited.pushed:
        yield from read_rejections(context, f"({after}", waited.see)
    return (
        yield from read_group(
            context, waited.name, waited.ended - waited.rejected.keys(), _facts(waited), each
        )
    )


def _facts(waited: PendingJobs) -> GroupFacts:
    """What is known of the group: by name what Redis knows, otherwise what was pushed."""
    if waited.by_name:
        return waited.facts
    return GroupFacts(len(waited.pushed), {name: (error, 0.0) for name, error in waited.rejected.items()})


def _open(waited: PendingJobs) -> str:
    """Describe the jobs that have not ended."""
    of = f" of group {waited.name!r}" if waited.name else ""
    untaken = waited.total - len(waited.open) - len(waited.ended)
    more = f"; intake has not taken {untaken} of them" if untaken else ""
    return f"{waited.total - len(waited.ended)} of {plural(waited.total, 'job')}{of}{more}"


def _look(context: Context, waited: PendingJobs) -> Steps[None]:
    """Find the open jobs whose records say that they have ended."""
    names, waited.older = sorted(waited.open), False
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        found = yield from read_light_records(context.keys, batch)
        final = [job for job in found.values() if job.state.final]
        ended = {job.id for job in final}
        older = {job.id for job in final if job.id in waited.pushed and job.is_older(waited.pushed[job.id])}
        if older and (yield from is_in_intake(context, (waited.pushed[name] for name in older))):
            waited.older = True
            ended -= older
        waited.end(ended)
        if waited.by_name:  # it had a record once, which has expired
            waited.end(name for name in batch if name not in found)


def _look_at_group(context: Context, waited: PendingJobs) -> Steps[None]:
    """Read which jobs the group has by now, and which were rejected."""
    if not waited.by_name:
        return
    waited.stale = False
    waited.facts = yield from read_group_facts(context, waited.name)
    members = yield from read_members(context, waited.name)
    waited.ended -= waited.rejected.keys() & members  # rejected first, and taken when pushed again
    waited.rejected = {
        name: error for name, (error, _) in waited.facts.rejected.items() if name not in members
    }
    waited.open |= members - waited.ended
    waited.end(waited.rejected)
