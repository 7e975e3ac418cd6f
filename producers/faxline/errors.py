"""What can go wrong for a producer: one tree under `FaxlineError`.

No message holds a full phone number, a document or a cover text.
"""

from enum import StrEnum


class Rejection(StrEnum):
    """Why an entry is rejected; also the `reason` of `fax.rejected` and a metric's label."""

    NOT_JSON = "not_json"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_MEMBER = "unknown_member"
    MISSING_MEMBER = "missing_member"
    BAD_VALUE = "bad_value"
    BAD_ID = "bad_id"
    ID_REUSED = "id_reused"
    BAD_NUMBER = "bad_number"
    BAD_DATE = "bad_date"
    NO_FILES = "no_files"
    TOO_MANY_FILES = "too_many_files"
    TOO_MANY_PAGES = "too_many_pages"
    TOO_LARGE = "too_large"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    BAD_DOCUMENT = "bad_document"
    DOCUMENT_MISSING = "document_missing"
    METADATA_TOO_LARGE = "metadata_too_large"
    UNKNOWN_JOB = "unknown_job"


class FaxlineError(Exception):
    """The root of the tree."""


class EntryRejected(FaxlineError):  # noqa: N818 - the event it becomes is fax.rejected
    """An entry breaks a rule. It names the member (a dotted path), the reason, and how to mend it."""

    def __init__(self, member: str, reason: Rejection, message: str) -> None:
        super().__init__(f"{member}: {message}" if member else message)
        self.member = member
        self.reason = reason
        self.message = message


class JobRejected(EntryRejected):
    """Intake rejected the entry of the job that was waited for."""


class JobNotFound(FaxlineError):  # noqa: N818 - reads as what it says
    """There is no record of this job: never registered, rejected, or its retention is over."""


class WaitTimeout(FaxlineError):  # noqa: N818 - as above
    """The job did not come to its end in the time given; it goes on."""


class QueueUnavailable(FaxlineError):  # noqa: N818 - as above
    """Redis did not take the push; push again with the same id, which is safe."""
