"""The system: the doctor's findings, every process by its heartbeat, Redis and the archive."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from faxline.contract.check import Check, Result
from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.processes import Process
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.archive.ended import Archive
from faxline_console.archive.facts import ArchiveFacts, archive_facts
from faxline_console.live.counts import Counts
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.formats import plural


class SystemPages:
    """The pages for those who look after Faxline.

    Args:
        lines: to the accounts.
        renderer: of pages.
        archive: finds the archive.
        counts: what is known of whole accounts.
    """

    def __init__(self, lines: Lines, renderer: Renderer, archive: Archive, counts: Counts) -> None:
        self._lines = lines
        self._render = renderer
        self._archive = archive
        self._counts = counts

    def pages(self) -> list[Page]:
        """The addresses."""
        return [Page("/system", Right.SYSTEM, self.system)]

    async def system(self, request: Request) -> Response:
        """The findings, the worst first, and the processes, the silent first."""
        person = person_of(request)
        names = self._lines.accounts_of(person)
        if not names:
            raise HTTPException(404, "You see no account, so there is nothing to look at.")
        line = self._lines.of(names[0])
        checks, processes, servers, archive, every = await asyncio.gather(
            line.checks(), line.processes(), line.servers(), self._facts(names), line.accounts()
        )
        others = {name for name in (*self._lines.accounts, *every) if not person.sees_account(name)}
        checks = [check for check in checks if not tells_of(others, check.name, check.text)]
        processes = [replace(process, trouble=own(process.trouble, others)) for process in processes]
        late = await self._counts.archived_until(names)
        checks += archive_checks(processes, late=late is not None)
        order = {"fail": 0, "warn": 1}
        results = [str(check.result) for check in checks]
        values = {
            "verdict": verdict(results.count("fail"), results.count("warn")),
            "checks": sorted(checks, key=lambda check: order.get(str(check.result), 2)),
            "processes": sorted(
                processes, key=lambda process: (not process.gone, process.role, process.name)
            ),
            "servers": servers,
            "now": datetime.now(UTC),
            "archive": archive,
            "archives": self._archive() is not None,
            "late": late,
        }
        return self._render.page(request, "system.html", values)

    async def _facts(self, names: list[str]) -> ArchiveFacts | None:
        """What the archive has of these accounts; None while it is away."""
        if (ended := self._archive()) is None:
            return None
        try:
            return await run_in_threadpool(archive_facts, ended, names)
        except ArchiveUnavailable:
            return None


def archive_checks(processes: Iterable[Process], *, late: bool) -> Iterator[Check]:
    """What the doctor leaves out, as faxes go without it: an archive that fails or is behind.

    Args:
        processes: all; those of other roles are left out.
        late: whether events have waited for the archive longer than they should.
    """
    archives = [process for process in processes if process.role == "archive"]
    working = any(process.at_work for process in archives)
    troubles = [
        f"{process.name} {'is silent' if process.gone else f'is {process.state}'.replace('_', ' ')}"
        + "".join(f", {part}: {why}" for part, why in process.trouble.items())
        for process in archives
        if not process.at_work
    ]
    behind = ["events wait for it, the panel Archive says how long"] if late else []
    if told := "; ".join([*troubles, *behind]):
        yield Check("archive", Result.WARN if working else Result.FAIL, told)


def verdict(fail: int, warn: int) -> str:
    """The findings in a sentence."""
    warned = f"{plural(warn, 'warning')} to look at" if warn else ""
    if fail:
        return f"{plural(fail, 'check fails', 'checks fail')}" + (f", {warned}" if warned else "")
    return f"Nothing fails; {warned}" if warned else "All is well"


def own(trouble: Mapping[str, str], others: set[str]) -> dict[str, str]:
    """What a process says of its parts, without what names other accounts."""
    return {part: why for part, why in trouble.items() if not tells_of(others, part, why)}


def tells_of(others: set[str], *texts: str) -> bool:
    """Whether a text names one of these accounts, such as `account north` or `north and south are paused`."""
    return any(
        re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) for name in others for text in texts
    )
