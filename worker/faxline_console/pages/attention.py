"""What needs a person: paused accounts, doubts that wait for an operator, entries that were set aside.

Faxes that ended unconfirmed or partly delivered follow apart: nothing waits for an answer about them.
"""

from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import JobNotFound
from faxline.contract.errors import JobIdTaken, NotInDoubt, NotSettled
from faxline.contract.states import JobState
from faxline_console.access.actors import who
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.acting.cases import KINDS, Case, Cases
from faxline_console.acting.job_ids import NO_JOB_ID, is_confirmed, typed_job_id
from faxline_console.acting.left_alone import LeftAlone
from faxline_console.acting.seen import changed, why_not_settled
from faxline_console.live.counts import Counts
from faxline_console.live.lines import Lines, name_of
from faxline_console.rendering import Renderer
from faxline_console.showing.words import STATES


class AttentionPages:
    """The queue and its actions.

    Args:
        lines: to the accounts.
        renderer: of pages.
        counts: of the rail; counted anew after each action.
        left: what people chose to leave as it is.
    """

    def __init__(self, lines: Lines, renderer: Renderer, counts: Counts, left: LeftAlone) -> None:
        self._lines = lines
        self._render = renderer
        self._counts = counts
        self._left = left
        self._cases = Cases(lines, left)

    def pages(self) -> list[Page]:
        """The addresses."""
        return [
            Page("/attention", Right.SETTLE, self.show),
            Page("/attention/{account}/dead", Right.SETTLE, self.settle_dead, ["POST"]),
            Page("/attention/{account}/ended/{job}/leave", Right.SETTLE, self.leave, ["POST"]),
            Page("/attention/{account}/doubts/{job}", Right.SETTLE, self.settle_doubt, ["POST"]),
            Page("/attention/{account}/doubts/{job}/number", Right.SETTLE, self.reveal, ["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The queue, the oldest first."""
        return await self._page(request)

    async def settle_dead(self, request: Request) -> Response:
        """Put a dead entry back, or drop it."""
        account = request.path_params["account"]
        line = self._lines.for_person(person_of(request), account)
        if person_of(request).department is not None:  # an entry that nobody could read is of no department
            raise JobNotFound(f"no entry of account {account!r}")
        form = await request.form()
        entry, how, by = str(form.get("entry", "")), form.get("how"), await who(request)
        if how not in {"drop", "redrive"}:
            raise HTTPException(400, "Choose to put it back or to drop it.")
        await (line.drop if how == "drop" else line.redrive)(entry, by=by)
        self._counts.forget()
        return RedirectResponse(f"/attention?kind=dead&done={how}", 303)

    async def settle_doubt(self, request: Request) -> Response:  # noqa: PLR0911 - one an answer
        """Settle a doubt in one of three ways."""
        account, name = request.path_params["account"], request.path_params["job"]
        line, job = await self._lines.find(person_of(request), account, name)
        form = await request.form()
        how, text = str(form.get("how", "")), str(form.get("job_id", "")).strip()
        by = await who(request, needed=how in {"resend", "fail"})
        place = (account, name)
        accepted = typed_job_id(form)
        wrong = "" if how in {"accepted", "resend", "fail"} else "Choose one of the three answers."
        if how == "accepted" and accepted is None:
            wrong = NO_JOB_ID
        # of one that is settled already the page says how, whatever is wrong with the answer
        if job.state is JobState.IN_DOUBT:
            wrong = await changed(request, job) or wrong
        elif wrong:
            self._counts.forget()
            return await self._page(request, settled=(*place, str(job.state)))
        if wrong:
            return await self._page(request, wrong=(*place, wrong, text))
        if how == "accepted" and not is_confirmed(form, accepted) and job.state is JobState.IN_DOUBT:
            back = f"/attention#{account}-{name}"
            return self._render.page(request, "settle.html", {"job": job, "job_id": accepted, "back": back})
        try:
            await line.resolve(
                name,
                accepted=accepted if how == "accepted" else None,
                resend=how == "resend",
                fail=how == "fail",
                attempt=job.attempt,
                created_at=job.created_at,
                by=by,
            )
        except JobIdTaken as error:
            named = await name_of(self._lines, person_of(request), account, error.job)
            taken = f"This jobId belongs to {named}. Nothing was changed."
            return await self._page(request, wrong=(*place, taken, text))
        except NotSettled as error:
            return await self._page(request, wrong=(*place, why_not_settled(error), text))
        except NotInDoubt as error:
            self._counts.forget()
            return await self._page(request, settled=(*place, error.state))
        self._counts.forget()
        return RedirectResponse(f"/attention?done=1#{account}-{name}", 303)

    async def leave(self, request: Request) -> Response:
        """List a fax that ended without certainty no more. It stays what it is, and nothing is sent."""
        account, name = request.path_params["account"], request.path_params["job"]
        line, job = await self._lines.find(person_of(request), account, name)
        if why := await changed(request, job):
            raise HTTPException(409, why)
        if job.state.final:
            await line.note("leave", by=person_of(request).name, jobs=[job.id])
            await run_in_threadpool(self._left.leave, job, person_of(request).name)
        return RedirectResponse("/attention?left=1", 303)

    async def reveal(self, request: Request) -> Response:
        """The queue with the number of one doubt, once the audit has it."""
        account, name = request.path_params["account"], request.path_params["job"]
        line, job = await self._lines.find(person_of(request), account, name)
        if why := await changed(request, job, any_state=True):
            return await self._page(request, wrong=(account, name, why, ""))
        numbers = await line.reveal([job.id], by=person_of(request).name)
        return await self._page(request, number=(account, name, numbers.get(name, "")))

    async def _page(
        self,
        request: Request,
        *,
        wrong: tuple[str, str, str, str] = ("", "", "", ""),
        settled: tuple[str, str, str] = ("", "", ""),
        number: tuple[str, str, str] = ("", "", ""),
    ) -> Response:
        kind = request.query_params.get("kind", "")
        person = person_of(request)
        waiting = await self._cases.waiting(person)
        cases = waiting.cases
        ended = await self._cases.ended(person)
        every: list[Case] = [*cases, *ended]
        values = {
            "cases": [case for case in every if kind not in KINDS or case.kind == kind],
            "kind": kind if kind in KINDS else "",
            "kinds": [(one, word, sum(case.kind == one for case in every)) for one, word in KINDS.items()],
            "all": len(cases) + waiting.more,
            "unseen": waiting.more,
            "searched": waiting.whole,
            "later": waiting.later,
            "next": waiting.next,
            "ended": len(ended),
            "now": datetime.now(UTC),
            "done": request.query_params.get("done", ""),
            "left": request.query_params.get("left", ""),
            "wrong": wrong,
            "settled": (*settled[:2], STATES.get(settled[2], ("queued", settled[2]))),
            "number": number,
            "takes_faxes": self._lines.takes_faxes,
        }
        request.state.attention = len(cases) + waiting.more
        status = 400 if wrong[0] else 409 if settled[0] else 200
        return self._render.page(request, "attention.html", values, status=status)
