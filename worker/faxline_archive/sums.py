"""Keeps count of the faxes of each quarter of an hour, and of each day, so that usage is read from few rows.

Days of every zone begin on a quarter of an hour. What is between them is mostly whole days of UTC.

The faxes of a day are counted by the values of each member of their metadata, too. A member such as a case,
of which each fax has a value of its own, would need as many sums as there are faxes. So a day of a member has
sums of at most MOST values: with more it has none from then on, and its faxes are counted one by one.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, tuple_

from faxline_archive.rows import slices, store
from faxline_archive.schema import REJECTED, member_sums, usage_sums

QUARTER, DAY = 15, 24 * 60
"""The spans, in minutes."""
MINUTE = 60_000
"""Milliseconds."""
COUNTS = ("faxes", "delivered", "failed", "pages")
MOST = 250
"""The most values of a member on a day of which sums are kept."""
_PLACE = ("account", "minutes", "number")
_DAY_OF_MEMBER = ("account", "key", "number")


class SumChanges:
    """What a transaction changes in the sums.

    Example:
        >>> changes = SumChanges()
        >>> changes.remove(before, members)
        >>> changes.add(after, members)
        >>> changes.store(connection)
    """

    def __init__(self) -> None:
        self._changes: defaultdict[tuple[str, int, int], list[int]] = defaultdict(_zeros)
        self._of_members: defaultdict[tuple[str, str, int], defaultdict[str, list[int]]] = defaultdict(
            lambda: defaultdict(_zeros)
        )

    def add(self, row: Mapping[str, Any], members: Iterable[Mapping[str, Any]]) -> None:
        """Count a fax.

        Args:
            row: of `faxes`: account, queued_at, state and transferred.
            members: its rows of `fax_metadata`: key and value.
        """
        self._count(row, members, 1)

    def remove(self, row: Mapping[str, Any], members: Iterable[Mapping[str, Any]]) -> None:
        """Count it no more, as it was stored. A row that is not stored yet has no state."""
        self._count(row, members, -1)

    def store(self, connection: Connection, *, rotating: bool = False) -> None:
        """Change the sums, in the order of their keys, so that two transactions wait for one another.

        Args:
            connection: in a transaction that has locked the rows of the accounts.
            rotating: whether a day may have each value twice, by the older key and by the current one.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away or refuses.
        """
        self._store_members(connection, 2 * MOST if rotating else MOST)
        changes = {place: counts for place, counts in sorted(self._changes.items()) if any(counts)}
        rows = [
            {**dict(zip(_PLACE, place, strict=True)), **dict(zip(COUNTS, counts, strict=True))}
            for place, counts in changes.items()
        ]
        store(connection, usage_sums, rows, present="add")
        for (account, minutes, number), (faxes, *_) in changes.items():
            if faxes < 0:
                here = {"account": account, "number": number}
                gone = connection.execute(delete(usage_sums).filter_by(**here, minutes=minutes, faxes=0))
                if minutes == DAY and gone.rowcount:
                    connection.execute(delete(member_sums).filter_by(**here))

    def _store_members(self, connection: Connection, most: int) -> None:
        changes = {
            day: changed
            for day, values in sorted(self._of_members.items())
            if (changed := {value: counts for value, counts in values.items() if any(counts)})
        }
        kept = _kept(connection, list(changes))
        rows = []
        for day, changed in changes.items():
            sums = kept.get(day, {})
            if sums is None:
                continue
            for value, counts in changed.items():
                sums[value] = [sum(both) for both in zip(sums.get(value, _zeros()), counts, strict=True)]
            sums = {value: counts for value, counts in sums.items() if counts[0]}
            here = dict(zip(_DAY_OF_MEMBER, day, strict=True))
            if sums:
                rows.append({**here, "sums": json.dumps(sums) if len(sums) <= most else None})
            else:
                connection.execute(delete(member_sums).filter_by(**here))
        store(connection, member_sums, rows, present="replace")

    def _count(self, row: Mapping[str, Any], members: Iterable[Mapping[str, Any]], times: int) -> None:
        one = _counts_of(row)
        if not any(one):
            return
        number = row["queued_at"] // (DAY * MINUTE)
        changed = [
            self._of_members[row["account"], member["key"], number][member["value"]] for member in members
        ]
        changed += [
            self._changes[row["account"], minutes, row["queued_at"] // (minutes * MINUTE)]
            for minutes in (QUARTER, DAY)
        ]
        for counts in changed:
            for place, count in enumerate(one):
                counts[place] += times * count


def counts_differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two states of a row of `faxes` count differently."""
    return _counts_of(before) != _counts_of(after)


def _counts_of(row: Mapping[str, Any]) -> tuple[int, ...]:
    """COUNTS, of one fax."""
    state = row["state"]
    if state in {None, REJECTED}:
        return (0,) * len(COUNTS)
    return (1, int(state == "delivered"), int(state == "failed"), row["transferred"] or 0)


def _zeros() -> list[int]:
    return [0] * len(COUNTS)


def _kept(
    connection: Connection, days: Sequence[tuple[str, str, int]]
) -> dict[tuple[str, str, int], dict[str, list[int]] | None]:
    """The sums of days of members that are kept; None of a day that has none because of its many values."""
    day_of = [member_sums.c[name] for name in _DAY_OF_MEMBER]
    found: dict[tuple[str, str, int], dict[str, list[int]] | None] = {}
    for some in slices(days):
        for *day, sums in connection.execute(select(member_sums).where(tuple_(*day_of).in_(some))):
            account, key, number = day
            found[account, key, number] = None if sums is None else json.loads(sums)
    return found


class Piece(NamedTuple):
    """A time (ms, None: without an end) that consists of whole spans of so many minutes; 0: of none."""

    minutes: int
    since: int | None
    until: int | None


def pieces(since: int | None, until: int | None, spans: Sequence[int]) -> Iterator[Piece]:
    """Cut a time into pieces: the longest spans in its middle, what is within no span at its ends.

    Example:
        >>> list(pieces(0, 25 * 60 * MINUTE, [QUARTER, DAY]))
        [Piece(minutes=15, since=86400000, until=90000000), Piece(minutes=1440, since=0, until=86400000)]

    Args:
        since: its begin (ms); None: without one.
        until: its end (ms); None: without one.
        spans: their minutes, the shortest first. Each is a multiple of the one before.
    """
    minutes = 0
    for longer in spans:
        length = longer * MINUTE
        first = None if since is None else -(-since // length) * length
        last = None if until is None else until // length * length
        if first is not None and last is not None and first >= last:
            break
        if since != first:
            yield Piece(minutes, since, first)
        if until != last:
            yield Piece(minutes, last, until)
        minutes, since, until = longer, first, last
    yield Piece(minutes, since, until)
