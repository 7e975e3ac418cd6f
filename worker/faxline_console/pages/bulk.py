"""What is done with several faxes: a plan first, then the deed; and the list as CSV.

The plan says how many go, and which are left out and why. Its form says of each fax which one it is and in
which state it was seen. What has changed since is left out, both on the plan and when it is carried out.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from faxline import FaxlineError, QueueUnavailable
from faxline.reading.job import Job
from faxline.reading.open_jobs import BATCH
from faxline_console.access.actors import who
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.acting.chosen import MOST, Chosen, picked
from faxline_console.acting.picks import Pick, pick
from faxline_console.acting.plans import Plan, arrived, make_plan, why_no_resend
from faxline_console.acting.resends import not_looked_for, resends_of, why_resent
from faxline_console.asking.parsing import QueryInvalid, parse_query
from faxline_console.asking.query import Query
from faxline_console.finding.finder import Finder
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.downloads import csv_file
from faxline_console.showing.formats import Times
from faxline_console.showing.outlook import starts
from faxline_console.showing.words import line_below, state_of

NOT_TICKED = "No fax is ticked. Tick those that you mean, or choose all that match."
SHOWN = 1000
"""The most faxes that a plan lists."""
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
        self._chosen = Chosen(finder)

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
        query = self._query(request, form)
        if verb == "export":
            if query is None and not picked(form):
                raise HTTPException(400, NOT_TICKED)
            jobs, notes = await self._chosen.to_export(form, person, query)
            return export(jobs, self._render.times(request), notes)
        if not person.may(Right.SEND):
            raise HTTPException(403, f"This is not part of the role {person.role}.")
        if query is not None:
            picks, notes = await self._chosen.matching(person, query)
        else:
            picks, notes = await self._chosen.rest(person, form)
            picks += picked(form) + await self._chosen.failures(person, form)
            if not (picks or form.get("rest") or form.get("failed")):
                notes = [NOT_TICKED]
        plan, _, unread = await self._planned(request, verb, picks, query)
        return await self._page(request, plan, notes=[*notes, *unread], q=query.text if query else "")

    async def do(self, request: Request) -> Response:
        """Do what the plan said, to those to which it still can be done."""
        form = await request.form()
        query = self._query(request, form)
        plan, ids, unread = await self._planned(request, str(form.get("verb", "")), picked(form), query)
        try:
            by = await who(request)
        except HTTPException as error:
            return await self._page(
                request, plan, notes=unread, wrong=error.detail, q=query.text if query else ""
            )
        went, refused, unsure = await self._each(plan, ids, by)
        done = Plan(plan.verb, went, [*plan.left, *refused])
        return await self._page(request, done, done=True, unsure=unsure, q=query.text if query else "")

    def _query(self, request: Request, form: FormData) -> Query | None:
        """The search of which all that match were chosen; None if faxes were ticked."""
        if not form.get("all"):
            return None
        try:
            return parse_query(str(form.get("q", "")), self._render.times(request).tzinfo)
        except QueryInvalid as error:
            raise HTTPException(400, str(error)) from None

    async def _planned(
        self, request: Request, verb: str, picks: Sequence[Pick], query: Query | None
    ) -> tuple[Plan, Mapping[tuple[str, str], str], list[str]]:
        """The plan for the faxes that still are what was seen, their resends' ids, and what is not known."""
        person, times = person_of(request), self._render.times(request)
        jobs, left = await self._chosen.read(person, picks, query)
        if verb != "resend":
            return make_plan(verb, jobs, left, takes=self._lines.takes_faxes), {}, []
        can = [job for job in jobs if not why_no_resend(job) and self._lines.takes_faxes(job.account)]
        some = sorted({job.account for job in can})
        read = await asyncio.gather(
            *(
                resends_of(self._lines.of(name), [job for job in can if job.account == name], person)
                for name in some
            )
        )
        found = {(name, job): one for name, own in zip(some, read, strict=True) for job, one in own.items()}
        resent = {place: why_resent(one, times) for place, one in found.items()}
        ids = {place: one.next for place, one in found.items()}
        unread = not_looked_for(found.values(), times)
        plan = make_plan(verb, jobs, left, resent, takes=self._lines.takes_faxes)
        return plan, ids, [unread] if unread else []

    async def _each(
        self, plan: Plan, ids: Mapping[tuple[str, str], str], by: str
    ) -> tuple[list[Job], list[tuple[str, str]], list[Job]]:
        """Do it to each fax, whatever becomes of the others.

        Returns:
            Those to which it was done, those that were refused and why, and those of which nobody knows.
        """
        limit = asyncio.Semaphore(AT_ONCE)

        async def each(jobs: Sequence[Job]) -> list[tuple[Job, FaxlineError | None]]:
            line = self._lines.of(jobs[0].account)
            try:
                async with limit:
                    if plan.verb == "cancel":
                        await line.cancel_many([job.id for job in jobs], by=by)
                    else:
                        (job,) = jobs
                        new, metadata = ids[job.account, job.id], dict(job.metadata) or None
                        await line.resend(job.id, id=new, metadata=metadata, by=by)
            except FaxlineError as error:
                return [(job, error) for job in jobs]
            return [(job, None) for job in jobs]

        size = BATCH if plan.verb == "cancel" else 1
        found = await asyncio.gather(*map(each, batches(plan.goes, size)))
        came = [one for some in found for one in some]
        return (
            [job for job, error in came if error is None],
            [
                (job.id, str(error))
                for job, error in came
                if error and not isinstance(error, QueueUnavailable)
            ],
            [job for job, error in came if isinstance(error, QueueUnavailable)],
        )

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
        q: str = "",
        done: bool = False,
        unsure: Sequence[Job] = (),
    ) -> Response:
        values = {
            "plan": plan,
            "count": len(plan.goes),
            "rows": [(job, state_of(job), line_below(job)) for job in plan.goes[:SHOWN]],
            "arrived": sum(map(arrived, plan.goes)) if plan.verb == "resend" and not done else 0,
            "mailing": str((await request.form()).get("rest", "")),
            "known": sum(job.pages or 0 for job in plan.goes),
            "picks": " ".join(map(pick, unsure or plan.goes)),
            "q": q,
            "unsure": len(unsure),
            "when": [] if done else await self._when(request, plan),
            "notes": notes,
            "wrong": wrong,
            "done": done,
        }
        return self._render.page(
            request, "plan.html", values, status=400 if wrong else 503 if unsure else 200
        )


def batches(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """The same faxes in lists of one account and no more than this size."""
    own: dict[str, list[Job]] = {}
    for job in jobs:
        own.setdefault(job.account, []).append(job)
    return [some[start : start + size] for some in own.values() for start in range(0, len(some), size)]


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
