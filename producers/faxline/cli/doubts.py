"""`resolve`: settle one doubt or many."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from faxline.cli.app import (
    ENDED_OTHERWISE,
    ORDER_TIMEOUT,
    By,
    Json,
    OrderTimeout,
    UsageError,
    agree,
    app,
    examples,
    faxline_of,
    operator,
)
from faxline.cli.audit import moment_of
from faxline.cli.explaining import ending
from faxline.cli.output import complain, write, write_json, write_table
from faxline.cli.seeking import Reveal, may_be_at_ifax, others_of, pages_of, revealed_by, sent_of, sought
from faxline.client.sync import FaxLine
from faxline.contract.errors import ContentLost, JobIdTaken, NotInDoubt, NotSettled
from faxline.contract.states import JobState
from faxline.contract.wording import plural
from faxline.reading.job import Job

_ALL = 10_000_000
"""More doubts than there ever are."""
_ALIKE = 0.82
"""How alike two reasons are of which one is mistyped. Of those that there are no two are."""


@app.command(
    epilog=examples(
        "faxline list --state in_doubt --reveal",
        "faxline resolve invoice-77 --reveal",
        "faxline resolve invoice-77 --accepted 12345",
        "faxline resolve invoice-77 --resend --attempt 2",
        "faxline resolve invoice-77 --fail --by jane",
        "faxline resolve --all --reason read_timeout --before 2h --resend",
        "",
        "--all shows which doubts fit, and asks before it settles them.",
    )
)
def resolve(
    ctx: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="[ID]", help="The job in doubt.")] = None,
    accepted: Annotated[
        int | None, typer.Option(metavar="JOBID", min=0, help="iFax took it, under this jobId.")
    ] = None,
    resend: Annotated[bool, typer.Option("--resend", help="Send the fax again.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Give the fax up.")] = False,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="The attempt that you looked up. A later one is not settled.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All doubts that match.")] = False,
    reason: Annotated[str | None, typer.Option(help="With --all: only doubts with this reason.")] = None,
    group: Annotated[str | None, typer.Option(help="With --all: only doubts of this group.")] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="With --all: only doubts older than this; ISO 8601, or 2h."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="With --all: do not ask for confirmation.")
    ] = False,
    reveal: Reveal = False,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Settle a doubt: say whether iFax took a fax.

    Exit code 1 if the job is not in doubt, was sent again since, or may be settled by a receipt that is being
    matched, or if the jobId belongs to another job or number.
    """
    decisions = (accepted is not None) + resend + fail
    if (job is None) != everything or (attempt if everything else (reason or group or before or yes)):
        raise UsageError("name one job, or --all with the filters --reason, --group and --before")
    if decisions > 1 or (decisions == 0 and not (everything or reveal)):
        raise UsageError("choose how to settle it: --accepted JOBID, --resend or --fail")
    if everything and accepted is not None:
        raise UsageError("a jobId is that of one fax: --all goes with --resend or --fail")
    how: dict[str, Any] = {"accepted": accepted, "resend": resend, "fail": fail, "by": by or operator()}
    with faxline_of(ctx) as line:
        found = _fitting(line, reason, group, before) if job is None else [line.job(job)]
        numbers = revealed_by(line, found, by, reveal=reveal, timeout=timeout)
        if not (as_json and decisions) and (job is None or reveal):
            _preview(line, found, numbers, one=job is not None, as_json=as_json)
        if not decisions:
            return
        if job is None and found:
            what = f"{plural(len(found), 'doubt is', 'doubts are')} {'sent again' if resend else 'given up'}"
            refusal = f"{what} then: add --yes where nobody can be asked; nothing was done"
            agree(f"{what}. Go on?", refusal, yes=yes)
        _settle(line, found, attempt, how, timeout, as_json=as_json)


def _fitting(line: FaxLine, reason: str | None, group: str | None, before: str | None) -> Sequence[Job]:
    until = moment_of("--before", before, datetime.now(UTC))
    doubts = line.jobs(state=JobState.IN_DOUBT, limit=_ALL)
    reasons = {job.reason for job in doubts if job.reason}
    if reason and reason not in reasons and (meant := get_close_matches(reason, reasons, cutoff=_ALIKE)):
        raise UsageError(f"no doubt has the reason {reason}; did you mean {meant[0]}?")
    return [
        job
        for job in doubts
        if reason in {None, job.reason}
        and group in {None, job.group}
        and (until is None or (job.updated_at is not None and job.updated_at <= until))
    ]


def _preview(
    line: FaxLine, found: Sequence[Job], numbers: Mapping[str, str], *, one: bool, as_json: bool
) -> None:
    """Print what to look up at iFax before a doubt is settled."""
    if as_json:
        for job in found:
            write_json(job.to_dict() | ({"number": numbers[job.id]} if job.id in numbers else {}))
    elif one:
        for job in found:
            look = sought(job, numbers) if may_be_at_ifax(job) else "iFax has not taken it"
            write(f"{job.id} is {job.state_text}, attempt {job.attempt}; {look}")
    elif not found:
        others = line.jobs(state=JobState.IN_DOUBT, limit=_ALL)
        reasons = sorted({other.reason for other in others if other.reason})
        there = f" of {len(others)}, with {', '.join(reasons)}" if others else ""
        write(f"no doubt of account {line.account} fits{there}")
    else:
        write_table(
            ["id", "to", "attempt", "sent (UTC)", "pages", "at iFax", "reason", "group"],
            [
                [
                    *(
                        job.id,
                        numbers.get(job.id, job.to or ""),
                        str(job.attempt),
                        sent_of(job),
                        pages_of(job),
                    ),
                    *(others_of(job), job.reason or "", job.group or ""),
                ]
                for job in found
            ],
        )


def _settle(
    line: FaxLine,
    found: Sequence[Job],
    attempt: int | None,
    how: Mapping[str, Any],
    timeout: float,
    *,
    as_json: bool,
) -> None:
    """Settle the doubts that were found, and none about a later attempt or another fax of the same id."""
    refused = False
    for job in found:
        seen: dict[str, Any] = {"attempt": attempt or job.attempt, "created_at": job.created_at}
        try:
            settled = line.resolve(job.id, **how, **seen, timeout=timeout)
        except (NotInDoubt, NotSettled, JobIdTaken, ContentLost) as error:
            complain(f"{error}; nothing was changed")
            refused = True
        else:
            write_json(settled.to_dict()) if as_json else write(f"{job.id}: {_became(settled)}")
    if refused:
        raise typer.Exit(ENDED_OTHERWISE)


def _became(job: Job) -> str:
    """Describe the job after the order. It may have changed again."""
    if job.state.final:
        return ending(job)
    known = f" under jobId {job.job_id}" if job.state is JobState.SUBMITTED else ""
    return f"{job.state}{known}"
