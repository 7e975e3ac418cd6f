"""Who of the daemon is at work, as `accounts` and `explain` tell it."""

from collections.abc import Iterator, Mapping

from faxline.errors import NotAllowed
from faxline.jobs import Job, JobState
from faxline.line import FaxLine
from faxline.processes import Process, at_work

_NEEDED: Mapping[JobState, tuple[str, ...]] = {
    JobState.QUEUED: ("dispatcher", "worker"),
    JobState.SUBMITTING: ("dispatcher", "worker"),
    JobState.SUBMITTED: ("webhook", "worker", "dispatcher"),
    JobState.IN_DOUBT: ("webhook", "worker", "dispatcher"),
}
"""Without whom a job in this state goes no further."""


def processes_of(line: FaxLine) -> list[Process] | None:
    """The daemon's processes; None where this user may not read their heartbeats."""
    try:
        return line.processes()
    except NotAllowed:
        return None


def counted(processes: list[Process]) -> str:
    """Such as `2 dispatchers, 1 worker, no webhook at work`."""
    counts = at_work(processes)
    return ", ".join(f"{n or 'no'} {role}{'s' if n > 1 else ''}" for role, n in counts.items()) + " at work"


def missing(job: Job, processes: list[Process] | None) -> Iterator[str]:
    """A sentence about each role without which the job goes no further, and of which none is at work."""
    counts = at_work(processes, job.account) if processes is not None else {}
    for role in _NEEDED.get(job.state, ()):
        if not counts.get(role, 1):
            yield f"No {role} is at work for account {job.account}: start one; `faxline doctor` says more."
