"""Mailings: their list, and of each its progress, what did not arrive, and the rest canceled."""

import re
from collections import Counter
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from faxline import GroupNotFound
from faxline.contract.states import JobState
from faxline.reading.group import Group
from faxline_console.chosen import MOST
from faxline_console.counts import Counts
from faxline_console.downloads import csv_file
from faxline_console.ended import Archive
from faxline_console.guard import Page, person_of
from faxline_console.line import ConsoleLine
from faxline_console.lines import Lines
from faxline_console.mailing_progress import OPEN, progress_of, segments
from faxline_console.mailing_state import Mailings
from faxline_console.mailing_store import MailingStore, Pushed
from faxline_console.outlook import end_of_queue
from faxline_console.people import Person, Right
from faxline_console.rendering import Renderer, mask
from faxline_console.words import state_of


class MailingPages:
    """The pages of mailings.

    Args:
        lines: to the accounts.
        renderer: of pages.
        store: the list of mailings.
        archive: finds the archive.
        counts: what is known of whole accounts.
    """

    def __init__(
        self, lines: Lines, renderer: Renderer, store: MailingStore, archive: Archive, counts: Counts
    ) -> None:
        self._lines = lines
        self._render = renderer
        self._store = store
        self._archive = archive
        self._counts = counts
        self._mailings = Mailings(archive)

    def pages(self) -> list[Page]:
        """The addresses."""
        one = "/mailings/{account}/{name}"
        return [
            Page("/mailings", Right.READ, self.show),
            Page(f"{one}/failures.csv", Right.READ, self.failures),
            Page(one, Right.READ, self.mailing),
        ]

    async def show(self, request: Request) -> Response:
        """The mailings that were pushed here."""
        person = person_of(request)
        found = await run_in_threadpool(self._store.list, person)
        progress = await progress_of(found, person, self._archive(), self._lines)
        rows = [(one, progress.get((one.account, one.name))) for one in found]
        on_their_way = sum(bool(one and one.open) for _, one in rows)
        values = {"mailings": rows, "open": on_their_way, "accounts": self._lines.accounts}
        return self._render.page(request, "mailings.html", values)

    async def mailing(self, request: Request) -> Response:
        """A mailing: how far it is, and why some failed."""
        line, name, pushed = await self._pushed(request)
        state = await self._mailings.state(line, name, person_of(request))
        if pushed is None and not state.registered:
            raise HTTPException(404)
        in_all = 0 if person_of(request).department else max(state.known + state.unread, state.size or 0)
        total = max(in_all or state.known, pushed.pushed if pushed and not state.known else 0, 1)
        state.counts["queued"] += max(0, in_all - state.known - state.unread)  # intake has not seen them
        forgotten = pushed is not None and pushed.old and not state.known
        limits = await self._counts.state(line.account) if state.counts["queued"] else None
        values = {
            "name": name,
            "state": state,
            "account": line.account,
            "pushed": pushed,
            "bars": list(segments(state.counts, total)),
            "total": total,
            "expected": end_of_queue(limits, self._render.times(request)) if limits else "",
            "again": sorted(state.failed, key=lambda job: (len(job), job))[:MOST],
            "open": sum(state.counts[segment] for segment in OPEN),
            "can_cancel": state.counts["queued"],
            "reasons": [(why, count, _line(why)) for why, count in state.reasons.most_common()],
            "forgotten": forgotten,
            "interrupted": pushed is not None and pushed.unfinished and state.known < pushed.pushed,
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
        return csv_file(header, rows, f"{group.name}-failures.csv")

    async def _pushed(self, request: Request) -> tuple[ConsoleLine, str, Pushed | None]:
        """A mailing that the person may see. Somebody with a department sees those that it pushed."""
        person, account, name = person_of(request), *_place(request)
        line = self._lines.for_person(person, account)
        pushed = await run_in_threadpool(self._store.find, person, account, name)
        if pushed is None and person.department is not None:
            raise HTTPException(404)
        return line, name, pushed

    async def _find(self, request: Request) -> tuple[ConsoleLine, Group, Pushed | None]:
        """A mailing with the records of all its faxes."""
        line, name, pushed = await self._pushed(request)
        person, account = person_of(request), line.account
        try:
            return line, await self._group(line, name, person), pushed
        except GroupNotFound:
            if pushed is None:
                raise HTTPException(404) from None
        return line, Group(id=name, account=account, state=JobState.INTAKE, pushed=pushed.pushed), pushed

    @staticmethod
    async def _group(line: ConsoleLine, name: str, person: Person) -> Group:
        """A group; of somebody with a department only its faxes, as others may have pushed into it since."""
        group = await line.group(name)
        if person.department is None:
            return group
        jobs = await line.named([job.id for job in group.jobs])
        mine = tuple(job for job in jobs if person.sees(line.account, job.metadata))
        own = re.compile(rf"{re.escape(name)}\.\d+")
        rejected = {id_: error for id_, error in group.rejected.items() if own.fullmatch(id_)}
        return replace(
            group,
            jobs=mine,
            counts=Counter(job.state for job in mine),
            total=len(mine) + len(rejected),
            rejected=rejected,
            forgotten=0,
            pushed=None,
        )


def _line(why: str) -> str:
    """What the search line has for a reason of a mailing: a state where there was no reason.

    Example:
        >>> _line("user busy (code 17)")
        'reason:user_busy'
    """
    name = why.partition(" (code ")[0].replace(" ", "_")
    return f"{'state' if name in {JobState.FAILED, JobState.UNCONFIRMED} else 'reason'}:{name}"


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["account"], request.path_params["name"]
