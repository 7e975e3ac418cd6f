"""`find` and `usage`: what the archive knows, for years."""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from faxline.cli.app import ACCOUNT, Json, Options, UsageError, app, examples
from faxline.cli.audit import moment_of
from faxline.cli.output import complain, write, write_json, write_table
from faxline.contract.errors import EntryRejected
from faxline.contract.phone_numbers import normalize_number
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.spreadsheets import plain_cell
from faxline.contract.states import JobState
from faxline.reading.archive import open_archive
from faxline.reading.archived import STATES, ArchivedFax, ArchiveReader, Usage, Wanted

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Zone = Annotated[
    str | None,
    typer.Option(metavar="ZONE", help="The time zone, such as Europe/Berlin. [default: this machine's]"),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="A day, ISO 8601 with an offset, or a time ago: 90s, 15m, 24h, 7d."),
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")]


@app.command(
    epilog=examples(
        "faxline find --to +12025550123 --since 2026-11-24 --until 2026-11-25",
        "faxline find --state failed --reason no_answer --since 7d",
        "faxline find --meta case=A-1042 --json",
        "",
        "FAXLINE_ARCHIVE__URL says where the archive is. Redis is not needed.",
    )
)
def find(
    ctx: typer.Context,
    to: Annotated[str | None, typer.Option(metavar="NUMBER", help="The recipient's number.")] = None,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="NUMBER", help="The sender's number.")
    ] = None,
    since: Since = None,
    until: Since = None,
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATES)}.")] = None,
    reason: Annotated[str | None, typer.Option(help="A name of docs/causes.md, such as busy.")] = None,
    group: Annotated[str | None, typer.Option(help="The group.")] = None,
    meta: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A member of the metadata. May be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The most faxes to show.")] = 100,
    zone: Zone = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Find faxes in the archive: the last one queued first.

    Times are shown with the zone of --zone. A number is found whole and shown by its last four digits.
    """
    tz = zone_of(zone)
    if state is not None and state not in STATES:
        raise UsageError(f"there is no state {state}: --state is {', '.join(STATES[:-1])} or {STATES[-1]}")
    wanted = Wanted(
        number_of(ctx, "--to", to),
        number_of(ctx, "--from", sender),
        *span_of(since, until, tz),
        state,
        reason,
        group,
        dict(_member(text) for text in meta or ()),
    )
    with archive_of(ctx) as archive:
        found = archive.find(account_of(ctx), wanted)
        with _sensible():
            faxes, more = list(islice(found, limit)), next(found, None)
    columns = ("id", "state", "to", "queued", "ended", "pages", "reason", "group")
    if as_json:
        for fax in faxes:
            write_json(fax.to_dict())
    elif as_csv:
        write_csv(columns, (_row(fax, tz) for fax in faxes))
    elif faxes:
        write_table(columns, [_row(fax, tz) for fax in faxes])
    else:
        write(f"the archive of account {account_of(ctx)} has no such fax")
    if more is not None:
        complain(f"{limit} shown, and there are more: narrow the search, or raise --limit")


@app.command(
    epilog=examples(
        "faxline usage --by month --since 2026-01-01",
        "faxline usage --by metadata.department --since 2026-10-01 --until 2026-11-01 --csv > october.csv",
        "faxline --account acme usage --by day --since 30d",
    )
)
def usage(
    ctx: typer.Context,
    by: Annotated[
        str, typer.Option(metavar="WHAT", help="account, day, month, reason, or metadata.KEY.")
    ] = "month",
    since: Since = None,
    until: Since = None,
    zone: Zone = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Count faxes and pages: all accounts, or the one of --account.

    A fax counts for the time at which it was queued. Pages are those that were transferred.
    """
    tz = zone_of(zone)
    begin, end = span_of(since, until, tz)
    wanted = Wanted(since=begin, until=end)
    chosen: Options = ctx.obj
    with archive_of(ctx) as archive, _sensible():
        rows = archive.usage(by, wanted, account=chosen.account, zone=tz)
    if as_json:
        for row in rows:
            write_json(row.to_dict())
        return
    total = Usage("total", *(sum(getattr(row, name) for row in rows) for name in _COUNTS))
    columns = (by, "faxes", "delivered", "failed", "pages")
    shown = [[row.key or "(none)", *(str(getattr(row, name)) for name in _COUNTS)] for row in [*rows, total]]
    if as_csv:
        write_csv(columns, shown[:-1])
    else:
        write_table(columns, shown)


