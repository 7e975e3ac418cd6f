"""`audit`: read and export the calls to iFax and the orders of operators."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from faxline.cli.app import Json, UsageError, app, examples, faxline_of
from faxline.cli.output import clock, write, write_json
from faxline.client.sync import FaxLine
from faxline.contract.spreadsheets import plain_cell
from faxline.operating.audit import AuditEntry

_PAGE = 1000
_AGO = re.compile(r"([0-9]+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Moment = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="ISO 8601 with an offset, or a time ago: 90s, 15m, 24h, 7d."),
]


@app.command(
    epilog=examples(
        "faxline audit",
        "faxline audit --since 7d --who jane@desk",
        "faxline audit --job invoice-77 --since 30d --json",
        "faxline audit --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z --csv > november.csv",
    )
)
def audit(
    ctx: typer.Context,
    since: Moment = "24h",
    until: Moment = None,
    job: Annotated[str | None, typer.Option(metavar="ID", help="Only entries about this job.")] = None,
    who: Annotated[
        str | None, typer.Option(help="Only entries by this person, process or Redis user.")
    ] = None,
    calls: Annotated[bool, typer.Option("--calls", help="Only calls to iFax.")] = False,
    orders: Annotated[bool, typer.Option("--orders", help="Only operators' orders.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")] = False,
    as_json: Json = False,
) -> None:
    """Show every call to iFax and every order of an operator: who, what, when, and how it ended.

    The oldest entry comes first. The audit holds no content of a fax, and no recipient.
    """
    if as_csv and as_json:
        raise UsageError("--csv or --json, not both")

    def wanted(entry: AuditEntry) -> bool:
        of_kind = calls in {orders, entry.is_call}
        return of_kind and job in {None, entry.job} and who in {None, entry.who, entry.user}

    now = datetime.now(UTC)
    begin, end = moment_of("--since", since, now), moment_of("--until", until, now)
    tell = _csv() if as_csv else (lambda entry: write_json(entry.to_dict())) if as_json else _report
    with faxline_of(ctx) as line:
        for entry in filter(wanted, _entries(line, begin, end)):
            tell(entry)


def _entries(line: FaxLine, begin: datetime | None, end: datetime | None) -> Iterator[AuditEntry]:
    after: str | datetime | None = begin
    while page := line.audit(after=after, before=end, limit=_PAGE):
        yield from page
        after = page[-1].id


def _report(entry: AuditEntry) -> None:
    """One line: `14:03:12  pod-1:7  fax-send  accepted  job a, attempt 1, status 200, 0.12 s`."""
    took = f"{entry.seconds:g} s" if entry.seconds is not None else None
    known = (
        *(("job", entry.job), ("attempt", entry.attempt), ("jobId", entry.job_id), ("status", entry.status)),
        *(("code", entry.code), ("reason", entry.reason), ("about", entry.about), ("", took)),
    )
    more = ", ".join(f"{name} {value}".strip() for name, value in known if value is not None)
    who = entry.who if entry.user in {None, entry.who} else f"{entry.who} ({entry.user})"
    write(f"{clock(entry.at)}  {who}  {entry.what}  {entry.outcome}  {more}".rstrip())


def _csv() -> Callable[[AuditEntry], None]:
    """Write the header now, and then a line for each entry."""

    def row(values: Any) -> None:
        text = io.StringIO()
        cells = [plain_cell(value) if isinstance(value, str) else value for value in values]
        csv.writer(text, lineterminator="").writerow(cells)
        write(text.getvalue())

    row(AuditEntry("", datetime.now(UTC), "", "", "").to_dict())
    return lambda entry: row(entry.to_dict().values())


def moment_of(option: str, text: str | None, now: datetime) -> datetime | None:
    """Parse a time: ISO 8601, or how long ago.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(
            f"{option} is a time with an offset such as 2026-11-01T00:00:00Z, or how long ago: 24h"
        )
    return moment
