"""The audit: who did and saw what, the newest first, searched by person, order, fax and day."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from faxline.contract.errors import ArchiveUnavailable
from faxline.operating.audit import AuditEntry
from faxline_console.downloads import csv_file
from faxline_console.ended import Ended
from faxline_console.guard import Page, person_of
from faxline_console.lines import Lines
from faxline_console.people import Right
from faxline_console.rendering import Renderer, Times

ROWS = 200
"""The most entries of a page."""
MOST_READ = 20_000
"""The most entries of an account that are gone through for a page, calls to iFax as well."""
ORDERS = (
    *(
        "send",
        "mailing",
        "leave",
        "reveal",
        "resolve",
        "cancel",
        "resend",
        "pause",
        "resume",
        "redrive",
        "drop",
        "forget",
    ),
    *("recover", "keys", "rotate"),
)
"""What is offered to search for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched for. Empty texts ask for anything; the days are the viewer's."""

    who: str
    what: str
    job: str
    since: date
    until: date
    before: int

    @classmethod
    def read(cls, request: Request, times: Times) -> "Asked":
        """Of an address; what makes no sense counts as not given."""
        asked, today = request.query_params, datetime.now(times.tzinfo).date()
        text = {name: asked.get(name, "").strip()[:128] for name in ("who", "what", "job")}
        until = _day(asked.get("until", "")) or today
        since = _day(asked.get("since", "")) or (date(1970, 1, 2) if text["job"] else min(today, until))
        end = datetime.combine(
            min(until, date.max - timedelta(days=1)) + timedelta(days=1), time(), times.tzinfo
        )
        mark = asked.get("before", "")
        before = round(end.timestamp() * 1000)
        if mark.isdecimal() and len(mark) < 16:  # noqa: PLR2004 - milliseconds
            before = min(before, int(mark))
        return cls(**text, since=since, until=until, before=before)

    def fits(self, entry: AuditEntry) -> bool:
        """Whether an entry is looked for."""
        return (
            self.who.casefold() in entry.who.casefold()
            and self.what in {"", entry.what}
            and (not self.job or self.job in {entry.job, entry.about})
        )


class AuditPages:
    """The page, and its table as CSV.

    Args:
        lines: to the accounts.
        renderer: of pages.
        ended: the archive, which has older entries about a fax; None without one.
    """

    def __init__(self, lines: Lines, renderer: Renderer, ended: Ended | None) -> None:
        self._lines = lines
        self._render = renderer
        self._ended = ended

    def pages(self) -> list[Page]:
        """The addresses."""
        return [Page("/audit", Right.AUDIT, self.show), Page("/audit.csv", Right.AUDIT, self.export)]

    async def show(self, request: Request) -> Response:
        """The page."""
        asked = Asked.read(request, self._render.times(request))
        found = await self._found(request, asked)
        shown = found[:ROWS]
        words = {name: value for name, value in request.query_params.items() if name != "before" and value}
        older = {"before": _ms(shown[-1][1])} if len(found) > ROWS else {}
        values: dict[str, Any] = {
            "entries": shown,
            "asked": asked,
            "orders": ORDERS,
            "older": f"/audit?{urlencode(words | older)}" if older else "",
            "csv": f"/audit.csv?{urlencode(words)}",
        }
        return self._render.page(request, "audit.html", values)

    async def export(self, request: Request) -> Response:
        """The table as CSV."""
        times = self._render.times(request)
        rows = [
            (
                entry.at.astimezone(times.tzinfo).isoformat(timespec="seconds"),
                *(account, entry.who, entry.user, entry.what, entry.job, entry.about, entry.outcome),
            )
            for account, entry in await self._found(request, Asked.read(request, times))
        ]
        columns = ["at", "account", "who", "redis_user", "what", "job", "about", "outcome"]
        return csv_file(columns, rows, "audit.csv")

    async def _found(self, request: Request, asked: Asked) -> list[tuple[str, AuditEntry]]:
        zone = self._render.times(request).tzinfo
        since = round(datetime.combine(asked.since, time(), zone).timestamp() * 1000)
        names = self._lines.accounts_of(person_of(request))
        read = await asyncio.gather(*(self._of(name, asked, max(0, since)) for name in names))
        found = [(name, entry) for name, entries in zip(names, read, strict=True) for entry in entries]
        return sorted(found, key=lambda one: one[1].at, reverse=True)

    async def _of(self, account: str, asked: Asked, since: int) -> list[AuditEntry]:
        entries = await self._lines.of(account).orders_before(asked.before, since, MOST_READ)
        if asked.job and self._ended is not None:
            try:
                _, kept = await run_in_threadpool(self._ended.story, account, asked.job)
            except ArchiveUnavailable:
                kept = []
            known = {entry.id for entry in entries}
            kept = [entry for entry in kept if since <= _ms(entry) < asked.before and entry.id not in known]
            entries += [entry for entry in kept if not entry.is_call]
        return [entry for entry in entries if asked.fits(entry)]


def _ms(entry: AuditEntry) -> int:
    return round(entry.at.timestamp() * 1000)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
