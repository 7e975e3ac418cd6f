"""The faxes that usage counts, as statements: from the sums of whole spans, or by fax."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, case, exists, func, select, union_all

from faxline.reading.archived import Wanted
from faxline_archive.intersection import milliseconds
from faxline_archive.privacy import Privacy, member
from faxline_archive.schema import REJECTED, fax_metadata, faxes, member_sums, usage_sums
from faxline_archive.search import as_stored
from faxline_archive.sums import COUNTS, DAY, MINUTE, QUARTER, Piece, pieces

_QUARTER = QUARTER * MINUTE


class ChosenFaxes:
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
        return select(found.c.account, *sums_of(found)).group_by(found.c.account)

    def by_reason(self) -> Select[Any]:
        """Rows of reason and counts, of faxes that failed."""
        table, conditions = self._table()
        conditions += [table.c.state == "failed", *between(table.c.queued_at, self.since, self.until)]
        failed = select(table.c.reason, *counts_of(table)).where(*conditions)
        return failed.group_by(table.c.reason)

    def pieces(
        self, spans: Sequence[int], *, since: int | None = None, until: int | None = None
    ) -> Iterator[Piece]:
        """Cut the time into spans of which there are sums, and the rest: all, if members choose the faxes."""
        since = self.since if since is None else since
        until = self.until if until is None else until
        return pieces(since, until, () if self.has_members else spans)

    def by_value_of_days(self, key: str, piece: Piece) -> Select[Any]:
        """Rows of account, number of the day and sums by value (JSON), of faxes with a member."""
        since, until = (None if end is None else end // (DAY * MINUTE) for end in (piece.since, piece.until))
        conditions = [member_sums.c.key == key, *self._of_accounts(member_sums)]
        conditions += between(member_sums.c.number, since, until)
        columns = member_sums.c.account, member_sums.c.number, member_sums.c.sums
        return select(*columns).where(*conditions).order_by(member_sums.c.number)

    def by_value(self, key: str, piece: Piece) -> Select[Any]:
        """Rows of value, state and account, and how many faxes and pages, of faxes with a member.

        The account is last in the order: with it first PostgreSQL 15 sorts all rows.
        """
        counted = fax_metadata.alias("counted")
        conditions = [counted.c.key == key, *self._conditions(counted), *self._have(counted, self._members)]
        conditions += between(counted.c.queued_at, piece.since, piece.until)
        place = counted.c.value, counted.c.state, counted.c.account
        rows = select(*place, func.count(), func.sum(counted.c.transferred)).where(*conditions)
        return rows.group_by(*place)

    def sums(
        self, spans: Sequence[int] = (QUARTER, DAY), *, since: int | None = None, until: int | None = None
    ) -> FromClause:
        """Rows of account, at (ms) and COUNTS, of the faxes that are chosen and between two times (ms).

        What is within whole spans is read from `usage_sums`, the rest by fax.
        """
        cut = self.pieces(spans, since=since, until=until)
        rows = (self._of_spans(piece) if piece.minutes else self._by_fax(piece) for piece in cut)
        return union_all(*rows).subquery()

    def _of_spans(self, piece: Piece) -> Select[Any]:
        length = piece.minutes * MINUTE
        since, until = (None if end is None else end // length for end in (piece.since, piece.until))
        whole = [usage_sums.c.minutes == piece.minutes, *self._of_accounts(usage_sums)]
        whole += between(usage_sums.c.number, since, until)
        at = (usage_sums.c.number * length).label("at")
        return select(usage_sums.c.account, at, *(usage_sums.c[name] for name in COUNTS)).where(*whole)

    def _by_fax(self, piece: Piece) -> Select[Any]:
        table, conditions = self._table()
        at = (table.c.queued_at // _QUARTER * _QUARTER).label("at")
        rows = select(table.c.account, at, *counts_of(table)).where(
            *conditions, *between(table.c.queued_at, piece.since, piece.until)
        )
        return rows.group_by(table.c.account, at)

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


def counts_of(table: FromClause) -> tuple[ColumnElement[int], ...]:
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


def sums_of(table: FromClause) -> list[ColumnElement[int]]:
    """COUNTS, of rows that have them."""
    return [func.sum(table.c[name]) for name in COUNTS]


def between(column: ColumnElement[int], since: int | None, until: int | None) -> list[ColumnElement[bool]]:
    """The condition that a column is between two bounds, the second not included."""
    return ([] if since is None else [column >= since]) + ([] if until is None else [column < until])
