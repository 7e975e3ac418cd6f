"""Which processes of the daemon are missing, and what that means for a job."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from faxline.cli.app import ACCOUNT
from faxline.cli.output import complain
from faxline.client.sync import FaxLine
from faxline.contract.errors import (
    FaxlineError,
    GroupNotFound,
    JobNotFound,
    NotAllowed,
    QueueUnavailable,
    WaitTimeout,
)
from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline.reading.presence import WHOLE, absent, missing
from faxline.reading.processes import GONE, Process, at_work

_SOON, _NEWS = 1.0, GONE
"""Seconds of a wait until the first look at who is at work, and from that to the second, when a process that
was killed before is known to be gone."""


class JobLost(JobNotFound):
    """There is no record of this job, and Redis went back to an older state: it may be lost."""


def processes_of(line: FaxLine) -> list[Process] | None:
    """The processes of the daemon; None if this Redis user may not read their heartbeats.

    None, too, if the node of a cluster that has them is away, which is said on stderr: others may live.
    """
    try:
        return line.processes()
    except NotAllowed:
        return None
    except QueueUnavailable as error:
        complain(f"who is at work is not known: {error}")
        return None


def counted(processes: list[Process]) -> str:
    """Such as `2 dispatchers, 1 worker, no webhook at work`."""
    counts = at_work(processes)
    return ", ".join(f"{n or 'no'} {role}{'s' if n > 1 else ''}" for role, n in counts.items()) + " at work"


def warn(line: FaxLine, job: Job | None = None) -> bool:
    """Say on stderr which processes that a job, or any job, needs are missing. Return whether any is."""
    found = processes_of(line)
    sentences = missing(job, found) if job is not None else absent(line.account, WHOLE, found)
    for sentence in sentences:
        complain(sentence)
    return bool(sentences)


def job_or_group(line: FaxLine, name: str) -> Job:
    """The job of this id; if there is none, the group of this name.

    Raises:
        JobNotFound: there is neither.
    """
    try:
        return line.job(name)
    except JobNotFound as error:
        with suppress(GroupNotFound):
            return line.group(name)
        raise error from None


def look_up(line: FaxLine, name: str, *, warning: bool = True) -> Job:
    """Find a job or group, also one that intake has not taken yet.

    Args:
        line: the account's.
        name: the job's id, or a group's name.
        warning: if there is none, say on stderr which processes are missing.

    Raises:
        JobNotFound: there is none.
    """
    try:
        return job_or_group(line, name)
    except JobNotFound:
        if pushed := waiting_entry(line, name):
            at = datetime.fromtimestamp(int(pushed.partition("-")[0]) / 1000, tz=UTC)
            return Job(id=name, account=line.account, state=JobState.INTAKE, created_at=at, entry=pushed)
        check_rollback(line, name)
        if warning:
            warn(line)
        raise


def check_rollback(line: FaxLine, name: str) -> None:
    """Check whether a missing job may be among what Redis lost when it went back to an older state.

    Raises:
        JobLost: it may be. The message says where to look.
    """
    try:
        lost = line.rollback()
    except NotAllowed:
        return
    if lost is None:
        return
    named = name in lost.pushed or any(call.job == name for call in lost.calls)
    why = "Redis lost it" if named else "never pushed, rejected, its retention is over, or Redis lost it"
    raise JobLost(
        f"no job {name!r} on account {line.account!r}: {why} when it went back to an older state; "
        f"`faxline accounts rollback {line.account}` shows what was lost and goes on"
    ) from None


def waiting_entry(line: FaxLine, name: str) -> str | None:
    """The entry of this job or group that intake has not taken yet; None also if this user may not look."""
    try:
        return line.intake_entry(name)
    except NotAllowed:
        return None


def warn_after_push(line: FaxLine) -> None:
    """After a push, say on stderr which processes are missing. Errors are ignored: the push succeeded."""
    with suppress(FaxlineError):  # the push itself succeeded
        warn(line)


def where_to_look(line: FaxLine, name: str, *, group: bool) -> str:
    """Name the command that says why a job or group has not ended."""
    at = f" --account {line.account}" if line.account != ACCOUNT else ""
    return f"`faxline{at} {'group' if group else 'explain'} {name}` says more"


@contextmanager
def watching(line: FaxLine, name: str = "", *, group: bool = False) -> Iterator[None]:
    """During a wait, say on stderr after a second which processes are missing.

    Args:
        line: the account's.
        name: the job or group; the message of a timeout then says where to look.
        group: whether it is a group.

    Raises:
        WaitTimeout: it did not end in time.
    """
    ended = threading.Event()

    def look() -> None:
        with suppress(FaxlineError):  # the wait itself reports errors
            for pause in (_SOON, _NEWS):
                if ended.wait(pause) or warn(line):
                    return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    except WaitTimeout as error:
        if not name:
            raise
        raise WaitTimeout(f"{error}; {where_to_look(line, name, group=group)}") from None
    finally:
        ended.set()
        thread.join()
