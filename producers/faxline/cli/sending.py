"""`send`, `resend` and `cancel`: what is pushed onto intake."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from faxline.cli.app import (
    DELIVERED,
    ENDED_OTHERWISE,
    NO_SUCH_JOB,
    WAIT,
    Json,
    Timeout,
    UsageError,
    app,
    examples,
    faxline_of,
)
from faxline.cli.explaining import ending
from faxline.cli.output import complain, write, write_json
from faxline.entries import InDoubtPolicy, Priority
from faxline.errors import JobNotFound, WaitTimeout
from faxline.events import Event, EventName
from faxline.jobs import Job, JobState
from faxline.line import FaxLine

Id = Annotated[
    str | None,
    typer.Option("--id", help="The idempotency key: pushed again, it is ignored. [default: a UUID]"),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 if it is not delivered.")]
Metadata = Annotated[str | None, typer.Option(metavar="JSON", help="A JSON object, echoed in every event.")]
Level = Annotated[Priority, typer.Option(help="Which jobs go first.")]


@app.command(
    epilog=examples(
        "faxline send --to +12025550123 letter.pdf",
        "faxline send --to +12025550123 --to +12025550124 a.pdf https://example.com/b.pdf",
        "faxline send --to +12025550123 letter.pdf --id invoice-77 --priority urgent --wait",
        """faxline send --to +12025550123 letter.pdf --metadata '{"customer": 7}' --json""",
    )
)
def send(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Paths, or URLs that iFax can reach.")
    ],
    to: Annotated[
        list[str],
        typer.Option(metavar="NUMBER", help="An E.164 number; several make a job each, ID.1 and so on."),
    ],
    job: Id = None,
    priority: Level = Priority.NORMAL,
    expires_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="ISO 8601 with an offset: not submitted by then, it fails."),
    ] = None,
    in_doubt: Annotated[
        InDoubtPolicy | None, typer.Option(help="What becomes of it when nobody knows whether iFax took it.")
    ] = None,
    attempts: Annotated[int | None, typer.Option(metavar="N", help="Most deliveries tried.")] = None,
    metadata: Metadata = None,
    subject: Annotated[str | None, typer.Option(help="Of the cover page.")] = None,
    message: Annotated[str | None, typer.Option(help="Of the cover page.")] = None,
    from_name: Annotated[str | None, typer.Option(help="The sender's name.")] = None,
    to_name: Annotated[str | None, typer.Option(help="The recipient's name.")] = None,
    quality: Annotated[str | None, typer.Option(help="Low, Standard or HD.")] = None,
    caller_id: Annotated[str | None, typer.Option(help="The number that the fax shows.")] = None,
    send_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="ISO 8601 with an offset: iFax sends it then.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = WAIT,
    as_json: Json = False,
) -> None:
    """Check a fax and push it.

    Prints the id, and with --wait how it ended.
    """
    fax = {
        "subject": subject,
        "message": message,
        "from_name": from_name,
        "to_name": to_name,
        "faxQuality": quality,
        "callerId": caller_id,
        "send_at": send_at,
    }
    with faxline_of(ctx) as line:
        events = line.events(timeout=timeout) if wait else iter(())
        try:
            pushed = line.send(
                to=to if len(to) > 1 else to[0],
                files=files,
                id=job,
                priority=priority,
                expires_at=expires_at,
                in_doubt=in_doubt,
                attempts=attempts,
                metadata=_object(metadata),
                **{name: value for name, value in fax.items() if value is not None},
            )
        except OSError as error:
            raise UsageError(f"cannot read {error.filename}: {error.strerror}") from None
        names = [f"{pushed.id}.{i}" for i in range(1, len(to) + 1)] if pushed.group else [pushed.id]
        _finish(line, pushed, names, events, wait=wait, timeout=timeout, as_json=as_json)


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
    with faxline_of(ctx) as line:
        pushed = line.resend(of, to=to, id=job, priority=priority, metadata=_object(metadata))
        _finish(line, pushed, [pushed.id], iter(()), wait=wait, timeout=timeout, as_json=as_json)


@app.command(epilog=examples("faxline cancel invoice-77"))
def cancel(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="The job that is not wanted any more.")],
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the answer; 0: not at all.")
    ] = 5.0,
    as_json: Json = False,
) -> None:
    """Cancel a job that is still queued.

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
        raise WaitTimeout(
            f"no dispatcher answered within {timeout:g} s; the request stays for one that comes"
        )
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
        write(f"{job} is not canceled: it is {state} already")
    raise typer.Exit(DELIVERED if canceled else ENDED_OTHERWISE)


def show_ends(jobs: list[Job], *, as_json: bool) -> None:
    """Print how jobs ended, and exit: 0 if all were delivered, else 1."""
    for job in jobs:
        if as_json:
            write_json(job.to_dict())
        else:
            write(f"{job.id}: {ending(job)}")
    delivered = all(job.state is JobState.DELIVERED for job in jobs)
    raise typer.Exit(DELIVERED if delivered else ENDED_OTHERWISE)


def _finish(
    line: FaxLine,
    pushed: Job,
    names: list[str],
    events: Iterator[Event],
    *,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Tell the ids; wait for the ends if that is asked for."""
    for name in names:
        if not as_json:
            write(name)
        elif not wait:
            write_json(replace(pushed, id=name).to_dict())
    if not wait:
        return
    if pushed.group:
        show_ends(_group_ends(line, pushed, names, events, timeout), as_json=as_json)
    show_ends([line.wait(pushed, timeout)], as_json=as_json)


def _group_ends(
    line: FaxLine, pushed: Job, names: list[str], events: Iterator[Event], timeout: float
) -> list[Job]:
    """Wait for the jobs of a group; `events` are those since before the push."""
    ended: dict[str, Job] = {}

    def look(name: str) -> None:
        try:
            job = line.job(name)
        except JobNotFound:
            return
        if job.state.final:
            ended[name] = job

    for name in names:
        look(name)
    while len(ended) < len(names):
        event = next(events, None)
        if event is None:
            left = len(names) - len(ended)
            raise WaitTimeout(f"{left} of {len(names)} jobs did not end within {timeout:g} s")
        if event.name == EventName.REJECTED and event.data.get("entry") == pushed.entry:
            raise event.rejection()
        if event.job in names:
            look(event.job)
    return [ended[name] for name in names]


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError("""--metadata is a JSON object, such as '{"customer": 7}'""")
    return value
