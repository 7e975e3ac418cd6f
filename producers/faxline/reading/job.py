"""A job: the durable record of one fax."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from faxline.contract.states import JobState
from faxline.contract.texts import mask_number
from faxline.reading.forecast import Forecast
from faxline.reading.job_parts import (
    HeldFailure,
    OtherFax,
    Transition,
    read_held_failure,
    read_history,
    read_other_faxes,
)

WAITING = ("then", "skew")
"""The fields of the account's hash that `Job.waiting` needs."""
_STATES = {str(state): state for state in JobState}


@dataclass(frozen=True, slots=True)
class Job:
    """One fax. All times are in UTC, with a time zone.

    Example:
        >>> line.job("invoice-77").pages

    Attributes:
        id: the id that the producer chose.
        account: the name of the account.
        state: where it is on its way.
        priority: urgent, normal or bulk.
        attempt: the number of the last submission, from 1; 0 before the first.
        job_id: iFax's jobId, once iFax took the fax.
        code: iFax's number for the last failure.
        reason: the name of the last failure (docs/causes.md).
        message: iFax's text about the last failure.
        pages: how many pages the fax has, by its receipt.
        transferred: how many pages arrived, by its receipt.
        created_at: when intake registered it.
        updated_at: when it last changed.
        kind: send or resend; `group` for a Group.
        of: for a resend, the id of the job that it repeats.
        group: the name of its group.
        to: the last four digits of the number, such as `…8901`.
        entry: the id of the intake entry, only on a Job that a push returned. `wait` uses it.
        metadata: the producer's own data.
        history: its transitions, oldest first.
        forecast: what holds a queued job, and when it is expected to start.
        waits_until: the deadline of the receipt, or the end of a doubt's wait; None if an operator decides.
        asked_at: when iFax is next asked for the state of the fax, if it is.
        policy: what happens to a job in doubt at the end of the wait: hold, resend or fail.
        deliveries: how many deliveries failed.
        send_at: the date of a scheduled fax.
        sent_at: when the last attempt began.
        known_pages: how many pages the documents have, such as 3 or 1-3.
        size: how many jobs a list of numbers made: the Job stands for ID.1 to ID.size; its id is their group.
        held: a failure that is not final yet.
        others: what iFax has, or may have, of the job besides the fax that counts.
    """

    id: str
    account: str
    state: JobState
    priority: str = "normal"
    attempt: int = 0
    job_id: int | None = None
    code: int | None = None
    reason: str | None = None
    message: str | None = None
    pages: int | None = None
    transferred: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    kind: str = "send"
    of: str | None = None
    group: str | None = None
    to: str | None = None
    entry: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Transition, ...] = ()
    forecast: Forecast | None = None
    waits_until: datetime | None = None
    asked_at: datetime | None = None
    policy: str | None = None
    deliveries: int = 0
    send_at: datetime | None = None
    sent_at: datetime | None = None
    known_pages: str | None = None
    size: int | None = None
    held: HeldFailure | None = None
    others: tuple[OtherFax, ...] = ()

    @property
    def delivered_after_end(self) -> bool:
        """Whether iFax reported a delivery after it had ended as failed or canceled. The state stays."""
        ended = self.state in {JobState.FAILED, JobState.CANCELED}
        return ended and any(other.outcome == JobState.DELIVERED for other in self.others)

    @property
    def partial(self) -> bool:
        """Whether it was delivered, but not all of its pages."""
        known = self.transferred is not None and self.pages is not None
        return self.state is JobState.DELIVERED and known and (self.transferred or 0) < (self.pages or 0)

    @property
    def succeeded(self) -> bool:
        """Whether it was delivered with all of its pages, as far as is known."""
        return self.state is JobState.DELIVERED and not self.partial

    @property
    def state_text(self) -> str:
        """The state for people: `partly delivered` if not all pages arrived, `failed, but delivered`."""
        if self.delivered_after_end:
            return f"{self.state}, but delivered"
        return "partly delivered" if self.partial else str(self.state)

    @property
    def last_try(self) -> Mapping[str, Any]:
        """For a job whose delivery just failed: which one of how many, the wait, and what stopped it."""
        last = self.history[-1].data if self.history else {}
        return last if "delivery" in last else {}

    def waiting(
        self,
        until: float | None,
        account: Sequence[bytes | None],
        held_until: float | None = None,
        asked: float | None = None,
    ) -> "Job":
        """Return this job with what it waits for, if it is submitted or in doubt.

        Example:
            >>> job.waiting(1_730_000_000_000.0, (b"hold", b"0")).waits_until  # 2024-10-27 03:33:20 UTC

        Args:
            until: the deadline, in milliseconds of the account's steady clock; infinite or None if unknown.
            account: the fields `WAITING` of the account's hash: the policy for doubts of jobs without their
                own, and how many microseconds the steady clock is ahead of Redis' clock.
            held_until: when a held failure becomes final, by the same clock.
            asked: when iFax is next asked, by the same clock; None if it is not.
        """
        ahead = float(account[1] or 0) / 1000
        policy = self.policy or (account[0].decode() if account[0] else None)
        held = self.held
        if held is not None and held_until is not None:
            held = replace(held, until=_moment(held_until - ahead))
        open_still = self.state in {JobState.SUBMITTED, JobState.IN_DOUBT}
        return replace(
            self,
            waits_until=_moment(until - ahead) if until is not None and until < math.inf else None,
            asked_at=_moment(max(asked - ahead, 0.0)) if asked is not None and open_still else None,
            policy=policy if self.state is JobState.IN_DOUBT else None,
            held=held,
        )

    def is_older(self, entry: str) -> bool:
        """Whether it was registered before the intake entry with this stream id was pushed."""
        pushed = int(entry.partition("-")[0])
        return self.created_at is not None and round(self.created_at.timestamp() * 1000) < pushed

    @property
    def expected_start(self) -> datetime | None:
        """When a queued job is expected to start; None if unknown, and in any other state."""
        return self.forecast.expected_start if self.forecast else None

    @classmethod
    def from_record(cls, account: str, job: str, record: Mapping[str, str]) -> "Job":
        """Read the record that the daemon keeps. Unknown fields of a newer daemon are ignored."""

        def text(name: str) -> str | None:
            return record.get(name) or None

        def number(name: str) -> int | None:
            value = text(name)
            return int(value) if value is not None else None

        def moment(name: str) -> datetime | None:
            value = text(name)
            return _moment(float(value)) if value is not None else None

        return cls(
            id=job,
            account=account,
            state=_STATES.get(record.get("state", ""), JobState.UNKNOWN),
            priority=record.get("priority", "normal"),
            attempt=number("attempt") or 0,
            job_id=number("job_id"),
            code=number("code"),
            reason=text("reason"),
            message=text("message"),
            pages=number("pages"),
            transferred=number("transferred"),
            created_at=moment("created_at"),
            updated_at=moment("updated_at"),
            kind=record.get("kind", "send"),
            of=text("of"),
            group=text("group"),
            to=mask_number(record["number"]) if record.get("number") else None,
            policy=text("in_doubt"),
            deliveries=number("deliveries") or 0,
            send_at=moment("send_at"),
            sent_at=moment("admitted_at"),
            known_pages=text("known_pages"),
            held=read_held_failure(record),
            others=read_other_faxes(record),
            metadata=json.loads(text("metadata") or "{}"),
            history=read_history(record),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `show --json` (docs/cli.md)."""
        return _to_dict(self)


def _to_dict(job: Job) -> dict[str, Any]:
    forecast = job.forecast
    return {
        "id": job.id,
        "account": job.account,
        "state": str(job.state),
        "priority": job.priority,
        "attempt": job.attempt,
        "jobId": job.job_id,
        "code": job.code,
        "reason": job.reason,
        "message": job.message,
        "pages": job.pages,
        "transferred": job.transferred,
        "partial": job.partial,
        "deliveries": job.deliveries,
        "send_at": job.send_at.isoformat() if job.send_at else None,
        "sent_at": job.sent_at.isoformat() if job.sent_at else None,
        "known_pages": job.known_pages,
        "created_at": job.created_at.isoformat() if job.created_at else None,
        "updated_at": job.updated_at.isoformat() if job.updated_at else None,
        "kind": job.kind,
        "of": job.of,
        "group": job.group,
        "to": job.to,
        "hold": str(forecast.hold) if forecast else None,
        "place": forecast.place if forecast else None,
        "expected_start": job.expected_start.isoformat() if job.expected_start else None,
        "waits_until": job.waits_until.isoformat() if job.waits_until else None,
        "policy": job.policy if job.state is JobState.IN_DOUBT else None,
        "held": job.held.reason if job.held else None,
        "held_until": job.held.until.isoformat() if job.held and job.held.until else None,
        "others": [other.to_dict() for other in job.others],
        "delivered_after_end": job.delivered_after_end,
        "metadata": dict(job.metadata),
        "history": [
            {"event": s.event, "at": s.at.isoformat(), "state": s.state, "attempt": s.attempt, **s.data}
            for s in job.history
        ],
    }


def _moment(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
