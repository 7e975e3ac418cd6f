"""What can go wrong for a producer: one tree under `FaxlineError`.

No message holds a full phone number, a document or a cover text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from faxline.contract.wording import plural

_SHOWN = 5
"""Of many errors, how many a message repeats."""
_LONGEST_KEY_ID = 32


class Rejection(StrEnum):
    """Why an entry is rejected; also the `reason` of `fax.rejected` and a metric's label."""

    NOT_JSON = "not_json"
    """The value is no JSON object in UTF-8, names a member twice, or is nested too deeply."""
    UNKNOWN_KIND = "unknown_kind"
    """The entry's field is not send, cancel or resend, or it has several."""
    UNKNOWN_MEMBER = "unknown_member"
    """There is no such member."""
    MISSING_MEMBER = "missing_member"
    """A required member is absent."""
    BAD_VALUE = "bad_value"
    """A member has a wrong type or a value that is not allowed."""
    BAD_ID = "bad_id"
    """The id has other characters, or is too long."""
    ID_REUSED = "id_reused"
    """The id belongs to a job with other content."""
    BAD_NUMBER = "bad_number"
    """Not E.164, or not possible in its country."""
    BAD_DATE = "bad_date"
    """Not ISO 8601, without an offset from UTC, or in UTC not in the years 1 to 9999."""
    NO_FILES = "no_files"
    """faxData is empty."""
    TOO_MANY_FILES = "too_many_files"
    """More than 20 files."""
    TOO_MANY_PAGES = "too_many_pages"
    """More than 200 pages."""
    TOO_LARGE = "too_large"
    """More than 20 MB as sent, or an entry of more than 32 MiB."""
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    """More than 15 numbers."""
    BAD_DOCUMENT = "bad_document"
    """A document is empty, encrypted, broken, or no base64."""
    DOCUMENT_MISSING = "document_missing"
    """The document was never stored, or its time to live is over."""
    DOCUMENT_ALTERED = "document_altered"
    """What was stored for a document is another one: its digest says so."""
    HOST_NOT_ALLOWED = "host_not_allowed"
    """A fileUrl names a host that is not among those that the daemon was told (FAXLINE_FILE_HOSTS)."""
    METADATA_TOO_LARGE = "metadata_too_large"
    """More than 4096 bytes as compact JSON."""
    BACKLOG_FULL = "backlog_full"
    """The account keeps as many jobs, or bytes, as its ceiling allows (FAXLINE_CEILINGS)."""
    DELIVERED_TOO_OFTEN = "delivered_too_often"
    """Whoever read the entry came to no end, several times: it was set aside unopened."""
    UNKNOWN_JOB = "unknown_job"
    """The job to resend does not exist, or has no jobId."""
    SEAL_BROKEN = "seal_broken"
    """What was sealed was changed, or was sealed for another account, kind, id or document."""


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


@dataclass(frozen=True, slots=True)
class RejectedFax:
    """One of many faxes that breaks a rule.

    Attributes:
        index: its place among those given, from 0.
        id: its id, given or made.
        error: the rule.
    """

    index: int
    id: str
    error: EntryRejected


class FaxesRejected(FaxlineError):  # noqa: N818 - as EntryRejected
    """Of many faxes some break a rule: `rejected`, in their order. Nothing was pushed."""

    def __init__(self, rejected: Sequence[RejectedFax], total: int) -> None:
        self.rejected = tuple(rejected)
        shown = "; ".join(f"fax {fax.index} ({fax.id}): {fax.error}" for fax in self.rejected[:_SHOWN])
        more = f"; and {len(self.rejected) - _SHOWN} more" if len(self.rejected) > _SHOWN else ""
        of = plural(total, "fax breaks", "faxes break")
        super().__init__(f"{len(self.rejected)} of {of} a rule, so none was pushed: {shown}{more}")


class JobNotFound(FaxlineError, LookupError):  # noqa: N818 - the name says what happened
    """There is no record of this job: it was never registered, was rejected, or its record has expired."""


class GroupNotFound(FaxlineError, LookupError):  # noqa: N818 - as above
    """There is no job of this group: none is registered yet, or all records have expired."""


