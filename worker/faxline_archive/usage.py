"""Counts faxes by account, day, month, the reason why they failed, or a member of the metadata.

Days and months are those of a zone. The database counts by quarters of an hour, on which the days of every
zone begin, and the rest is added up here: SQLite knows no zones.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo

from sqlalchemy import ColumnElement, Connection, Engine, String, and_, case, cast, exists, func, select

from faxline.reading.archived import Usage, Wanted
from faxline_archive.intersection import milliseconds
from faxline_archive.privacy import Privacy, member
from faxline_archive.schema import fax_metadata, faxes
from faxline_archive.search import as_stored, fax_of, key_of

METADATA = "metadata."
_QUARTER = 15 * 60 * 1000
_DAYS = {"day": "%Y-%m-%d", "month": "%Y-%m"}
BY = ("account", *_DAYS, "reason", f"{METADATA}KEY")
Counts = tuple[int, int, int, int]


def usage(
    engine: Engine,
    by: str,
    wanted: Wanted,
    privacy_of: Callable[[str], Privacy],
    *,
    account: str | None,
    zone: tzinfo,
) -> list[Usage]:
    """Count faxes.

    Args:
        engine: of `open_database`.
        by: `account`, `day`, `month`, `reason` (of faxes that failed), or `metadata.KEY`.
        wanted: `since` and `until` choose the faxes by when they were queued, and with an account
            `metadata` by their members; the rest is not looked at.
        privacy_of: opens an account's sealed values.
        account: one account; None for all.
        zone: whose days and months they are.

    Raises:
        ValueError: `by` is something else.
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    chosen = _chosen(wanted, account, privacy_of)
    with engine.connect() as connection:
        if by == "account":
            rows = connection.execute(
                select(faxes.c.account, *_sums()).where(*chosen).group_by(faxes.c.account)
            )
            return _added((row[0], tuple(row[1:])) for row in rows)
        if by == "reason":
            failed = select(faxes.c.reason, *_sums()).where(*chosen, faxes.c.state == "failed")
            rows = connection.execute(failed.group_by(faxes.c.reason))
            return _added((row[0] or "", tuple(row[1:])) for row in rows)
        if by in _DAYS:
            quarter = faxes.c.queued_at // _QUARTER
            rows = connection.execute(select(quarter, *_sums()).where(*chosen).group_by(quarter))
            return _added((_day(row[0], zone, _DAYS[by]), tuple(row[1:])) for row in rows)
        if by.startswith(METADATA) and by != METADATA:
            return _by_member(connection, by.removeprefix(METADATA), chosen, privacy_of)
    raise ValueError(f"--by is {', '.join(BY[:-1])} or {BY[-1]}")


def _chosen(
    wanted: Wanted, account: str | None, privacy_of: Callable[[str], Privacy]
) -> list[ColumnElement[bool]]:
    chosen = [faxes.c.state != "rejected"]
    if account is not None:
        chosen.append(faxes.c.account == account)
    if wanted.since is not None:
        chosen.append(faxes.c.queued_at >= milliseconds(wanted.since))
    if wanted.until is not None:
        chosen.append(faxes.c.queued_at < milliseconds(wanted.until))
    for key, value in as_stored(wanted).metadata.items() if account is not None else ():
        found = fax_metadata.alias()
        same = [found.c[name] == faxes.c[name] for name in ("account", "job", "reuse")]
        indexes = privacy_of(account or "").lookups(member(key), value)
        chosen.append(exists().where(*same, found.c.key == key, found.c.value.in_(indexes)))
    return chosen


def _sums() -> tuple[ColumnElement[int], ...]:
    def ended(state: str) -> ColumnElement[int]:
        return func.sum(case((faxes.c.state == state, 1), else_=0))

    pages = func.coalesce(func.sum(faxes.c.transferred), 0)
    return func.count(), ended("delivered"), ended("failed"), pages


def _day(quarter: int, zone: tzinfo, form: str) -> str:
    return f"{datetime.fromtimestamp(quarter * _QUARTER / 1000, UTC).astimezone(zone):{form}}"


def _by_member(
    connection: Connection,
    key: str,
    chosen: list[ColumnElement[bool]],
    privacy_of: Callable[[str], Privacy],
) -> list[Usage]:
    """Count by the values of a member. What a value says, a fax that has it tells."""
    named = faxes.c.job + " " + cast(faxes.c.reuse, String)
    same = and_(
        fax_metadata.c.account == faxes.c.account,
        fax_metadata.c.job == faxes.c.job,
        fax_metadata.c.reuse == faxes.c.reuse,
        fax_metadata.c.key == key_of(key),
    )
    rows = connection.execute(
        select(faxes.c.account, fax_metadata.c.value, func.max(named), *_sums())
        .select_from(faxes.outerjoin(fax_metadata, same))
        .where(*chosen)
        .group_by(faxes.c.account, fax_metadata.c.value)
    ).all()

    def value_of(account: str, stored: str | None, fax: str) -> str:
        if stored is None:
            return ""
        job, _, reuse = fax.rpartition(" ")
        place = (faxes.c.account == account) & (faxes.c.job == job) & (faxes.c.reuse == int(reuse))
        row = connection.execute(select(faxes).where(place)).mappings().one_or_none()
        told = fax_of(row, privacy_of(account)).metadata if row is not None else {}
        return str(told.get(key, stored))

    return _added((value_of(*row[:3]), tuple(row[3:])) for row in rows)


def _added(rows: Iterable[tuple[str, Counts]]) -> list[Usage]:
    """Add up rows of the same key, in the order of the keys."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for key, counts in rows:
        for place, count in enumerate(counts):
            totals[key][place] += int(count or 0)
    return [Usage(key, *counts) for key, counts in sorted(totals.items())]
