"""`resolve`: an operator settles a doubt."""

from typing import Annotated

import typer

from faxline.cli.app import (
    ENDED_OTHERWISE,
    ORDER_TIMEOUT,
    By,
    Json,
    OrderTimeout,
    UsageError,
    app,
    examples,
    faxline_of,
    operator,
)
from faxline.cli.explaining import ending
from faxline.cli.output import complain, write, write_json
from faxline.errors import ContentLost, JobIdTaken, NotInDoubt
from faxline.jobs import Job, JobState


@app.command(
    epilog=examples(
        "faxline list --state in_doubt",
        "faxline resolve invoice-77 --accepted 12345",
        "faxline resolve invoice-77 --resend",
        "faxline resolve invoice-77 --fail --by jane",
    )
)
def resolve(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="The job in doubt.")],
    accepted: Annotated[
        int | None, typer.Option(metavar="JOBID", min=0, help="iFax took it, under this jobId.")
    ] = None,
    resend: Annotated[bool, typer.Option("--resend", help="It is sent again.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="It is given up.")] = False,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Settle a doubt: nobody knows whether iFax took the fax, and you do.

    Exit code 1 if the job is not in doubt, or the jobId belongs to another job.
    """
    if (accepted is not None) + resend + fail != 1:
        raise UsageError("say what settles it: one of --accepted JOBID, --resend and --fail")
    with faxline_of(ctx) as line:
        try:
            settled = line.resolve(
                job, accepted=accepted, resend=resend, fail=fail, by=by or operator(), timeout=timeout
            )
        except (NotInDoubt, JobIdTaken, ContentLost) as error:
            complain(f"{error}; nothing was changed")
            raise typer.Exit(ENDED_OTHERWISE) from None
    if as_json:
        write_json(settled.to_dict())
    else:
        write(f"{job}: {_became(settled)}")


def _became(job: Job) -> str:
    """What is true of it now: another change may have followed."""
    if job.state.final:
        return ending(job)
    known = f" under jobId {job.job_id}" if job.state is JobState.SUBMITTED else ""
    return f"{job.state}{known}"
