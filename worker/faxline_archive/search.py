"""Finds faxes in the archive: page by page, the last one queued first.

Each page is one statement that an index answers from its first row on, however far back the page is: it
begins behind the last fax of the page before (keyset pagination). A number that an older sealing key indexed
has another HMAC, so the statement joins the searches for each. Where several things must hold that no index
has together, PostgreSQL intersects their lists (intersection.py).
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    RowMapping,
    Select,
    and_,
    select,
    union_all,
)

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.reading.archived import ArchivedFax, Numbers, Wanted
from faxline_archive.intersection import bounds, find_intersection, needs_intersection
from faxline_archive.places import Place, latest_first, latest_of_all
from faxline_archive.privacy import NUMBER, Privacy, member
from faxline_archive.records import plain
from faxline_archive.schema import JOB, fax_metadata, faxes

PAGE = 100
BRANCHES = 500
"""The most searches that one statement joins: SQLite's limit."""
PLACE = ("account", "job", "reuse", "queued_at")
_TIMES = ("queued_at", "submitted_at", "call_started_at", "call_ended_at", "ended_at", "send_at")
_SAME = (
    *(
        "state",
        "kind",
        "priority",
        "stage",
        "reason",
        "code",
        "message",
        "attempt",
        "submissions",
        "deliveries",
    ),
    *("job_id", "pages", "transferred", "partial", "charged", "receipt"),
)


def find(
    engine: Engine, account: str, wanted: Wanted, privacy: Privacy, *, page: int = PAGE
) -> Iterator[ArchivedFax]:
    """Find all faxes, and read them by pages.

    Args:
        engine: of `open_database`.
        account: the account's name.
        wanted: what must hold.
        privacy: the account's.
        page: how many faxes are read at a time.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    after: Place | None = None
    while True:
        with engine.connect() as connection:
            found = find_page(connection, account, wanted, privacy, after=after, limit=page)
        for row in found:
            yield fax_of(row, privacy)
        if len(found) < page:
            return
        after = (found[-1]["queued_at"], found[-1]["job"])


def find_page(
    connection: Connection,
    account: str,
    wanted: Wanted,
    privacy: Privacy,
    *,
    after: Place | None = None,
    limit: int = PAGE,
    also: Sequence[ColumnElement[bool]] = (),
) -> Sequence[RowMapping]:
    """One page of rows of the table `faxes`, the last one queued first, behind the place `after`.

    `also` are further conditions on the table.
    """
    wanted = as_stored(wanted)
    if connection.dialect.name == "postgresql" and needs_intersection(wanted):
        found = find_intersection(connection, account, wanted, privacy, after=after, limit=limit, also=also)
        if found is not None:
            return found
    query = page_query(account, wanted, privacy, after=after, limit=limit, also=also)
    return connection.execute(query).mappings().all()


def page_query(
    account: str,
    wanted: Wanted,
    privacy: Privacy,
    *,
    after: Place | None,
    limit: int,
    also: Sequence[ColumnElement[bool]] = (),
) -> Select[Any]:
    """The statement of a page, without the index of terms.

    Raises:
        ValueError: it would be too long. The message is for people.
    """
    wanted = as_stored(wanted)
    lookups = [
        [faxes.c.to_index == value for value in privacy.lookups(NUMBER, wanted.to)] if wanted.to else [],
        [faxes.c.from_index == value for value in privacy.lookups(NUMBER, wanted.sender)]
        if wanted.sender
        else [],
    ]
    members = [(key, privacy.lookups(member(key), value)) for key, value in wanted.metadata.items()]
    if math.prod(len(found) for found in (*lookups, *(values for _, values in members)) if found) > BRANCHES:
        raise ValueError("too many numbers and members of the metadata at once: leave some out")
    branches = [
        _branch(
            account, wanted, (*numbers, *also), dict(zip(wanted.metadata, values, strict=True)), after
        ).limit(limit)
        for numbers in itertools.product(*(found for found in lookups if found))
        for values in itertools.product(*(values for _, values in members))
    ]
    if len(branches) == 1:
        return branches[0]
    return joined(
        [branch.with_only_columns(*(faxes.c[name] for name in PLACE)) for branch in branches], limit
    )


def joined(places: Sequence[Select[Any]], limit: int) -> Select[Any]:
    """One page of several: the rows of the last faxes of all.

    Args:
        places: where the faxes of each page stand, the columns PLACE. No two pages have the same fax.
        limit: the most rows.
    """
    every = union_all(*(select(place.subquery()) for place in places)).subquery()
    last = select(every).order_by(*latest_of_all(every)).limit(limit).subquery()
    same = and_(*(faxes.c[name] == last.c[name] for name in PLACE[:3]))
    return select(faxes).join(last, same).order_by(*latest_of_all(faxes))


def as_stored(wanted: Wanted) -> Wanted:
    """The same as the database has it: it holds no half of a character, and cuts what is too long."""
    members = {key_of(key): value for key, value in wanted.metadata.items()}
    state, reason, group = (
        None if text is None else plain(text)[:JOB] for text in (wanted.state, wanted.reason, wanted.group)
    )
    return replace(wanted, state=state, reason=reason, group=group, metadata=members)


def key_of(key: str) -> str:
    """The key of a member of the metadata, as the database has it."""
    return plain(key)[:JOB]


def _branch(
    account: str,
    wanted: Wanted,
    numbers: Sequence[ColumnElement[bool]],
    members: Mapping[str, str],
    after: Place | None,
) -> Select[Any]:
    """The search for one HMAC of each, in its order.

    The order is the first member's, if there is one, so that its index gives it. So is the outcome, which
    each row of `fax_metadata` has: no index joins a member that many faxes have with a state that few have.
    """
    query, tables = _of_members(len(members))
    outcome = {"state": wanted.state, "reason": wanted.reason}
    told = {name: value for name, value in outcome.items() if value is not None}
    conditions = [faxes.c.account == account, *numbers]
    for table, (key, value) in zip(tables, members.items(), strict=True):
        conditions += has(table, {"account": account, "key": key, "value": value, **told})
    if not members:
        conditions += has(faxes, told)
    if wanted.group is not None:
        conditions.append(faxes.c.group_name == wanted.group)
    return query.where(*conditions, *bounds(tables[0] if tables else faxes, wanted, after))


@cache
def _of_members(count: int) -> tuple[Select[Any], Sequence[FromClause]]:
    """Faxes with so many of their members, in the order of the first. Made once: all else takes less time."""
    query, tables = select(faxes), [fax_metadata.alias(f"member{number}") for number in range(count)]
    for table in tables:
        same = and_(*(table.c[name] == faxes.c[name] for name in ("account", "job", "reuse")))
        query = query.join(table, same)
    return query.order_by(*latest_first(tables[0] if tables else faxes)), tables


def has(table: FromClause, values: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The conditions that columns of a table have these values."""
    return [table.c[name] == value for name, value in values.items()]


