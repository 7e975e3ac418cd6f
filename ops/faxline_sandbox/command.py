"""`faxline-worker sandbox`.

The calling program may bring its own log: then `ctx.obj` is called with the name of the process and the texts
that no line may hold.
"""

from typing import Annotated, Any, cast

import typer

from faxline_sandbox.config import Account, ConfigError, Limits, SandboxConfig


def sandbox(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    token: Annotated[str, typer.Option(help="The access token that it accepts.")] = "sandbox-token",  # noqa: S107 - of no worth
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8091,
    account: Annotated[
        list[str] | None,
        typer.Option(help="A further account of this name; its token is TOKEN-NAME, its secret SECRET-NAME."),
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(help="Where postflight webhooks go; {account} stands for the account's name."),
    ] = None,
    webhook_secret: Annotated[str, typer.Option(help="The secret that signs the webhooks.")] = "",
    webhook_basic: Annotated[
        str, typer.Option(help="The user:password of the webhooks, as in iFax's form.")
    ] = "",
    webhook_signed: Annotated[
        bool, typer.Option("--webhook-signed/--webhook-unsigned", help="Whether the webhooks are signed.")
    ] = True,
    call_seconds: Annotated[float, typer.Option(help="How long a call takes, without its pages.")] = 2.0,
    page_seconds: Annotated[float, typer.Option(help="How long each page takes.")] = 0.5,
    lines: Annotated[
        int,
        typer.Option(
            help="Faxes that a number receives at once; further ones are busy. 0 means no limit.", min=0
        ),
    ] = 0,
    answer_seconds: Annotated[
        tuple[float, float], typer.Option(help="The shortest and longest time to an answer.")
    ] = (
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
    ] = True,
    profile: Annotated[
        str, typer.Option(help="`documented`, or `field`: as public clients know iFax.")
    ] = "documented",
    first_job_id: Annotated[
        int,
        typer.Option(
            help="The first fax's jobId. After a restart, give one that was not used before.",
            min=1,
        ),
    ] = 12345,
) -> None:
    """Run an iFax on this machine, for tests: docs/sandbox.md."""
    try:
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
        if ctx.obj is not None:
            ctx.obj("sandbox", [*accounts, *private])
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
        from faxline_sandbox.server import serve  # noqa: PLC0415 - with uvicorn, which the help does without

        serve(config)
    except ConfigError as error:
        typer.echo(f"faxline-worker: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"faxline-worker: {error.strerror or error} (--port, --host)", err=True)
        raise typer.Exit(2) from None
