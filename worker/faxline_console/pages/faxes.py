"""The list of faxes, live and ended, and its search as a line and as a form."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Person, Right
from faxline_console.asking.asked import WHOLE, in_words, misread
from faxline_console.asking.kept_lines import KeptLines
from faxline_console.asking.marks import Mark
from faxline_console.asking.number_search import as_dialled, is_by_an_end
from faxline_console.asking.number_words import names_number
from faxline_console.asking.parsing import (
    LONGEST,
    QueryInvalid,
    line_of,
    parse_query,
    with_state,
    without_days,
)
from faxline_console.asking.query import STATES, WORDS, Query, Term
from faxline_console.finding.finder import Finder
from faxline_console.finding.found import ENDED_ONLY
from faxline_console.finding.tallies import Known, Tally, count_ended, tallies
from faxline_console.live.counts import Counts
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.countries import country_of, home_of
from faxline_console.showing.words import held_by, line_below, state_of, word_of_state

ROWS = 50
"""The faxes of a page."""
REFUSED = LONGEST + 1
"""Characters of a line that is too long anyway; a page has it in a dozen places."""
TABS = (
    ("", "", "All"),
    ("queued", "queued", "Queued"),
    ("sending", "sending", "Sending"),
    ("in_doubt", "in-doubt", "In doubt"),
    ("delivered", "delivered", "Delivered"),
    ("partial", "partial", "Partly"),
    ("failed", "failed", "Failed"),
    ("unconfirmed", "unconfirmed", "Unconfirmed"),
    ("canceled", "canceled", "Canceled"),
)


class FaxesPages:
    """The list and its search.

    Args:
        lines: to the accounts.
        renderer: of pages.
        finder: finds the faxes.
        kept: the lines that name a number.
        counts: what is known of whole accounts.
    """

    def __init__(
        self, lines: Lines, renderer: Renderer, finder: Finder, kept: KeptLines, counts: Counts
    ) -> None:
        self._lines = lines
        self._render = renderer
        self._finder = finder
        self._kept = kept
        self._counted = Known()
        self._counts = counts

    def pages(self) -> list[Page]:
        """The addresses. A search is posted, so that no log of addresses has its number."""
        return [Page("/faxes", Right.READ, self.show), Page("/faxes", Right.READ, self.search, ["POST"])]

    async def show(self, request: Request) -> Response:
        """The list for the line in the address, or for the kept line that it names."""
        asked = request.query_params
        try:
            line = await self.line(request)
        except QueryInvalid as error:
            return self._page(request, "", {"wrong": str(error)})
        if "q" in asked and names_number(line):
            return await self._go(request, line)
        return await self._list(request, line, Mark.read(asked.get("after", "")))

    async def search(self, request: Request) -> Response:
        """Go to the list of a line, or of the form's fields."""
        form = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
        line = (line_of(form) if form.get("how") == "form" else form.get("q", "").strip())[:REFUSED]
        try:
            parse_query(line, self._render.times(request).tzinfo)
        except QueryInvalid as error:
            return self._page(request, line, {"wrong": str(error)})
        return await self._go(request, line)

    async def line(self, request: Request) -> str:
        """The line that an address means.

        Raises:
            QueryInvalid: it names a kept line that this session has not, or no longer.
        """
        asked = request.query_params
        line: str | None = asked.get("q", "")[:REFUSED]
        if asked.get("s"):
            line = await run_in_threadpool(self._kept.line, request.state.session.token, asked["s"])
            if line is None:
                raise QueryInvalid("This search has ended with its session. Type it again.")
        return with_state(line or "", asked["state"]) if "state" in asked else line or ""

    async def _go(self, request: Request, line: str) -> Response:
        if names_number(line):
            key = await run_in_threadpool(self._kept.keep, request.state.session.token, line)
            return RedirectResponse(f"/faxes?s={key}", 303)
        return RedirectResponse("/faxes" + (f"?{urlencode({'q': line})}" if line else ""), 303)

    async def _list(self, request: Request, line: str, after: Mark | None) -> Response:
        person, times = person_of(request), self._render.times(request)
        try:
            query = parse_query(line, times.tzinfo)
            found, tallied = await asyncio.gather(
                self._finder.find(person, query, after, ROWS), self._count(person, query)
            )
        except QueryInvalid as error:
            return self._page(request, line, {"wrong": str(error)})
        live, whole = found.live, found.whole
        if query.is_of_accounts and person.department is None:
            live, whole = await self._counts.live(self._finder.accounts(person, query)), True
        if (wanted := query.terms.get("account")) and not wanted.without:
            gone = set(self._lines.removed_of(person)).intersection(wanted.values)
            found.notes += [ENDED_ONLY.format(name) for name in sorted(gone)]
        late = await self._counts.archived_until(self._finder.accounts(person, query))
        counted = tallies(live, tallied, whole=whole)
        values = {
            "query": query,
            "rows": await self._rows(found.jobs),
            "notes": found.notes,
            "older": self._address(request, line, str(found.last)) if found.more else "",
            "newest": self._address(request, line, ""),
            "is_first": after is None,
            "away": found.away,
            "short": found.missing or not found.whole,
            "counted": counted,
            "behind": times.moment(late) if late and self._finder.ended else "",
            "behind_for": (datetime.now(UTC) - late).total_seconds() if late else 0.0,
            "asked": in_words(query, times) if line else "",
            "by_end": is_by_an_end(query, person) and self._finder.ended is not None,
            "whole": WHOLE,
        }
        if not found.jobs and line and not found.away:
            values["wider"] = await self._wider(person, query, counted)
            values["notes"] = [*found.notes, *filter(None, [misread(query)])]
            if person.may(Right.REVEAL):
                offered = as_dialled(query, home_of(times.tzinfo.key))
                values["offered"] = [(number, country_of(number)) for number in offered]
        return self._page(request, line, values)

    async def _rows(self, jobs: Sequence[Job]) -> list[tuple[Job, tuple[str, str], str]]:
        """Each fax with its state and what stands below that: of a queued one also what holds its account."""
        names = {job.account for job in jobs if job.state is JobState.QUEUED}
        states = {name: await self._counts.state(name) for name in names}
        return [
            (job, state_of(job), line_below(job) or held_by(job, states.get(job.account))) for job in jobs
        ]

    async def _count(self, person: Person, query: Query) -> Mapping[str, Tally]:
        if (ended := self._finder.ended) is None:
            return {}
        names = [*self._finder.accounts(person, query), *await self._finder.removed.searched(person, query)]
        return await run_in_threadpool(count_ended, ended, names, query, person, self._counted)

    async def _wider(
        self, person: Person, query: Query, counted: Mapping[str, Tally]
    ) -> tuple[str, Tally, list[str]] | None:
        """What a search without the state, or else at any time, would find: how many, and their states.

        In any state it finds what the tabs tell, where they do.
        """
        for word, wider in (("state", query.any_state), ("time", query.any_state.any_time)):
            if wider == query:
                continue
            if word == "state" and "" in counted:
                if counted[""].count:
                    known = (state for state, tally in counted.items() if state and tally.count)
                    return word, counted[""], sorted(map(word_of_state, known))
                continue
            found = await self._finder.find(person, wider, None, ROWS)
            if found.jobs:
                states = sorted({state_of(job)[1].lower() for job in found.jobs})
                return word, Tally(len(found.jobs), found.more), states
        return None

    def _page(self, request: Request, line: str, values: dict[str, Any]) -> Response:
        key = request.query_params.get("s", "")
        shared: dict[str, Any] = {
            "q": line,
            "key": key,
            "wrong": "",
            "query": Query(line),
            "rows": [],
            "notes": [],
            "older": "",
            "newest": "",
            "is_first": True,
            "done": request.query_params.get("done", ""),
            "away": False,
            "short": False,
            "counted": {},
            "behind": "",
            "behind_for": 0.0,
            "asked": "",
            "by_end": False,
            "offered": [],
            "wider": None,
            "any_time": without_days(with_state(line, "")),
            "states": STATES,
            "words": WORDS,
            "accounts": self._lines.accounts_of(person_of(request)),
            "gone": self._lines.removed_of(person_of(request)),
            "tabs": [(self._tab(request, line, state), state, icon, word) for state, icon, word in TABS],
            **values,
        }
        shared["now_state"] = _one(shared["query"].terms.get("state"))
        shared["form"] = _form(shared["query"])
        status = 400 if shared["wrong"] else 503 if shared["away"] else 200
        return self._render.page(request, "faxes.html", shared, status=status)

    @staticmethod
    def _tab(request: Request, line: str, state: str) -> str:
        if key := request.query_params.get("s"):
            return "/faxes?" + urlencode({"s": key, "state": state})
        wanted = "" if names_number(line) else with_state(line, state)
        return "/faxes" + (f"?{urlencode({'q': wanted})}" if wanted else "")

    @staticmethod
    def _address(request: Request, line: str, after: str) -> str:
        asked = request.query_params
        kept = {name: asked[name] for name in ("s", "state") if name in asked}
        words = kept if "s" in kept else {"q": line} if line else {}
        return "/faxes?" + urlencode(words | ({"after": after} if after else {}))


def _one(term: Term | None) -> str | None:
    if term is None:
        return ""
    return term.values[0] if len(term.values) == 1 and not term.without else None


def _form(query: Query) -> dict[str, str]:
    """What the form's fields hold for a line; what no field can say stays in the line."""
    shown = {word: ",".join(term.values) for word, term in query.terms.items() if not term.without}
    for key, term in query.metadata.items():
        shown["meta"] = f"{key}={','.join(term.values)}"
    last = query.until - timedelta(days=1) if query.until else None
    days = {word: f"{day:%Y-%m-%d}" if day else "" for word, day in (("since", query.since), ("until", last))}
    return dict.fromkeys((*WORDS, "meta"), "") | shown | days
