"""The errors of the library: one tree under `FaxlineError`.

No message holds a full phone number, a document or a cover text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from faxline.contract.rejections import Rejection as Rejection  # noqa: PLC0414 - others find it here
from faxline.contract.wording import plural

_SHOWN = 5
"""How many of many errors a message shows."""
_LONGEST_KEY_ID = 32


class FaxlineError(Exception):
    """The base class of all errors of the library."""


class EntryRejected(FaxlineError):
    """An entry breaks a rule.

    Example:
        >>> try:
        ...     line.send(to="123", files=["letter.pdf"])
        ... except EntryRejected as error:
        ...     print(error.member, error.reason)
        fax.faxNumber bad_number

    Attributes:
        member: the dotted path of the member, such as `fax.faxNumber`.
        reason: the `Rejection`.
        message: what is wrong, and how to fix it.
    """

    def __init__(self, member: str, reason: Rejection, message: str) -> None:
        super().__init__(f"{member}: {message}" if member else message)
        self.member = member
        self.reason = reason
        self.message = message


class JobRejected(EntryRejected):
    """Intake rejected the entry of the job that you wait for."""


@dataclass(frozen=True, slots=True)
class RejectedFax:
    """A fax of `send_many` that breaks a rule.

    Attributes:
        index: its place among the faxes, from 0.
        id: its id.
        error: the rule that it breaks.
    """

    index: int
    id: str
    error: EntryRejected


class FaxesRejected(FaxlineError):
    """Some faxes of `send_many` are invalid. Nothing was pushed.

    Example:
        >>> try:
        ...     line.send_many(faxes)
        ... except FaxesRejected as error:
        ...     print([(fax.index, str(fax.error)) for fax in error.rejected])

    Attributes:
        rejected: the invalid faxes, in their order.
    """

    def __init__(self, rejected: Sequence[RejectedFax], total: int) -> None:
        self.rejected = tuple(rejected)
        shown = "; ".join(f"fax {fax.index} ({fax.id}): {fax.error}" for fax in self.rejected[:_SHOWN])
        more = f"; and {len(self.rejected) - _SHOWN} more" if len(self.rejected) > _SHOWN else ""
        of = plural(total, "fax breaks", "faxes break")
        super().__init__(f"{len(self.rejected)} of {of} a rule, so none was pushed: {shown}{more}")


class JobNotFound(FaxlineError, LookupError):
    """There is no record of this job: it was never registered, rejected or forgotten, or has expired."""


class GroupNotFound(FaxlineError, LookupError):
    """There is no job of this group: none is registered yet, or all records have expired."""


class WaitTimeout(FaxlineError, TimeoutError):
    """The job did not end within the timeout, and goes on. The message says how far it is."""


class EventsMissed(FaxlineError):
    """The stream dropped events before they were read, because it is capped (FAXLINE_EVENTS_CAP).

    Raised while iterating over events. Iterating again continues with the first event that is kept.

    Attributes:
        since: the id of the last event before the gap.
        until: the id of the first event after the gap.
    """

    def __init__(self, since: str, until: str) -> None:
        super().__init__(
            f"events from {since} to {until} were dropped before they were read: look up the jobs that "
            "matter (job, group), then iterate again"
        )
        self.since = since
        self.until = until


class NotShared(FaxlineError):
    """A line was used in another process or event loop. The message says what to do instead."""


class OrderTimeout(FaxlineError, TimeoutError):
    """No dispatcher carried out an operator's order within the timeout. The order stays until one does."""


class OrderUnknown(FaxlineError):
    """The dispatcher does not know this order, because its version is older. Nothing was done."""


