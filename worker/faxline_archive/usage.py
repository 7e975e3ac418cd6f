"""Counts faxes by account, day, month, the reason why they failed, or a member of the metadata.

Days and months are those of a zone. They are added up here out of quarters of an hour, because SQLite knows
no zones. Whole accounts are counted from the sums of `usage_sums`; what a member of the metadata chooses,
from the rows of that member, which have what is counted beside it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    and_,
    case,
    exists,
    func,
    select,
    union_all,
)

from faxline.reading.archived import Usage, Wanted
from faxline_archive.intersection import milliseconds
from faxline_archive.leaves import canonical_json
from faxline_archive.privacy import Privacy, member
from faxline_archive.schema import DIGEST, REJECTED, fax_metadata, faxes, usage_sums
from faxline_archive.search import as_stored, fax_of, key_of
from faxline_archive.sums import COUNTS, DAY, MINUTE, QUARTER

METADATA = "metadata."
_DAYS = {"day": "%Y-%m-%d", "month": "%Y-%m"}
BY = ("account", *_DAYS, "reason", f"{METADATA}KEY")
Counts = tuple[int, int, int, int]
_QUARTER = QUARTER * MINUTE
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
            chosen = _Chosen(wanted, part, privacy_of)
            if by == "day":
                found += _by_day(connection, chosen, zone, _DAYS[by])
            elif by == "month":
                found += _by_month(connection, chosen, zone)
            elif key:
                found += _by_member(connection, chosen, key, privacy_of)
            else:
                found += _rows(
                    connection.execute(chosen.by_reason() if by == "reason" else chosen.by_account())
                )
    return _added(found)


class _Chosen:
    """The faxes that are counted, as conditions on the tables."""

    def __init__(
        self, wanted: Wanted, accounts: Sequence[str] | None, privacy_of: Callable[[str], Privacy]
    ) -> None:
        self.since = None if wanted.since is None else milliseconds(wanted.since)
        self.until = None if wanted.until is None else milliseconds(wanted.until)
        self._accounts = accounts
        # An HMAC is an account's own, so those of all accounts may stand in one list.
        self._members: dict[str, list[str]] = {
            key: sorted(
                {one for name in accounts or () for one in privacy_of(name).lookups(member(key), value)}
            )
            for key, value in (as_stored(wanted).metadata.items() if accounts is not None else ())
        }

    @property
    def has_members(self) -> bool:
        """Whether members of the metadata choose."""
        return bool(self._members)

    def by_account(self) -> Select[Any]:
        """Rows of account and counts."""
        found = self.sums()
        return select(found.c.account, *_sums(found)).group_by(found.c.account)

    def by_reason(self) -> Select[Any]:
        """Rows of reason and counts, of faxes that failed."""
        table, conditions = self._table()
        conditions += [table.c.state == "failed", *_between(table.c.queued_at, self.since, self.until)]
        failed = select(table.c.reason, *_counts(table)).where(*conditions)
        return failed.group_by(table.c.reason)

    def by_value(self, key: str) -> Select[Any]:
        """Rows of account, value and counts, of faxes with a member."""
        counted = fax_metadata.alias("counted")
        conditions = [counted.c.key == key, *self._conditions(counted), *self._have(counted, self._members)]
        conditions += _between(counted.c.queued_at, self.since, self.until)
        rows = select(counted.c.account, counted.c.value, *_counts(counted)).where(*conditions)
        return rows.group_by(counted.c.account, counted.c.value)

    def sums(
        self, spans: Sequence[int] = (DAY, QUARTER), *, since: int | None = None, until: int | None = None
    ) -> FromClause:
        """Rows of account, at (ms) and COUNTS, of the faxes that are chosen and between two times (ms).

        What is within whole spans is read from `usage_sums`, the rest by fax.
        """
        since = self.since if since is None else since
        until = self.until if until is None else until
        return union_all(*self._cover(since, until, () if self.has_members else spans)).subquery()

    def _cover(self, since: int | None, until: int | None, spans: Sequence[int]) -> list[Select[Any]]:
        if not spans:
            table, conditions = self._table()
            at = (table.c.queued_at // _QUARTER * _QUARTER).label("at")
            rows = select(table.c.account, at, *_counts(table)).where(
                *conditions, *_between(table.c.queued_at, since, until)
            )
            return [rows.group_by(table.c.account, at)]
        minutes, *smaller = spans
        length = minutes * MINUTE
        first = None if since is None else -(-since // length) * length
        last = None if until is None else until // length * length
        if first is not None and last is not None and first >= last:
            return self._cover(since, until, smaller)
        whole = [usage_sums.c.minutes == minutes, *self._of_accounts(usage_sums)]
        whole += _between(
            usage_sums.c.number, *(None if end is None else end // length for end in (first, last))
        )
        at = (usage_sums.c.number * length).label("at")
        parts = [select(usage_sums.c.account, at, *(usage_sums.c[name] for name in COUNTS)).where(*whole)]
        parts += self._cover(since, first, smaller) if since != first else []
        return parts + (self._cover(last, until, smaller) if until != last else [])

    def _table(self) -> tuple[FromClause, list[ColumnElement[bool]]]:
        """The table whose rows are the chosen faxes: the first member's, if there is one."""
        if not self._members:
            return faxes, self._conditions(faxes)
        (key, values), *others = self._members.items()
        table = fax_metadata.alias("chosen")
        conditions = [table.c.key == key, table.c.value.in_(values), *self._have(table, dict(others))]
        return table, [*self._conditions(table), *conditions]

    def _of_accounts(self, table: FromClause) -> list[ColumnElement[bool]]:
        return [] if self._accounts is None else [table.c.account.in_(self._accounts)]

    def _conditions(self, table: FromClause) -> list[ColumnElement[bool]]:
        return [table.c.state != REJECTED, *self._of_accounts(table)]

    @staticmethod
    def _have(table: FromClause, members: dict[str, list[str]]) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        for key, values in members.items():
            other = fax_metadata.alias()
            same = [other.c[name] == table.c[name] for name in ("account", "job", "reuse")]
            conditions.append(exists().where(*same, other.c.key == key, other.c.value.in_(values)))
        return conditions


