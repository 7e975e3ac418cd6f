"""What an archive tells: the faxes that it found, and how many there were."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, tzinfo
from typing import Any, Protocol

from faxline.contract.states import JobState
from faxline.contract.texts import mask_number

STATES = (
    *(JobState.QUEUED, JobState.SUBMITTED, JobState.IN_DOUBT, JobState.DELIVERED, JobState.FAILED),
    *(JobState.CANCELED, JobState.UNCONFIRMED, "rejected"),
)
"""The states that a fax may have in an archive."""


@dataclass(frozen=True, slots=True, repr=False)
class Numbers:
    """Full numbers and names of a fax, for the report. They are not shown by `repr`."""

    to: str | None = None
    sender: str | None = None
    to_name: str | None = None
    from_name: str | None = None


@dataclass(frozen=True, slots=True)
class ArchivedFax:
    """A fax as the archive keeps it, for years.

    Example:
        >>> [(fax.id, str(fax.queued_at), fax.state) for fax in line.find(to="+12025550123")]

    Attributes:
        id, account: which fax.
        state: the state that its last event told.
        queued_at: when its entry was taken.
        submitted_at: when iFax took it, the last time.
        call_started_at, call_ended_at: iFax's call to the recipient, as the receipt says.
        ended_at: when it ended; None while it has not.
        send_at: the date of a scheduled fax.
        kind: send or resend. of: the job that a resend sends again.
        group, priority, metadata: as they were pushed.
        stage, reason, code, message: why it failed, or how it ended.
        attempt: the number of the last attempt.
        submissions: how often iFax took it. deliveries: how many deliveries failed.
        job_id: iFax's jobId.
        pages, transferred: pages in total, and those that the recipient's machine received.
        partial: whether not all pages were transferred. charged: whether iFax charges for the failure.
        documents: the SHA-256 of each document. receipt: the SHA-256 of the last receipt.
        to, sender: the last four digits of the recipient's and the sender's number. None if they are sealed
            and the key is not there, or if they were erased.
    """

    id: str
    account: str
    state: str
    queued_at: datetime
    submitted_at: datetime | None = None
    call_started_at: datetime | None = None
    call_ended_at: datetime | None = None
    ended_at: datetime | None = None
    send_at: datetime | None = None
    kind: str | None = None
    of: str | None = None
    group: str | None = None
    priority: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None
    reason: str | None = None
    code: int | None = None
    message: str | None = None
    attempt: int = 0
    submissions: int = 0
    deliveries: int = 0
    job_id: int | None = None
    pages: int | None = None
    transferred: int | None = None
    partial: bool | None = None
    charged: bool | None = None
    documents: tuple[str, ...] = ()
    receipt: str | None = None
    numbers: Numbers = field(default_factory=Numbers)

    @property
    def to(self) -> str | None:
        """The recipient's number, masked."""
        return mask_number(self.numbers.to) if self.numbers.to else None

    @property
    def sender(self) -> str | None:
        """The sender's number, masked."""
        return mask_number(self.numbers.sender) if self.numbers.sender else None

    def to_dict(self) -> dict[str, Any]:
        """The fax for JSON, without full numbers. Times are ISO 8601 in UTC."""
        shown = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "numbers"}
        told = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in shown.items()
        }
        return told | {
            "to": self.to,
            "from": self.sender,
            "metadata": dict(self.metadata),
            "documents": list(self.documents),
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """How many faxes there were of one account, day, month, or value of a metadata member.

    Attributes:
        key: the account, the day (`2026-10-31`), the month (`2026-10`), or the value; empty if there is none.
        faxes: those that were queued. delivered, failed: how many of them ended so.
        pages: the pages that were transferred.
    """

    key: str
    faxes: int
    delivered: int
    failed: int
    pages: int

    def to_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(slots=True)
class Verdict:
    """What a proof of a fax shows.

    Attributes:
        account, job: which fax; None if not even that is certain.
        state: the state that its last entry tells, such as `delivered`.
        reason, pages, transferred: of that entry, if known.
        began: the time of the first event; None if it is missing.
        ended: the time of the event that ended the fax; None while it has not ended.
        recipient: the number that was faxed, if the proof opens it.
        size, signed_at: how many entries the signed tree has, and when it was signed.
        recorded_by: the time of the oldest checkpoint in the proof that already had all entries.
        holds: what holds, one sentence each.
        fails: what does not hold, one sentence each. Empty if the proof is good.
        incomplete: what the archive lacks of the fax, one sentence each. A proof that holds may have some.
    """

    account: str | None = None
    job: str | None = None
    state: str | None = None
    reason: str | None = None
    pages: int | None = None
    transferred: int | None = None
    began: datetime | None = None
    ended: datetime | None = None
    recipient: str | None = None
    size: int | None = None
    signed_at: datetime | None = None
    recorded_by: datetime | None = None
    holds: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything holds."""
        return not self.fails

    def to_dict(self) -> dict[str, Any]:
        """The verdict for JSON, with the number masked. Times are ISO 8601 in UTC."""
        told = {item.name: getattr(self, item.name) for item in fields(self)}
        told = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()
        }
        return told | {
            "recipient": mask_number(self.recipient) if self.recipient else None,
            "good": self.good,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find. All that is given must hold.

    Attributes:
        to, sender: a number in E.164.
        since, until: the times between which it was queued; `until` itself is not included.
        state, reason, group: as in `ArchivedFax`.
        metadata: members and their values.
    """

    to: str | None = None
    sender: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: str | None = None
    reason: str | None = None
    group: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class ArchiveReader(Protocol):
    """What the package `faxline_archive` offers to the library, by the entry point `faxline.archive`."""

    def find(self, account: str, wanted: Wanted, *, page: int = 100) -> Iterator[ArchivedFax]:
        """Find faxes, the last one queued first."""

    def report(self, account: str, job: str, *, zone: tzinfo, paper: str) -> bytes:
        """The transmission report of a fax: a PDF."""

    def proof(self, account: str, job: str, *, zone: tzinfo) -> bytes:
        """The proof of a fax: a zip."""

    def usage(self, by: str, wanted: Wanted, *, account: str | None, zone: tzinfo) -> list[Usage]:
        """How many faxes there were."""

    def close(self) -> None:
        """Let go of the database."""
