"""Counts faxes by account, day, month, the reason why they failed, or a member of the metadata.

Days and months are those of a zone. They are added up here out of quarters of an hour, because SQLite knows
no zones. Whole accounts are counted from the sums of `usage_sums`; what a member of the metadata chooses,
from the rows of that member, which have what is counted beside it. The values of a member are counted in
usage_members.py.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, Engine, select

from faxline.reading.archived import Usage, Wanted
from faxline_archive.intersection import milliseconds
from faxline_archive.privacy import Privacy
from faxline_archive.sums import COUNTS, QUARTER
from faxline_archive.usage_members import Counts, by_member, integers
from faxline_archive.usage_rows import ChosenFaxes, sums_of

METADATA = "metadata."
_DAYS = {"day": "%Y-%m-%d", "month": "%Y-%m"}
BY = ("account", *_DAYS, "reason", f"{METADATA}KEY")
_SLICE = 500
"""The most accounts in one statement."""


def usage(
    engine: Engine,
    by: str,
    wanted: Wanted,
    privacy_of: Callable[[str], Privacy],
    *,
    accounts: Sequence[str] | None,
    zone: tzinfo,
) -> list[Usage]:
    """Count faxes.

    Args:
        engine: of `open_database`.
        by: `account`, `day`, `month`, `reason` (of faxes that failed), or `metadata.KEY`.
        wanted: `since` and `until` choose the faxes by when they were queued, and with accounts
            `metadata` by their members; the rest is not looked at.
        privacy_of: opens an account's sealed values.
        accounts: their names; None for all.
        zone: whose days and months they are.

    Raises:
        ValueError: `by` is something else.
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    key = by.removeprefix(METADATA) if by.startswith(METADATA) else None
    if by not in BY[:-1] and not key:
        raise ValueError(f"--by is {', '.join(BY[:-1])} or {BY[-1]}")
    parts = (
        [None]
        if accounts is None
        else [accounts[start : start + _SLICE] for start in range(0, len(accounts), _SLICE)]
    )
    found: list[tuple[str, Counts]] = []
    with engine.connect() as connection:
        for part in parts:
            chosen = ChosenFaxes(wanted, part, privacy_of)
            if by == "day":
                found += _by_day(connection, chosen, zone, _DAYS[by])
            elif by == "month":
                found += _by_month(connection, chosen, zone)
            elif key:
                found += by_member(connection, chosen, key, privacy_of)
            else:
                found += _rows(
                    connection.execute(chosen.by_reason() if by == "reason" else chosen.by_account())
                )
    return _added(found)


def _by_day(connection: Connection, chosen: ChosenFaxes, zone: tzinfo, form: str) -> list[tuple[str, Counts]]:
    table = chosen.sums([QUARTER])
    rows = select(table.c.at, *sums_of(table)).group_by(table.c.at).order_by(table.c.at)
    found, day, end = [], "", 0
    for at, counts in _rows(connection.execute(rows)):
        if at >= end:
            local = datetime.fromtimestamp(at / 1000, zone)
            day, end = f"{local:{form}}", _midnight(local.date() + timedelta(days=1), zone)
        found.append((day, counts))
    return found


def _by_month(connection: Connection, chosen: ChosenFaxes, zone: tzinfo) -> list[tuple[str, Counts]]:
    """Each month by itself: most of it are whole days of UTC."""
    if chosen.since is None or chosen.until is None or chosen.has_members:
        return _by_day(connection, chosen, zone, _DAYS["month"])
    found, begin = [], chosen.since
    while begin < chosen.until:
        month = datetime.fromtimestamp(begin / 1000, zone).date().replace(day=1)
        end = min(_midnight((month + timedelta(days=31)).replace(day=1), zone), chosen.until)
        table = chosen.sums(since=begin, until=end)
        counts = integers(connection.execute(select(*sums_of(table))).one())
        found += [(f"{month:%Y-%m}", counts)] if counts[0] else []
        begin = end
    return found


def _midnight(day: date, zone: tzinfo) -> int:
    """When a day begins (ms)."""
    return milliseconds(datetime.combine(day, time(), zone))


def _rows(found: Iterable[Sequence[Any]]) -> list[tuple[Any, Counts]]:
    return [(key, integers(counts)) for key, *counts in found]


def _added(rows: Iterable[tuple[str | None, Counts]]) -> list[Usage]:
    """Add up rows of the same key, in the order of the keys."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for key, counts in rows:
        for place, count in enumerate(counts):
            totals[key or ""][place] += count
    return [Usage(key, *counts) for key, counts in sorted(totals.items())]
