"""What needs a person: paused accounts, doubts that wait for an operator, entries that were set aside."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import AsyncFaxLine
from faxline.reading.account_state import AccountState
from faxline_console.guard import Page, person_of
from faxline_console.lines import Lines
from faxline_console.pages.fax import who
from faxline_console.people import Person, Right
from faxline_console.rendering import Renderer, plural
from faxline_console.words import reason_words

MOST = 100
"""The most cases of a kind and an account that are shown."""
KINDS = {"paused": "Paused accounts", "doubt": "In doubt", "dead": "Dead entries"}


@dataclass(frozen=True, slots=True)
class Case:
    """An item of the queue.

    Attributes:
        kind: of KINDS.
        account: whose it is.
        since: since when it waits.
        title, text: what and why.
        job: the fax, if it is about one.
        entry: the id of a dead entry.
    """

    kind: str
    account: str
    since: datetime
    title: str
    text: str
    job: str = ""
    entry: str = ""


class AttentionPages:
    """The queue and its actions.

    Args:
        lines: to the accounts.
        renderer: of pages.
    """

    def __init__(self, lines: Lines, renderer: Renderer) -> None:
        self._lines = lines
        self._render = renderer

    def pages(self) -> list[Page]:
        """The addresses."""
        return [
            Page("/attention", Right.SETTLE, self.show),
            Page("/attention/{account}/dead", Right.SETTLE, self.settle_dead, ["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The queue, the oldest first."""
        kind = request.query_params.get("kind", "")
        cases = await self.cases(person_of(request))
        values = {
            "cases": [case for case in cases if kind not in KINDS or case.kind == kind],
            "kind": kind if kind in KINDS else "",
            "kinds": [(one, word, sum(case.kind == one for case in cases)) for one, word in KINDS.items()],
            "all": len(cases),
            "now": datetime.now(UTC),
            "done": request.query_params.get("done", ""),
        }
        request.state.attention = len(cases)
        return self._render.page(request, "attention.html", values)

    async def settle_dead(self, request: Request) -> Response:
        """Put a dead entry back, or drop it."""
        account = request.path_params["account"]
        line = self._lines.for_person(person_of(request), account)
        form = await request.form()
        entry, by = str(form.get("entry", "")), await who(request)
        if form.get("how") == "drop":
            await line.drop(entry, by=by)
        else:
            await line.redrive(entry, by=by)
        return RedirectResponse("/attention?kind=dead&done=1", 303)

    async def cases(self, person: Person) -> list[Case]:
        """Everything that waits for a person, the oldest first."""
        accounts = self._lines.accounts_of(person)
        found = await asyncio.gather(*(self._of(self._lines.of(account), person) for account in accounts))
        return sorted((case for cases in found for case in cases), key=lambda case: case.since)

    async def _of(self, line: AsyncFaxLine, person: Person) -> Sequence[Case]:
        state = await line.account_state()
        cases: list[Case] = []
        if person.department is None:
            if state.paused:
                cases.append(_paused(state))
            if state.dead:
                cases += [
                    Case(
                        "dead",
                        line.account,
                        entry.at,
                        f"{entry.kind.capitalize()} set aside: {reason_words(entry.why)}",
                        f"From {entry.stream}, {plural(entry.size, 'byte')}."
                        + (f" It is about {entry.job}." if entry.job else "")
                        + (f" It is about jobId {entry.job_id}." if entry.job_id is not None else ""),
                        entry=entry.id,
                    )
                    for entry in await line.dead(MOST)
                ]
        if state.held_doubts:
            for light in await line.jobs(state="in_doubt", limit=MOST):
                if light.waits_until is not None:
                    continue
                job = light if person.department is None else await line.job(light.id)
                if person.sees(line.account, job.metadata):
                    cases.append(
                        Case(
                            "doubt",
                            line.account,
                            job.updated_at or datetime.now(UTC),
                            "Nobody knows whether iFax has it",
                            f"{reason_words(job.reason, job.code).capitalize()}. Look for it at iFax: "
                            f"to {job.to or 'unknown'}, {job.known_pages or '?'} pages.",
                            job=job.id,
                        )
                    )
        return cases


def _paused(state: AccountState) -> Case:
    now = datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=state.now)
    since = (
        datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=state.paused_since)
        if state.paused_since
        else now
    )
    why = f" ({state.paused_why})" if state.paused_why else ""
    by = f" By {state.paused_by}." if state.paused_by else ""
    waiting = state.jobs.get("queued", 0)
    return Case(
        "paused",
        state.name,
        since,
        f"Account {state.name} is paused: {reason_words(state.paused)}{why}",
        f"{plural(waiting, 'fax', 'faxes')} {'waits' if waiting == 1 else 'wait'} and spend no attempt.{by}",
    )
