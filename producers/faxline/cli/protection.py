"""`keys`: count sealed values, make a key, rotate; `forget`: erase a job, or all jobs to a number."""

from typing import Annotated

import typer

from faxline.cli.app import By, Json, UsageError, app, examples, faxline_of, operator
from faxline.cli.output import write, write_json, write_table
from faxline.cli.presence import watching
from faxline.contract.sealing.keyring import new_key
from faxline.contract.texts import mask_number
from faxline.contract.wording import plural
from faxline.operating.erasure import Forgotten, SealedValues, stored_number

_PATIENCE = 600.0
"""Seconds to wait for an order that takes long."""

Patience = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for a dispatcher.")]

keys = typer.Typer(rich_markup_mode=None)
app.add_typer(
    keys, name="keys", epilog=examples("faxline keys", "faxline keys new", "faxline keys rotate --json")
)


@keys.callback(invoke_without_command=True)
def show_keys(ctx: typer.Context, timeout: Patience = _PATIENCE, as_json: Json = False) -> None:
    """Show how many values each key seals; make a key; seal everything with the current key.

    A key that seals nothing any more may be taken out of FAXLINE_SEALING_KEYS.
    """
    if ctx.invoked_subcommand is None:
        with faxline_of(ctx) as line, watching(line):
            _report(line.sealed_values(by=operator(), timeout=timeout), as_json=as_json)


@keys.command("new", epilog=examples("faxline keys new >> keys.txt", "faxline keys new --id 2026-q4"))
def make_key(
    key_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="The id of the key. [default: today's date and four digits]"),
    ] = None,
) -> None:
    """Print a new key for FAXLINE_SEALING_KEYS: `id:base64`. The first line is the key that seals."""
    try:
        write(new_key(key_id))
    except ValueError as error:
        raise UsageError(str(error)) from None


@keys.command(epilog=examples("faxline keys rotate", "faxline keys rotate --timeout 3600 --json"))
def rotate(ctx: typer.Context, by: By = None, timeout: Patience = _PATIENCE, as_json: Json = False) -> None:
    """Seal everything stored with the dispatchers' current key, also unsealed values."""
    with faxline_of(ctx) as line, watching(line):
        _report(line.rotate_keys(by=by or operator(), timeout=timeout), as_json=as_json)


@app.command(
    epilog=examples(
        "faxline forget invoice-77",
        "faxline forget --number +12025550123 --number +12025550124 --json",
    )
)
def forget(
    ctx: typer.Context,
    jobs: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The jobs.")] = None,
    numbers: Annotated[
        list[str] | None,
        typer.Option("--number", metavar="NUMBER", help="All jobs to this number. Can be repeated."),
    ] = None,
    by: By = None,
    timeout: Patience = _PATIENCE,
    as_json: Json = False,
) -> None:
    """Erase jobs that have ended: their records, events, and entries that were set aside."""
    if bool(jobs) == bool(numbers):
        raise UsageError("name the jobs to forget, or --number")
    who = by or operator()
    # All numbers are read first, so that an invalid last one does not stop a half-done erasure.
    read = [stored_number(number, ctx.obj.region) for number in numbers or ()]
    with faxline_of(ctx) as line, watching(line):
        for number in dict.fromkeys(read):
            _report_erasure(
                mask_number(number), line.forget_number(number, by=who, timeout=timeout), as_json=as_json
            )
        for job in jobs or ():
            _report_erasure("", line.forget(job, by=who, timeout=timeout), job, as_json=as_json)


def _report_erasure(number: str, done: Forgotten, job: str = "", *, as_json: bool) -> None:
    if as_json:
        write_json(({"job": job} if job else {"number": number}) | done.to_dict())
        return
    if done.archive:
        write(f"Redis has no job {job} any more; the archive erases what it has of it, if it has ended there")
        return
    what = f"{job} is forgotten" if job else f"{number}: {plural(done.jobs, 'job is', 'jobs are')} forgotten"
    aside = plural(done.set_aside, "entry that was", "entries that were")
    write(f"{what}, with {plural(done.events, 'event')} and {aside} set aside")
    if done.open:
        stay = plural(
            done.open,
            "job to the number has not ended and stays",
            "jobs to the number have not ended and stay",
        )
        write(f"{stay}: cancel or wait for what is open, and forget the number again")
    if done.unsent:
        stay = plural(done.unsent, "fax to the number was", "faxes to the number were")
        write(f"{stay} set aside unsent: drop or redrive (`faxline dead`), and forget the number again")


def _report(values: SealedValues, *, as_json: bool) -> None:
    if as_json:
        write_json(values.to_dict())
        return
    if values.resealed:
        write("resealed: " + ", ".join(f"{n} {what}" for what, n in sorted(values.resealed.items())))
    ids = sorted({key for count in values.by_kind.values() for key in count})
    kinds = list(values.by_kind)
    if not ids:
        write("nothing is stored")
        return
    write_table(
        ["key", *(kind.replace("_", " ") for kind in kinds)],
        [[key or "in clear", *(str(values.by_kind[kind].get(key, 0)) for kind in kinds)] for key in ids],
    )
