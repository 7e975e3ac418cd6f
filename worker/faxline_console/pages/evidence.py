"""The files that the archive makes of a fax, with full numbers: the audit notes each before it is made."""

from collections.abc import Callable
from datetime import tzinfo

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.job import Job
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.acting.seen import changed
from faxline_console.archive.ended import Ended
from faxline_console.finding.finder import Finder
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.downloads import download


class EvidencePages:
    """Report, proof and raw receipt.

    Args:
        lines: to the accounts.
        renderer: knows the viewer's zone.
        finder: finds the fax, and what the archive has of it.
    """

    def __init__(self, lines: Lines, renderer: Renderer, finder: Finder) -> None:
        self._lines = lines
        self._render = renderer
        self._finder = finder

    def pages(self) -> list[Page]:
        """The addresses."""
        fax = "/faxes/{account}/{job}"
        return [
            Page(f"{fax}/receipt.json", Right.REVEAL, self.receipt, ["POST"]),
            Page(f"{fax}/report.pdf", Right.PROVE, self.report, ["POST"]),
            Page(f"{fax}/proof.zip", Right.PROVE, self.proof, ["POST"]),
        ]

    async def report(self, request: Request) -> Response:
        """The transmission report."""
        return await self._made(request, "report", Ended.report, "pdf")

    async def proof(self, request: Request) -> Response:
        """The proof."""
        return await self._made(request, "proof", Ended.proof, "zip")

    async def receipt(self, request: Request) -> Response:
        """The receipts as iFax signed them."""
        job, ended = await self._find(request)
        kept = await run_in_threadpool(ended.receipts, job.account, job.id)
        if not kept:
            raise HTTPException(409, "The archive has no receipt that can be opened.")
        await self._note(request, job, "receipt")
        content = "\n".join(kept.values()).encode()
        return download(content, f"{job.account}-{job.id}-receipt.json", "application/json")

    async def _made(
        self, request: Request, what: str, make: Callable[[Ended, str, str, tzinfo], bytes], kind: str
    ) -> Response:
        """A file that the archive makes, once the audit has it."""
        job, ended = await self._find(request)
        await self._note(request, job, what)
        zone = self._render.times(request).tzinfo
        content = await run_in_threadpool(make, ended, job.account, job.id, zone)
        return download(content, f"{job.account}-{job.id}.{kind}", f"application/{kind}")

    async def _find(self, request: Request) -> tuple[Job, Ended]:
        """A fax of which the archive has something that this person may see."""
        person, ended = person_of(request), self._finder.ended
        if ended is None:
            raise ArchiveUnavailable("there is no archive: reports, proofs and receipts come from there")
        job = await self._finder.one(person, request.path_params["account"], request.path_params["job"])
        await self._finder.archived(person, job)
        if why := await changed(request, job, any_state=True):
            raise HTTPException(409, why)
        return job, ended

    async def _note(self, request: Request, job: Job, what: str) -> None:
        await self._lines.of(job.account).note_reveal(job.id, by=f"{person_of(request).name}: {what}")
