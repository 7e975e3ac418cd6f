"""A fax: why and when on top, what happened, its facts, and what may be done with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import AsyncFaxLine, JobNotFound
from faxline.contract.states import FINAL_STATES, JobState
from faxline.operating.audit import AuditEntry
from faxline.reading.job import Job, Transition
from faxline_console.guard import Page, person_of
from faxline_console.lines import Lines
from faxline_console.people import Right
from faxline_console.rendering import Renderer
from faxline_console.words import EVENTS, explain, reason_words, state_of

CALLS = 200
"""The most calls and orders of a fax's time that are read."""
LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Happening:
    """An entry of the timeline.

    Attributes:
        at: when.
        icon, colour: how it is drawn.
        what, more: the title, and the line below.
    """

    at: datetime
    icon: str
    colour: str
    what: str
    more: str = ""


class FaxPages:
    """The page of a fax, and its actions.

    Args:
        lines: to the accounts.
        renderer: of pages.
    """

    def __init__(self, lines: Lines, renderer: Renderer) -> None:
        self._lines = lines
        self._render = renderer

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

    async def find(self, request: Request) -> tuple[AsyncFaxLine, Job]:
        """The fax of an address, with its line.

        Raises:
            JobNotFound: there is none, or this person may not see it: both look alike.
        """
        account, name = request.path_params["account"], request.path_params["job"]
        person = person_of(request)
        if account not in self._lines.accounts or not person.sees_account(account):
            raise JobNotFound(f"no job {name!r} on account {account!r}")
        line = self._lines.of(account)
        job = await line.job(name)
        if not person.sees(account, job.metadata):
            raise JobNotFound(f"no job {name!r} on account {account!r}")
        return line, job

    async def show(self, request: Request) -> Response:
        """The page."""
        line, job = await self.find(request)
        return await self._page(request, line, job)

    async def reveal(self, request: Request) -> Response:
        """The page with the number, once the audit has it."""
        line, job = await self.find(request)
        numbers = await line.reveal([job.id], by=person_of(request).name)
        return await self._page(request, line, job, number=numbers.get(job.id))

    async def cancel(self, request: Request) -> Response:
        """Ask for the fax not to be sent."""
        line, job = await self.find(request)
        await line.cancel(job.id, by=await who(request))
        return self._back(job, "cancel")

    async def resend(self, request: Request) -> Response:
        """Send it again as a new fax."""
        line, job = await self.find(request)
        again = await line.resend(job.id, metadata=job.metadata or None, by=await who(request))
        return RedirectResponse(f"/faxes/{job.account}/{again.id}?done=pushed", 303)

    async def resolve(self, request: Request) -> Response:
        """Settle a doubt in one of three ways."""
        line, job = await self.find(request)
        form = await request.form()
        by, how = await who(request), str(form.get("how", ""))
        if how == "accepted":
            text = str(form.get("job_id", "")).strip()
            if not text.isdecimal() or len(text) > 18:  # noqa: PLR2004 - more digits are no jobId
                return await self._page(
                    request, line, job, wrong="A jobId is a whole number, as iFax shows it."
                )
            await line.resolve(job.id, accepted=int(text), by=by)
        elif how in {"resend", "fail"}:
            await line.resolve(job.id, resend=how == "resend", fail=how == "fail", by=by)
        else:
            return await self._page(request, line, job, wrong="Choose one of the three answers.")
        return self._back(job, "settled")

    async def forget(self, request: Request) -> Response:
        """Erase what the fax says."""
        line, job = await self.find(request)
        await line.forget(job.id, by=await who(request))
        return self._back(job, "forgotten")

    @staticmethod
    def _back(job: Job, done: str) -> Response:
        return RedirectResponse(f"/faxes/{job.account}/{job.id}?done={done}", 303)

    async def _page(
        self, request: Request, line: AsyncFaxLine, job: Job, *, number: str | None = None, wrong: str = ""
    ) -> Response:
        state = await line.account_state()
        times = self._render.times(request)
        orders: Sequence[AuditEntry] = []
        if person_of(request).may(Right.AUDIT) or person_of(request).may(Right.SYSTEM):
            found = await line.audit(after=job.created_at, before=None, limit=CALLS)
            orders = [entry for entry in found if entry.job == job.id]
        said = explain(job, state, times.tzinfo)
        values: dict[str, Any] = {
            "job": job,
            "state": state_of(job),
            "title": str(job.metadata.get("subject") or job.id),
            "say": said[0] if said else "",
            "more": said[1:],
            "line": timeline(job, orders),
            "forecast": job.forecast,
            "number": number,
            "wrong": wrong,
            "now": datetime.now(UTC),
            "done": request.query_params.get("done", ""),
            "final": job.state in FINAL_STATES,
            "can_cancel": job.state in {JobState.INTAKE, JobState.QUEUED}
            or (job.state is JobState.SUBMITTED and job.send_at is not None),
            "can_resend": job.state in FINAL_STATES and job.job_id is not None,
        }
        return self._render.page(request, "fax.html", values, status=400 if wrong else 200)


async def who(request: Request) -> str:
    """Who acts and why, as the audit has it: `ada: wrong letter`."""
    reason = " ".join(str((await request.form()).get("reason", "")).split())
    name: str = person_of(request).name
    shown = "".join(letter for letter in reason if letter.isprintable())[:LONGEST_REASON]
    return f"{name}: {shown}" if shown else name


def timeline(job: Job, orders: Sequence[AuditEntry]) -> list[Happening]:
    """What happened to a fax, the oldest first.

    Args:
        job: with its history.
        orders: the calls and orders about it, as far as the viewer may know them.
    """
    happened = [_transition(step) for step in job.history]
    happened += [_order(entry) for entry in orders]
    return sorted(happened, key=lambda one: one.at)


def _transition(step: Transition) -> Happening:
    icon, colour, what = EVENTS.get(step.event, ("skip", "queued", step.event))
    data = step.data
    more = [reason_words(data.get("reason"), data.get("code"))]
    if "delivery" in data:
        more.append(
            f"delivery {data['delivery']}" + (f" of {data['attempts']}" if "attempts" in data else "")
        )
    if data.get("jobId") is not None:
        more.append(f"jobId {data['jobId']}")
    return Happening(step.at, icon, colour, what, ", ".join(filter(None, more)))


def _order(entry: AuditEntry) -> Happening:
    if not entry.is_call:
        return Happening(
            entry.at,
            "person",
            "queued",
            f"{entry.what.replace('_', ' ').capitalize()}: {entry.outcome}",
            f"By {entry.who}",
        )
    more = [
        entry.outcome.replace("_", " "),
        f"HTTP {entry.status}" if entry.status else "",
        f"code {entry.code}" if entry.code is not None else "",
        f"{entry.seconds:.2f} s" if entry.seconds is not None else "",
        f"worker {entry.who}",
    ]
    return Happening(entry.at, "call", "sending", f"Call: {entry.what}", ", ".join(filter(None, more)))
