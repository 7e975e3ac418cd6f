"""Counts faxes by account, day, month, the reason why they failed, or a member of the metadata.

Days and months are those of a zone. They are added up here out of quarters of an hour, because SQLite knows
no zones. Whole accounts are counted from the sums of `usage_sums`; what a member of the metadata chooses,
from the rows of that member, which have what is counted beside it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, time, timedelta, tzinfo
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
    or_,
    select,
    union_all,
)

from faxline.reading.archived import Usage, Wanted
from faxline_archive.intersection import milliseconds
from faxline_archive.leaves import canonical_json
from faxline_archive.privacy import Privacy, member
from faxline_archive.schema import DIGEST, REJECTED, fax_metadata, faxes, usage_sums
from faxline_archive.search import as_stored, fax_of, key_of
from faxline_archive.sums import COUNTS, QUARTER

METADATA = "metadata."
_DAYS = {"day": "%Y-%m-%d", "month": "%Y-%m"}
BY = ("account", *_DAYS, "reason", f"{METADATA}KEY")
Counts = tuple[int, int, int, int]
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
            if by in _DAYS:
                found += _by_day(connection, chosen, zone, _DAYS[by])
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
        self._since = None if wanted.since is None else milliseconds(wanted.since)
        self._until = None if wanted.until is None else milliseconds(wanted.until)
        self._accounts = accounts
        # An HMAC is an account's own, so those of all accounts may stand in one list.
        self._members = {
            key: sorted(
                {one for name in accounts or () for one in privacy_of(name).lookups(member(key), value)}
            )
            for key, value in (as_stored(wanted).metadata.items() if accounts is not None else ())
        }

    def by_account(self) -> Select[Any]:
        """Rows of account and counts."""
        found = self.quarters()
        return select(found.c.account, *_sums(found)).group_by(found.c.account)

    def by_reason(self) -> Select[Any]:
        """Rows of reason and counts, of faxes that failed."""
        table, conditions = self._table()
        failed = select(table.c.reason, *_counts(table)).where(*conditions, table.c.state == "failed")
        return failed.group_by(table.c.reason)

    def by_value(self, key: str) -> Select[Any]:
        """Rows of account, value and counts, of faxes with a member."""
        counted = fax_metadata.alias("counted")
        conditions = [counted.c.key == key, *self._conditions(counted), *self._have(counted, self._members)]
        rows = select(counted.c.account, counted.c.value, *_counts(counted)).where(*conditions)
        return rows.group_by(counted.c.account, counted.c.value)

    def quarters(self) -> FromClause:
        """A table like `usage_sums`, of the faxes that are chosen.

        The sums are of whole quarters; what is chosen of the quarters at both ends is counted by fax.
        """
        table, conditions = self._table()
        if self._members:
            return _by_quarter(table, conditions).subquery()
        parts, whole, ends = [], self._of_accounts(usage_sums), []
        if self._since is not None:
            whole.append(usage_sums.c.quarter >= -(-self._since // QUARTER))
            ends += (
                [faxes.c.queued_at < -(-self._since // QUARTER) * QUARTER] if self._since % QUARTER else []
            )
        if self._until is not None:
            whole.append(usage_sums.c.quarter < self._until // QUARTER)
            ends += [faxes.c.queued_at >= self._until // QUARTER * QUARTER] if self._until % QUARTER else []
        parts.append(select(usage_sums).where(*whole))
        parts += [_by_quarter(faxes, [*conditions, or_(*ends)])] if ends else []
        return union_all(*parts).subquery()

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
        found = [table.c.state != REJECTED, *self._of_accounts(table)]
        found += [] if self._since is None else [table.c.queued_at >= self._since]
        return found + ([] if self._until is None else [table.c.queued_at < self._until])

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


def _by_quarter(table: FromClause, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    quarter = (table.c.queued_at // QUARTER).label("quarter")
    rows = select(table.c.account, quarter, *_counts(table)).where(*conditions)
    return rows.group_by(table.c.account, quarter)


def _by_day(connection: Connection, chosen: _Chosen, zone: tzinfo, form: str) -> list[tuple[str, Counts]]:
    table = chosen.quarters()
    rows = select(table.c.quarter, *_sums(table)).group_by(table.c.quarter).order_by(table.c.quarter)
    found, day, end = [], "", 0.0
    for quarter, counts in _rows(connection.execute(rows)):
        at = quarter * QUARTER / 1000
        if at >= end:
            local = datetime.fromtimestamp(at, zone)
            day = f"{local:{form}}"
            end = datetime.combine(local.date() + timedelta(days=1), time(), zone).timestamp()
        found.append((day, counts))
    return found


def _by_member(
    connection: Connection, chosen: _Chosen, key: str, privacy_of: Callable[[str], Privacy]
) -> list[tuple[str, Counts]]:
    """Count by the values of a member; the faxes without it have the key ""."""
    found = [
        (_text_of(connection, account, key, value, privacy_of(account)), _integers(counts))
        for account, value, *counts in connection.execute(chosen.by_value(key_of(key))).all()
    ]
    table = chosen.quarters()
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
