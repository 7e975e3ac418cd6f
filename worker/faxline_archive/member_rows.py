"""The rows of `fax_metadata` that are stored of some faxes, and what they tell of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection, and_, or_, select, update

from faxline_archive.rows import slices
from faxline_archive.schema import fax_metadata, faxes

FaxKey = tuple[str, str, int]
"""Account, job and reuse."""


def stored_members(connection: Connection, keys: Iterable[FaxKey]) -> Mapping[FaxKey, list[dict[str, str]]]:
    """The stored members of faxes, by fax: key and value of each.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    found: defaultdict[FaxKey, list[dict[str, str]]] = defaultdict(list)
    asked = select(*(fax_metadata.c[name] for name in ("job", "reuse", "key", "value")))
    for account, jobs in _jobs(keys):
        here = fax_metadata.c.account == account, fax_metadata.c.job.in_(jobs)
        for job, reuse, key, value in connection.execute(asked.where(*here)):
            found[account, job, reuse].append({"key": key, "value": value})
    return found


def tell_members(connection: Connection, keys: Iterable[FaxKey]) -> None:
    """Bring what the metadata tells of faxes that changed up to date.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    same = and_(*(fax_metadata.c[name] == faxes.c[name] for name in ("account", "job", "reuse")))
    told = ("state", "reason", "transferred")
    differs = or_(*(fax_metadata.c[name].is_distinct_from(faxes.c[name]) for name in told))
    change = update(fax_metadata).values({name: faxes.c[name] for name in told}).where(same, differs)
    for account, jobs in _jobs(keys):
        connection.execute(change.where(fax_metadata.c.account == account, fax_metadata.c.job.in_(jobs)))


def _jobs(keys: Iterable[FaxKey]) -> Iterator[tuple[str, Sequence[str]]]:
    """The jobs of each account, as many as one statement takes."""
    jobs: defaultdict[str, set[str]] = defaultdict(set)
    for account, job, _ in keys:
        jobs[account].add(job)
    return ((account, some) for account, found in jobs.items() for some in slices(sorted(found)))
