"""What the commands print: lines, tables and JSON on stdout, errors as one line on stderr."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from faxline.contract.phone_numbers import EXAMPLE
from faxline.contract.texts import mask_e164

_WIDE = 10_000
"""The width of tables outside of a terminal, so that each row is one line."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

STYLES: Mapping[str, str] = {
    "delivered": "green",
    "partly delivered": "yellow",
    "rejected": "red",
    "ok": "green",
    "warn": "bold yellow",
    "fail": "bold red",
    "skip": "dim",
    "failed": "red",
    "in_doubt": "yellow",
    "unconfirmed": "yellow",
    "canceled": "dim",
}
"""The colours of states on a terminal."""


class OutputClosed(Exception):
    """Nobody reads stdout any more."""


def write(text: str) -> None:
    """Print one line, at once.

    Raises:
        OutputClosed: the reader has gone.
    """
    _put(clean(text) + "\n")


def write_json(data: Any) -> None:
    """Print one JSON document on one line, also for readers that know further line ends."""
    _put(json_text(data) + "\n")


def json_text(data: Any) -> str:
    r"""JSON in which everything is escaped that a terminal obeys or does not show, and what may end a line.

    Example:
        >>> print(json_text({"to": "Grüße\u202e\x9b2J"}))
        {"to": "Grüße\u202e\u009b2J"}
    """
    text = json.dumps(data, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def write_piece(text: str) -> None:
    """Print a piece of a line.

    Raises:
        OutputClosed: the reader has gone.
    """
    _put(text)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: coloured and as wide as the terminal, otherwise plain with one line for each row."""
    console = _console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell), style=STYLES.get(cell, "")) for cell in row))
    with console.capture() as captured:
        console.print(table)
    _put("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def write_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values. Empty values are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        write(f"{name:<{width}}  {value}")


def complain(text: str) -> None:
    """Print one line on stderr."""
    sys.stderr.write(f"faxline: {clean(' '.join(text.split()))}\n")


def masked(text: str) -> str:
    """Mask phone numbers in a text that may repeat what was typed. The example number stays."""
    return mask_e164(text, but=EXAMPLE)


def clean(text: str) -> str:
    """Remove control characters for terminals from a text."""
    return "".join(c if c.isprintable() else "?" for c in text)


def span(seconds: float) -> str:
    """Format a duration: `12 s`, `5 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = round(max(0.0, seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min" + (f" {whole % _MINUTE} s" if whole % _MINUTE else "")
    if whole < _DAY:
        minutes = whole % _HOUR // _MINUTE
        return f"{whole // _HOUR} h" + (f" {minutes} min" if minutes else "")
    hours = whole % _DAY // _HOUR
    return f"{whole // _DAY} d" + (f" {hours} h" if hours else "")


def moment(at: datetime, now: datetime | None = None) -> str:
    """Format a time in local time, with its distance from now: `14:03:12 (in 12 s)`."""
    now = now or datetime.now(UTC)
    away = (at - now).total_seconds()
    relative = f"in {span(away)}" if away >= 0 else f"{span(-away)} ago"
    return f"{clock(at, now)} ({relative})"


def clock(at: datetime, now: datetime | None = None) -> str:
    """A moment in local time, with its date if that is another day.

    The first and the last day of the calendar may not be there in local time: they are shown as they are.

    Args:
        at: the moment.
        now: the present. If it is not in UTC, its zone is used instead of the local one.
    """
    zone = now.tzinfo if now is not None and now.tzinfo is not UTC else None
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    try:
        local = at.astimezone(zone)
    except OverflowError:
        local = at
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def _console() -> Console:
    options: dict[str, Any] = {} if sys.stdout.isatty() else {"width": _WIDE, "color_system": None}
    return Console(markup=False, highlight=False, emoji=False, **options)


def _put(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        raise OutputClosed from None
