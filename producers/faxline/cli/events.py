"""`events`: follow what happens on an account."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from faxline.cli.app import Json, UsageError, app, examples, faxline_of
from faxline.cli.audit import moment_of
from faxline.cli.output import clock, complain, write, write_json
from faxline.contract.errors import EventsMissed
from faxline.contract.events import Event, EventName

_AFTER = re.compile(r"\$|[0-9]+(-[0-9]+)?")
_QUIET = 0.2
"""Seconds without a further event after which the newest one counts as shown."""
_SHOWN = (
    "attempt",
    "jobId",
    "code",
    "member",
    "reason",
    "message",
    "pages",
    "transferred",
    "charged",
    "from",
    "to",
)


@app.command(
    epilog=examples(
        "faxline events",
        "faxline events --after 0 --timeout 1 --json",
        "faxline events --since 24h --event unconfirmed",
        "faxline events --since 24h --partial",
        "faxline events --group billing --json",
    )
)
def events(
    ctx: typer.Context,
    after: Annotated[
        str, typer.Option(metavar="ID", help="After this stream id; 0: all that are kept; $: only new ones.")
    ] = "$",
    group: Annotated[
        str | None, typer.Option(help="Read in this consumer group, from where it left off.")
    ] = None,
    consumer: Annotated[
        str | None, typer.Option(help="The name of this reader in the group. [default: a unique name]")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which to end. [default: never]")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The kept events since then, then exit; ISO 8601, or 24h."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="NAME", help="Only events of this name, such as failed."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Only deliveries that lack pages.")] = False,
    as_json: Json = False,
) -> None:
    """Follow the events of an account.

    One a line, until --timeout or Ctrl-C; with --since to the newest.
    """
    wanted = {f"fax.{name.removeprefix('fax.')}" for name in names or ()}
    if unknown := sorted(wanted - set(EventName)):
        raise UsageError(
            f"there is no event {unknown[0]}: --event is one of "
            f"{', '.join(name.removeprefix('fax.') for name in EventName)}"
        )

    def show(event: Event) -> None:
        if (not wanted or event.name in wanted) and (not partial or event.data.get("partial")):
            _report(event, as_json=as_json)

    if since is not None:
        _look_back(ctx, since, show)
        return
    if not _AFTER.fullmatch(after):
        raise UsageError("--after is a stream id such as 1700000000000-0, 0, or $")
    with (
        faxline_of(ctx) as line,
        line.events(after=after, group=group, consumer=consumer, timeout=timeout) as followed,
    ):
        while True:
            try:
                for event in followed:
                    show(event)
            except EventsMissed as missed:
                complain(str(missed))
            else:
                return


def _look_back(ctx: typer.Context, since: str, show: Callable[[Event], None]) -> None:
    """Show the kept events since a time, up to the newest."""
    begin = moment_of("--since", since, datetime.now(UTC))
    after, last = "", f"{max(0, round(begin.timestamp() * 1000)) if begin else 0}-0"
    with faxline_of(ctx) as line:
        while after != last:
            after = last
            for event in line.events(after=after, timeout=_QUIET):
                last = event.id
                show(event)


def _report(event: Event, *, as_json: bool) -> None:
    if as_json:
        head = {"id": event.id, "event": event.name, "job": event.job, "at": event.at.isoformat()}
        write_json(head | {"data": dict(event.data)})
    else:
        write(_line(event))


def _line(event: Event) -> str:
    known = [f"{name} {event.data[name]}" for name in _SHOWN if event.data.get(name) not in ("", None)]
    more = ", ".join([*(["partly delivered"] if event.data.get("partial") else []), *known])
    return f"{clock(event.at)}  {event.name:<18}  {event.job}  {more}".rstrip()
