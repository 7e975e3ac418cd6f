"""What to look up at iFax: number, time, pages and jobId of a fax, in one line."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from faxline.cli.app import operator
from faxline.client.sync import FaxLine
from faxline.contract.states import JobState
from faxline.reading.job import Job

_SENT = {JobState.SUBMITTING, JobState.SUBMITTED, JobState.IN_DOUBT, JobState.UNCONFIRMED}

Reveal = Annotated[
    bool,
    typer.Option("--reveal", help="Show full numbers. For operators only; the audit records it."),
]


def revealed_by(
    line: FaxLine, jobs: Iterable[Job], by: str | None, *, reveal: bool, timeout: float = 5.0
) -> Mapping[str, str]:
    """The full numbers of the jobs, with --reveal."""
    wanted = [job.id for job in jobs if job.to] if reveal else []
    return line.reveal(wanted, by=by or operator(), timeout=timeout) if wanted else {}


def may_be_at_ifax(job: Job) -> bool:
    """Whether iFax took the fax, or may have."""
    return (
        job.job_id is not None
        or job.state in _SENT
        or any(step.state == JobState.IN_DOUBT for step in job.history)
    )


def sought(job: Job, numbers: Mapping[str, str]) -> str:
    """Such as `look for: to +12025550123, sent 2026-11-29 14:03:12 UTC, 3 pages, jobId not known`."""
    sent = f"sent {sent_of(job)} UTC" if job.sent_at else "not sent yet"
    pages = pages_of(job)
    count = f"{pages} page{'' if pages == '1' else 's'}" if pages else "pages not known"
    job_id = job.job_id if job.job_id is not None else "not known"
    others = f"; also there: {found}" if (found := others_of(job)) else ""
    return f"look for: to {numbers.get(job.id, job.to or '?')}, {sent}, {count}, jobId {job_id}{others}"


def others_of(job: Job) -> str:
    """Such as `jobId 71 (failed), jobId 72 (perhaps)`: what iFax has of it besides the fax that counts."""
    known = [(other, "perhaps" if other.unclear else other.outcome) for other in job.others]
    return ", ".join(f"jobId {other.job_id}" + (f" ({word})" if word else "") for other, word in known)


def others_at_ifax(job: Job) -> list[str]:
    """Say what iFax has of the fax besides what counts."""
    said = []
    if job.delivered_after_end:
        said.append(f"iFax reported its delivery after that, so the recipient has it. It stays {job.state}.")
    if others := others_of(job):
        said.append(f"Also at iFax: {others}.")
    return said


def sent_of(job: Job) -> str:
    """When its last attempt began, in UTC; empty if there was none."""
    return f"{job.sent_at:%Y-%m-%d %H:%M:%S}" if job.sent_at else ""


def pages_of(job: Job) -> str:
    """How many pages it has, as far as is known."""
    return str(job.pages) if job.pages is not None else job.known_pages or ""
