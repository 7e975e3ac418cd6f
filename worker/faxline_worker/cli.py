"""The commands of `faxline-worker`, which start the daemon's processes.

Other packages add commands, such as the sandbox and the demo, by an entry point of the group
`faxline_worker.commands`: it has the command's name and names a function with typer's annotations, or a Typer
with commands of its own. It is loaded when the command or the help is run.
"""

import os
from collections.abc import Iterable
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

GROUP = "faxline_worker.commands"


class Commands(TyperGroup):
    """The commands of this module and those of other packages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, this module's first."""
        return [*super().list_commands(ctx), *sorted(entry_points(group=GROUP).names)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find a command by its name; None if there is none."""
        ours = super().get_command(ctx, cmd_name)
        if ours is not None or cmd_name not in entry_points(group=GROUP).names:
            return ours
        loaded = entry_points(group=GROUP)[cmd_name].load()
        if isinstance(loaded, typer.Typer):
            return get_command(loaded)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(loaded)
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
    from faxline_worker.observability.logs import configure_logs  # noqa: PLC0415 - with structlog, 0.1 s

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
    ctx.obj = _set_up_log  # for the commands of other packages


@app.command()
def dispatcher() -> None:
    """Read the intake streams, run the timers, wake the workers. Run two; more only share many accounts."""
    # Each role is imported when it starts: with all of them the help and the sandbox take 1 s, so 0.5 s.
    from faxline_worker.processes.dispatcher import dispatcher as run  # noqa: PLC0415

    run()


@app.command()
def worker(
    threads: Annotated[int | None, typer.Option(help="Calls at once in this process.", min=1)] = None,
) -> None:
    """Submit faxes to iFax and apply receipts. Any number may run."""
    from faxline_worker.processes.worker import worker as run  # noqa: PLC0415 - as above

    run(threads)


@app.command()
def webhook() -> None:
    """Receive iFax's webhooks. Any number may run."""
    from faxline_worker.processes.webhook import webhook as run  # noqa: PLC0415 - as above

    run()


@app.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if records need an upgrade.")
    ] = False,
) -> None:
    """Upgrade the stored records to this version's layout, while the daemon runs. Safe to repeat."""
    from faxline_worker.processes.migrate import migrate as run  # noqa: PLC0415 - as above

    raise typer.Exit(run(look=check))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one check a line.")] = False,
    webhook_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The webhook's public address, up to but without /webhooks/ifax."),
    ] = None,
    call: Annotated[
        bool, typer.Option("--call/--no-call", help="Call iFax to check each account's key.")
    ] = True,
) -> None:
    """Check the daemon's settings, keys and webhook. `faxline doctor` does this as well, and checks Redis."""
    from faxline.cli.doctor import report  # noqa: PLC0415 - as above
    from faxline_worker.doctor.daemon_checks import examine  # noqa: PLC0415 - as above

    report(examine(os.environ, webhook_url=webhook_url, call=call), as_json=as_json)


def main() -> None:
    """Run the command line."""
    app()
