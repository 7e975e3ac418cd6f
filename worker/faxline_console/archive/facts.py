"""How much an archive has, and from when to when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from faxline_archive.schema import accounts, checkpoints, faxes, positions
from faxline_archive.search import moment_of
from faxline_console.archive.ended import Ended, told
from faxline_console.archive.searches import naming
from faxline_console.asking.query import Query


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What an archive has of some accounts.

    Attributes:
        entries: how many entries.
        missing: how many Redis dropped before they were read.
        since: when its first fax was pushed.
        checkpoint: how many entries of one account the last checkpoint covers.
        signed_at, root: when it was signed, and the root of its tree.
    """

    entries: int
    missing: int
    since: datetime | None
    checkpoint: int | None = None
    signed_at: datetime | None = None
    root: str = ""


def archive_facts(ended: Ended, names: Sequence[str]) -> ArchiveFacts:
    """Read them, each by an index. It waits for the database: call it in a thread.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    first = [select(func.min(faxes.c.queued_at)).where(faxes.c.account == name) for name in names]
    signed = select(checkpoints).where(checkpoints.c.account.in_(names)).order_by(checkpoints.c.at.desc())
    size = select(func.sum(accounts.c.size)).where(accounts.c.account.in_(names))
    missing = select(func.sum(positions.c.missing)).where(positions.c.account.in_(names))
    with told(), ended.engine.connect() as connection:
        begun = [at for query in first if (at := connection.scalar(query)) is not None]
        entries, dropped = int(connection.scalar(size) or 0), int(connection.scalar(missing) or 0)
        since = moment_of(min(begun, default=None))
        last = connection.execute(signed.limit(1)).mappings().first()
    if last is None:
        return ArchiveFacts(entries, dropped, since)
    return ArchiveFacts(entries, dropped, since, last["size"], moment_of(last["at"]), last["root"].hex())


class Span(NamedTuple):
    """When the first and the last fax of an account were pushed, in ms since 1970."""

    first: int
    last: int


def spans(ended: Ended, names: Sequence[str]) -> dict[str, Span]:
    """Read them, each by an index; an account without a fax has none. It waits for the database.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    own = faxes.c.account == accounts.c.account
    ends = [select(end(faxes.c.queued_at)).where(own).scalar_subquery() for end in (func.min, func.max)]
    with told(), ended.engine.connect() as connection:
        rows = connection.execute(select(accounts.c.account, *ends).where(accounts.c.account.in_(names)))
        return {name: Span(first, last) for name, first, last in rows if first is not None}


def having(ended: Ended, names: Sequence[str], query: Query) -> list[str]:
    """Those of these accounts that may have a fax that a line names, by one look into an index each.

    All of them, if it names none by its id, jobId, group or reason. It waits for the database.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    if not names or (named := naming(query)) is None:
        return list(names)
    first = select(faxes.c.job).where(faxes.c.account == accounts.c.account, named).limit(1)
    some = first.scalar_subquery().is_not(None)  # PostgreSQL may join an EXISTS by going through all faxes
    with told(), ended.engine.connect() as connection:
        return [*connection.scalars(select(accounts.c.account).where(accounts.c.account.in_(names), some))]
