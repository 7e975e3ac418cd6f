"""`doctor`: what an operator should mend, as far as Redis can tell."""

import typer

from faxline.cli.app import ENDED_OTHERWISE, Json, app, examples, faxline_of
from faxline.cli.output import write_json, write_table


@app.command(epilog=examples("faxline doctor", "faxline doctor --json"))
def doctor(ctx: typer.Context, as_json: Json = False) -> None:
    """Check Redis and the daemon, and say what to mend. Exit code 1 where something fails."""
    with faxline_of(ctx) as line:
        checks = line.checks()
    if as_json:
        for check in checks:
            write_json(check.to_dict())
    else:
        write_table(("check", "result", "what"), [(c.name, str(c.result), c.text) for c in checks])
    if any(check.failed for check in checks):
        raise typer.Exit(ENDED_OTHERWISE)
