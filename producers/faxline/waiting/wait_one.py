"""Wait for the end of a job, or of what a name or a push stands for."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from faxline.contract.errors import WaitTimeout
from faxline.contract.events import Event, EventName
from faxline.contract.states import JobState
from faxline.reading.event_stream import is_in_intake, read_newest_id, read_next, read_rejections
from faxline.reading.group import Each, Group
from faxline.reading.job import Job
from faxline.reading.lookup import is_group, read_record
from faxline.reading.presence import NEEDED, absent
from faxline.reading.processes import read_processes
from faxline.sending.mailing import Mailing, Progress
from faxline.steps.commands import Context, Deadline, Steps
from faxline.steps.redis_errors import Entry
from faxline.waiting.wait_many import POLL, PendingJobs, PendingTimeout, wait_for_all

Waited: TypeAlias = str | Job | Mailing


def wait_for(
    context: Context,
    waited: Waited,
    timeout: float,
    progress: Progress | None,
    each: Each | None = None,
) -> Steps[Job]:
    """Wait for the end, and return the Job, or the `Group` of several jobs.

    Raises:
        JobRejected: intake rejected the entry of the job, or of the list of numbers.
        WaitTimeout: not all jobs ended within `timeout` seconds.
    """
    until = time.monotonic() + timeout
    yield Deadline(until)
    try:
        match waited:
            case Mailing():
                return (
                    yield from wait_for_all(context, PendingJobs.of_mailing(waited), until, progress, each)
                )
            case Group():
                return (
                    yield from wait_for_all(
                        context, PendingJobs(waited.name, by_name=True), until, progress, each
                    )
                )
            case Job() if waited.size:
                return (yield from wait_for_all(context, PendingJobs.of_list(waited), until, progress, each))
        name, pushed = (waited, None) if isinstance(waited, str) else (waited.id, waited.entry)
        ended = yield from _end_of_one(context, name, pushed, until)
        if ended is None:
            return (yield from wait_for_all(context, PendingJobs(name, by_name=True), until, progress, each))
    except PendingTimeout as error:
        why = yield from _why(context, error)
        raise WaitTimeout(f"{error} did not end within {timeout:g} s{why}") from None
    if progress is not None:
        progress(1, 1)
    return ended


def _end_of_one(context: Context, name: str, pushed: str | None, until: float) -> Steps[Job | None]:
    """Wait for a job, pushed with this entry or known by its id. Return None if it is the name of a group.

    Raises:
        PendingTimeout: the job has not ended in time.
    """
    after = yield from read_newest_id(
        context
    )  # before the record is read, so that no event is missed in between
    found = yield from read_record(context, name)
    if found is None or pushed is not None:
        yield from _raise_if_rejected(context, name, pushed, pushed.partition("-")[0] if pushed else "-")
    while True:
        if found is None and pushed is None and (yield from is_group(context, name)):
            return None
        older = found is not None and found.state.final and pushed is not None and found.is_older(pushed)
        if older and not (
            yield from is_in_intake(context, [pushed or ""])
        ):  # it was a repeat, or was rejected
            yield from _raise_if_rejected(context, name, pushed, f"({after}")
            older = False
        if found is not None and found.state.final and not older:
            return found
        left = until - time.monotonic()
        if left <= 0:
            raise _still_open(name, None if older else found, pushed)
        entries = yield from read_next(context, after, min(left, POLL) if older else left)
        after = entries[-1][0].decode() if entries else after
        concerned = _concerns(entries, name, pushed, known=found is not None)  # also if it was rejected
        # Look also after a quiet time: a reader that is slower than the capped stream misses events.
        if older or not entries or concerned:
            found = yield from read_record(context, name)


def _still_open(name: str, found: Job | None, pushed: str | None) -> PendingTimeout:
    state = found.state if found is not None else JobState.INTAKE
    if found is not None:
        how = f"it is {str(state).replace('_', ' ')}"
    elif pushed is not None:
        how = "intake has not taken it yet"
    else:
        how = "intake has taken no such job"
    return PendingTimeout(f"job {name!r}", how, NEEDED.get(state, ()))


def _why(context: Context, still: PendingTimeout) -> Steps[str]:
    """Say how far the job is, and which processes it needs that are not at work."""
    sentences = [f": {still.how}." if still.how else "."]
    with suppress(Exception):  # the timeout itself matters more
        sentences += absent(context.account, still.needed, (yield from read_processes()))
    return " ".join(sentences).removesuffix(".")


def _concerns(entries: Sequence[Entry], name: str, pushed: str | None, *, known: bool) -> bool:
    """Whether these events make another look at the record worthwhile.

    While there is no record, a registered job may belong to a group of this name.

    Raises:
        JobRejected: its entry was rejected.
    """
    look = False
    for entry, fields in entries:
        event = Event.from_entry(entry, fields)
        if event.rejects(name, pushed):
            raise event.rejection()
        look = look or event.job == name or (not known and event.name == EventName.QUEUED)
    return look


def _raise_if_rejected(context: Context, name: str, pushed: str | None, since: str) -> Steps[None]:
    def see(event: Event) -> None:
        if event.rejects(name, pushed):
            raise event.rejection()

    yield from read_rejections(context, since, see)
