"""`ask`: have iFax asked now how a fax stands."""

from typing import Annotated

import typer

from faxline.cli.app import (
    ACCOUNT,
    ENDED_OTHERWISE,
    ORDER_TIMEOUT,
    By,
    Json,
    OrderTimeout,
    app,
    examples,
    faxline_of,
    operator,
)
from faxline.cli.output import complain, write, write_json
from faxline.contract.errors import NotAsked


@app.command(epilog=examples("faxline ask invoice-77", "faxline ask invoice-77 --by jane --json"))
def ask(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="A job that iFax has taken, or may have.")],
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Have iFax asked now how a fax stands, such as one whose receipt does not come.

    The answer settles the job as a receipt does. Exit code 1 if there is nothing to ask about: iFax has not
    taken the fax, its end is known, or its jobId is not.
    """
    with faxline_of(ctx) as line:
        try:
            now = line.ask(job, by=by or operator(), timeout=timeout)
        except NotAsked as error:
            complain(str(error))
            raise typer.Exit(ENDED_OTHERWISE) from None
    if as_json:
        write_json({"id": job, "asked": now})
    else:
        already, at = (
            "" if now else " already",
            f" --account {line.account}" if line.account != ACCOUNT else "",
        )
        write(f"iFax is asked{already} how {job} stands; `faxline{at} show {job}` tells what came of it")
