"""Keeps count of the faxes of each quarter of an hour, and of each day, so that usage is read from few rows.

Days of every zone begin on a quarter of an hour. What is between them is mostly whole days of UTC.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete

from faxline_archive.rows import store
from faxline_archive.schema import REJECTED, usage_sums

QUARTER, DAY = 15, 24 * 60
"""The spans, in minutes."""
MINUTE = 60_000
"""Milliseconds."""
COUNTS = ("faxes", "delivered", "failed", "pages")
_PLACE = ("account", "minutes", "number")


class SumChanges:
    """What a transaction changes in the sums.

    Example:
        >>> changes = SumChanges()
        >>> changes.remove(before)
        >>> changes.add(after)
        >>> changes.store(connection)
    """

    def __init__(self) -> None:
        self._changes: defaultdict[tuple[str, int, int], list[int]] = defaultdict(lambda: [0] * len(COUNTS))

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of `faxes`: account, queued_at, state and transferred."""
        self._count(row, 1)

    def remove(self, row: Mapping[str, Any]) -> None:
        """Count it no more, as it was stored. A row that is not stored yet has no state."""
        self._count(row, -1)

    def store(self, connection: Connection) -> None:
        """Change the sums, in the order of their keys, so that two transactions wait for one another.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away or refuses.
        """
        changes = {place: counts for place, counts in sorted(self._changes.items()) if any(counts)}
        rows = [
            {**dict(zip(_PLACE, place, strict=True)), **dict(zip(COUNTS, counts, strict=True))}
            for place, counts in changes.items()
        ]
        store(connection, usage_sums, rows, present="add")
        for place, (faxes, *_) in changes.items():
            if faxes < 0:
                here = dict(zip(_PLACE, place, strict=True))
                connection.execute(delete(usage_sums).filter_by(**here, faxes=0))

    def _count(self, row: Mapping[str, Any], times: int) -> None:
        if row["state"] in {None, REJECTED}:
            return
        one = (1, row["state"] == "delivered", row["state"] == "failed", row["transferred"] or 0)
        for minutes in (QUARTER, DAY):
            counts = self._changes[row["account"], minutes, row["queued_at"] // (minutes * MINUTE)]
            for place, count in enumerate(one):
                counts[place] += times * count


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
