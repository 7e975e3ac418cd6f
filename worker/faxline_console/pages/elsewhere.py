"""A copy of a fax to another number: first how it will be dialled, then the push."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline.contract.errors import EntryRejected
from faxline.contract.phone_numbers import normalize_number
from faxline.reading.job import Job
from faxline_console.access.actors import who
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.acting.plans import why_no_resend
from faxline_console.acting.resends import resends_of
from faxline_console.acting.seen import changed
from faxline_console.acting.send_form import for_people
from faxline_console.finding.finder import Finder
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.countries import country_of
from faxline_console.showing.outlook import starts

RESENT = "It was resent since this page was made: look at it, and confirm it once more."


class ElsewherePages:
    """The plan of a copy, and its push.

    Args:
        lines: to the accounts.
        renderer: of pages.
        finder: finds the fax.
    """

    def __init__(self, lines: Lines, renderer: Renderer, finder: Finder) -> None:
        self._lines = lines
        self._render = renderer
        self._finder = finder

    def pages(self) -> list[Page]:
        """The address."""
        return [Page("/faxes/{account}/{job}/elsewhere", Right.SEND, self.copy, ["POST"])]

    async def copy(self, request: Request) -> Response:
        """Show how the number will be dialled; push the copy once that was confirmed."""
        account, name = request.path_params["account"], request.path_params["job"]
        job = await self._finder.one(person_of(request), account, name)
        form, by, line = await request.form(), await who(request), self._lines.of(account)
        why, removed = why_no_resend(job), self._lines.removed(account)
        if wrong := await changed(request, job) or removed or (why and f"This fax {why}."):
            return await self._plan(request, job, wrong=wrong)
        try:
            number = normalize_number(str(form.get("to", "")).strip()[:100])
        except EntryRejected as error:
            return await self._plan(request, job, wrong=f"The number: {for_people(error, by_country=False)}.")
        if form.get("confirmed") != number:
            return await self._plan(request, job, number=number)
        following = (await resends_of(line, [job], person_of(request)))[job.id].next
        if form.get("next") != following:  # of a plan that is older than the last resend
            return await self._plan(request, job, number=number, wrong=RESENT)
        new = await line.resend(job.id, to=number, id=following, metadata=job.metadata or None, by=by)
        return RedirectResponse(f"/faxes/{account}/{new.id}?done=pushed", 303)

    async def _plan(self, request: Request, job: Job, *, number: str = "", wrong: str = "") -> Response:
        form, line, person = await request.form(), self._lines.of(job.account), person_of(request)
        values: dict[str, Any] = {
            "job": job,
            "to": number or str(form.get("to", ""))[:100],
            "number": number,
            "country": country_of(number) if number else "",
            "reason": str(form.get("reason", ""))[:128],
            "wrong": wrong,
            "can": not (why_no_resend(job) or self._lines.removed(job.account)),
            "when": "",
            "next": "",
        }
        if number:
            state, times = await line.account_state(), self._render.times(request)
            values["when"] = starts(state, 1, times, alone=person.department is not None)
            values["next"] = (await resends_of(line, [job], person))[job.id].next
        return self._render.page(request, "elsewhere.html", values, status=400 if wrong else 200)
