"""What the audit has of a time: orders out of Redis, and out of the archive what Redis has trimmed.

Calls to iFax are most of the audit, so a reading may end before its time does. It says so, and by when.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from faxline.contract.errors import ArchiveUnavailable
from faxline.operating.audit import CALLS, AuditEntry
from faxline_archive.schema import AUDIT, entries
from faxline_console.archive.audit import audit_of
from faxline_console.archive.ended import Ended, order_of, told
from faxline_console.live.line import ConsoleLine
from faxline_console.live.orders import Orders

MOST_READ = 20_000
"""The most entries of an account that are gone through at once in Redis, calls to iFax as well."""
MOST_ARCHIVED = 50_000
"""And in the archive."""


FIRST, LAST = 10**12, 10**13 - 1
"""The times, in ms since 1970, that have 13 digits."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The orders that are looked for.

    Attributes:
        before: the end of their time, in ms since 1970, not included.
        since: its beginning.
        job: about this fax alone; empty: about any.
    """

    before: int
    since: int
    job: str


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found.

    Attributes:
        entries: the orders by account, the newest first.
        cut: when the reading ended, in ms since 1970: what is older was not read. None: all was.
        gone: whether Redis may have trimmed some, and no archive answered that has them.
    """

    entries: Sequence[tuple[str, AuditEntry]]
    cut: int | None = None
    gone: bool = False


async def audited(
    lines: Sequence[ConsoleLine], ended: Ended | None, wanted: Wanted, removed: Sequence[str] = ()
) -> Audited:
    """The orders of these accounts, and of those that only the archive has.

    From `cut` on, what is found is whole.
    """
    own = [_of(line, ended, wanted) for line in lines]
    gone = [_of_removed(name, ended, wanted) for name in removed if ended is not None]
    read = await asyncio.gather(*own, *gone)
    cut = max((one.cut for one in read if one.cut is not None), default=None)
    found = [entry for one in read for entry in one.entries if cut is None or ms_of(entry[1]) >= cut]
    found.sort(key=lambda one: ms_of(one[1]), reverse=True)
    return Audited(found, cut, any(one.gone for one in read))


def ms_of(entry: AuditEntry) -> int:
    """When the stream took an entry, in ms since 1970: by that it is read."""
    return int(entry.id.partition("-")[0])


async def _of(line: ConsoleLine, ended: Ended | None, wanted: Wanted) -> Audited:
    read, gone = await line.orders_before(wanted.before, wanted.since, MOST_READ), False
    found, cut = list(read.entries), read.reached if read.cut else None
    if ended is None:
        gone = read.trimmed
    elif wanted.job or read.cut or read.trimmed:
        try:
            kept = await run_in_threadpool(_kept, ended, line.account, read, wanted)
        except ArchiveUnavailable:
            gone = True
        else:
            known = {entry.id for entry in found}
            found += [entry for entry in kept.entries if entry.id not in known]
            cut = kept.reached if kept.cut else None
    return Audited([(line.account, entry) for entry in found], cut, gone)


async def _of_removed(account: str, ended: Ended, wanted: Wanted) -> Audited:
    nothing = Orders([], wanted.before, cut=False)
    try:
        kept = await run_in_threadpool(_kept, ended, account, nothing, wanted)
    except ArchiveUnavailable:
        return Audited([], gone=True)
    return Audited([(account, entry) for entry in kept.entries], kept.reached if kept.cut else None)


def _kept(ended: Ended, account: str, read: Orders, wanted: Wanted) -> Orders:
    """What the archive has beside what Redis had; it may not have read of it all yet."""
    lags = read.cut and ended.audited_until(account) < read.reached
    if wanted.job:
        about = audit_of(ended, account, wanted.job)
        kept = [one for one in about if wanted.since <= ms_of(one) < wanted.before and not one.is_call]
        return Orders(kept, read.reached, cut=lags)
    if lags:
        return Orders([], read.reached, cut=True)
    return archived_orders(ended, account, read.reached, wanted.since, MOST_ARCHIVED)


def archived_orders(ended: Ended, account: str, before: int, since: int, most: int) -> Orders:
    """The orders of the audit between two times (ms), the newest first. Calls are not among them.

    Args:
        ended: the archive.
        account: whose.
        before: the end, not included.
        since: the beginning.
        most: how many entries are gone through, calls as well.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    ids = entries.c.entry_id  # of 13 digits and a number, so that their order is that of time
    begin, end = str(max(since, FIRST)), str(min(before, LAST))
    those = (entries.c.account == account) & (entries.c.stream == AUDIT) & (ids >= begin) & (ids < end)
    read = select(ids, entries.c.kind, entries.c.body).where(those).order_by(ids.desc()).limit(most)
    page = read.subquery()
    wanted = select(page).where(page.c.kind.not_in(CALLS), page.c.body.is_not(None))
    with told(), ended.engine.connect() as connection:
        rows = connection.execute(wanted.order_by(page.c.entry_id.desc())).mappings().all()
        size, last = connection.execute(select(func.count(), func.min(page.c.entry_id))).one()
    found = [order_of(row, json.loads(row["body"])["fields"]) for row in rows]
    if size < most:
        return Orders(found, since, cut=False)
    reached = int(last.partition("-")[0])  # of which some may be missing
    return Orders([one for one in found if not one.id.startswith(str(reached))], reached + 1, cut=True)
