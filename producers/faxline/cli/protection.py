"""`keys`: what seals what, a new key, rotation; `forget`: a job, or all of a number, is erased."""

from typing import Annotated

import typer

from faxline.cli.app import By, Json, UsageError, app, examples, faxline_of, operator
from faxline.cli.output import write, write_json, write_table
from faxline.keyring import new_key
from faxline.operations import Forgotten, SealedValues

_PATIENCE = 600.0
"""Seconds that an order which takes its time is waited for."""

Patience = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for a dispatcher.")]

keys = typer.Typer(rich_markup_mode=None)
app.add_typer(
    keys, name="keys", epilog=examples("faxline keys", "faxline keys new", "faxline keys rotate --json")
)


@keys.callback(invoke_without_command=True)
def show_keys(ctx: typer.Context, timeout: Patience = _PATIENCE, as_json: Json = False) -> None:
    """Show how many values each key seals, make a key, seal all by the current one.

    A key that seals nothing any more may be taken out of FAXLINE_KEYS.
    """
    if ctx.invoked_subcommand is None:
        with faxline_of(ctx) as line:
            _tell(line.sealed_values(by=operator(), timeout=timeout), as_json=as_json)


@keys.command("new", epilog=examples("faxline keys new >> keys.txt", "faxline keys new --id 2026-q4"))
def make_key(
    key_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its id. [default: today's date, four digits]")
    ] = None,
) -> None:
    """Print a fresh key as FAXLINE_KEYS takes it: `id:base64`. The first line is the one that seals."""
    try:
        write(new_key(key_id))
    except ValueError as error:
        raise UsageError(str(error)) from None


@keys.command(epilog=examples("faxline keys rotate", "faxline keys rotate --timeout 3600 --json"))
def rotate(ctx: typer.Context, by: By = None, timeout: Patience = _PATIENCE, as_json: Json = False) -> None:
    """Seal all that is stored anew by the dispatchers' current key, also what is in clear."""
    with faxline_of(ctx) as line:
        _tell(line.rotate_keys(by=by or operator(), timeout=timeout), as_json=as_json)


@app.command(epilog=examples("faxline forget invoice-77", "faxline forget --number +12025550123 --json"))
def forget(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    jobs: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The jobs.")] = None,
    number: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="All jobs to this number, in E.164.")
    ] = None,
    by: By = None,
    timeout: Patience = _PATIENCE,
    as_json: Json = False,
) -> None:
    """Erase jobs that have come to their end: their records, events, and what was set aside of them."""
    if bool(jobs) == bool(number):
        raise UsageError("name the jobs to forget, or --number")
    who = by or operator()
    with faxline_of(ctx) as line:
        if number:
            _say("", line.forget_number(number, by=who, timeout=timeout), as_json=as_json)
        for job in jobs or ():
            _say(job, line.forget(job, by=who, timeout=timeout), as_json=as_json)


def _say(job: str, done: Forgotten, *, as_json: bool) -> None:
    if as_json:
        write_json(({"job": job} if job else {}) | done.to_dict())
        return
    what = f"{job} is forgotten" if job else f"{done.jobs} jobs are forgotten"
    write(f"{what}, with {done.events} events and {done.set_aside} entries that were set aside")
    if done.open:
        write(
            f"{done.open} jobs to the number have not come to their end and stay: cancel them or wait for "
            "them, and forget the number again"
        )


def _tell(values: SealedValues, *, as_json: bool) -> None:
    if as_json:
        write_json(values.to_dict())
        return
    if values.resealed:
        write("sealed anew: " + ", ".join(f"{n} {what}" for what, n in sorted(values.resealed.items())))
    ids = sorted({key for count in values.by_kind.values() for key in count})
    kinds = list(values.by_kind)
    if not ids:
        write("nothing is stored")
        return
    write_table(
        ["key", *(kind.replace("_", " ") for kind in kinds)],
        [[key or "in clear", *(str(values.by_kind[kind].get(key, 0)) for kind in kinds)] for key in ids],
    )
