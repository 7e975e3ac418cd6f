"""`show` and `list`: the record of a job, and the jobs that have not ended."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from faxline.cli.app import (
    By,
    JobId,
    Json,
    app,
    examples,
    faxline_of,
)
from faxline.cli.explaining import pages_of
from faxline.cli.output import clock, complain, moment, span, write, write_json, write_pairs, write_table
from faxline.cli.overview import Failures, show_group
from faxline.cli.presence import (
    look_up,
    warn,
)
from faxline.cli.seeking import Reveal, may_be_at_ifax, others_of, revealed_by, sought
from faxline.client.sync import FaxLine
from faxline.contract.states import JobState
from faxline.reading.archived import STATES
from faxline.reading.group import Group
from faxline.reading.job import Job
from faxline.reading.open_jobs import OPEN

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
    *("created_at", "updated_at", "waits_until", "policy", "others"),
)


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
        _write_group(found, as_json=as_json)
        return
    if as_json:
        write_json(found.to_dict() | ({"number": numbers.get(found.id)} if reveal else {}))
        return
    forecast = found.forecast
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
            ("also at iFax", others_of(found)),
            ("code", _text(found.code)),
            ("reason", found.reason or ""),
            ("message", found.message or ""),
            ("pages", f"{pages_of(found)} transferred" if found.transferred is not None else pages_of(found)),
            ("held by", str(forecast.hold) if forecast else ""),
            ("jobs before it", str(forecast.place) if forecast else ""),
            ("expected start", start if forecast else ""),
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


def _listed(state: str | None) -> str | None:
    if state is None or state in OPEN:
        return state
    others = f"; `faxline find --state {state}` asks the archive" if state in STATES else ""
    raise typer.BadParameter(f"{state!r} is not one of {', '.join(OPEN)}{others}")


@app.command(
    "list",
    epilog=examples("faxline list", "faxline list --state in_doubt", "faxline list --json --limit 1000"),
)
def list_jobs(
    ctx: typer.Context,
    state: Annotated[
        str | None,
        typer.Option(
            help=f"Only jobs in this state: {', '.join(OPEN)}. [default: all, in doubt first]",
            callback=_listed,
            autocompletion=lambda: [str(each) for each in OPEN],
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The most jobs to list.")] = 100,
    reveal: Reveal = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """List the jobs that have not ended. `faxline find` has the others."""
    with faxline_of(ctx) as line:
        jobs = line.jobs(state=state and JobState(state), limit=limit)
        total = _total(line, state) if len(jobs) == limit else len(jobs)
        numbers = revealed_by(line, jobs, by, reveal=reveal)
        if not jobs:
            warn(line)  # the name may be wrong
    now = datetime.now(UTC)
    if as_json:
        for job in jobs:
            content = job.to_dict()
            listed = {name: content[name] for name in _LISTED} | {"age_seconds": _age(job, now)}
            write_json(listed | ({"number": numbers.get(job.id)} if reveal else {}))
    elif jobs:
        write_table(
            ["id", "state", "priority", "to", "age", "reason", "waits until", "policy", "also at iFax"],
            [
                [
                    *(job.id, str(job.state), job.priority, numbers.get(job.id, job.to or "")),
                    span(_age(job, now)),
                    *(job.reason or "", _until(job, now), job.policy or "", others_of(job)),
                ]
                for job in jobs
            ],
        )
    else:
        write(f"account {line.account} has no {state or 'open'} job")
    if total > limit:
        complain(f"{limit} of {total} shown; --limit {total} shows all")


def _total(line: FaxLine, state: str | None) -> int:
    counts = line.account_state().jobs
    return sum(counts.get(name, 0) for name in ([state] if state else OPEN))


def _write_group(group: Group, *, as_json: bool) -> None:
    if as_json:
        write_json(group.to_dict())
        return
    failures = Failures()
    for job in group.jobs:
        failures.add(job)
    show_group(group, failures)


def _age(job: Job, now: datetime) -> float:
    return max(0.0, (now - job.created_at).total_seconds()) if job.created_at else 0.0


def _until(job: Job, now: datetime) -> str:
    """The deadline for a receipt, or the end of the wait of a job in doubt."""
    if job.waits_until:
        return moment(job.waits_until, now)
    held = job.state is JobState.IN_DOUBT and job.policy == "hold"
    return "an operator decides" if held else ""


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def _more(data: Any) -> str:
    shown = {**data, "wait": span(data["wait"] / 1000)} if "wait" in data else data
    return ", ".join(f"{name} {value}" for name, value in shown.items() if name != "retry_at")
