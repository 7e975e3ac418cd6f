"""Erases faxes from the archive: those that an operator ordered to forget, and those past their retention.

What stays of an entry is the hash of its leaf and its place in the tree, so that the tree still verifies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, func, select, update

from faxline_archive.entries import FORGET, Entry, read_entry
from faxline_archive.privacy import NUMBER, Privacy
from faxline_archive.records import load_json
from faxline_archive.schema import AUDIT, REJECTED, accounts, entries, fax_metadata, faxes, gaps
from faxline_archive.sums import SumChanges

_ERASED = {"kind": None, "job": None, "body": None, "private": None, "key_id": None}
_COUNTED = ("account", "queued_at", "state", "transferred")
PIECE = 1000
"""The most entries, and the most faxes, that expire in one transaction."""


@dataclass(frozen=True, slots=True)
class ForgottenNumber:
    """A number that an operator ordered to forget.

    Attributes:
        number: in E.164.
        at: when it was ordered (ms). Faxes that came later stay.
    """

    number: str
    at: int


def forget_jobs(engine: Engine, account: str, below: int) -> bool:
    """Carry out the orders to forget a job.

    Args:
        engine: of `open_database` with `writes`.
        account: whose orders.
        below: those with a smaller leaf. All events from before them are archived.

    Returns:
        Whether no order waits any more.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    mine = accounts.c.account == account
    with engine.begin() as connection:
        first = connection.scalar(select(accounts.c.ordered).where(mine).with_for_update())
        if first is None or first < 0:
            return True
        order = (entries.c.account == account, entries.c.stream == AUDIT, entries.c.kind == FORGET)
        asked = select(entries.c.leaf, entries.c.entry_id, entries.c.body).where(*order)
        asked = asked.where(entries.c.leaf >= first).order_by(entries.c.leaf)
        left = -1
        for row in connection.execute(asked).all():
            if row.leaf >= below:
                left = row.leaf
                break
            fields = load_json(row.body or "{}").get("fields", {})
            _forget_job(connection, read_entry(account, AUDIT, row.entry_id, fields))
        connection.execute(update(accounts).where(mine).values(ordered=left))
        return left < 0


def forget_numbers(engine: Engine, account: str, privacy: Privacy, orders: Sequence[ForgottenNumber]) -> None:
    """Erase all ended faxes to some numbers. To do it again does nothing.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses. Nothing was erased.
    """
    if orders:
        with engine.begin() as connection:
            connection.execute(select(accounts.c.size).where(accounts.c.account == account).with_for_update())
            for order in orders:
                _forget_number(connection, privacy, account, order)


def _forget_job(connection: Connection, order: Entry) -> None:
    """Erase the fax that had an id last, and an entry with it that was rejected before: nothing older.

    An order that was refused because Redis has no such job any more counts, if the fax has ended here.
    """
    if not order.job:
        return
    columns = (faxes.c[name] for name in ("job", "reuse", "queued_at", "ended_at", "state"))
    found = connection.execute(
        select(*columns)
        .where(faxes.c.account == order.account, faxes.c.job == order.job, faxes.c.queued_at <= order.at)
        .order_by(faxes.c.reuse.desc())
    ).all()
    if order.fields.get("outcome") != "done" and found and not found[0].ended_at:
        return
    older = next((row.reuse for row in found[1:] if row.state != REJECTED), None)
    mine = [row for row in found if older is None or row.reuse > older]
    since = 0 if older is None else mine[-1].queued_at
    _erase_entries(connection, order.account, order.job, since, order.at)
    _erase_faxes(connection, order.account, mine)


def _forget_number(connection: Connection, privacy: Privacy, account: str, order: ForgottenNumber) -> None:
    """Erase all ended faxes to a number."""
    found = connection.execute(
        select(faxes.c.job, faxes.c.reuse, faxes.c.queued_at).where(
            faxes.c.account == account,
            faxes.c.to_index.in_(privacy.lookups(NUMBER, order.number)),
            faxes.c.queued_at <= order.at,
            faxes.c.ended_at.is_not(None),
        )
    ).all()
    for row in found:
        until = connection.execute(  # the id may have been used again since, for another number
            select(func.min(faxes.c.queued_at)).where(
                faxes.c.account == account, faxes.c.job == row.job, faxes.c.reuse > row.reuse
            )
        ).scalar()
        since = row.queued_at if row.reuse else 0
        _erase_entries(connection, account, row.job, since, min(order.at, until - 1 if until else order.at))
    _erase_faxes(connection, account, found)


def expire(engine: Engine, account: str, before: int) -> bool:
    """Erase what is past its retention, a piece in one transaction.

    Args:
        engine: of `open_database` with `writes`.
        account: the account.
        before: what happened before this time (ms) goes.

    Returns:
        Whether there may be more.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    with engine.begin() as connection:
        first = connection.execute(
            select(accounts.c.expired).where(accounts.c.account == account).with_for_update()
        ).scalar()
        if first is None:
            return False
        places = connection.execute(
            select(entries.c.leaf, entries.c.at)
            .where(entries.c.account == account, entries.c.leaf >= first)
            .order_by(entries.c.leaf)
            .limit(PIECE)
        ).all()
        end = next((place.leaf for place in places if place.at >= before), first + len(places))
        if end > first:
            those = and_(entries.c.account == account, entries.c.leaf >= first, entries.c.leaf < end)
            connection.execute(update(entries).where(those).values(**_ERASED))
            connection.execute(update(accounts).where(accounts.c.account == account).values(expired=end))
            connection.execute(delete(gaps).where(gaps.c.account == account, gaps.c.leaf < first))
        old = connection.execute(
            select(faxes.c.job, faxes.c.reuse, faxes.c.queued_at)
            .where(faxes.c.account == account, faxes.c.queued_at < before, faxes.c.updated_at < before)
            .limit(PIECE)
        ).all()
        _erase_faxes(connection, account, old)
        return end - first == PIECE or len(old) == PIECE


def _erase_entries(connection: Connection, account: str, job: str, since: int, until: int) -> None:
    """Erase the entries about a job, but not that it was ordered to be forgotten."""
    about = and_(entries.c.account == account, entries.c.job == job, entries.c.at.between(since, until))
    order = and_(entries.c.stream == AUDIT, entries.c.kind == FORGET)
    connection.execute(update(entries).where(about, ~order).values(**_ERASED))


def _erase_faxes(
    connection: Connection,
    account: str,
    found: Iterable[Any],
) -> None:
    sums = SumChanges()
    for row in found:
        here = {"account": account, "job": row.job, "reuse": row.reuse}
        found_in = connection.execute(delete(fax_metadata).filter_by(**here).returning(fax_metadata))
        members = [dict(member) for member in found_in.mappings()]
        erased = delete(faxes).filter_by(**here).returning(*(faxes.c[name] for name in _COUNTED))
        # Somebody else may have erased it meanwhile: then nothing returns.
        for gone in connection.execute(erased).mappings():
            sums.remove(dict(gone), members)
    sums.store(connection)
