"""The commands `faxline-worker demo` and `faxline-worker playground`."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    faxes: Annotated[
        int, typer.Option(help="Number of PDFs to fax, in addition to one by URL and one by XADD.", min=1)
    ] = 20,
) -> None:
    """Fax real PDFs through all of Faxline on this machine, and show the results."""
    from faxline_local.demo import run  # noqa: PLC0415 - with the client and the stack, half a second

    raise typer.Exit(run(faxes))


def playground(
    logs: Annotated[
        Path | None, typer.Option(help="A folder for the logs, which is kept.", file_okay=False)
    ] = None,
) -> None:
    """Run all of Faxline with the sandbox on this machine until Ctrl-C, to try it and to develop with it."""
    from faxline_local.playground import run  # noqa: PLC0415 - as above

    raise typer.Exit(run(logs))
