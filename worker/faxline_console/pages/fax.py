"""A fax: why and when on top, what happened, its facts, and what may be done with it."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import JobNotFound
from faxline.contract.errors import JobIdTaken, NotSettled
from faxline.contract.states import FINAL_STATES, JobState
from faxline.reading.job import Job
from faxline_console.access.actors import who
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Person, Right
from faxline_console.acting.cases import SLOW
from faxline_console.acting.job_ids import NO_JOB_ID, is_confirmed, typed_job_id
from faxline_console.acting.plans import arrived, together, why_no_cancel, why_no_resend, why_not_asked
from faxline_console.acting.resends import Resends, not_looked_for, resends_of, why_resent
from faxline_console.acting.seen import NOT_WHOLE, changed, why_not_settled
from faxline_console.archive.jobs import EndedJob
from faxline_console.finding.finder import Finder
from faxline_console.live.line import ConsoleLine
from faxline_console.live.lines import Lines, name_of
from faxline_console.rendering import Renderer
from faxline_console.showing.words import is_dated, state_of
from faxline_console.telling.story import Story
from faxline_console.telling.timeline import not_known, timeline

LEFT = "It had not ended when its account was removed. Nobody sends it, and nobody asks iFax about it."


class FaxPages:
    """The page of a fax, and its actions.

    Args:
        lines: to the accounts.
        renderer: of pages.
        finder: finds the fax in Redis, or else in the archive.
    """

    def __init__(self, lines: Lines, renderer: Renderer, finder: Finder) -> None:
        self._lines = lines
        self._render = renderer
        self._finder = finder
        self._story = Story(finder)

    def pages(self) -> list[Page]:
        """The addresses."""
        fax = "/faxes/{account}/{job}"
        return [
            Page(fax, Right.READ, self.show),
            Page(f"{fax}/reveal", Right.REVEAL, self.reveal, ["POST"]),
            Page(f"{fax}/cancel", Right.SEND, self.cancel, ["POST"]),
            Page(f"{fax}/resend", Right.SEND, self.resend, ["POST"]),
            Page(f"{fax}/resolve", Right.SETTLE, self.resolve, ["POST"]),
            Page(f"{fax}/ask", Right.SETTLE, self.ask, ["POST"]),
            Page(f"{fax}/forget", Right.FORGET, self.forget, ["POST"]),
        ]

    async def find(self, request: Request) -> tuple[ConsoleLine, Job]:
        """The fax of an address, with its line.

        Raises:
            JobNotFound: there is none, or this person may not see it: both look alike.
        """
        account, name = request.path_params["account"], request.path_params["job"]
        job = await self._finder.one(person_of(request), account, name)
        return self._lines.of(account), job

    async def show(self, request: Request) -> Response:
        """The page."""
        try:
            line, job = await self.find(request)
        except JobNotFound:
            account = request.path_params["account"]
            if request.query_params.get("done") != "pushed" or not person_of(request).sees_account(account):
                raise
            return self._render.page(request, "pushed.html", {"together": _together(request)})
        return await self._page(request, line, job)

    async def reveal(self, request: Request) -> Response:
        """The page with the number, once the audit has it."""
        line, job = await self.find(request)
        if wrong := await changed(request, job, any_state=True):
            return await self._page(request, line, job, wrong=wrong)
        person = person_of(request)
        by = person.name
        if not isinstance(job, EndedJob):
            numbers = await line.reveal([job.id], by=by)
            return await self._page(request, line, job, number=numbers.get(job.id))
        archived = await self._story.archived(person, job)
        number = archived.numbers.to if archived else None
        if number is None:
            return await self._page(request, line, job, wrong="The number was erased, or its key is missing.")
        await line.note_reveal(job.id, by=by)
        return await self._page(request, line, job, number=number)

    async def cancel(self, request: Request) -> Response:
        """Ask for the fax not to be sent."""
        line, job = await self.find(request)
        by = await who(request)
        if wrong := await changed(request, job):
            return await self._page(request, line, job, wrong=wrong)
        if why := why_no_cancel(job):
            return await self._page(request, line, job, wrong=f"This fax {why}.")
        await line.cancel(job.id, by=by)
        return _back(job, "cancel")

    async def resend(self, request: Request) -> Response:
        """Send it again as a new fax."""
        line, job = await self.find(request)
        by, following = await who(request), str((await request.form()).get("next", ""))
        if wrong := await changed(request, job):
            return await self._page(request, line, job, wrong=wrong)
        if why := why_no_resend(job):
            return await self._page(request, line, job, wrong=f"This fax {why}.")
        resends = await _resends(request, line, job)
        if following != resends.next:  # of a page that is older than the last resend
            why = why_resent(resends, self._render.times(request))
            return await self._page(request, line, job, wrong=f"This fax {why}." if why else NOT_WHOLE)
        new = await line.resend(job.id, id=resends.next, metadata=job.metadata or None, by=by)
        return RedirectResponse(f"/faxes/{job.account}/{new.id}?done=pushed", 303)

    async def resolve(self, request: Request) -> Response:  # noqa: PLR0911 - one an answer
        """Settle a doubt in one of three ways."""
        line, job = await self.find(request)
        form = await request.form()
        how = str(form.get("how", ""))
        by = await who(request, needed=how in {"resend", "fail"})
        if wrong := await changed(request, job):
            return await self._page(request, line, job, wrong=wrong)
        if how == "accepted":
            job_id = typed_job_id(form)
            if job_id is None:
                return await self._page(request, line, job, wrong=NO_JOB_ID)
            if not is_confirmed(form, job_id) and job.state is JobState.IN_DOUBT:
                back = f"/faxes/{job.account}/{job.id}"
                return self._render.page(request, "settle.html", {"job": job, "job_id": job_id, "back": back})
            order: dict[str, Any] = {"accepted": job_id}
        elif how in {"resend", "fail"}:
            order = {how: True}
        else:
            return await self._page(request, line, job, wrong="Choose one of the three answers.")
        try:
            await line.resolve(job.id, **order, attempt=job.attempt, created_at=job.created_at, by=by)
        except JobIdTaken as error:
            named = await name_of(self._lines, person_of(request), job.account, error.job)
            return await self._page(request, line, job, wrong=f"This jobId belongs to {named}.")
        except NotSettled as error:
            return await self._page(request, line, job, wrong=why_not_settled(error))
        return _back(job, "settled")

    async def ask(self, request: Request) -> Response:
        """Have iFax asked now how the fax stands."""
        line, job = await self.find(request)
        by = await who(request)
        if wrong := await changed(request, job):
            return await self._page(request, line, job, wrong=wrong)
        if why := why_not_asked(job):
            return await self._page(request, line, job, wrong=f"This fax {why}.")
        await line.ask(job.id, by=by)
        return _back(job, "asked")

    async def forget(self, request: Request) -> Response:
        """Erase what the fax says. What only the archive has, it erases when it reads of the order."""
        line, job = await self.find(request)
        by = await who(request)
        if wrong := await changed(request, job):
            return await self._page(request, line, job, wrong=wrong)
        if not job.state.final:
            return await self._page(request, line, job, wrong="This fax is still on its way.")
        try:
            await line.forget(job.id, by=by)
        except JobNotFound:
            if not isinstance(job, EndedJob):
                raise
        return RedirectResponse("/faxes?done=forgotten", 303)

    async def _page(
        self, request: Request, line: ConsoleLine, job: Job, *, number: str | None = None, wrong: str = ""
    ) -> Response:
        person, times = person_of(request), self._render.times(request)
        archived = await self._story.archived(person, job)
        said, history, acts = await self._story.told(person, times, line, job, archived)
        gone, final = self._lines.is_gone(job.account), job.state in FINAL_STATES
        if gone and not final:
            said = [LEFT]
        done = request.query_params.get("done", "")
        resends = await _resends(request, line, job)
        values: dict[str, Any] = {
            "job": job,
            "origin": await _origin(self._finder, person, job),
            "state": state_of(job),
            "title": str(job.metadata.get("subject") or job.id),
            "say": said[0] if said else "",
            "more": said[1:],
            "line": timeline(history, acts.entries),
            "archived": archived,
            "unread": acts.unread,
            "kept": await self._story.request(line, job, archived),
            "sender": await self._story.sender(line, job, archived),
            "at_ifax_until": job.updated_at + SLOW if job.updated_at else None,
            "forecast": None if gone else job.forecast,
            "dated": is_dated(job) and not gone,
            "number": number,
            "typed": str((await request.form()).get("job_id", "")) if wrong else "",
            "wrong": wrong,
            "now": datetime.now(UTC),
            "done": done,
            "together": _together(request),
            "not_known": not_known(job, acts.entries),
            "canceling": done == "cancel"
            and not job.state.final
            and all(step.event != "fax.cancel_refused" for step in history),
            "final": final,
            "gone": gone,
            "resends": resends,
            "resent": why_resent(resends, times),
            "not_looked_for": not_looked_for([resends], times),
            "can_cancel": not why_no_cancel(job),
            "can_ask": not (why_not_asked(job) or self._lines.removed(job.account)),
            "no_resend": why_no_resend(job),
            "arrived": arrived(job),
            "removed": self._lines.removed(job.account),
        }
        return self._render.page(request, "fax.html", values, status=400 if wrong else 200)


def _together(request: Request) -> list[str]:
    return together(request.path_params["job"], request.query_params.get("count", ""))


def _back(job: Job, done: str) -> Response:
    return RedirectResponse(f"/faxes/{job.account}/{job.id}?done={done}", 303)


async def _origin(finder: Finder, person: Person, job: Job) -> str:
    """The id of the fax that a resend repeats; empty if it is none, or this person may not see that fax."""
    if not job.of or person.department is None:
        return job.of or ""
    try:
        await finder.one(person, job.account, job.of)
    except JobNotFound:
        return ""
    return job.of


async def _resends(request: Request, line: ConsoleLine, job: Job) -> Resends:
    """What those who could send a fax again are told of its resends."""
    person = person_of(request)
    if why_no_resend(job) or not person.may(Right.SEND):
        return Resends("")
    return (await resends_of(line, [job], person))[job.id]
