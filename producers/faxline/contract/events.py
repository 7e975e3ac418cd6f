"""Events: each transition of a job adds one to the account's capped stream (docs/events.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from faxline.contract.errors import JobRejected, Rejection
from faxline.contract.states import FINAL_STATES


class EventName(StrEnum):
    """The names of all events."""

    QUEUED = "fax.queued"
    REJECTED = "fax.rejected"
    SUBMITTED = "fax.submitted"
    RETRYING = "fax.retrying"
    IN_DOUBT = "fax.in_doubt"
    DELIVERED = "fax.delivered"
    FAILED = "fax.failed"
    CANCELED = "fax.canceled"
    CANCEL_REFUSED = "fax.cancel_refused"
    UNCONFIRMED = "fax.unconfirmed"
    DUPLICATE = "fax.duplicate"
    RECEIVED = "fax.received"


FINAL_EVENTS = frozenset(EventName(f"fax.{state}") for state in FINAL_STATES)
"""The events that end a job."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Example:
        >>> for event in line.events(group="billing"):
        ...     print(event.name, event.job, event.data.get("reason"))

    Attributes:
        id: its id in the stream.
        name: such as `fax.delivered` (`EventName`).
        job: the id of the job; empty if a rejected entry had none.
        at: when it happened, in UTC.
        data: further members, by the names in docs/events.md.
    """

    id: str
    name: str
    job: str
    at: datetime
    data: Mapping[str, Any]

    @classmethod
    def from_entry(cls, entry: bytes, fields: Mapping[bytes, bytes]) -> "Event":
        """Read an entry of the events stream."""
        return cls(
            id=entry.decode(),
            name=fields[b"event"].decode(),
            job=fields[b"job"].decode(),
            at=datetime.fromtimestamp(int(fields[b"at"]) / 1000, tz=UTC),
            data=json.loads(fields[b"data"]),
        )

    def concerns(self, pushed: str | None) -> bool:
        """Whether a rejection is about the intake entry `pushed` (a stream id) or a later one; None: any.

        Example:
            >>> event.data["entry"], event.concerns("1730000000000-0")
            ('1730000000500-0', True)
        """
        entry = self.data.get("entry")
        return pushed is None or not entry or position(entry) >= position(pushed)

    def rejects(self, job: str, pushed: str | None) -> bool:
        """Whether it rejects this job's entry. Of an unopened entry only the stream id is known.

        Example:
            >>> event.name, event.job, event.rejects("invoice-77", None)
            ('fax.rejected', 'invoice-77', True)

        Args:
            job: the id of the job.
            pushed: the stream id of its entry, as XADD returned it; None if it is not known.
        """
        same = pushed is not None and self.data.get("entry") == pushed
        return self.name == EventName.REJECTED and (same or (self.job == job and self.concerns(pushed)))

    def rejection(self) -> JobRejected:
        """The error that describes a `fax.rejected`."""
        return rejection_of(self.data)


def rejection_of(data: Mapping[str, Any]) -> JobRejected:
    """Read a stored rejection. A newer daemon's reason becomes `bad_value` and goes into the message."""
    reason, message = str(data.get("reason")), str(data.get("message", ""))
    member = str(data.get("member") or "")
    if reason not in set(Rejection):
        return JobRejected(member, Rejection.BAD_VALUE, f"{reason}: {message}")
    return JobRejected(member, Rejection(reason), message)


def position(entry: str) -> tuple[int, int]:
    """A stream id as numbers that sort: milliseconds since 1970, and a sequence number."""
    at, _, number = entry.partition("-")
    return int(at), int(number or 0)