class WaitTimeout(FaxlineError, TimeoutError):  # noqa: N818 - as above
    """The job did not end within the timeout, and goes on. The message says how far it is."""


class EventsMissed(FaxlineError):  # noqa: N818 - as above
    """The stream dropped events before they were read, for it is capped (FAXLINE_EVENTS_CAP).

    Raised while events are followed. Iterating again goes on with the first event that is kept.

    Attributes:
        since: the id of the event behind which some are missing.
        until: the id of the event before which they were.
    """

    def __init__(self, since: str, until: str) -> None:
        super().__init__(
            f"events from {since} to {until} were dropped before they were read: ask the records of the jobs "
            "that matter (job, group), then iterate again to go on"
        )
        self.since = since
        self.until = until


class NotShared(FaxlineError):  # noqa: N818 - as above
    """What belongs to one process or one event loop was used in another; the text says what to do instead."""


class OrderTimeout(FaxlineError, TimeoutError):  # noqa: N818 - as above
    """No dispatcher carried out an operator's order within the timeout. The order stays until one does."""


class NotInDoubt(FaxlineError):  # noqa: N818 - as above
    """There is no doubt to settle: the job's `state` is another. Nothing was changed."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class JobIdTaken(FaxlineError):  # noqa: N818 - as above
    """The jobId that was to settle a doubt belongs to another `job`. Nothing was changed."""

    def __init__(self, message: str, job: str) -> None:
        super().__init__(message)
        self.job = job


class EntryNotFound(FaxlineError, LookupError):  # noqa: N818 - as above
    """No such entry is set aside: it was put back already, or has expired."""


class NotForgotten(FaxlineError):  # noqa: N818 - as above
    """A job that has not come to its end cannot be forgotten: its `state` tells. Nothing was changed."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class ContentLost(FaxlineError):  # noqa: N818 - as above
    """Redis lost the content of a job that was sent, so it cannot be sent again. Nothing was changed."""


class StateRolledBack(FaxlineError):  # noqa: N818 - as above
    """Redis went back, and the account stays paused until what was lost is in order. Nothing was changed."""


class NotRolledBack(FaxlineError):  # noqa: N818 - as above
    """The account's state has not gone back, so there is nothing to put in order."""


class NoKeys(FaxlineError):  # noqa: N818 - as above
    """The dispatcher has no keys to seal with."""


class KeyMissing(FaxlineError):  # noqa: N818 - as above
    """A value is sealed by a key that is not on the keyring (FAXLINE_SEALING_KEYS): `key_id` is its id."""

    def __init__(self, key_id: str) -> None:
        shown = key_id if key_id.isascii() and len(key_id) <= _LONGEST_KEY_ID else "?"
        super().__init__(
            f"sealed by key {shown!r}, which is not among FAXLINE_SEALING_KEYS: add it, behind the first"
        )
        self.key_id = shown


class SealBroken(FaxlineError):  # noqa: N818 - as above
    """A sealed value does not open: it was changed, cut off, or sealed for another place."""

    def __init__(self) -> None:
        super().__init__("what was sealed does not open: it was changed, or belongs to another place")


class PdfReaderUnavailable(FaxlineError):  # noqa: N818 - as above
    """The process that opens PDFs could not be started; the text says why. It says nothing about the PDF."""


class QueueUnavailable(FaxlineError):  # noqa: N818 - as above
    """Redis did not answer, refused, or is full. To push again with the same id is safe."""


class NotReplicated(QueueUnavailable):
    """The primary has stored what was pushed, but too few replicas have it (FAXLINE_REDIS_REPLICAS).

    It is faxed unless a failover loses it. To push again with the same id is safe.
    """


class NotAllowed(QueueUnavailable):
    """This Redis user has no right to it (ops/redis/users.acl); the text says to what. Nothing was done."""


class PushInterrupted(QueueUnavailable):
    """Redis went away, or a file was changed, while many faxes were pushed: not all of them are.

    Attributes:
        pushed: how many were taken for certain, the first ones; a few more may have been.
        ids: the ids of all that were given, in their order: push all again with these, and none goes twice.
    """

    def __init__(self, message: str, pushed: int, ids: Sequence[str]) -> None:
        super().__init__(message)
        self.pushed = pushed
        self.ids = tuple(ids)
