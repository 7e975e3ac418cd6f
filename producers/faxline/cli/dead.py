"""`dead`: list the entries that were set aside, redrive or drop them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import typer

from faxline.cli.app import (
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
from faxline.cli.output import complain, moment, write, write_json, write_table
from faxline.client.sync import FaxLine
from faxline.contract.errors import EntryNotFound
from faxline.operating.dead_entries import DeadEntry

_ALL = 1_000_000
"""More entries than are ever kept."""

dead = typer.Typer(rich_markup_mode=None)
app.add_typer(
    dead,
    name="dead",
    epilog=examples(
        "faxline dead",
        "faxline dead list --limit 10 --json",
        "faxline dead redrive 1700000000000-0",
        "faxline dead redrive --all",
        "faxline dead drop 1700000000000-0",
    ),
)

Limit = Annotated[int, typer.Option(min=1, metavar="N", help="The most entries to list.")]


@dead.callback(invoke_without_command=True)
def show_all(ctx: typer.Context) -> None:
    """List entries that were set aside because they could not be processed; redrive or drop them."""
    if ctx.invoked_subcommand is None:
        _list(ctx, 100, as_json=False)


@dead.command("list", epilog=examples("faxline dead list", "faxline dead list --json --limit 1000"))
def list_dead(ctx: typer.Context, limit: Limit = 100, as_json: Json = False) -> None:
    """List the entries, the newest first, without their content."""
    _list(ctx, limit, as_json=as_json)


@dead.command(epilog=examples("faxline dead redrive 1700000000000-0", "faxline dead redrive --all"))
def redrive(
    ctx: typer.Context,
    entries: Annotated[
        list[str] | None, typer.Argument(metavar="[ENTRY]...", help="The ids of the entries.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All entries, the oldest first.")] = False,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Put entries back on their stream, to be processed like new ones."""
    if bool(entries) == everything:
        raise UsageError("name the entries to put back, or --all")
    with faxline_of(ctx) as line:
        order = partial(line.redrive, by=by or operator(), timeout=timeout)
        done = _each(
            entries or _oldest_first(line), order, None if as_json else "put back", all_of=everything
        )
    _report(line, "redriven", done, as_json=as_json)


@dead.command(epilog=examples("faxline dead drop 1700000000000-0", "faxline dead drop --all --yes"))
def drop(
    ctx: typer.Context,
    entries: Annotated[
        list[str] | None, typer.Argument(metavar="[ENTRY]...", help="The ids of the entries.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All entries, the oldest first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Delete entries. This cannot be undone. The audit records who did it."""
    if bool(entries) == everything:
        raise UsageError("name the entries to drop, or --all")
    with faxline_of(ctx) as line:
        chosen = entries or _oldest_first(line)
        question = f"Drop {len(chosen)} of what was set aside, for good?"
        refusal = "what is dropped is gone: add --yes where nobody can be asked"
        agree(question, refusal, yes=yes or not chosen)
        order = partial(line.drop, by=by or operator(), timeout=timeout)
        done = _each(chosen, order, None if as_json else "dropped", all_of=everything)
    _report(line, "dropped", done, as_json=as_json)


def _oldest_first(line: FaxLine) -> list[str]:
    return [one.id for one in reversed(line.dead(_ALL))]


def _each(
    entries: Sequence[str], order: Callable[[str], None], outcome: str | None, *, all_of: bool
) -> list[str]:
    """Give the order for each entry, print it, and return the entries that existed."""
    done: list[str] = []
    for entry in entries:
        try:
            order(entry)
        except EntryNotFound:
            if not all_of:  # else somebody else was quicker
                raise
        else:
            done.append(entry)
            if outcome:
                write(f"{entry} is {outcome}")
    return done


def _report(line: FaxLine, name: str, done: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        write_json({name: done})
    elif not done:
        write(f"account {line.account} has no entry that was set aside")


def _why(entry: DeadEntry) -> str:
    return f"{entry.why}: {entry.word}" if entry.why == "unknown_status" and entry.word else entry.why


def _list(ctx: typer.Context, limit: int, *, as_json: bool) -> None:
    with faxline_of(ctx) as line:
        found = line.dead(limit)
        more = line.account_state().dead - limit if len(found) == limit else 0
    if more > 0:
        complain(f"{more} more are set aside; --limit {limit + more} shows all")
    if as_json:
        for entry in found:
            write_json(entry.to_dict())
    elif found:
        write_table(
            ["entry", "kind", "why", "job", "jobId", "set aside", "bytes", "came as"],
            [
                [
                    *(d.id, d.kind, _why(d), d.job or "", "" if d.job_id is None else str(d.job_id)),
                    *(moment(d.at), str(d.size), d.entry),
                ]
                for d in found
            ],
        )
    else:
        write(f"account {line.account} has no entry that was set aside")
