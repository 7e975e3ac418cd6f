"""What is done with several faxes: a plan first, then the deed; and the list as CSV.

The plan says how many go, and which are left out and why. Its form carries ids and a key of its own, and a
resend's new id is made of both: sent twice by a slip, it goes once.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from faxline import FaxlineError, QueueUnavailable
from faxline.reading.job import Job
from faxline_console.actors import who
from faxline_console.downloads import csv_file
from faxline_console.finding import Finder
from faxline_console.guard import Page, person_of
from faxline_console.lines import Lines
from faxline_console.outlook import starts
from faxline_console.people import Person, Right
from faxline_console.plans import KEY, Plan, again, make_plan
from faxline_console.query import QueryInvalid, parse_query
from faxline_console.rendering import Renderer, Times
from faxline_console.words import state_of

MOST = 1000
"""The most faxes of a plan."""
PAGE = 200
AT_ONCE = 16
"""Orders that are on their way to Redis at the same time."""


class BulkPages:
    """The plan, the deed and the export.

    Args:
        lines: to the accounts.
        renderer: of pages.
        finder: finds the faxes.
    """

    def __init__(self, lines: Lines, renderer: Renderer, finder: Finder) -> None:
        self._lines = lines
        self._render = renderer
        self._finder = finder

    def pages(self) -> list[Page]:
        """The addresses."""
        return [
            Page("/faxes/plan", Right.READ, self.plan, ["POST"]),
            Page("/faxes/do", Right.SEND, self.do, ["POST"]),
        ]

    async def plan(self, request: Request) -> Response:
        """Say what would be done; an export is made at once."""
        person, form = person_of(request), await request.form(max_fields=MOST)
        verb = str(form.get("verb", ""))
        try:
            jobs, missing, notes = await self._chosen(request, form, person)
        except QueryInvalid as error:
            raise HTTPException(400, str(error)) from None
        if verb == "export":
            return export(jobs, self._render.times(request), notes)
        if not person.may(Right.SEND):
            raise HTTPException(403, f"This is not part of the role {person.role}.")
        return await self._page(request, make_plan(verb, jobs, missing), notes=notes)

    async def do(self, request: Request) -> Response:
        """Do what the plan said, to those to which it still can be done."""
        person, form = person_of(request), await request.form()
        verb, key = str(form.get("verb", "")), str(form.get("key", ""))
        names = str(form.get("picks", "")).split()[:MOST]
        jobs, missing = await self._read(person, names)
        plan = make_plan(verb, jobs, missing)
        if not KEY.fullmatch(key):
            return await self._page(request, plan, wrong="The form is not whole. Look at the plan again.")
        try:
            by = await who(request)
        except HTTPException as error:
            return await self._page(request, plan, key=key, wrong=error.detail)
        went, refused, unsure = await self._each(plan, key, by)
        done = Plan(verb, went, [*plan.left, *refused])
        return await self._page(request, done, key=key, done=True, unsure=unsure)

    async def _each(
        self, plan: Plan, key: str, by: str
    ) -> tuple[list[Job], list[tuple[str, str]], list[Job]]:
        """Do it to each fax, whatever becomes of the others.

        Returns:
            Those to which it was done, those that were refused and why, and those of which nobody knows.
        """
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(job: Job) -> FaxlineError | None:
            line = self._lines.of(job.account)
            try:
                async with limit:
                    if plan.verb == "cancel":
                        await line.cancel(job.id, by=by)
                    else:
                        metadata = dict(job.metadata) or None
                        await line.resend(job.id, id=again(job, key), metadata=metadata, by=by)
            except FaxlineError as error:
                return error
            return None

        came = list(zip(plan.goes, await asyncio.gather(*map(one, plan.goes)), strict=True))
        return (
            [job for job, error in came if error is None],
            [
                (job.id, str(error))
                for job, error in came
                if error and not isinstance(error, QueueUnavailable)
            ],
            [job for job, error in came if isinstance(error, QueueUnavailable)],
        )

    async def _chosen(
        self, request: Request, form: FormData, person: Person
    ) -> tuple[list[Job], list[tuple[str, str]], list[str]]:
        """The ticked faxes, or all that match; with those that are not there, and why others may be missing.

        Raises:
            HTTPException: 503: Redis or the archive is away, and a plan would leave out what it has.
        """
        if not form.get("all"):
            picks = [pick for pick in form.getlist("pick") if isinstance(pick, str)]
            picks += str(form.get("picks", "")).split()
            return *await self._read(person, picks[:MOST]), []
        query = parse_query(str(form.get("q", "")), self._render.times(request).tzinfo)
        jobs: list[Job] = []
        found = await self._finder.find(person, query, None, PAGE)
        jobs += found.jobs
        notes = dict.fromkeys(found.notes)
        while found.more and len(jobs) < MOST:
            found = await self._finder.find(person, query, found.last, PAGE)
            jobs += found.jobs
            notes |= dict.fromkeys(found.notes)
        if found.more or len(jobs) > MOST:
            notes[f"More than {MOST:,} faxes match: only the latest {MOST:,} of them are here."] = None
        if form.get("verb") == "export":
            return jobs[:MOST], [], list(notes)
        if found.missing:
            raise HTTPException(503, f"{' '.join(found.notes)} Make the plan when both answer.")
        return *await self._read(person, [f"{job.account}/{job.id}" for job in jobs[:MOST]]), list(notes)

    async def _read(self, person: Person, names: Iterable[str]) -> tuple[list[Job], list[tuple[str, str]]]:
        places = [
            (account, job) for account, _, job in (name.partition("/") for name in dict.fromkeys(names))
        ]
        found = await self._finder.several(person, places)
        gone = "there is no such fax, or you may not see it"
        missing = [(place[1], gone) for place in places if place not in found]
        return [found[place] for place in places if place in found], missing

    async def _when(self, request: Request, plan: Plan) -> list[str]:
        """When what is sent again would start, by account."""
        if plan.verb != "resend":
            return []
        counts, times = Counter(job.account for job in plan.goes), self._render.times(request)
        states = await asyncio.gather(*(self._lines.of(name).account_state() for name in counts))
        alone = person_of(request).department is not None
        return [starts(state, counts[state.name], times, alone=alone) for state in states]

    async def _page(
        self,
        request: Request,
        plan: Plan,
        *,
        notes: Sequence[str] = (),
        wrong: str = "",
        key: str = "",
        done: bool = False,
        unsure: Sequence[Job] = (),
    ) -> Response:
        values = {
            "plan": plan,
            "count": len(plan.goes),
            "known": sum(job.pages or 0 for job in plan.goes),
            "picks": " ".join(f"{job.account}/{job.id}" for job in unsure or plan.goes),
            "key": key or secrets.token_hex(4),
            "unsure": len(unsure),
            "when": [] if done else await self._when(request, plan),
            "notes": notes,
            "wrong": wrong,
            "done": done,
        }
        return self._render.page(
            request, "plan.html", values, status=400 if wrong else 503 if unsure else 200
        )


def export(jobs: Sequence[Job], times: Times, notes: Sequence[str]) -> Response:
    """The faxes as CSV, numbers masked. Its last lines say why some may be missing."""
    names = ["id", "account", "subject", "to", "state", "reason", "code", "transferred", "pages", "group"]
    rows: list[list[object]] = []
    for job in jobs:
        ended = job.updated_at if job.state.final else None
        rows.append(
            [
                *(job.id, job.account, job.metadata.get("subject"), job.to, state_of(job)[1], job.reason),
                *(job.code, job.transferred, job.pages, job.group, job.job_id),
                *(
                    at.astimezone(times.tzinfo).isoformat(timespec="seconds") if at else ""
                    for at in (job.created_at, ended)
                ),
            ]
        )
    rows += [[f"Not complete: {note}"] for note in notes]
    return csv_file([*names, "jobId", "pushed", "ended"], rows, "faxes.csv")