def _counts(table: FromClause) -> tuple[ColumnElement[int], ...]:
    """COUNTS, of rows that are faxes."""

    def ended(state: str) -> ColumnElement[int]:
        return func.sum(case((table.c.state == state, 1), else_=0))

    counts = (
        func.count(),
        ended("delivered"),
        ended("failed"),
        func.coalesce(func.sum(table.c.transferred), 0),
    )
    return tuple(count.label(name) for name, count in zip(COUNTS, counts, strict=True))


def _sums(table: FromClause) -> list[ColumnElement[int]]:
    """COUNTS, of rows that have them."""
    return [func.sum(table.c[name]) for name in COUNTS]


def _between(column: ColumnElement[int], since: int | None, until: int | None) -> list[ColumnElement[bool]]:
    return ([] if since is None else [column >= since]) + ([] if until is None else [column < until])


def _by_day(connection: Connection, chosen: _Chosen, zone: tzinfo, form: str) -> list[tuple[str, Counts]]:
    table = chosen.sums([QUARTER])
    rows = select(table.c.at, *_sums(table)).group_by(table.c.at).order_by(table.c.at)
    found, day, end = [], "", 0
    for at, counts in _rows(connection.execute(rows)):
        if at >= end:
            local = datetime.fromtimestamp(at / 1000, zone)
            day, end = f"{local:{form}}", _midnight(local.date() + timedelta(days=1), zone)
        found.append((day, counts))
    return found


def _by_month(connection: Connection, chosen: _Chosen, zone: tzinfo) -> list[tuple[str, Counts]]:
    """Each month by itself: most of it are whole days of UTC."""
    if chosen.since is None or chosen.until is None or chosen.has_members:
        return _by_day(connection, chosen, zone, _DAYS["month"])
    found, begin = [], chosen.since
    while begin < chosen.until:
        month = datetime.fromtimestamp(begin / 1000, zone).date().replace(day=1)
        end = min(_midnight((month + timedelta(days=31)).replace(day=1), zone), chosen.until)
        table = chosen.sums(since=begin, until=end)
        counts = _integers(connection.execute(select(*_sums(table))).one())
        found += [(f"{month:%Y-%m}", counts)] if counts[0] else []
        begin = end
    return found


def _midnight(day: date, zone: tzinfo) -> int:
    """When a day begins (ms)."""
    return milliseconds(datetime.combine(day, time(), zone))


def _by_member(
    connection: Connection, chosen: _Chosen, key: str, privacy_of: Callable[[str], Privacy]
) -> list[tuple[str, Counts]]:
    """Count by the values of a member; the faxes without it have the key ""."""
    found = [
        (_text_of(connection, account, key, value, privacy_of(account)), _integers(counts))
        for account, value, *counts in connection.execute(chosen.by_value(key_of(key))).all()
    ]
    table = chosen.sums()
    total = _integers(connection.execute(select(*_sums(table))).one())
    have = [sum(counts) for counts in zip(*(counts for _, counts in found), strict=True)] or [0] * len(COUNTS)
    without = _integers(count - other for count, other in zip(total, have, strict=True))
    return [*found, ("", without)] if without[0] else found


def _text_of(connection: Connection, account: str, key: str, stored: str, privacy: Privacy) -> str:
    """What a stored value says. Of one that is stored as a hash (privacy.py), a fax that has it tells."""
    if len(stored) != DIGEST and not stored.startswith("sha256:"):
        return stored
    same = and_(*(fax_metadata.c[name] == faxes.c[name] for name in ("account", "job", "reuse")))
    place = {"account": account, "key": key_of(key), "value": stored}
    has_it = and_(*(fax_metadata.c[name] == value for name, value in place.items()))
    row = connection.execute(select(faxes).join(fax_metadata, same).where(has_it).limit(1)).mappings().first()
    told = fax_of(row, privacy).metadata.get(key, stored) if row is not None else stored
    return told if isinstance(told, str) else canonical_json(told)


def _rows(found: Iterable[Sequence[Any]]) -> list[tuple[Any, Counts]]:
    return [(key, _integers(counts)) for key, *counts in found]


def _integers(counts: Iterable[Any]) -> Counts:
    faxes_, delivered, failed, pages = (int(count or 0) for count in counts)
    return faxes_, delivered, failed, pages


def _added(rows: Iterable[tuple[str | None, Counts]]) -> list[Usage]:
    """Add up rows of the same key, in the order of the keys."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for key, counts in rows:
        for place, count in enumerate(counts):
            totals[key or ""][place] += count
    return [Usage(key, *counts) for key, counts in sorted(totals.items())]
