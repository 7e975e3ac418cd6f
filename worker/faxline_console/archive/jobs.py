"""Faxes out of the archive, as the pages show all faxes."""

from faxline.contract.states import JobState
from faxline.reading.archived import ArchivedFax
from faxline.reading.job import Job

_STATES = {str(state): state for state in JobState} | {"rejected": JobState.FAILED}


class EndedJob(Job):
    """A fax out of the archive. Redis may have forgotten it, with what a resend needs."""

    __slots__ = ()


def job_of(fax: ArchivedFax) -> Job:
    """An archived fax as the pages show all faxes."""
    return EndedJob(
        id=fax.id,
        account=fax.account,
        state=_STATES.get(fax.state, JobState.UNKNOWN),
        priority=fax.priority or "normal",
        attempt=fax.attempt,
        job_id=fax.job_id,
        code=fax.code,
        reason=fax.reason,
        message=fax.message,
        pages=fax.pages,
        transferred=fax.transferred,
        created_at=fax.queued_at,
        updated_at=fax.ended_at or fax.queued_at,
        kind=fax.kind or "send",
        of=fax.of,
        group=fax.group,
        to=fax.to,
        metadata=fax.metadata,
        deliveries=fax.deliveries,
        send_at=fax.send_at,
    )
