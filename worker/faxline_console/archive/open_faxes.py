"""The faxes on their way that have a member of the metadata, of which Redis has no index, by the archive."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, exists, literal_column, select, union_all

from faxline.contract.states import JobState
from faxline.reading.archived import Wanted
from faxline_archive.intersection import bounds
from faxline_archive.places import Place, latest_first
from faxline_archive.privacy import member
from faxline_archive.progress import mark_id
from faxline_archive.schema import EVENTS, fax_metadata, gaps, positions
from faxline_archive.search import key_of
from faxline_console.access.people import Person
from faxline_console.archive.ended import Ended, told
from faxline_console.asking.marks import Mark
from faxline_console.asking.query import Query

MOST = 201
"""The most faxes of a state that are named from one place on: one more than the longest page has."""
_STATES = (JobState.QUEUED, JobState.SUBMITTED, JobState.IN_DOUBT)
"""No event tells of one that is being submitted: it is as before."""


class Named(NamedTuple):
    """Faxes on their way, by the archive.

    Attributes:
        jobs: their ids.
        whole: whether it named all that it knows of.
        lacks: whether it lacks events, as it was away for too long: a fax may have had no other yet.
    """

    jobs: list[str]
    whole: bool
    lacks: bool


def members_of(query: Query, person: Person) -> dict[str, str]:
    """The members that each fax must have which a person finds by a query."""
    asked = {key: term for key, term in query.metadata.items() if not term.without}
    members = {key: term.values[0] for key, term in asked.items() if len(term.values) == 1}
    return members | dict([person.department] if person.department else [])


def name_open(
    ended: Ended, account: str, query: Query, members: Mapping[str, str], *, mark: str, after: Mark | None
) -> Named | None:
    """The last faxes that were on their way when the archive read of them.

    It waits for the database: call it in a thread.

    Args:
        ended: the archive.
        account: whose faxes.
        query: whose times they must have.
        members: which they must have, at least one.
        mark: up to where the archive has read the events, as Redis knows.
        after: beside the last of all, those behind this place.

    Returns:
        None if the archive has not read so far: its database was restored.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    privacy = ended.privacy(account)
    lookups = {key_of(key): privacy.lookups(member(key), value) for key, value in members.items()}
    in_states = [Wanted(state=state, since=query.since, until=query.until) for state in _STATES]
    places = [None, *([after.place(account)] if after else [])]
    branches = [
        _branch(account, wanted, lookups, value, place)
        for wanted, value, place in itertools.product(in_states, next(iter(lookups.values())), places)
    ]
    numbered = [
        select(literal_column(str(number)), found.c.job)
        for number, found in enumerate(branch.subquery() for branch in branches)
    ]
    with told(), ended.engine.connect() as connection:
        read = connection.execute(_read_until(account)).one_or_none()
        if read is None or mark_id(read.mark) < mark_id(mark):
            return None
        rows = connection.execute(union_all(*numbered)).all()
    counts = Counter(number for number, _ in rows).values()
    return Named([job for _, job in rows], all(count < MOST for count in counts), read.lacks)


def _read_until(account: str) -> Select[Any]:
    """Up to where the events are stored, and whether some before that are missing."""
    missing = exists().where(gaps.c.account == account, gaps.c.stream == EVENTS)
    those = positions.c.account == account, positions.c.stream == EVENTS
    return select(positions.c.mark, missing.label("lacks")).where(*those)


def _branch(
    account: str,
    wanted: Wanted,
    lookups: Mapping[str, Sequence[str]],
    value: str,
    after: Place | None,
) -> Select[Any]:
    """Those in one state behind a place: the first member has one value, and an index their order."""
    key, *others = lookups
    table = fax_metadata.alias()
    has = {"account": account, "key": key, "value": value, "state": wanted.state}
    found = select(table.c.job).where(*(table.c[name] == one for name, one in has.items()))
    for other in others:
        beside = fax_metadata.alias()
        same = [beside.c[name] == table.c[name] for name in ("account", "job", "reuse")]
        found = found.where(exists().where(*same, beside.c.key == other, beside.c.value.in_(lookups[other])))
    found = found.where(*bounds(table, wanted, after))
    return found.order_by(*latest_first(table)).limit(MOST)
