"""A fax: why and when on top, what happened, its facts, and what may be done with it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import JobNotFound
from faxline.contract.errors import ArchiveUnavailable, JobIdTaken
from faxline.contract.states import FINAL_STATES
from faxline.operating.audit import AuditEntry
from faxline.reading.account_state import OPERATOR
from faxline.reading.archived import ArchivedFax
from faxline.reading.job import Job, Transition
from faxline_console.actors import who
from faxline_console.acts import acts_about
from faxline_console.cases import SLOW
from faxline_console.ended_jobs import EndedJob
from faxline_console.endings import ended_words
from faxline_console.finding import Finder
from faxline_console.guard import Page, person_of
from faxline_console.line import ConsoleLine
from faxline_console.lines import Lines, name_of
from faxline_console.outlook import paused_words
from faxline_console.people import Right
from faxline_console.plans import KEY, again, together, why_no_cancel, why_no_resend
from faxline_console.rendering import Renderer
from faxline_console.timeline import timeline
from faxline_console.words import explain, is_dated, state_of


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

    def pages(self) -> list[Page]:
        """The addresses."""
        fax = "/faxes/{account}/{job}"
        return [
            Page(fax, Right.READ, self.show),
            Page(f"{fax}/reveal", Right.REVEAL, self.reveal, ["POST"]),
            Page(f"{fax}/cancel", Right.SEND, self.cancel, ["POST"]),
            Page(f"{fax}/resend", Right.SEND, self.resend, ["POST"]),
            Page(f"{fax}/resolve", Right.SETTLE, self.resolve, ["POST"]),
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
            return self._render.page(request, "pushed.html", {"together": self._together(request)})
        return await self._page(request, line, job)

    async def reveal(self, request: Request) -> Response:
        """The page with the number, once the audit has it."""
        line, job = await self.find(request)
        by = person_of(request).name
        if not isinstance(job, EndedJob):
            numbers = await line.reveal([job.id], by=by)
            return await self._page(request, line, job, number=numbers.get(job.id))
        archived = await self._archived(request, job)
        number = archived.numbers.to if archived else None
        if number is None:
            return await self._page(request, line, job, wrong="The number was erased, or its key is missing.")
        await line.note_reveal(job.id, by=by)
        return await self._page(request, line, job, number=number)

    async def cancel(self, request: Request) -> Response:
        """Ask for the fax not to be sent."""
        line, job = await self.find(request)
        by = await who(request)
        if why := why_no_cancel(job):
            return await self._page(request, line, job, wrong=f"This fax {why}.")
        await line.cancel(job.id, by=by)
        return self._back(job, "cancel")

    async def resend(self, request: Request) -> Response:
        """Send it again as a new fax."""
        line, job = await self.find(request)
        by, key = await who(request), str((await request.form()).get("key", ""))
        if why := why_no_resend(job):
            return await self._page(request, line, job, wrong=f"This fax {why}.")
        if not KEY.fullmatch(key):
            return await self._page(request, line, job, wrong="The form is not whole: use the one below.")
        new = await line.resend(job.id, id=again(job, key), metadata=job.metadata or None, by=by)
        return RedirectResponse(f"/faxes/{job.account}/{new.id}?done=pushed", 303)

    async def resolve(self, request: Request) -> Response:
        """Settle a doubt in one of three ways."""
        line, job = await self.find(request)
        form = await request.form()
        how = str(form.get("how", ""))
        by = await who(request, needed=how == "resend")
        if how == "accepted":
            text = str(form.get("job_id", "")).strip()
            if not text.isdecimal() or len(text) > 18:  # noqa: PLR2004 - more digits are no jobId
                return await self._page(
                    request, line, job, wrong="A jobId is a whole number, as iFax shows it."
                )
            try:
                await line.resolve(job.id, accepted=int(text), by=by)
            except JobIdTaken as error:
                named = await name_of(self._lines, person_of(request), job.account, error.job)
                return await self._page(request, line, job, wrong=f"This jobId belongs to {named}.")
        elif how in {"resend", "fail"}:
            await line.resolve(job.id, resend=how == "resend", fail=how == "fail", by=by)
        else:
            return await self._page(request, line, job, wrong="Choose one of the three answers.")
        return self._back(job, "settled")

    async def forget(self, request: Request) -> Response:
        """Erase what the fax says. What only the archive has, it erases when it reads of the order."""
        line, job = await self.find(request)
        by = await who(request)
        if not job.state.final:
            return await self._page(request, line, job, wrong="This fax is still on its way.")
        try:
            await line.forget(job.id, by=by)
        except JobNotFound:
            if not isinstance(job, EndedJob):
                raise
        return RedirectResponse("/faxes?done=forgotten", 303)

    @staticmethod
    def _together(request: Request) -> list[str]:
        return together(request.path_params["job"], request.query_params.get("count", ""))

    @staticmethod
    def _back(job: Job, done: str) -> Response:
        return RedirectResponse(f"/faxes/{job.account}/{job.id}?done={done}", 303)

    async def _page(
        self, request: Request, line: ConsoleLine, job: Job, *, number: str | None = None, wrong: str = ""
    ) -> Response:
        archived = await self._archived(request, job)
        said, history, orders = await self._story(request, line, job, archived)
        done = request.query_params.get("done", "")
        values: dict[str, Any] = {
            "job": job,
            "state": state_of(job),
            "title": str(job.metadata.get("subject") or job.id),
            "say": said[0] if said else "",
            "more": said[1:],
            "line": timeline(history, orders),
            "archived": archived,
            "sender": await self._sender(line, job, archived),
            "at_ifax_until": job.updated_at + SLOW if job.updated_at else None,
            "in_redis": not isinstance(job, EndedJob),
            "forecast": job.forecast,
            "dated": is_dated(job),
            "number": number,
            "wrong": wrong,
            "now": datetime.now(UTC),
            "done": done,
            "together": self._together(request),
            "canceling": done == "cancel"
            and not job.state.final
            and all(step.event != "fax.cancel_refused" for step in history),
            "final": job.state in FINAL_STATES,
            "key": token_hex(4),
            "can_cancel": not why_no_cancel(job),
            "can_resend": not why_no_resend(job),
        }
        return self._render.page(request, "fax.html", values, status=400 if wrong else 200)

    @staticmethod
    async def _sender(line: ConsoleLine, job: Job, archived: ArchivedFax | None) -> str:
        """The caller id of a fax; empty if it is the account's own."""
        if isinstance(job, EndedJob):
            return (archived.numbers.sender if archived else None) or ""
        return (await line.senders([job.id])).get(job.id, "")

    async def _archived(self, request: Request, job: Job) -> ArchivedFax | None:
        """What the archive has of a fax that ended."""
        if self._finder.ended is None or not job.state.final:
            return None
        try:
            fax = await self._finder.archived(person_of(request), job)
        except (JobNotFound, ArchiveUnavailable):
            return None
        return fax if fax.state in FINAL_STATES else None  # it may not have read of the end yet

    async def _story(
        self, request: Request, line: ConsoleLine, job: Job, archived: ArchivedFax | None
    ) -> tuple[list[str], Sequence[Transition], Sequence[AuditEntry]]:
        """What is said on top, and what happened; from the archive where Redis has no record any more."""
        person, history = person_of(request), job.history
        may = person.may(Right.AUDIT) or person.may(Right.SYSTEM)
        if archived is not None and self._finder.ended is not None and not history:
            steps, told = await run_in_threadpool(self._finder.ended.story, job.account, job.id, last=True)
            return ended_words(archived, self._render.times(request)), steps, told if may else []
        state, times = await line.account_state(), self._render.times(request)
        said = explain(job, state, times.tzinfo, alone=person.department is not None)
        if archived is not None:
            said = ended_words(archived, times)
        elif job.forecast is not None and job.forecast.paused == OPERATOR:
            said = [*said[:1], paused_words(state, times), *said[1:]]
        acts = await acts_about(line, self._finder.ended, job) if may else []
        return said, history, acts
