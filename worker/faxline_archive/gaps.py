"""Gaps: where entries are missing, because Redis dropped them before an archive had read them.

A gap is kept by the number of the leaf that comes after it. So what stands on both sides of it is known for
each fax, and said wherever the fax is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, func, or_, select

from faxline.contract.states import FINAL_STATES, JobState
from faxline_archive.faxes import Row
from faxline_archive.progress import Read, mark_id
from faxline_archive.rows import store
from faxline_archive.schema import EVENTS, REJECTED, entries, gaps


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap in the events of an account.

    Attributes:
        leaf: the number of the first leaf after it.
        since: the time of the last event before it (ms); None if nobody knows where it is.
    """

    leaf: int
    since: int | None


class Gaps:
    """The gaps of all accounts, within one transaction of the writer.

    Args:
        connection: of either database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._newest: dict[str, int | None] = {}

    def note(self, read: Read, leaf: int) -> None:
        """Keep that entries are missing before what was read, which begins with a leaf's number."""
        here = {"account": read.account, "stream": read.stream, "leaf": leaf}
        store(self._connection, gaps, [{**here, "since": mark_id(read.before)[0]}], present="keep")
        if read.stream == EVENTS:
            self._newest[read.account] = leaf

    def since(self, row: Row) -> bool:
        """Whether events are missing after the last stored event of a fax."""
        account = row["account"]
        if account not in self._newest:
            asked = select(func.max(gaps.c.leaf)).where(gaps.c.account == account, gaps.c.stream == EVENTS)
            self._newest[account] = self._connection.scalar(asked)
        newest = self._newest[account]
        if newest is None:
            return False
        names = (row["last_event"], f"{row['last_event']}/2")
        mine = (entries.c.account == account, entries.c.stream == EVENTS, entries.c.entry_id.in_(names))
        last = self._connection.scalar(select(func.max(entries.c.leaf)).where(*mine))
        return last is None or last < newest


def gaps_about(connection: Connection, fax: RowMapping, rows: Sequence[RowMapping]) -> list[Gap]:
    """The gaps in which an event of a fax may be missing.

    Args:
        connection: of either database.
        fax: the row of the fax.
        rows: its leaves, in their order.
    """
    if not rows:
        return []
    asked = select(gaps.c.leaf, gaps.c.since).where(
        gaps.c.account == fax["account"], gaps.c.stream == EVENTS, gaps.c.leaf > rows[0]["leaf"]
    )
    if fax["state"] in {*FINAL_STATES, REJECTED} - {JobState.UNCONFIRMED}:  # nothing followed its last event
        asked = asked.where(or_(gaps.c.leaf <= rows[-1]["leaf"], gaps.c.since.is_(None)))
    return [Gap(row.leaf, row.since) for row in connection.execute(asked.order_by(gaps.c.leaf))]
