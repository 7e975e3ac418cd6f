"""The audit: who did and saw what, the newest first, searched by person, order, fax and day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from faxline.operating.audit import AuditEntry
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.archive.ended import Archive
from faxline_console.finding.removed import Removed
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.downloads import csv_file
from faxline_console.showing.formats import Times
from faxline_console.telling.audited import Audited, Wanted, audited, ms_of

ROWS = 200
"""The most entries of a page."""
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
        "probe",
        "ask",
        "redrive",
        "drop",
        "forget",
    ),
    *("recover", "keys", "rotate"),
)
"""What is offered to search for."""


CUT = "what is older was not read: the audit's page goes on from here by Older, and exports from there"
GONE = "Redis may have trimmed entries of this time, and no archive answered that has them"
"""What the last lines of the CSV say."""


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
        archive: finds the archive, which has what Redis has trimmed.
        removed: knows the accounts that were removed.
    """

    def __init__(self, lines: Lines, renderer: Renderer, archive: Archive, removed: Removed) -> None:
        self._lines = lines
        self._removed = removed
        self._render = renderer
        self._archive = archive

    def pages(self) -> list[Page]:
        """The addresses."""
        return [Page("/audit", Right.AUDIT, self.show), Page("/audit.csv", Right.AUDIT, self.export)]

    async def show(self, request: Request) -> Response:
        """The page."""
        asked = Asked.read(request, self._render.times(request))
        found = await self._found(request, asked)
        shown = page_of(found.entries)
        given = {name: value for name, value in request.query_params.items() if value}
        more = len(found.entries) > len(shown)
        before = ms_of(shown[-1][1]) if more else found.cut
        values: dict[str, Any] = {
            "entries": shown,
            "asked": asked,
            "orders": ORDERS,
            "cut": None if more else _moment(found.cut),
            "gone": found.gone,
            "archived": self._archive() is not None,
            "older": "" if before is None else f"/audit?{urlencode(given | {'before': before})}",
            "csv": f"/audit.csv?{urlencode(given)}",
        }
        return self._render.page(request, "audit.html", values)

    async def export(self, request: Request) -> Response:
        """The table as CSV."""
        times = self._render.times(request)
        found = await self._found(request, Asked.read(request, times))
        rows: list[tuple[object, ...]] = [
            (
                entry.at.astimezone(times.tzinfo).isoformat(timespec="seconds"),
                *(account, entry.who, entry.user, entry.what, entry.job, entry.about, entry.outcome),
                entry.job_id,
            )
            for account, entry in found.entries
        ]
        if (cut := _moment(found.cut)) is not None:
            at = cut.astimezone(times.tzinfo).isoformat(timespec="seconds")
            rows.append((at, *[""] * 6, CUT, ""))
        if found.gone:
            rows.append(("", *[""] * 6, GONE, ""))
        columns = ["at", "account", "who", "redis_user", "what", "job", "about", "outcome", "jobId"]
        return csv_file(columns, rows, "audit.csv")

    async def _found(self, request: Request, asked: Asked) -> Audited:
        zone = self._render.times(request).tzinfo
        since = round(datetime.combine(asked.since, time(), zone).timestamp() * 1000)
        person, ended = person_of(request), self._archive()
        lines = [self._lines.of(name) for name in self._lines.accounts_of(person)]
        removed = await self._removed.names(person)
        found = await audited(lines, ended, Wanted(asked.before, max(0, since), asked.job), removed)
        return replace(found, entries=[(name, entry) for name, entry in found.entries if asked.fits(entry)])


def page_of(found: Sequence[tuple[str, AuditEntry]]) -> Sequence[tuple[str, AuditEntry]]:
    """The newest entries, and all of the last one's time, so that the next page begins before it."""
    last = ms_of(found[:ROWS][-1][1]) if found else 0
    return [one for place, one in enumerate(found) if place < ROWS or ms_of(one[1]) == last]


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
