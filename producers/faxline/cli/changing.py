"""`resend` and `cancel`."""

from collections import Counter
from typing import Annotated
from uuid import uuid4

import typer

from faxline.cli.app import (
    AWAY,
    DELIVERED,
    ENDED_OTHERWISE,
    NO_SUCH_JOB,
    WAIT,
    By,
    Json,
    Timeout,
    app,
    examples,
    faxline_of,
    operator,
)
from faxline.cli.inputs import number_of
from faxline.cli.output import complain, write, write_json
from faxline.cli.presence import job_or_group, processes_of
from faxline.cli.sending import Id, Level, Metadata, Wait, finish, naming, object_of
from faxline.client.sync import FaxLine
from faxline.contract.choices import Priority
from faxline.contract.errors import JobNotFound, WaitTimeout
from faxline.contract.events import EventName
from faxline.contract.states import JobState
from faxline.contract.wording import plural
from faxline.reading.group import Group
from faxline.reading.job import Job
from faxline.reading.presence import absent


@app.command(
    epilog=examples(
        "faxline resend invoice-77",
        "faxline resend invoice-77 --to +12025550124 --id invoice-77-b --wait",
    )
)
def resend(
    ctx: typer.Context,
    of: Annotated[str, typer.Argument(metavar="ID", help="The job to repeat. iFax must have taken it.")],
    to: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Another number. [default: the same]")
    ] = None,
    job: Id = None,
    priority: Level = Priority.NORMAL,
    metadata: Metadata = None,
    by: By = None,
    wait: Wait = False,
    timeout: Timeout = WAIT,
    as_json: Json = False,
) -> None:
    """Send a fax again, as a new job.

    Prints the new id, and with --wait how it ended.
    """
    number = number_of(to, ctx.obj.region) if to is not None else None
    with faxline_of(ctx) as line:
        if why := _not_resendable(job_or_group(line, of)):
            complain(why)
            raise typer.Exit(ENDED_OTHERWISE)
        name, about = job or str(uuid4()), object_of(metadata)
        with naming(name):
            pushed = line.resend(
                of, to=number, id=name, priority=priority, metadata=about, by=by or operator()
            )
            finish(line, pushed, wait=wait, timeout=timeout, as_json=as_json)


def _not_resendable(job: Job) -> str:
    """Say why intake would reject a resend; empty if it would not."""
    if isinstance(job, Group):
        return f"{job.id} is a group of {plural(job.total, 'job')}: send one of them again"
    if job.job_id is None and job.kind != "resend":
        return f"{job.id} is {job.state} and iFax has not taken it, so there is nothing to send again"
    return ""


@app.command(epilog=examples("faxline cancel invoice-77", "faxline cancel june --timeout 60"))
def cancel(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="The job or group to cancel.")],
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the answer; 0 does not wait.")
    ] = 5.0,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Cancel a job that is still queued or scheduled at iFax, or all such jobs of a group.

    Exit code 1 if it is too late for that, for any job of a group that had not ended.
    """
    with faxline_of(ctx) as line:
        if _is_group(line, job):
            _cancel_group(line, job, timeout, by or operator(), as_json=as_json)
            return
        events = line.events(timeout=timeout)
        line.cancel(job, by=by or operator())
        if timeout == 0:
            write_json({"id": job, "canceled": None, "reason": None}) if as_json else write(f"{job}: asked")
            return
        answers = {EventName.CANCELED, EventName.CANCEL_REFUSED}
        answer = next((event for event in events if event.job == job and event.name in answers), None)
        if answer is None:
            raise WaitTimeout(_unanswered(line, job, timeout))
    canceled, reason = answer.name == EventName.CANCELED, str(answer.data.get("reason"))
    if reason == "unknown_job":
        complain(f"no job {job!r} on this account")
        raise typer.Exit(NO_SUCH_JOB)
    if as_json:
        write_json({"id": job, "canceled": canceled, "reason": reason})
    elif canceled:
        write(f"{job} is canceled")
    else:
        state = str(answer.data.get("state") or reason)
        write(f"{job} is not canceled: {_REFUSALS.get(reason, f'it is {state} already')}")
    raise typer.Exit(DELIVERED if canceled else ENDED_OTHERWISE)


def _is_group(line: FaxLine, name: str) -> bool:
    try:
        return isinstance(job_or_group(line, name), Group)
    except JobNotFound:
        return False


def _cancel_group(line: FaxLine, name: str, timeout: float, by: str, *, as_json: bool) -> None:
    """Cancel the open jobs of a group, and print how many were canceled."""
    events = line.events(timeout=timeout)
    asked, waiting, answers = set[str](), set[str](), Counter[str]()
    while new := line.cancel_group(name, skip=asked, by=by):  # again for what intake took meanwhile
        asked |= {*new}
        waiting |= {*new}
        while timeout and waiting and (event := next(events, None)):
            if event.job in waiting and event.name in {EventName.CANCELED, EventName.CANCEL_REFUSED}:
                waiting.discard(event.job)
                answers[str(event.data.get("state") or event.data.get("reason"))] += 1
        if waiting:
            break
    canceled, refused = answers.pop(str(JobState.CANCELED), 0), answers
    untaken = line.group(name, each=lambda _: None).counts.get(JobState.INTAKE, 0)
    summary = {"group": name, "asked": len(asked), "canceled": canceled, "unanswered": len(waiting)}
    if as_json:
        write_json(summary | {"refused": dict(refused), "not_taken_yet": untaken})
    else:
        of = f"{canceled} of {plural(len(asked), 'job')} that had not ended"
        write(f"group {name}: {of} {'is' if canceled == 1 else 'are'} canceled")
        for state, count in sorted(refused.items()):
            write(f"{plural(count, 'job is', 'jobs are')} {state} already")
        if waiting:
            write(f"{plural(len(waiting), 'job has', 'jobs have')} no answer yet; an event will bring it")
        if untaken:
            write(f"intake has not taken {plural(untaken, 'fax', 'faxes')} yet: cancel the group again later")
    if timeout and waiting:
        raise typer.Exit(AWAY)
    raise typer.Exit(ENDED_OTHERWISE if refused or untaken else DELIVERED)


_REFUSALS = {
    "too_late": "iFax is sending it, or has sent it",
    "not_canceled": "iFax did not take the request; try again",
    "unknown": "nobody knows whether iFax canceled it; its receipt will show",
}
"""Why a scheduled fax was not canceled."""


def _unanswered(line: FaxLine, job: str, timeout: float) -> str:
    """Say who has not answered: a dispatcher, or iFax about a scheduled fax; on stderr if none is at work."""
    away = absent(line.account, ("dispatcher",), processes_of(line))
    for sentence in away:
        complain(sentence)
    try:
        found = line.job(job)
    except JobNotFound:
        found = None
    if not away and found is not None and found.state is JobState.SUBMITTED and found.send_at is not None:
        return f"iFax has not answered within {timeout:g} s; the request goes on, and an event tells its end"
    return f"no dispatcher answered within {timeout:g} s; the request stays for one that comes"
