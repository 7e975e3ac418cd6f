"""Several searches of the archive at once: their pages as one, and how many faxes they find."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, select, union_all

from faxline.reading.archived import Wanted
from faxline_archive.intersection import bounds, needs_intersection
from faxline_archive.places import Place, latest_first
from faxline_archive.privacy import Privacy, member
from faxline_archive.schema import fax_metadata, faxes
from faxline_archive.search import PLACE, as_stored, find_page, has, joined, page_query

JOINED = 100
"""The most pages that one statement joins."""


@dataclass(frozen=True, slots=True)
class Part:
    """One search of several.

    Attributes:
        account: whose faxes.
        privacy: the account's.
        wanted: what must hold.
        also: further conditions on the table `faxes`.
        after: the place behind which its page begins.
    """

    account: str
    privacy: Privacy
    wanted: Wanted
    also: Sequence[ColumnElement[bool]] = ()
    after: Place | None = None


def find_joined(connection: Connection, parts: Iterable[Part], limit: int) -> list[RowMapping]:
    """The pages of several searches, of which no two find the same fax, in no order.

    Args:
        connection: to the database.
        parts: the searches. What one index answers for each is found by one statement for many of them.
        limit: the most rows of each.
    """
    found: list[RowMapping] = []
    pages: list[Select[Any]] = []
    for part in parts:
        if connection.dialect.name == "postgresql" and needs_intersection(as_stored(part.wanted)):
            place: Any = {"after": part.after, "limit": limit, "also": part.also}
            found += find_page(connection, part.account, part.wanted, part.privacy, **place)
        else:
            pages += _places(part, limit)
    for first in range(0, len(pages), JOINED):
        found += connection.execute(joined(pages[first : first + JOINED], limit)).mappings()
    return found


def count_states(connection: Connection, parts: Iterable[Part], most: int) -> dict[str, int]:
    """How many faxes searches find by state; of each search and each value of a member not more than `most`.

    Raises:
        ValueError: a statement would be too long. The message is for people.
    """
    pages = [select(page.subquery().c.state) for part in parts for page in _places(part, most)]
    if not pages:
        return {}
    those = union_all(*pages).subquery()
    counted = select(those.c.state, func.count()).group_by(those.c.state)
    return dict(connection.execute(counted).all())


def _places(part: Part, limit: int) -> list[Select[Any]]:
    """Statements of where the faxes of a page stand, and of their states.

    The faxes of one member of the metadata need one table alone, which has all of it.
    """
    wanted = as_stored(part.wanted)
    others = (wanted.to, wanted.sender, wanted.group, wanted.reason, *part.also)
    if len(wanted.metadata) != 1 or any(one is not None for one in others):
        page = page_query(part.account, wanted, part.privacy, after=part.after, limit=limit, also=part.also)
        return [page.with_only_columns(*(faxes.c[name] for name in (*PLACE, "state")))]
    ((key, value),) = wanted.metadata.items()
    known = {"account": part.account, "key": key} | ({"state": wanted.state} if wanted.state else {})
    every = _of_a_member().where(*has(fax_metadata, known), *bounds(fax_metadata, wanted, part.after))
    values = part.privacy.lookups(member(key), value)
    return [every.where(fax_metadata.c.value == value).limit(limit) for value in values]


@cache
def _of_a_member() -> Select[Any]:
    columns = (fax_metadata.c[name] for name in (*PLACE, "state"))
    return select(*columns).order_by(*latest_first(fax_metadata))
