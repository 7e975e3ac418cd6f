"""`faxline-worker`: starts the daemon's parts."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, cast

import typer

app = typer.Typer(
    name="faxline-worker",
    help="Start the parts of the Faxline daemon. Settings come from FAXLINE_… variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"faxline-worker {version('faxline')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Start the parts of the Faxline daemon. Settings come from FAXLINE_… variables."""


@app.command()
def dispatcher() -> None:
    """Read intake, keep the timers, send the wake-ups. Two may run at once."""
    from faxline_worker.processes.dispatcher import dispatcher as run  # noqa: PLC0415 - each part imports only what it needs

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


@app.command()
def sandbox(  # noqa: PLR0917 - each is an option of the command
    token: Annotated[str, typer.Option(help="The access token that it takes.")] = "sandbox-token",  # noqa: S107 - of no worth
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8090,
    account: Annotated[
        list[str] | None,
        typer.Option(help="A further account of this name; its token is TOKEN-NAME, its secret SECRET-NAME."),
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(help="Where postflight webhooks go; {account} stands for the account's name."),
    ] = None,
    webhook_secret: Annotated[str, typer.Option(help="What they are signed with.")] = "",
    webhook_basic: Annotated[
        str, typer.Option(help="The user:password that they carry, as iFax's form has them.")
    ] = "",
    webhook_signed: Annotated[
        bool, typer.Option("--webhook-signed/--webhook-unsigned", help="Whether they are signed.")
    ] = True,
    call_seconds: Annotated[float, typer.Option(help="How long a call takes, without its pages.")] = 2.0,
    page_seconds: Annotated[float, typer.Option(help="How long each page takes.")] = 0.5,
    lines: Annotated[
        int,
        typer.Option(
            help="Faxes that a number receives at once; a further one is busy. 0 is endless.", min=0
        ),
    ] = 0,
    answer_seconds: Annotated[tuple[float, float], typer.Option(help="Least and most time to an answer.")] = (
        0.05,
        0.5,
    ),
    time_scale: Annotated[float, typer.Option(help="Factor on the schedule of webhook retries.")] = 1.0,
    requests: Annotated[int, typer.Option(help="Requests in a window.")] = 1000,
    window: Annotated[float, typer.Option(help="Seconds of the window.")] = 3600.0,
    concurrency: Annotated[int, typer.Option(help="Requests at once.")] = 20,
    burst: Annotated[int, typer.Option(help="Burst capacity.")] = 50,
    status_call: Annotated[
        bool, typer.Option(help="Answer fax-status, which iFax does not document.")
    ] = False,
    profile: Annotated[
        str, typer.Option(help="`documented`, or `field`: as public clients have met iFax.")
    ] = "documented",
    first_job_id: Annotated[
        int,
        typer.Option(
            help="The first fax's jobId. One that is started again needs a greater one than it gave before.",
            min=1,
        ),
    ] = 12345,
) -> None:
    """Run an iFax on this machine, for tests: docs/sandbox.md."""
    from faxline_sandbox import Account, Limits, SandboxConfig, serve  # noqa: PLC0415 - as above
    from faxline_worker.observability.logs import configure_logs  # noqa: PLC0415 - as above

    ends = {"default": ""} | {name: f"-{name}" for name in account or ()}
    accounts = {
        token + end: Account(
            label=name,
            webhook_url=webhook_url and webhook_url.replace("{account}", name),
            webhook_secret=webhook_secret and webhook_secret + end,
            webhook_basic=webhook_basic and webhook_basic + end,
            webhook_signed=webhook_signed,
        )
        for name, end in ends.items()
    }
    private = [text for one in accounts.values() for text in (one.webhook_secret, one.webhook_basic)]
    configure_logs(role="sandbox", secrets=[*accounts, *private])
    config = SandboxConfig(
        accounts=accounts,
        profile=cast("Any", profile),
        host=host,
        port=port,
        limits=Limits(requests, window, concurrency, burst),
        answer_seconds=answer_seconds,
        call_seconds=call_seconds,
        page_seconds=page_seconds,
        lines=lines,
        time_scale=time_scale,
        status_call=status_call,
        first_job_id=first_job_id,
    )
    try:
        serve(config)
    except OSError as error:
        typer.echo(f"faxline-worker: {error.strerror or error} (--port, --host)", err=True)
        raise typer.Exit(2) from None


@app.command()
def demo(
    faxes: Annotated[int, typer.Option(help="PDFs to fax, besides one by URL and one by hand.", min=1)] = 20,
) -> None:
    """Fax real PDFs through every part on this machine, and show what came out."""
    from faxline_local.demo import run  # noqa: PLC0415 - as above

    raise typer.Exit(run(faxes))


@app.command()
def playground(
    logs: Annotated[
        Path | None, typer.Option(help="A folder for the parts' logs, which is kept.", file_okay=False)
    ] = None,
) -> None:
    """Run all of Faxline with the sandbox on this machine until Ctrl-C: try it, write programs for it."""
    from faxline_local.playground import run  # noqa: PLC0415 - as above

    raise typer.Exit(run(logs))


def main() -> None:
    """The command's entry."""
    app()
