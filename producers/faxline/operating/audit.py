"""The audit of an account: every call to iFax and every order of an operator, and how each ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from faxline.steps.commands import Command, Context, Steps

CALLS = ("fax-send", "fax-resend", "fax-cancel", "fax-status")
"""What entries about calls to iFax name as called. All other entries are about orders."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit. It holds no phone number, document or text of a fax.

    Example:
        >>> [(entry.at, entry.what, entry.outcome) for entry in line.audit(limit=10)]

    Attributes:
        id: its id in the stream; `FaxLine.audit(after=id)` goes on behind it.
        at: when it was written, by Redis' clock.
        who: the worker process (`host:pid`) that made the call, or the person who gave the order.
        what: the call (one of CALLS) or the order, such as `pause` or `cancel`.
        outcome: for a call accepted, rate_limited, refused, retryable or in_doubt; for an order done, idle
            (nothing to change), refused, gone (a recovery found nothing left of the fax), or asked
            (iFax was asked to cancel, or the console to push).
        job: the job's id.
        attempt: the attempt of a submission.
        job_id: iFax's jobId.
        status: the HTTP status.
        code, reason: as in the job's record.
        seconds: how long a call took.
        about: what else an order is about, such as an entry that was set aside, or the job
            resent; or why an order to settle a doubt was refused.
        user: the Redis user behind the order, as the sender states it: Redis does not record who added an
            entry.
    """

    id: str
    at: datetime
    who: str
    what: str
    outcome: str
    job: str | None = None
    attempt: int | None = None
    job_id: int | None = None
    status: int | None = None
    code: int | None = None
    reason: str | None = None
    seconds: float | None = None
    about: str | None = None
    user: str | None = None

    @property
    def is_call(self) -> bool:
        """Whether it is about a call to iFax, and not about an order."""
        return self.what in CALLS

    @classmethod
    def from_entry(cls, entry: bytes, fields: Mapping[bytes, bytes]) -> "AuditEntry":
        """Read what the daemon keeps."""
        values = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}

        def number(name: str) -> int | None:
            return int(values[name]) if values.get(name) else None

        took = number("ms")
        return cls(
            id=entry.decode(),
            at=datetime.fromtimestamp(int(values["at"]) / 1000, tz=UTC),
            who=values.get("who", ""),
            what=values.get("what", ""),
            outcome=values.get("outcome", ""),
            job=values.get("job"),
            attempt=number("attempt"),
            job_id=number("jobId"),
            status=number("status"),
            code=number("code"),
            reason=values.get("reason"),
            seconds=took / 1000 if took is not None else None,
            about=values.get("about"),
            user=values.get("user"),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline audit --json`, and the columns of `--csv`."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "who": self.who,
            "what": self.what,
            "outcome": self.outcome,
            "job": self.job,
            "attempt": self.attempt,
            "jobId": self.job_id,
            "status": self.status,
            "code": self.code,
            "reason": self.reason,
            "seconds": self.seconds,
            "about": self.about,
            "user": self.user,
        }


def read_audit(
    context: Context, after: str | datetime | None, before: datetime | None, limit: int
) -> Steps[list[AuditEntry]]:
    """Read the entries between two moments, the oldest first."""
    if limit < 1:
        raise ValueError("the limit is 1 or more")
    least = f"({after}" if isinstance(after, str) else _moment(after, "-")
    most = _moment(before, "+")
    page = partial(_page, key=context.keys.audit, least=least, most=most, count=limit)
    return [AuditEntry.from_entry(entry, fields) for entry, fields in (yield Command(page))]


def _moment(at: datetime | None, otherwise: str) -> str:
    return otherwise if at is None else str(round(at.timestamp() * 1000))


def _page(client: Any, *, key: str, least: str, most: str, count: int) -> Any:
    return client.xrange(key, least, most, count=count)
