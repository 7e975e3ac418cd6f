"""`faxline-worker demo` and `faxline-worker playground`."""

from pathlib import Path
from typing import Annotated

import typer

from faxline_local.demo import run as run_demo
from faxline_local.playground import run as run_playground


def demo(
    faxes: Annotated[int, typer.Option(help="PDFs to fax, besides one by URL and one by hand.", min=1)] = 20,
) -> None:
    """Fax real PDFs through every part on this machine, and show what came out."""
    raise typer.Exit(run_demo(faxes))


def playground(
    logs: Annotated[
        Path | None, typer.Option(help="A folder for the parts' logs, which is kept.", file_okay=False)
    ] = None,
) -> None:
    """Run all of Faxline with the sandbox on this machine until Ctrl-C: try it, write programs for it."""
    raise typer.Exit(run_playground(logs))
