"""`faxline-worker`: starts the daemon's parts."""

from typing import Annotated

import typer

app = typer.Typer(
    name="faxline-worker",
    help="Start the parts of the Faxline daemon. Settings come from FAXLINE_… variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def dispatcher() -> None:
    """Read intake, keep the timers, send the wake-ups. Two may run at once."""
    from faxline_worker.app import dispatcher as run  # noqa: PLC0415 - each part imports only what it needs

    run()


@app.command()
def worker(
    threads: Annotated[int | None, typer.Option(help="Calls at once in this process.", min=1)] = None,
) -> None:
    """Submit faxes and apply receipts: a Dramatiq worker. Any number may run."""
    from faxline_worker.app import exec_worker  # noqa: PLC0415 - as above

    exec_worker(threads)


@app.command()
def webhook() -> None:
    """Take iFax's webhooks. Any number may run."""
    from faxline_worker.app import webhook as run  # noqa: PLC0415 - as above

    run()


def main() -> None:
    """The command's entry."""
    app()
