"""A page of a search for several things at once, on PostgreSQL: the index of terms intersects them.

The index gives all faxes that have the terms, in no order. So a page begins with the last faxes that have one
of the things, which are enough where most of them have the others as well. Else all are sorted that have all.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    Subquery,
    and_,
    cast,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from faxline.reading.archived import Wanted
from faxline_archive.places import Place, behind, latest_first
from faxline_archive.privacy import NUMBER, Privacy, member
from faxline_archive.schema import accounts, fax_metadata, faxes
from faxline_archive.terms import MEMBER, term

FIRST = 500
"""How many faxes that have one of the things are looked at first."""
MOST = 5000
"""The most faxes that are sorted for a page."""
Thing = tuple[str, str, Sequence[str]]
"""What must hold: a column or MEMBER, the key of a member, and the values as the database may have them."""
_PLACE = [faxes.c[name] for name in ("account", "job", "reuse", "queued_at")]
_OWN = (["group_name", "state"], [MEMBER, "state"], [MEMBER, "reason"])
"""What an index of its own answers from its first row on, beside each thing alone."""


def needs_intersection(wanted: Wanted) -> bool:
    """Whether no index answers a search from its first row on."""
    columns = {"to_index": wanted.to, "from_index": wanted.sender, "group_name": wanted.group}
    columns |= {"state": wanted.state, "reason": wanted.reason}
    things = [name for name, value in columns.items() if value is not None]
    things += [MEMBER for _ in wanted.metadata]
    return len(things) > 1 and sorted(things) not in _OWN


def find_intersection(
    connection: Connection,
    account: str,
    wanted: Wanted,
    privacy: Privacy,
    *,
    after: Place | None,
    limit: int,
    also: Sequence[ColumnElement[bool]] = (),
) -> Sequence[RowMapping] | None:
    """A page, as `search.find_page`; None if there are too many faxes to be sorted.

    Args:
        connection: to PostgreSQL.
        account: whose faxes.
        wanted: what must hold, as the database has it.
        privacy: the account's.
        after: the place behind which the page begins.
        limit: the most rows.
        also: further conditions on the table `faxes`.
    """
    things = _things(connection, account, wanted, privacy)
    terms = [[term(account, what, value, key) for value in values] for what, key, values in things]
    # A fax is shown as its columns are, whatever an archive of another version left of its terms.
    also = (*also, *(faxes.c[name].in_(found) for name, _, found in things if name != MEMBER))
    what, key, values = things[0]
    if len(values) == 1:
        last = _last(account, (what, key, values[0]), wanted, after)
        query = _ordered(select(faxes).join(last, _same(last)).where(_has(terms), *also)).limit(limit)
        found = connection.execute(query).mappings().all()
        # A full page, or no more faxes have the thing than were looked at.
        if len(found) == limit or (connection.scalar(select(func.count()).select_from(last)) or 0) < FIRST:
            return found
    # Hidden from the planner, or it walks through another index that seems to be better.
    mine = faxes.c.account.concat("") == account
    every = select(*_PLACE).where(_has(terms), mine, *bounds(faxes, wanted, after), *also).limit(MOST + 1)
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    found = connection.execute(_sorted(every, limit)).mappings().all()
    connection.execute(text("SET LOCAL enable_seqscan = on"))
    return None if found and found[0]["matches"] > MOST else found


def bounds(table: FromClause, wanted: Wanted, after: Place | None) -> list[ColumnElement[bool]]:
    """The conditions on when a fax was queued, in a table that tells it, and where a page begins."""
    queued_at, found = table.c.queued_at, []
    if wanted.since is not None:
        found.append(queued_at >= milliseconds(wanted.since))
    if wanted.until is not None:
        found.append(queued_at < milliseconds(wanted.until))
    # With both bounds PostgreSQL would begin at the place, and walk through all faxes to the wanted time.
    if after is not None and (wanted.until is None or milliseconds(wanted.until) > after[0]):
        found += behind(table, after)
    return found


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970 of a time with a zone."""
    return int(at.timestamp() * 1000)


def _things(connection: Connection, account: str, wanted: Wanted, privacy: Privacy) -> list[Thing]:
    """All that must hold. What few faxes have as a rule comes first."""
    sealed_by = connection.scalar(select(accounts.c.sealed_by).where(accounts.c.account == account))
    rotated = sealed_by is not None and sealed_by == privacy.key_id

    def lookups(what: str, value: str) -> tuple[str, ...]:
        return (privacy.index(what, value),) if rotated else privacy.lookups(what, value)

    things: list[Thing] = [
        (MEMBER, key, lookups(member(key), value)) for key, value in wanted.metadata.items()
    ]
    if wanted.to is not None:
        things.insert(0, ("to_index", "", lookups(NUMBER, wanted.to)))
    columns = {"group_name": wanted.group, "reason": wanted.reason}
    things += [(name, "", (value,)) for name, value in columns.items() if value is not None]
    if wanted.sender is not None:
        things.append(("from_index", "", lookups(NUMBER, wanted.sender)))
    if wanted.state is not None:
        things.append(("state", "", (wanted.state,)))
    return things


def _has(terms: Sequence[Sequence[int]]) -> ColumnElement[bool]:
    always = [literal(found[0], BigInteger) for found in terms if len(found) == 1]
    either = [cast(found, ARRAY(BigInteger)) for found in terms if len(found) > 1]
    has_always = [faxes.c.terms.contains(array(always))] if always else []
    return and_(*has_always, *(faxes.c.terms.overlap(found) for found in either))


def _last(account: str, thing: tuple[str, str, str], wanted: Wanted, after: Place | None) -> Subquery:
    """The places of the last faxes that have one thing (and the state, if its own index has it)."""
    what, key, value = thing
    table = fax_metadata if what == MEMBER else faxes
    has = (table.c.key == key, table.c.value == value) if what == MEMBER else (table.c[what] == value,)
    if wanted.state is not None and what in {MEMBER, "group_name"}:
        has = (*has, table.c.state == wanted.state)
    columns = [table.c[column.name] for column in _PLACE]
    found = select(*columns).where(table.c.account == account, *has, *bounds(table, wanted, after))
    return found.order_by(*latest_first(table)).limit(FIRST).subquery("last")


def _sorted(every: Select[Any], limit: int) -> Select[Any]:
    """The last of all places, as rows of `faxes` that have beside them how many places there are."""
    places = every.cte("places").prefix_with("MATERIALIZED")
    ordered = select(places).order_by(*latest_first(places))
    last = ordered.limit(limit).subquery("last")
    matches = select(func.count()).select_from(places).scalar_subquery().label("matches")
    return _ordered(select(faxes, matches).join(last, _same(last)))


def _same(table: FromClause) -> ColumnElement[bool]:
    return and_(*(faxes.c[name] == table.c[name] for name in ("account", "job", "reuse")))


def _ordered(query: Select[Any]) -> Select[Any]:
    return query.order_by(*latest_first(faxes))
