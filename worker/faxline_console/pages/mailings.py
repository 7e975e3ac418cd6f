"""Mailings: their list, and of each its progress, what did not arrive, and the rest canceled."""

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from faxline.contract.states import JobState
from faxline.reading.account_state import OPERATOR
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.acting.chosen import MOST
from faxline_console.archive.ended import Archive
from faxline_console.finding.removed import Removed
from faxline_console.live.counts import Counts
from faxline_console.live.line import ConsoleLine
from faxline_console.live.lines import Lines
from faxline_console.mailings.failures import COLUMNS, failures_of
from faxline_console.mailings.progress import OPEN, progress_of, segments
from faxline_console.mailings.state import MOST_READ, Mailings
from faxline_console.mailings.store import MailingStore, Pushed, Rows
from faxline_console.rendering import Renderer
from faxline_console.showing.downloads import csv_file
from faxline_console.showing.outlook import end_of_queue
from faxline_console.showing.words import GIVEN_UP


class MailingPages:
    """The pages of mailings.

    Args:
        lines: to the accounts.
        renderer: of pages.
        store: the list of mailings.
        archive: finds the archive.
        counts: what is known of whole accounts.
        removed: knows the accounts that were removed.
    """

    def __init__(  # noqa: PLR0917 - the parts that it shows
        self,
        lines: Lines,
        renderer: Renderer,
        store: MailingStore,
        archive: Archive,
        counts: Counts,
        removed: Removed,
    ) -> None:
        self._lines = lines
        self._removed = removed
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
            Page(f"{one}/left-out.csv", Right.SEND, self.left_out),
            Page(one, Right.READ, self.mailing),
        ]

    async def show(self, request: Request) -> Response:
        """The mailings that were pushed here."""
        person = person_of(request)
        found = await run_in_threadpool(self._store.list, person)
        progress = await progress_of(found, person, self._archive(), self._lines)
        rows = [(one, progress.get((one.account, one.name))) for one in found]
        on_their_way = sum(bool(one and one.open) for _, one in rows)
        accounts = [*self._lines.accounts, *await self._removed.names(person)]
        values = {"mailings": rows, "open": on_their_way, "accounts": accounts}
        return self._render.page(request, "mailings.html", values)

    async def mailing(self, request: Request) -> Response:
        """A mailing: how far it is, and why some failed."""
        line, name, pushed = await self._pushed(request)
        state = await self._mailings.state(line, name, person_of(request), pushed)
        if pushed is None and not state.registered:
            raise HTTPException(404)
        alone = person_of(request).department is not None
        in_all = 0 if alone else max(state.known + state.unread, state.size or 0)
        total = max(in_all or state.known, pushed.pushed if pushed and (alone or not state.known) else 0, 1)
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
            "can_stop": state.counts["queued"] or state.counts["sending"] > MOST_READ,  # some may be dated
            "reasons": [(_words(why), count, _line(why)) for why, count in state.reasons.most_common()],
            "forgotten": forgotten,
            "rows_left": len(await self._left_out(request, pushed)),
            "missing": total - state.known if alone and state.known and not state.unread else 0,
            "interrupted": pushed is not None and pushed.unfinished and state.known < pushed.pushed,
            "done": request.query_params.get("done", ""),
            "removed": self._lines.removed(line.account),
        }
        return self._render.page(request, "mailing.html", values)

    async def failures(self, request: Request) -> Response:
        """What did not arrive whole, as CSV. Numbers are masked, and no cell is a formula."""
        line, name, pushed = await self._pushed(request)
        found = await failures_of(line, name, person_of(request), pushed, self._archive)
        if pushed is None and not found.known:
            raise HTTPException(404)
        return csv_file(COLUMNS, found.rows, f"{name}-failures.csv")

    async def left_out(self, request: Request) -> Response:
        """The bad rows that were left out, as CSV, for who pushed it."""
        _, name, pushed = await self._pushed(request)
        if not (rows := await self._left_out(request, pushed)):
            raise HTTPException(404)
        return csv_file(["line", "problem", "row"], rows, f"{name}-left-out.csv")

    async def _left_out(self, request: Request, pushed: Pushed | None) -> Rows:
        if pushed is None or not pushed.left_out or not person_of(request).may(Right.SEND):
            return []
        return await run_in_threadpool(self._store.rows_left_out, person_of(request), pushed)

    async def _pushed(self, request: Request) -> tuple[ConsoleLine, str, Pushed | None]:
        """A mailing that the person may see. Somebody with a department sees those that it pushed."""
        person, account, name = person_of(request), *_place(request)
        line = await self._removed.line(person, account)
        pushed = await run_in_threadpool(self._store.find, person, account, name)
        if pushed is None and person.department is not None:
            raise HTTPException(404)
        return line, name, pushed


def _words(why: str) -> str:
    return GIVEN_UP if why.partition(" (code ")[0] == OPERATOR else why


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
