"""The accounts that were removed: the archive has their faxes, and nobody takes faxes or orders for them."""

from collections.abc import Collection, Mapping, Sequence
from time import monotonic

from starlette.concurrency import run_in_threadpool

from faxline import FaxlineError
from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.job import Job
from faxline_archive.intersection import milliseconds
from faxline_console.access.people import Person
from faxline_console.archive.ended import Archive, Ended
from faxline_console.archive.facts import Span, having, spans
from faxline_console.archive.pages import find_page
from faxline_console.asking.marks import Mark
from faxline_console.asking.query import Query
from faxline_console.live.line import ConsoleLine
from faxline_console.live.lines import Lines

FRESH = 10.0
"""Seconds that the names are used at least."""
SHARE = 100
"""And at least this many times as long as it took to read them."""


class Removed:
    """Knows which accounts of the archive were removed.

    One that is not in the console's settings, but that a dispatcher serves, was not: it is another
    deployment's. Redis lists it, and while no dispatcher is at work, all that it lists may be served.

    Args:
        lines: to the accounts. They are told which are removed.
        archive: finds the archive.
    """

    def __init__(self, lines: Lines, archive: Archive) -> None:
        self._lines = lines
        self._archive = archive
        self._spans: Mapping[str, Span] = {}
        self._until = 0.0

    async def names(self, person: Person) -> list[str]:
        """The names of those that a person sees."""
        await self._look()
        return self._lines.removed_of(person)

    async def line(self, person: Person, account: str) -> ConsoleLine:
        """The line of an account that a person asks for, also of a removed one.

        Raises:
            JobNotFound: there is no such account, or it is not this person's: both look alike.
        """
        if account not in self._lines.accounts:
            await self._look()
        return self._lines.to_read(person, account)

    async def searched(self, person: Person, query: Query) -> dict[str, Span]:
        """Those of them that may have a fax that a line asks for, each with when it had faxes."""
        names, asked = await self.names(person), query.terms.get("account")
        found = {name: self._spans[name] for name in names if name in self._spans}
        return {
            name: span
            for name, span in found.items()
            if (asked is None or asked.matches(name)) and _may_have(span, query)
        }

    async def _look(self) -> None:
        if (began := monotonic()) < self._until or (ended := self._archive()) is None:
            return
        self._until = began + FRESH  # while Redis or the archive is away, not each page waits for it twice
        try:
            known = set(await run_in_threadpool(ended.accounts)).difference(self._lines.accounts)
            gone = known.difference(await self._served(known))
            self._spans = await run_in_threadpool(spans, ended, sorted(gone)) if gone else {}
        except (ArchiveUnavailable, FaxlineError):
            return  # what is known holds until both answer
        self._lines.gone = frozenset(gone)
        self._until = monotonic() + max(FRESH, SHARE * (monotonic() - began))

    async def _served(self, names: Collection[str]) -> set[str]:
        """Those of these accounts that a dispatcher serves."""
        if not names or not self._lines.accounts:
            return set(names)  # nobody could note what is revealed
        line = self._lines.of(self._lines.accounts[0])
        if not (listed := set(names).intersection(await line.accounts())):
            return set()
        found = [process for process in await line.processes() if process.role == "dispatcher"]
        at_work = [process for process in found if process.at_work]
        return {name for name in listed if not at_work or any(one.serves(name) for one in at_work)}


def find_with_removed(
    ended: Ended,
    names: Sequence[str],
    removed: Mapping[str, Span],
    query: Query,
    person: Person,
    *,
    after: Mark | None,
    limit: int,
) -> list[Job]:
    """As `find_page`; of removed accounts only those are searched that may have a fax of this page.

    The latest fax of such an account is known. Where the others fill a page, hardly any of them is searched,
    and where a line names faxes, those that have some of that name.
    It waits for the database: call it in a thread.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    found = find_page(ended, names, query, person, after=after, limit=limit)
    least = Mark.of(found[-1]).at if len(found) == limit else 0
    late = [name for name, span in removed.items() if span.last >= least]
    if more := having(ended, late, query):
        found += find_page(ended, more, query, person, after=after, limit=limit)
        found = sorted(found, key=lambda job: Mark.of(job).order)[:limit]
    return found


def _may_have(span: Span, query: Query) -> bool:
    """Whether a fax of this time may have been pushed when a line asks for."""
    since = milliseconds(query.since) if query.since else span.last
    until = milliseconds(query.until) if query.until else span.first + 1
    return span.last >= since and span.first < until
