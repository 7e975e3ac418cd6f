"""The states of a job (ARCHITECTURE.md has the transitions)."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is on its way."""

    INTAKE = "intake"
    """Pushed, but not registered yet."""
    QUEUED = "queued"
    """Registered, and waiting to be submitted."""
    SUBMITTING = "submitting"
    """A worker is sending it to iFax."""
    SUBMITTED = "submitted"
    """iFax took it. The receipt is still to come."""
    IN_DOUBT = "in_doubt"
    """The request may have reached iFax, and its answer is not known."""
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELED = "canceled"
    UNCONFIRMED = "unconfirmed"
    """iFax took it, and no receipt came within the deadline. A late receipt may still amend it."""
    UNKNOWN = "unknown"
    """A state of a newer daemon that this library does not know. It does not count as final."""

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self in FINAL_STATES


FINAL_STATES = (JobState.DELIVERED, JobState.FAILED, JobState.CANCELED, JobState.UNCONFIRMED)
"""The states in which a job has ended."""
