"""The list of faxes: those on their way from Redis, and those that are looked up by id or group."""

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from faxline import AsyncFaxLine, GroupNotFound, JobNotFound
from faxline.reading.job import Job
from faxline_console.guard import Page, person_of
from faxline_console.lines import Lines
from faxline_console.people import Person, Right
from faxline_console.query import STATES, Query, QueryInvalid, parse_query
from faxline_console.rendering import Renderer
from faxline_console.words import line_below, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 200
"""The most faxes of an account that are shown."""


class FaxesPages:
    """The list and its search.

    Args:
        lines: to the accounts.
        renderer: of pages.
    """

    def __init__(self, lines: Lines, renderer: Renderer) -> None:
        self._lines = lines
        self._render = renderer

    def pages(self) -> list[Page]:
        """The addresses. A search is posted too, so that no log of addresses has its number."""
        return [Page("/faxes", Right.READ, self.show), Page("/faxes", Right.READ, self.search, ["POST"])]

    async def show(self, request: Request) -> Response:
        """The list for the line in the address."""
        return await self._list(request, request.query_params.get("q", ""))

    async def search(self, request: Request) -> Response:
        """The list for a line that was posted."""
        return await self._list(request, str((await request.form()).get("q", "")))

    async def _list(self, request: Request, line: str) -> Response:
        person, wrong, query = person_of(request), "", Query(line)
        try:
            query = parse_query(line, self._render.times(request).tzinfo)
        except QueryInvalid as error:
            wrong = str(error)
        jobs: Sequence[Job] = []
        if not wrong:
            names = [
                name
                for name in self._lines.accounts_of(person)
                if "account" not in query.terms or query.terms["account"].matches(name)
            ]
            found = await asyncio.gather(*(self._of(self._lines.of(name), query, person) for name in names))
            jobs = sorted((job for some in found for job in some), key=_pushed, reverse=True)
        values = {
            "q": line,
            "wrong": wrong,
            "rows": [(job, state_of(job), line_below(job)) for job in jobs],
            "states": STATES,
            "full": len(jobs) >= MOST,
        }
        return self._render.page(request, "faxes.html", values, status=400 if wrong else 200)

    async def _of(self, line: AsyncFaxLine, query: Query, person: Person) -> list[Job]:
        """What one account has. Ids and groups are looked up; otherwise the open faxes are gone through."""
        named = {*_exactly(query, "id")}
        for group in _exactly(query, "group"):
            try:
                named |= {job.id for job in (await line.group(group)).jobs}
            except GroupNotFound:
                continue
        if named:
            looked = await asyncio.gather(*(_find(line, name) for name in sorted(named)[:MOST]))
            jobs = [job for job in looked if job is not None]
        else:
            jobs = await line.jobs(limit=MOST)
            if query.metadata or person.department:
                whole = await asyncio.gather(*(_find(line, job.id) for job in jobs))
                jobs = [job for job in whole if job is not None]
        return [job for job in jobs if person.sees(line.account, job.metadata) and query.matches(job)]


async def _find(line: AsyncFaxLine, name: str) -> Job | None:
    try:
        return await line.job(name)
    except JobNotFound:
        return None


def _exactly(query: Query, word: str) -> tuple[str, ...]:
    term = query.terms.get(word)
    return term.values if term is not None and not term.without else ()


def _pushed(job: Job) -> float:
    return job.created_at.timestamp() if job.created_at else 0.0
