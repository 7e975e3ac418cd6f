"""Events: one a transition, on the account's capped stream (DESIGN section 3, Events)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from faxline.contract.errors import JobRejected, Rejection


class EventName(StrEnum):
    """Every event there is."""

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


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its id in the stream, its name, the job (empty if the entry had no id), when, and what."""

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
        """Whether a rejection is of the intake entry with this stream id or a later one (None: of any)."""
        entry = self.data.get("entry")
        return pushed is None or not entry or position(entry) >= position(pushed)

    def rejects(self, job: str, pushed: str | None) -> bool:
        """Whether it rejects this job's entry; one that was not opened is known by its stream id only."""
        same = pushed is not None and self.data.get("entry") == pushed
        return self.name == EventName.REJECTED and (same or (self.job == job and self.concerns(pushed)))

    def rejection(self) -> JobRejected:
        """What a `fax.rejected` says."""
        return rejection_of(self.data)


def rejection_of(told: Mapping[str, Any]) -> JobRejected:
    """A rejection as it is stored; a newer daemon's reason becomes `bad_value`, told in the message."""
    reason, message = str(told.get("reason")), str(told.get("message", ""))
    member = str(told.get("member") or "")
    if reason not in set(Rejection):
        return JobRejected(member, Rejection.BAD_VALUE, f"{reason}: {message}")
    return JobRejected(member, Rejection(reason), message)


def position(entry: str) -> tuple[int, int]:
    """The place of a stream id in its stream: milliseconds since 1970, and a number."""
    at, _, number = entry.partition("-")
    return int(at), int(number or 0)
