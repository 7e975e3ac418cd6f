"""What the page of a fax tells of it: why and when, what happened, and what the archive has."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.concurrency import run_in_threadpool

from faxline import JobNotFound
from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.states import FINAL_STATES
from faxline.reading.account_state import OPERATOR
from faxline.reading.archived import ArchivedFax
from faxline.reading.job import Job
from faxline.reading.job_parts import Transition
from faxline_console.access.people import Person, Right
from faxline_console.archive.audit import audit_of
from faxline_console.archive.jobs import EndedJob
from faxline_console.finding.finder import Finder
from faxline_console.live.kept_request import Document, KeptRequest
from faxline_console.live.line import ConsoleLine
from faxline_console.showing.formats import Times
from faxline_console.showing.outlook import paused_words
from faxline_console.showing.words import GIVEN_UP, explain
from faxline_console.telling.acts import Acts, acts_about, acts_of
from faxline_console.telling.endings import ended_words
from faxline_console.telling.timeline import is_ordered, ordered_by


class Story:
    """Reads what is told of a fax.

    Args:
        finder: finds what the archive has.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    @staticmethod
    async def sender(line: ConsoleLine, job: Job, archived: ArchivedFax | None) -> str:
        """The caller id of a fax; empty if it is the account's own."""
        if isinstance(job, EndedJob):
            return (archived.numbers.sender if archived else None) or ""
        return (await line.senders([job.id])).get(job.id, "")

    @staticmethod
    async def request(line: ConsoleLine, job: Job, archived: ArchivedFax | None) -> KeptRequest:
        """What is kept of a fax as it was pushed; of one that ended long ago the digests alone."""
        kept = KeptRequest() if isinstance(job, EndedJob) else await line.request(job.id)
        if kept.documents or archived is None:
            return kept
        return replace(kept, documents=[Document("", digest) for digest in archived.documents])

    async def archived(self, person: Person, job: Job) -> ArchivedFax | None:
        """What the archive has of a fax that ended."""
        if self._finder.ended is None or not job.state.final:
            return None
        try:
            fax = await self._finder.archived(person, job)
        except (JobNotFound, ArchiveUnavailable):
            return None
        return fax if fax.state in FINAL_STATES else None  # it may not have read of the end yet

    async def told(
        self, person: Person, times: Times, line: ConsoleLine, job: Job, archived: ArchivedFax | None
    ) -> tuple[list[str], Sequence[Transition], Acts]:
        """What is said on top, and what happened; from the archive where Redis has no record any more."""
        history = job.history
        may = person.may(Right.AUDIT) or person.may(Right.SYSTEM)
        if archived is not None and self._finder.ended is not None and not history:
            ended, said = self._finder.ended, ended_words(archived, times)
            steps = await run_in_threadpool(ended.steps, archived)
            told = await run_in_threadpool(audit_of, ended, job.account, job.id) if may else ()
            acts = Acts(acts_of(job, told))
            return _by_name(said, steps, acts), steps, acts
        state = await line.account_state()
        said = explain(
            job, state, times.tzinfo, alone=person.department is not None, plain=not person.may(Right.SYSTEM)
        )
        if archived is not None:
            said = ended_words(archived, times)
        elif job.forecast is not None and job.forecast.paused == OPERATOR:
            said = [*said[:1], paused_words(state, times), *said[1:]]
        acts = await acts_about(line, self._finder.ended, job) if may else Acts([])
        return _by_name(said, history, acts), history, acts


def _by_name(said: Sequence[str], history: Sequence[Transition], acts: Acts) -> list[str]:
    """The same with the name of the person who gave the fax up, as far as the viewer may know it."""
    by = next((ordered_by(step, acts.entries) for step in reversed(history) if is_ordered(step)), "")
    return [text.replace(GIVEN_UP, f"given up by {by}") if by else text for text in said]