class NotInDoubt(FaxlineError):
    """The job is not in doubt, so there is nothing to settle. Nothing was changed.

    Attributes:
        state: the state of the job.
    """

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class NotAsked(FaxlineError):
    """iFax cannot be asked how the job stands: no fax of it is known there, or its end is. Nothing was done.

    Attributes:
        state: the state of the job.
    """

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class NotSettled(FaxlineError):
    """The order does not fit what Faxline knows of the doubt: the message says what. Nothing was changed.

    Attributes:
        why: `sent_again` (another attempt is in doubt by now), `pushed_again` (the id is another fax's by
            now), `word_waits` (a receipt that may settle the doubt is being matched: try again in a minute),
            `other_number` (the receipt of this jobId is about a fax to another number), or `told_failed`
            (this jobId is of an older call, whose delivery failed).
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class JobIdTaken(FaxlineError):
    """The jobId given to settle a doubt belongs to another job. Nothing was changed.

    Attributes:
        job: the id of that job.
    """

    def __init__(self, message: str, job: str) -> None:
        super().__init__(message)
        self.job = job


class EntryNotFound(FaxlineError, LookupError):
    """No such entry is set aside: it was put back already, or has expired."""


class NotForgotten(FaxlineError):
    """The job has not ended, so it cannot be forgotten. Nothing was changed.

    Attributes:
        state: the state of the job.
    """

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class ContentLost(FaxlineError):
    """Redis lost the content of the job, so it cannot be sent again. Nothing was changed."""


class StateRolledBack(FaxlineError):
    """Redis went back to an older state: the account is paused until `recover`. Nothing was changed."""


class PauseChanged(FaxlineError):
    """The account is paused otherwise than was seen. Nothing was changed."""


class NotRolledBack(FaxlineError):
    """The account was not rolled back, so there is nothing to recover."""


class NoKeys(FaxlineError):
    """The dispatcher has no sealing keys."""


class KeyMissing(FaxlineError):
    """A value is sealed with a key that is not among FAXLINE_SEALING_KEYS.

    Attributes:
        key_id: the id of the key.
    """

    def __init__(self, key_id: str) -> None:
        shown = key_id if key_id.isascii() and len(key_id) <= _LONGEST_KEY_ID else "?"
        super().__init__(
            f"sealed by key {shown!r}, which is not among FAXLINE_SEALING_KEYS: add it after the first"
        )
        self.key_id = shown


class SealBroken(FaxlineError):
    """A sealed value cannot be opened: it was changed, cut off, or sealed for another place."""

    def __init__(self) -> None:
        super().__init__("a sealed value cannot be opened: it was changed, or belongs to another place")


class PdfReaderUnavailable(FaxlineError):
    """The process that opens PDFs could not be started. This says nothing about the PDF."""


class ArchiveUnavailable(FaxlineError):
    """There is no archive: it is not installed, or its database is away. The message says which."""


class ProofRefused(FaxlineError):
    """The archive gives no report or proof: it was changed, or the key or the size forbids it.

    The message says which.
    """


class QueueUnavailable(FaxlineError):
    """Redis did not answer, refused, or is full. Pushing again with the same id is safe.

    Attributes:
        id: the id of the fax or entry to push again with (`line.send(…, id=error.id)`), also if it was made
            for you; None of `send_many`, and where nothing was pushed.
    """

    def __init__(self, message: str, id: str | None = None) -> None:  # noqa: A002 - the contract's name
        super().__init__(message)
        self.id = id


class NotReplicated(QueueUnavailable):
    """The primary stored a push, but too few replicas confirmed it (FAXLINE_REDIS_REPLICAS).

    It is faxed unless a failover loses it. Pushing again with the same id is safe.
    """


class NotAllowed(QueueUnavailable):
    """This Redis user lacks the right (ops/redis/users.acl). The message says which. Nothing was done."""


class PushInterrupted(QueueUnavailable):
    """Redis went away, a file changed, or the faxes or `progress` raised, while `send_many` pushed.

    Not all faxes are known to be pushed. What was raised is the cause of this error (`__cause__`).

    Attributes:
        pushed: how many were certainly pushed, from the first on. A few more may have been.
        ids: the ids of all faxes, in their order. Pushing all again with these ids is safe.
    """

    def __init__(self, message: str, pushed: int, ids: Sequence[str]) -> None:
        super().__init__(message)
        self.pushed = pushed
        self.ids = tuple(ids)
