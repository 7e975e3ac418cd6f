"""What can be done with which fax, and why not with another."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from starlette.exceptions import HTTPException

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_console.archive.jobs import EndedJob
from faxline_console.showing.words import state_of

COUNT = re.compile("[1-9][0-9]?")
"""How many faxes an address says went together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bulk action would do.

    Attributes:
        verb: cancel or resend.
        goes: the faxes it is done to.
        left: the faxes that are left out, and why.
    """

    verb: str
    goes: list[Job]
    left: list[tuple[str, str]]


def make_plan(
    verb: str,
    jobs: Sequence[Job],
    missing: Sequence[tuple[str, str]] = (),
    resent: Mapping[tuple[str, str], str] = MappingProxyType({}),
    takes: Callable[[str], bool] = lambda _: True,
) -> Plan:
    """Sort faxes into those that go and those that are left out.

    Args:
        verb: cancel or resend.
        jobs: the faxes.
        missing: what is left out in any case, and why.
        resent: which of them were sent again already, by account and id, and what is said of that.
        takes: whether an account takes anything; one that was removed does not.

    Raises:
        HTTPException: 400: there is no such verb.
    """
    if verb not in {"cancel", "resend"}:
        raise HTTPException(400, "Choose Export, Cancel or Resend.")
    goes: list[Job] = []
    left = list(missing)
    for job in jobs:
        why = why_no_cancel(job) if verb == "cancel" else why_no_resend(job)
        if verb == "resend":
            why = why or resent.get((job.account, job.id), "")
        if not why and not takes(job.account):
            why = f"is of account {job.account}, which was removed and takes nothing until its folder is back"
        if why:
            left.append((job.id, why))
        else:
            goes.append(job)
    return Plan(verb, goes, left)


def why_no_cancel(job: Job) -> str:
    """Why a fax cannot be canceled; empty if it can."""
    if job.state in {JobState.INTAKE, JobState.QUEUED} or (
        job.state is JobState.SUBMITTED and job.send_at is not None
    ):
        return ""
    return f"is {state_of(job)[1].lower()} already"


def why_no_resend(job: Job) -> str:
    """Why a fax cannot be sent again; empty if it can."""
    if not job.state.final:
        return f"is still {state_of(job)[1].lower()}"
    if isinstance(job, EndedJob):
        return "ended so long ago that only the archive has it: send it as a new fax"
    if job.job_id is not None:
        return ""
    if any(step.state == JobState.IN_DOUBT for step in job.history):
        unknown = "has no jobId, and nobody knows whether iFax took it"
        return f"{unknown}: look for it there before you send it as a new fax"
    return "was never taken by iFax: send it as a new fax"


def why_not_asked(job: Job) -> str:
    """Why iFax cannot be asked how a fax stands; empty if it can."""
    if isinstance(job, EndedJob):
        return "ended so long ago that only the archive has it"
    if job.state in {JobState.SUBMITTED, JobState.UNCONFIRMED}:
        return "" if job.job_id is not None else "has no jobId to ask about"
    if job.state is JobState.IN_DOUBT:
        return "" if job.asked_at is not None else "has no jobId to ask about"
    return f"is {state_of(job)[1].lower()}"


def arrived(job: Job) -> bool:
    """Whether a fax was delivered whole, so that its recipient gets it twice if it is sent again."""
    return job.delivered_after_end or (job.state is JobState.DELIVERED and not job.partial)


def together(first: str, count: str) -> list[str]:
    """The ids of faxes that were pushed at once, one to each number; empty if a fax went alone.

    Example:
        >>> together("invoice-77.1", "2"), together("invoice-77", "")
        (['invoice-77.1', 'invoice-77.2'], [])
    """
    group, _, place = first.rpartition(".")
    if not group or place != "1" or not COUNT.fullmatch(count):
        return []
    return [f"{group}.{number}" for number in range(1, int(count) + 1)]
