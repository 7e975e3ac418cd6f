"""`dead`: the entries that were set aside; `dead redrive` puts them back."""

from typing import Annotated

import typer

from faxline.cli.app import (
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
from faxline.cli.output import moment, write, write_json, write_table
from faxline.errors import EntryNotFound

_ALL = 1_000_000
"""More than are kept."""

dead = typer.Typer(rich_markup_mode=None)
app.add_typer(
    dead,
    name="dead",
    epilog=examples(
        "faxline dead",
        "faxline dead list --limit 10 --json",
        "faxline dead redrive 1700000000000-0",
        "faxline dead redrive --all",
    ),
)

Limit = Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")]


@dead.callback(invoke_without_command=True)
def show_all(ctx: typer.Context) -> None:
    """List the entries that were set aside because they could not be worked on, or put them back."""
    if ctx.invoked_subcommand is None:
        _list(ctx, 100, as_json=False)


@dead.command("list", epilog=examples("faxline dead list", "faxline dead list --json --limit 1000"))
def list_dead(ctx: typer.Context, limit: Limit = 100, as_json: Json = False) -> None:
    """List them, the newest first: what is known about each, never what it says."""
    _list(ctx, limit, as_json=as_json)


@dead.command(epilog=examples("faxline dead redrive 1700000000000-0", "faxline dead redrive --all"))
def redrive(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    entries: Annotated[list[str] | None, typer.Argument(metavar="[ENTRY]...", help="Their ids.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, the oldest first.")] = False,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Put entries back on their stream, where they are worked on like new ones."""
    if bool(entries) == everything:
        raise UsageError("name the entries to put back, or --all")
    who = by or operator()
    done: list[str] = []
    with faxline_of(ctx) as line:
        for entry in entries or [dead.id for dead in reversed(line.dead(_ALL))]:
            try:
                line.redrive(entry, by=who, timeout=timeout)
            except EntryNotFound:
                if not everything:  # with --all somebody else was quicker
                    raise
            else:
                done.append(entry)
                if not as_json:
                    write(f"{entry} is put back")
    if as_json:
        write_json({"redriven": done})
    elif not done:
        write(f"account {line.account} has no entry that was set aside")


def _list(ctx: typer.Context, limit: int, *, as_json: bool) -> None:
    with faxline_of(ctx) as line:
        found = line.dead(limit)
    if as_json:
        for entry in found:
            write_json(entry.to_dict())
    elif found:
        write_table(
            ["id", "stream", "why", "set aside", "bytes", "entry"],
            [[d.id, d.stream, d.why, moment(d.at), str(d.size), d.entry] for d in found],
        )
    else:
        write(f"account {line.account} has no entry that was set aside")