_COUNTS = ("faxes", "delivered", "failed", "pages")


@contextmanager
def archive_of(ctx: typer.Context) -> Iterator[ArchiveReader]:
    """Open the archive. Its settings and the sealing keys come from the environment."""
    chosen: Options = ctx.obj
    try:
        keyring = Keyring.read(chosen.keys) if chosen.keys else None
    except ValueError as error:
        raise UsageError(str(error)) from None
    with closing(open_archive(os.environ, keyring)) as archive:
        yield archive


@contextmanager
def _sensible() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from None


def account_of(ctx: typer.Context) -> str:
    """The account of the global options."""
    chosen: Options = ctx.obj
    return chosen.account or ACCOUNT


def zone_of(name: str | None) -> tzinfo:
    """A time zone by its name; None for this machine's.

    Raises:
        UsageError: there is no such zone.
    """
    if name is None:
        return _Local()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"there is no time zone {name}; one is Europe/Berlin") from None


class _Local(tzinfo):
    """This machine's zone, with its changes between summer and winter, which a fixed offset lacks."""

    def utcoffset(self, at: datetime | None) -> Any:
        return at.replace(tzinfo=None).astimezone().utcoffset() if at else None

    def dst(self, at: datetime | None) -> None:
        """Nothing: only the offset is needed."""

    def tzname(self, at: datetime | None) -> str | None:
        return at.replace(tzinfo=None).astimezone().tzname() if at else None

    def fromutc(self, at: datetime) -> datetime:
        real = at.replace(tzinfo=UTC).astimezone()
        first = real.replace(tzinfo=self)
        return first if first.utcoffset() == real.utcoffset() else first.replace(fold=1)


def span_of(since: str | None, until: str | None, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Parse --since and --until.

    Raises:
        UsageError: one is no time, or the second is not after the first.
    """
    begin, end = day_of("--since", since, zone), day_of("--until", until, zone)
    if begin is not None and end is not None and begin >= end:
        raise UsageError(f"--until {until} is not after --since {since}: nothing lies between them")
    return begin, end


def day_of(option: str, text: str | None, zone: tzinfo) -> datetime | None:
    """Parse a time. A day begins at midnight of the zone; any other time must have its offset.

    Raises:
        UsageError: it is neither.
    """
    if text is not None and _DAY.fullmatch(text):
        try:
            day = datetime.fromisoformat(text).replace(tzinfo=zone)
            day.timestamp()
        except (ValueError, OverflowError):  # or this machine's zone does not know the year
            raise UsageError(f"{option} {text}: there is no such day; a day is YYYY-MM-DD") from None
        else:
            return day
    try:
        return moment_of(option, text, datetime.now(UTC))
    except UsageError:
        offset = " without its offset from UTC" if _is_time(text or "") else ""
        raise UsageError(
            f"{option} {text}{offset} is no time: give a day (2026-11-24), a time with its offset "
            "(2026-11-24T08:00:00+01:00), or how long ago (90s, 15m, 24h, 7d)"
        ) from None


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def number_of(ctx: typer.Context, option: str, text: str | None) -> str | None:
    """A number in E.164, by --region if it has no country code.

    Raises:
        UsageError: it is none.
    """
    chosen: Options = ctx.obj
    try:
        return None if text is None else normalize_number(text, chosen.region, option)
    except EntryRejected as error:
        raise UsageError(str(error)) from None


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print CSV. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    for row in (columns, *rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow([plain_cell(cell) for cell in row])
        write(text.getvalue())


def _member(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError("--meta is KEY=VALUE")
    return key, value


def _row(fax: ArchivedFax, zone: tzinfo) -> list[str]:
    pages = "" if fax.pages is None else f"{fax.transferred or 0} of {fax.pages}"
    why = fax.reason or ""
    if why == "normal_clearing" and fax.state == JobState.DELIVERED:
        why = ""  # the call ended normally, as that of a delivered fax does
    return [
        *(fax.id, fax.state, fax.to or "", _shown(fax.queued_at, zone), _shown(fax.ended_at, zone)),
        *(pages, why, fax.group or ""),
    ]


def _shown(at: datetime | None, zone: tzinfo) -> str:
    return "" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %z}"
