"""`wait`, `group` and `explain`: how far jobs are, and what they wait for."""

from typing import Annotated, Any

import typer

from faxline.cli.app import (
    DELIVERED,
    ENDED_OTHERWISE,
    WAIT,
    JobId,
    Json,
    Timeout,
    UsageError,
    app,
    examples,
    faxline_of,
)
from faxline.cli.explaining import explanation, facts
from faxline.cli.output import write, write_json
from faxline.cli.overview import Failures, GroupJson, show_group
from faxline.cli.presence import (
    JobLost,
    check_rollback,
    look_up,
    processes_of,
    waiting_entry,
    warn,
    watching,
    where_to_look,
)
from faxline.cli.sending import show_ends
from faxline.client.sync import FaxLine
from faxline.contract.errors import GroupNotFound, JobNotFound, JobRejected, WaitTimeout
from faxline.contract.states import JobState
from faxline.contract.wording import plural
from faxline.reading.group import Group
from faxline.reading.job import Job
from faxline.reading.presence import missing


@app.command(epilog=examples("faxline wait invoice-77", "faxline wait invoice-77 --timeout 60 --json"))
def wait(ctx: typer.Context, job: JobId, timeout: Timeout = WAIT, as_json: Json = False) -> None:
    """Wait for the end of a job, or of all jobs of a group.

    Exit code 0 if it is delivered with all of its pages (all of them are), 1 if it ended otherwise.
    """
    with faxline_of(ctx) as line:
        failures, document = Failures(), GroupJson()
        try:
            with watching(line):
                ended = line.wait(job, timeout, each=document.add if as_json else failures.add)
        except WaitTimeout as error:
            found = look_up(line, job)  # or there is none, after all this time
            intake = f"intake did not take {job} within {timeout:g} s of waiting"
            why = intake if found.state is JobState.INTAKE else str(error)
            where = where_to_look(line, job, group=isinstance(found, Group))
            raise WaitTimeout(f"{why}; {where}") from None
    if isinstance(ended, Group):
        document.end(ended) if as_json else show_group(ended, failures)
        raise typer.Exit(DELIVERED if ended.succeeded else ENDED_OTHERWISE)
    show_ends([ended], as_json=as_json)


@app.command(epilog=examples("faxline group june", "faxline group june --json | jq .counts"))
def group(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The group.")],
    as_json: Json = False,
) -> None:
    """Show a group: how many of its faxes are in each state, and why some failed.

    A list of numbers is a group of the id's name; a mailing has the name that --group gave it. Exit code 1 if
    a fax was rejected, failed, or was delivered in part.
    """
    failures, document = Failures(), GroupJson()

    def see(job: Job) -> None:
        failures.add(job)
        if as_json:
            document.add(job)

    with faxline_of(ctx) as line:
        try:
            found = line.group(name, each=see)
        except GroupNotFound:
            if waiting_entry(line, name) is None:
                check_rollback(line, name)
                warn(line)
                raise
            text = f"the faxes of group {name} were pushed, and intake has taken none of them yet"
            raise WaitTimeout(text) from None
    document.end(found) if as_json else show_group(found, failures)
    raise typer.Exit(ENDED_OTHERWISE if failures.total or found.rejected else DELIVERED)


@app.command(epilog=examples("faxline explain invoice-77", "faxline explain invoice-77 --json"))
def explain(ctx: typer.Context, job: JobId, as_json: Json = False) -> None:
    """Say why a fax is not sent yet.

    Its place, what holds it and when it is expected to start; or what it waits for, or how it ended.
    """
    with faxline_of(ctx) as line:
        try:
            found = look_up(line, job, warning=False)
        except JobNotFound as error:
            rejected = _rejection(line, job)
            if rejected is None:
                if not isinstance(error, JobLost):
                    warn(line)
                raise
            text = [f"{job} was rejected by intake and is no job: {rejected}."]
            content: dict[str, Any] = {"id": job, "account": line.account, "state": "rejected"}
            content |= {"member": rejected.member, "reason": str(rejected.reason)}
        else:
            if isinstance(found, Group):
                waiting = next((member.id for member in found.jobs if not member.state.final), "")
                raise UsageError(
                    f"{job} is a group of {plural(found.total, 'job')}: explain one of them"
                    + (f", such as {waiting}" if waiting else "; all have ended")
                )
            state = line.account_state()
            text, content = explanation(found, state), facts(found, state)
            text += missing(found, processes_of(line))
    if as_json:
        write_json(content | {"text": text})
    else:
        for sentence in text:
            write(sentence)


def _rejection(line: FaxLine, job: str) -> JobRejected | None:
    try:
        line.wait(job, timeout=0)
    except JobRejected as error:
        return error
    except WaitTimeout:
        pass
    return None
