"""Mailings: their list, and of each its progress, what did not arrive, and the rest canceled."""

from collections import Counter

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import GroupNotFound
from faxline.contract.states import JobState
from faxline.reading.group import Group
from faxline_console.csv_files import as_csv, write_csv
from faxline_console.guard import Page, person_of
from faxline_console.line import ConsoleLine
from faxline_console.lines import Lines
from faxline_console.mailing_store import MailingStore, Pushed
from faxline_console.pages.fax import who
from faxline_console.people import Right
from faxline_console.rendering import Renderer, mask
from faxline_console.words import reason_words, state_of

SEGMENTS = (
    ("delivered", "Delivered"),
    ("partial", "Partly delivered"),
    ("unconfirmed", "Unconfirmed"),
    ("failed", "Failed"),
    ("canceled", "Canceled"),
    ("in-doubt", "In doubt"),
    ("sending", "Sending"),
    ("queued", "Queued"),
)


class MailingPages:
    """The pages of mailings.

    Args:
        lines: to the accounts.
        renderer: of pages.
        store: the list of mailings.
    """

    def __init__(self, lines: Lines, renderer: Renderer, store: MailingStore) -> None:
        self._lines = lines
        self._render = renderer
        self._store = store

    def pages(self) -> list[Page]:
        """The addresses."""
        one = "/mailings/{account}/{name}"
        return [
            Page("/mailings", Right.READ, self.show),
            Page(f"{one}/cancel", Right.SEND, self.cancel, ["POST"]),
            Page(f"{one}/failures.csv", Right.READ, self.failures),
            Page(one, Right.READ, self.mailing),
        ]

    async def show(self, request: Request) -> Response:
        """The mailings that were pushed here."""
        found = await run_in_threadpool(self._store.list, person_of(request))
        return self._render.page(request, "mailings.html", {"mailings": found})

    async def mailing(self, request: Request) -> Response:
        """A mailing: how far it is, and why some failed."""
        line, group, pushed = await self._find(request)
        counts = _counts(group)
        total = max(group.total, group.pushed or 0, 1)
        bars, left = [], 0.0
        for state, word in SEGMENTS:
            share = 100 * counts[state] / total
            bars.append((state, word, counts[state], left, share))
            left += share
        failed = Counter(
            reason_words(job.reason, job.code) or str(job.state)
            for job in group.jobs
            if job.state in {JobState.FAILED, JobState.UNCONFIRMED}
        )
        values = {
            "group": group,
            "account": line.account,
            "pushed": pushed,
            "bars": bars,
            "total": total,
            "open": group.total - group.ended,
            "can_cancel": counts["queued"],
            "reasons": failed.most_common(),
            "done": request.query_params.get("done", ""),
        }
        return self._render.page(request, "mailing.html", values)

    async def failures(self, request: Request) -> Response:
        """What did not arrive whole, as CSV. Numbers are masked, and no cell is a formula."""
        _, group, _ = await self._find(request)
        header = ["id", "to", "state", "reason", "code", "pages", "transferred"]
        rows = [
            (
                job.id,
                mask(job.to),
                state_of(job)[1],
                job.reason,
                job.code,
                job.pages,
                job.transferred,
            )
            for job in group.jobs
            if job.state.final and not job.succeeded
        ]
        rows += [
            (name, "", "Rejected", error.reason, None, None, None) for name, error in group.rejected.items()
        ]
        return as_csv(f"{group.name}-failures", write_csv(header, rows))

    async def cancel(self, request: Request) -> Response:
        """Cancel what has not been sent."""
        line, group, _ = await self._find(request)
        await line.cancel_group(group.name, by=await who(request))
        return RedirectResponse(f"/mailings/{line.account}/{group.name}?done=cancel", 303)

    async def _find(self, request: Request) -> tuple[ConsoleLine, Group, Pushed | None]:
        """A mailing that the person may see. Somebody with a department sees those that it pushed."""
        person, account, name = person_of(request), *_place(request)
        line = self._lines.for_person(person, account)
        pushed = await run_in_threadpool(self._store.find, person, account, name)
        if pushed is None and person.department is not None:
            raise HTTPException(404)
        try:
            return line, await line.group(name), pushed
        except GroupNotFound:
            if pushed is None:
                raise HTTPException(404) from None
        return line, Group(id=name, account=account, state=JobState.INTAKE, pushed=pushed.pushed), pushed


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["account"], request.path_params["name"]


def _counts(group: Group) -> Counter[str]:
    """How many faxes are in each state of the bar."""
    counts = Counter(state_of(job)[0] for job in group.jobs)
    counts["queued"] += group.counts.get(JobState.INTAKE, 0)
    return counts
