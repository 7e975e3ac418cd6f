"""Events: one a transition, on the account's capped stream (DESIGN section 3, Events)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


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
