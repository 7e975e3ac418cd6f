"""`events`: follow what happens on an account."""

import re
from typing import Annotated

import typer

from faxline.cli.app import Json, UsageError, app, examples, faxline_of
from faxline.cli.output import clock, complain, write, write_json
from faxline.errors import EventsMissed
from faxline.events import Event

_AFTER = re.compile(r"\$|[0-9]+(-[0-9]+)?")
_SHOWN = ("attempt", "jobId", "code", "member", "reason", "message", "pages", "transferred")


@app.command(
    epilog=examples(
        "faxline events",
        "faxline events --after 0 --timeout 1 --json",
        "faxline events --group billing --json",
    )
)
def events(  # noqa: PLR0917 - each is an option of the command
    ctx: typer.Context,
    after: Annotated[
        str, typer.Option(metavar="ID", help="A stream id; 0: all that are kept; $: those to come.")
    ] = "$",
    group: Annotated[
        str | None, typer.Option(help="Read in this consumer group, from where it left off.")
    ] = None,
    consumer: Annotated[
        str | None, typer.Option(help="The reader's name in the group. [default: one that nobody else has]")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which to end. [default: never]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Follow the events of an account.

    One a line, until --timeout or Ctrl-C.
    """
    if not _AFTER.fullmatch(after):
        raise UsageError("--after is a stream id such as 1700000000000-0, 0, or $")
    with (
        faxline_of(ctx) as line,
        line.events(after=after, group=group, consumer=consumer, timeout=timeout) as followed,
    ):
        while True:
            try:
                for event in followed:
                    _tell(event, as_json=as_json)
            except EventsMissed as missed:
                complain(str(missed))
            else:
                return


def _tell(event: Event, *, as_json: bool) -> None:
    if as_json:
        head = {"id": event.id, "event": event.name, "job": event.job, "at": event.at.isoformat()}
        write_json(head | {"data": dict(event.data)})
    else:
        write(_line(event))


def _line(event: Event) -> str:
    more = ", ".join(f"{name} {event.data[name]}" for name in _SHOWN if event.data.get(name) is not None)
    return f"{clock(event.at)}  {event.name:<18}  {event.job}  {more}".rstrip()
