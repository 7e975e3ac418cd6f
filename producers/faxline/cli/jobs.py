"""`show`, `list`, `group`, `wait` and `explain`: what became of jobs, and what they wait for."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from faxline.cli.app import (
    DELIVERED,
    ENDED_OTHERWISE,
    WAIT,
    By,
    Json,
    Timeout,
    UsageError,
    app,
    examples,
    faxline_of,
)
from faxline.cli.explaining import explanation, facts, pages_of
from faxline.cli.output import clock, complain, moment, span, write, write_json, write_pairs, write_table
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
from faxline.cli.seeking import Reveal, may_be_at_ifax, revealed_by, sought
from faxline.cli.sending import show_ends
from faxline.client.sync import FaxLine
from faxline.contract.errors import GroupNotFound, JobNotFound, JobRejected, WaitTimeout
from faxline.contract.wording import plural
from faxline.reading.group import Group
from faxline.reading.job import Job, JobState
from faxline.reading.presence import missing

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job, or the group.")]
_LISTED = (
    *(
        "id",
        "account",
        "state",
        "priority",
        "attempt",
        "jobId",
        "code",
        "reason",
        "to",
        "kind",
        "of",
        "group",
    ),
    *("created_at", "updated_at", "waits_until", "policy"),
)


class Listed(StrEnum):
    """The states that can be listed."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    IN_DOUBT = "in_doubt"


@app.command(epilog=examples("faxline show invoice-77", "faxline show invoice-77 --json | jq .history"))
def show(
    ctx: typer.Context, job: JobId, reveal: Reveal = False, by: By = None, as_json: Json = False
) -> None:
    """Show a job's record and its history, or a group as a whole."""
    with faxline_of(ctx) as line:
        found = look_up(line, job)
        if not found.state.final:
            warn(line, found)
        own = [] if isinstance(found, Group) else [found]
        numbers = revealed_by(line, own, by, reveal=reveal)
    if isinstance(found, Group):
        _tell_group(found, as_json=as_json)
        return
    if as_json:
        write_json(found.to_dict() | ({"number": numbers.get(found.id)} if reveal else {}))
        return
    told = found.forecast
    start = moment(found.expected_start) if found.expected_start else "nobody knows"
    write_pairs(
        [
            ("id", found.id),
            ("account", found.account),
            ("state", found.state_text),
            ("priority", found.priority),
            ("to", numbers.get(found.id, found.to or "")),
            ("kind", f"resend of {found.of}" if found.of else found.kind),
            ("group", found.group or ""),
            ("attempt", str(found.attempt)),
            ("jobId", _text(found.job_id)),
            ("code", _text(found.code)),
            ("reason", found.reason or ""),
            ("message", found.message or ""),
            ("pages", f"{pages_of(found)} transferred" if found.transferred is not None else pages_of(found)),
            ("held by", str(told.hold) if told else ""),
            ("jobs before it", str(told.place) if told else ""),
            ("expected start", start if told else ""),
            ("waits until", _until(found, datetime.now(UTC))),
            ("policy", found.policy or ""),
            ("at iFax", sought(found, numbers) if may_be_at_ifax(found) else ""),
            ("created", moment(found.created_at) if found.created_at else ""),
            ("updated", moment(found.updated_at) if found.updated_at else ""),
        ]
    )
    if found.history:
        write("")
        write_table(
            ["at", "event", "state", "attempt", "more"],
            [
                [clock(step.at), step.event, step.state, str(step.attempt), _more(step.data)]
                for step in found.history
            ],
        )


@app.command(
    "list",
    epilog=examples("faxline list", "faxline list --state in_doubt", "faxline list --json --limit 1000"),
)
def list_jobs(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    state: Annotated[Listed | None, typer.Option(help="Only these. [default: all, in doubt first]")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")] = 100,
    reveal: Reveal = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """List the jobs that have not come to their end."""
    with faxline_of(ctx) as line:
        jobs = line.jobs(state=state, limit=limit)
        total = _total(line, state) if len(jobs) == limit else len(jobs)
        numbers = revealed_by(line, jobs, by, reveal=reveal)
    now = datetime.now(UTC)
    if as_json:
        for job in jobs:
            content = job.to_dict()
            listed = {name: content[name] for name in _LISTED} | {"age_seconds": _age(job, now)}
            write_json(listed | ({"number": numbers.get(job.id)} if reveal else {}))
    elif jobs:
        write_table(
            ["id", "state", "priority", "to", "age", "reason", "waits until", "policy"],
            [
                [
                    *(job.id, str(job.state), job.priority, numbers.get(job.id, job.to or "")),
                    span(_age(job, now)),
                    *(job.reason or "", _until(job, now), job.policy or ""),
                ]
                for job in jobs
            ],
        )
    else:
        write(f"account {line.account} has no {state or 'open'} job")
    if total > limit:
        complain(f"{limit} of {total} shown; --limit {total} shows all")


def _total(line: FaxLine, state: Listed | None) -> int:
    counts = line.account_state().jobs
    return sum(counts.get(name, 0) for name in ([state] if state else Listed))


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


def _tell_group(group: Group, *, as_json: bool) -> None:
    if as_json:
        write_json(group.to_dict())
        return
    failures = Failures()
    for job in group.jobs:
        failures.add(job)
    show_group(group, failures)


def _rejection(line: FaxLine, job: str) -> JobRejected | None:
    try:
        line.wait(job, timeout=0)
    except JobRejected as error:
        return error
    except WaitTimeout:
        pass
    return None


def _age(job: Job, now: datetime) -> float:
    return max(0.0, (now - job.created_at).total_seconds()) if job.created_at else 0.0


def _until(job: Job, now: datetime) -> str:
    """When a submitted job's receipt, or one in doubt, is given up."""
    if job.waits_until:
        return moment(job.waits_until, now)
    held = job.state is JobState.IN_DOUBT and job.policy == "hold"
    return "an operator decides" if held else ""


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def _more(data: Any) -> str:
    shown = {**data, "wait": span(data["wait"] / 1000)} if "wait" in data else data
    return ", ".join(f"{name} {value}" for name, value in shown.items() if name != "retry_at")
