"""`doctor`: check Redis, the daemon and the way to iFax."""

import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Annotated

import typer

from faxline.cli.app import ACCOUNT, ENDED_OTHERWISE, Json, Options, app, examples, line_of
from faxline.cli.glance import Glance
from faxline.cli.output import write_json, write_table
from faxline.contract.check import Check, Result
from faxline.contract.errors import QueueUnavailable

_FIRST = {Result.FAIL: 0, Result.WARN: 1}
"""Failures come first."""
GROUP = "faxline.doctor"
"""The entry points of packages with further checks. Each takes the environment and returns checks."""


@app.command(
    epilog=examples(
        "faxline doctor",
        "faxline doctor --json",
        "faxline doctor --webhook-url https://fax.example.com",
        "",
        "With the daemon's settings in the environment and the extra `worker` installed, it also checks",
        "them, iFax, each account's key (one call under the limits) and the webhook.",
    )
)
def doctor(
    ctx: typer.Context,
    as_json: Json = False,
    webhook_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The public URL of the webhook, up to /webhooks/ifax."),
    ] = None,
    call: Annotated[
        bool, typer.Option("--call/--no-call", help="Ask iFax whether it takes each account's key.")
    ] = True,
) -> None:
    """Check Redis, the daemon and its way to iFax, and say what to fix. Exit code 1 if a check fails."""
    chosen: Options = ctx.obj
    with line_of(ctx, Glance, chosen.account or _first_account(ctx)) as line:
        try:
            checks = line.checks()
        except QueueUnavailable as error:
            checks = [Check("redis", Result.FAIL, str(error))]
    # The daemon's checks use the same server, so the call about a key counts under its limits.
    environment = {**os.environ, "FAXLINE_REDIS_URL": chosen.redis_url}
    environment.pop("FAXLINE_REDIS_URL_FILE", None)
    for point in entry_points(group=GROUP):
        try:
            look = point.load()
        except ModuleNotFoundError:
            if point.name != "daemon":  # a part with an extra of its own
                continue
            text = "the extra `worker` is not installed: run this beside the daemon to check key and webhook"
            checks.append(Check("settings", Result.SKIP, text))
        else:
            checks += look(environment, webhook_url=webhook_url, call=call)
    report(checks, as_json=as_json)


def _first_account(ctx: typer.Context) -> str:
    """Where none is named: `default`, unless Redis has accounts and it is none of them."""
    names: list[str] = []
    with line_of(ctx, Glance) as line, suppress(QueueUnavailable):  # the checks say why
        names = line.accounts()
    return ACCOUNT if ACCOUNT in names or not names else names[0]


def report(checks: Sequence[Check], *, as_json: bool) -> None:
    """Print checks. Exit code 1 if one fails."""
    if as_json:
        for check in checks:
            write_json(check.to_dict())
    else:
        worst_first = sorted(checks, key=lambda check: _FIRST.get(check.result, len(_FIRST)))
        write_table(("check", "result", "what"), [(c.name, str(c.result), c.text) for c in worst_first])
    if any(check.failed for check in checks):
        raise typer.Exit(ENDED_OTHERWISE)