def find_one(connection: Connection, account: str, job: str) -> RowMapping | None:
    """The row of a fax; of an id that was used again, the last one's."""
    place = (faxes.c.account == account) & (faxes.c.job == plain(job))
    query = select(faxes).where(place).order_by(faxes.c.reuse.desc()).limit(1)
    return connection.execute(query).mappings().one_or_none()


def fax_of(row: RowMapping, privacy: Privacy) -> ArchivedFax:
    """A fax from its row. What is sealed by a key that is not there stays unknown."""
    private = opened(row, privacy)
    metadata = private.get("metadata")
    told: dict[str, Any] = {name: row[name] for name in _SAME}
    told |= {name: moment_of(row[name]) for name in _TIMES}
    return ArchivedFax(
        id=row["job"],
        account=row["account"],
        of=row["resend_of"],
        group=row["group_name"],
        metadata=metadata if isinstance(metadata, dict) else {},
        documents=tuple(json.loads(row["documents"])) if row["documents"] else (),
        numbers=Numbers(
            private.get("to"), private.get("from"), private.get("to_name"), private.get("from_name")
        ),
        **told,
    )


def opened(row: RowMapping, privacy: Privacy) -> dict[str, Any]:
    """The private part of a row; empty if it was erased or cannot be opened."""
    if row["private"] is None:
        return {}
    try:
        found = json.loads(privacy.open(row["private"], row["key_id"], "fax", row["job"], str(row["reuse"])))
    except (KeyMissing, SealBroken, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def moment_of(at: int | None) -> datetime | None:
    """A stored time, in UTC."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC)
