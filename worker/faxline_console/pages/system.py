"""The system: the doctor's findings, and every process by its heartbeat. And the audit."""

import asyncio
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from faxline_console.guard import Page, person_of
from faxline_console.lines import Lines
from faxline_console.people import Right
from faxline_console.rendering import Renderer

DAYS = 1
"""Days of the audit that are shown."""
MOST = 1000
"""The most entries of an account's audit that are shown."""


class SystemPages:
    """The pages for those who look after Faxline.

    Args:
        lines: to the accounts.
        renderer: of pages.
    """

    def __init__(self, lines: Lines, renderer: Renderer) -> None:
        self._lines = lines
        self._render = renderer

    def pages(self) -> list[Page]:
        """The addresses."""
        return [Page("/system", Right.SYSTEM, self.system), Page("/audit", Right.AUDIT, self.audit)]

    async def system(self, request: Request) -> Response:
        """The findings, the worst first, and the processes, the silent first."""
        line = self._lines.of(self._lines.accounts[0])
        checks, processes = await asyncio.gather(line.checks(), line.processes())
        order = {"fail": 0, "warn": 1}
        values = {
            "checks": sorted(checks, key=lambda check: order.get(str(check.result), 2)),
            "processes": sorted(
                processes, key=lambda process: (not process.gone, process.role, process.name)
            ),
            "now": datetime.now(UTC),
        }
        return self._render.page(request, "system.html", values)

    async def audit(self, request: Request) -> Response:
        """Who did and saw what, the newest first. The calls to iFax are not among it."""
        since = datetime.now(UTC) - timedelta(days=DAYS)
        names = self._lines.accounts_of(person_of(request))
        found = await asyncio.gather(*(self._lines.of(name).audit(after=since, limit=MOST) for name in names))
        entries = [
            (name, entry)
            for name, read in zip(names, found, strict=True)
            for entry in read
            if not entry.is_call
        ]
        entries.sort(key=lambda one: one[1].at, reverse=True)
        full = any(len(read) == MOST for read in found)
        return self._render.page(request, "audit.html", {"entries": entries, "full": full, "days": DAYS})
