"""`faxline-worker`: starts the daemon's parts.

Other packages bring further commands, such as the sandbox and the demo: an entry point of the group
`faxline_worker.commands` has the command's name and leads to a function as typer takes it. It is loaded when
the command is called, or the help is.
"""

from collections.abc import Iterable
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

GROUP = "faxline_worker.commands"


class Commands(TyperGroup):
    """The commands that are defined here, and those of other packages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, ours first."""
        return [*super().list_commands(ctx), *sorted(entry_points(group=GROUP).names)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, or None."""
        ours = super().get_command(ctx, cmd_name)
        if ours is not None or cmd_name not in entry_points(group=GROUP).names:
            return ours
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(entry_points(group=GROUP)[cmd_name].load())
        return get_command(alone)


app = typer.Typer(
    name="faxline-worker",
    cls=Commands,
    help="Start the parts of the Faxline daemon. Settings come from FAXLINE_… variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"faxline-worker {version('faxline')}")
        raise typer.Exit


def _set_up_log(role: str, secrets: Iterable[str]) -> None:
    from faxline_worker.observability.logs import configure_logs  # noqa: PLC0415 - each part imports only what it needs

    configure_logs(role=role, secrets=secrets)


@app.callback()
def options(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Start the parts of the Faxline daemon. Settings come from FAXLINE_… variables."""
    ctx.obj = _set_up_log  # for the commands of other packages, which log by the standard library


@app.command()
def dispatcher() -> None:
    """Read intake, keep the timers, send the wake-ups. Two may run at once."""
    from faxline_worker.processes.dispatcher import dispatcher as run  # noqa: PLC0415 - as above

    run()


@app.command()
def worker(
    threads: Annotated[int | None, typer.Option(help="Calls at once in this process.", min=1)] = None,
) -> None:
    """Submit faxes and apply receipts: a Dramatiq worker. Any number may run."""
    from faxline_worker.processes.worker import worker as run  # noqa: PLC0415 - as above

    run(threads)


@app.command()
def webhook() -> None:
    """Take iFax's webhooks. Any number may run."""
    from faxline_worker.processes.webhook import webhook as run  # noqa: PLC0415 - as above

    run()


@app.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if there is work.")
    ] = False,
) -> None:
    """Bring what is stored to this version's layout, while the daemon runs. May be called again."""
    from faxline_worker.processes.migrate import migrate as run  # noqa: PLC0415 - as above

    raise typer.Exit(run(look=check))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a check a line.")] = False,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where iFax reaches the webhook: what stands before /webhooks/ifax."
        ),
    ] = None,
    call: Annotated[bool, typer.Option("--call/--no-call", help="Ask iFax about each account's key.")] = True,
) -> None:
    """Check what needs the daemon's settings alone; `faxline doctor` does this and looks at Redis, too."""
    import os  # noqa: PLC0415 - as above

    from faxline.cli.doctor import tell  # noqa: PLC0415 - as above
    from faxline_worker.doctor.daemon_checks import examine  # noqa: PLC0415 - as above

    tell(examine(os.environ, webhook_url=webhook_url, call=call), as_json=as_json)


def main() -> None:
    """The command's entry."""
    app()
