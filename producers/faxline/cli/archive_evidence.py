"""`report`, `proof` and `verify`: what happened to one fax, for people and for courts."""

import os
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from faxline.cli.app import ENDED_OTHERWISE, FaxId, Json, UsageError, app, examples
from faxline.cli.archive import Zone, account_of, archive_of, zone_of
from faxline.cli.output import write, write_json
from faxline.contract.errors import ArchiveUnavailable, FaxlineError
from faxline.contract.wording import reason_in_words
from faxline.reading.archive import verify_proof
from faxline.reading.archived import Verdict


class Paper(StrEnum):
    """The size of the report."""

    A4 = "A4"
    LETTER = "Letter"


@app.command(
    epilog=examples(
        "faxline report invoice-77 -o invoice-77.pdf", "faxline report invoice-77 -o r.pdf --paper Letter"
    )
)
def report(
    ctx: typer.Context,
    job: FaxId,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The PDF to write.")],
    paper: Annotated[Paper, typer.Option(help="The size of the page.")] = Paper.A4,
    zone: Zone = None,
) -> None:
    """Write the transmission report of a fax from the archive: one page, with full numbers."""
    tz = zone_of(zone)
    with archive_of(ctx) as archive:
        content = archive.report(account_of(ctx), job, zone=tz, paper=paper)
    _save(output, content)


@app.command(
    epilog=examples(
        "faxline proof invoice-77 -o invoice-77.zip",
        "faxline verify invoice-77.zip --key faxline-archive.pem.pub",
        "",
        "FAXLINE_ARCHIVE__SIGNING_KEY_FILE names the key that signs; a SQLite archive has its own.",
    )
)
def proof(
    ctx: typer.Context,
    job: FaxId,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The zip to write.")],
    zone: Zone = None,
) -> None:
    """Write the proof of a fax: entries, receipt, report, and what shows that none was changed."""
    tz = zone_of(zone)
    with archive_of(ctx) as archive:
        content = archive.proof(account_of(ctx), job, zone=tz)
    _save(output, content)


@app.command(
    epilog=examples(
        "faxline verify invoice-77.zip --key faxline-archive.pem.pub",
        "",
        "Exit codes: 0 everything holds; 1 something does not; 2 the zip or the key cannot be read.",
    )
)
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The zip that `faxline proof` wrote.")],
    key: Annotated[
        Path,
        typer.Option(
            "--key", metavar="PUBLIC", help="The archive's public key, from a source that you trust."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Check a proof offline, and say what holds. It needs the zip and the public key, nothing else."""
    try:
        verdict = verify_proof(file, key)
    except ArchiveUnavailable:
        raise
    except FaxlineError as error:
        raise UsageError(str(error)) from None
    if as_json:
        write_json(verdict.to_dict())
    else:
        _tell(verdict)
    if not verdict.good:
        raise typer.Exit(ENDED_OTHERWISE)


def _tell(verdict: Verdict) -> None:
    """Say which fax, when, how it ended, and what holds. Of a proof that fails, only what failed."""
    if verdict.good:
        pages = "" if verdict.pages is None else f", {verdict.transferred or 0} of {verdict.pages} pages"
        why = f" ({reason_in_words(verdict.reason)})" if verdict.reason and verdict.state == "failed" else ""
        write(f"The proof holds: fax {verdict.job} of account {verdict.account}")
        write(f"  to        {verdict.recipient or 'not told in this proof'}")
        write(f"  outcome   {(verdict.state or 'not known').replace('_', ' ')}{why}{pages}")
        for label, at in (
            ("queued", verdict.began),
            ("ended", verdict.ended),
            ("recorded", verdict.recorded_by),
        ):
            write(f"  {label:<9} {f'{at:%Y-%m-%d %H:%M:%S} UTC' if at else 'not known'}")
    else:
        write("The proof does NOT hold. Do not rely on anything in it.")
    for text in verdict.incomplete:
        write(f"  lacks     {text}")
    for text in verdict.fails:
        write(f"  wrong     {text}")
    for text in verdict.holds:
        write(f"  holds     {text}")


def _save(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, for its owner alone: it has full numbers."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    write(f"{path}: {len(content)} bytes")
