"""`resend` and `cancel`: what is pushed about a job that is there."""

from typing import Annotated

import typer

from faxline.cli.app import (
    DELIVERED,
    ENDED_OTHERWISE,
    NO_SUCH_JOB,
    WAIT,
    Json,
    Timeout,
    app,
    examples,
    faxline_of,
)
from faxline.cli.inputs import number_of
from faxline.cli.output import complain, write, write_json
from faxline.cli.sending import Id, Level, Metadata, Wait, finish, object_of
from faxline.entries import Priority
from faxline.errors import JobNotFound, WaitTimeout
from faxline.events import EventName
from faxline.jobs import JobState
from faxline.line import FaxLine


@app.command(
    epilog=examples(
        "faxline resend invoice-77",
        "faxline resend invoice-77 --to +12025550124 --id invoice-77-b --wait",
    )
)
def resend(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    of: Annotated[str, typer.Argument(metavar="ID", help="The job to send again; iFax must have taken it.")],
    to: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Another number. [default: the same]")
    ] = None,
    job: Id = None,
    priority: Level = Priority.NORMAL,
    metadata: Metadata = None,
    wait: Wait = False,
    timeout: Timeout = WAIT,
    as_json: Json = False,
) -> None:
    """Send a job again, as a job of its own.

    Prints the new id, and with --wait how it ended.
    """
    number = number_of(to, ctx.obj.region) if to is not None else None
    with faxline_of(ctx) as line:
        pushed = line.resend(of, to=number, id=job, priority=priority, metadata=object_of(metadata))
        finish(line, pushed, wait=wait, timeout=timeout, as_json=as_json)


@app.command(epilog=examples("faxline cancel invoice-77"))
def cancel(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="The job that is not wanted any more.")],
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the answer; 0: not at all.")
    ] = 5.0,
    as_json: Json = False,
) -> None:
    """Cancel a job that is still queued, or that iFax keeps for a date.

    Exit code 1 if it is too late for that.
    """
    with faxline_of(ctx) as line:
        events = line.events(timeout=timeout)
        line.cancel(job)
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


_REFUSALS = {
    "too_late": "iFax is sending it, or has sent it",
    "not_canceled": "iFax did not take the request; try again",
    "unknown": "nobody knows whether iFax canceled it; its receipt will tell",
}
"""What iFax said about a fax that it keeps for a date."""


def _unanswered(line: FaxLine, job: str, timeout: float) -> str:
    """Who has not answered: a dispatcher, or iFax, which has been asked to cancel a fax that it keeps."""
    try:
        found = line.job(job)
    except JobNotFound:
        found = None
    if found is not None and found.state is JobState.SUBMITTED and found.send_at is not None:
        return f"iFax has not answered within {timeout:g} s; the request goes on, and an event tells its end"
    return f"no dispatcher answered within {timeout:g} s; the request stays for one that comes"
