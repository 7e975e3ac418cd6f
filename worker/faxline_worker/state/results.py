"""The replies of the scripts: one dataclass or enum for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Self

from faxline_worker.observability.metrics.labels import DeferralLimit, PriorityName

Holds = DeferralLimit | Literal["rate_limit_cooldown", "layout"]
"""What holds the ready jobs of an account."""


class Mark(StrEnum):
    """The result of writing a mark."""

    MARKED = "marked"
    LOST = "lost"


class Registration(StrEnum):
    """The result of registering an intake entry."""

    REGISTERED = "registered"
    REPEATED = "repeated"
    REJECTED = "rejected"
    GONE = "gone"
    CANCELED = "canceled"
    REFUSED = "refused"
    ASKED = "asked"
    EARLY = "early"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A job and a permit, for one call."""

    permit: str
    job: str
    attempt: int
    kind: str
    request: dict[str, Any]
    number: str
    priority: PriorityName | None
    """None for the check of a key, which is about no job."""
    waited: float | None
    """Seconds from registration to the first admission; None for a later attempt."""
    control_call: str | None = None
    """The kind of a control call about the job; None for a submission."""
    due: bool = False
    """Whether this is a scheduled fax whose date has come, so it is sent without `send_at`."""
    born: int = 0
    """When the job was registered, milliseconds since 1970."""
    quality: str | None = None
    """The lower quality of this call, if the far end could not receive the fax as it was sent before."""
    sealed: str = ""
    """The sealed request, as it is stored; `request` is empty then."""
    trace: str | None = None
    """The producer's traceparent, if traces are on and the metadata has one."""
    linger: int = 0
    """The longest time (ms) for which any process believes that the last bytes of a call are on their way."""


@dataclass(frozen=True, slots=True)
class Held:
    """Jobs are ready, but a limit holds them: concurrency, window, burst, rate_limit_cooldown or paused.

    The limit is `layout` if the stored layout is newer than this process knows.
    """

    limit: Holds


@dataclass(frozen=True, slots=True)
class Idle:
    """No job is ready."""


class SettleResult(StrEnum):
    """The result of `settle`."""

    SETTLED = "settled"
    REPEATED = "repeated"
    """The answer was settled before, or a receipt or an operator told the same."""
    STALE = "stale"
    """The job is no longer the caller's, and the answer changed nothing."""
    RESOLVED = "resolved"
    """The answer came after its lease had run out, and settled the doubt."""
    FORGOTTEN = "forgotten"
    """An operator had the fax erased after it had ended. A job with its id is another fax."""
    DUPLICATE = "duplicate"
    """iFax accepted an older attempt as well."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The effect of a call's answer."""

    result: SettleResult
    state: str | None
    wakes: tuple[str, ...]
    receipt: dict[str, Any] | None
    """A receipt that came before the answer and was applied with it."""
    submitted_at: int | None
    next: Admitted | None = None
    """The next job, if the caller asked for one."""
    apart: bool = False
    """Whether iFax accepts the calls of other processes, so that this process is the cause."""
    after: str | None = None
    """How the job had ended, if the attempt turns out to be delivered."""


class ReportResult(StrEnum):
    """The result of `report` (lua/report.lua)."""

    APPLIED = "applied"
    """The answer says how the fax ended."""
    RESOLVED_DOUBT = "resolved_doubt"
    """The same, about a job in doubt."""
    SUBMITTED = "submitted"
    """iFax has the fax of a job in doubt, and has not finished it."""
    HELD = "held"
    """A failure that may not be the last."""
    LATER = "later"
    """The fax has not ended."""
    UNCONFIRMED = "unconfirmed"
    CANCELED = "canceled"
    REFUSED = "refused"
    """iFax does not cancel the fax."""
    AGAIN = "again"
    """iFax takes no control calls now; the call is made again."""
    CHECKED = "checked"
    """The call was about the key, not about a job."""
    REPEATED = "repeated"
    TOLD = "told"


@dataclass(frozen=True, slots=True)
class Reported:
    """The effect of the answer to a control call."""

    result: ReportResult
    job: str
    submitted_at: int | None = None
    retried: bool = False
    """The delivery failed and is tried again."""
    apart: bool = False
    """As in `Settlement`."""
    early: dict[str, Any] | None = None
    """The receipt that came before and was applied, if the answer settled a doubt."""
    after: str | None = None
    """How the job had ended, if the result is told."""

    @classmethod
    def read(cls, reply: Mapping[str, Any]) -> Self:
        """Read the reply of `report`."""
        return cls(**{**reply, "result": ReportResult(reply["result"])})


class ReceiptResult(StrEnum):
    """The result of a receipt."""

    APPLIED = "applied"
    REPEATED = "repeated"
    RESOLVED_DOUBT = "resolved_doubt"
    UNMATCHED = "unmatched"
    """No job has its jobId, so it waits to be matched."""
    HELD = "held"
    """A failure that may not be the last, or about an older request of a job whose next one is under way."""
    TOLD = "told"
    """The job had ended otherwise: `fax.duplicate` tells that iFax delivered the fax."""
    RECEIVED = "received"
    """A fax that came in."""
    GONE = "gone"
    """Its entry is no longer on the stream."""
    RAISED = "raised"
    """The script raised an error. The entry is still on the stream."""


@dataclass(frozen=True, slots=True)
class Receipted:
    """The effect of a receipt."""

    result: ReceiptResult
    job: str | None = None
    attempt: int | None = None
    submitted_at: int | None = None
    retried: bool = False
    """The delivery failed and is tried again."""
    after: str | None = None
    """How the job had ended, if the result is told and it was not known to be accepted."""
    error: str | None = None
    """The error, if the script raised one."""

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the reply of `receipt`."""
        return cls(**{**row, "result": ReceiptResult(row["result"])})


class MatchResult(StrEnum):
    """The result of a receipt that was matched with a doubt."""

    RESOLVED_DOUBT = "resolved_doubt"
    HELD = "held"
    DUPLICATE = "duplicate"
    """The job was sent again meanwhile."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A receipt with an unknown jobId that was matched with a doubt."""

    result: MatchResult
    job: str
    attempt: int
    receipt: dict[str, Any]

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the reply of `match`."""
        return cls(**{**row, "result": MatchResult(row["result"])})


class ReconcileLock(StrEnum):
    """The reply of `try_lock_reconcile`."""

    NONE = "none"
    LOCKED = "locked"
    BUSY = "busy"
    MATCH = "match"


@dataclass(frozen=True, slots=True)
class Change:
    """A transition that a timer made."""

    job: str
    event: str
    reason: str


@dataclass(frozen=True, slots=True)
class TimerRun:
    """The effect of a run of the timers.

    `next` is when to run again (s). `ready` is whether to plan wake-ups, because a job or permit came back.
    """

    next: float
    ready: bool
    match: bool
    """Whether receipts are due to be matched with doubts."""
    changes: tuple[Change, ...] = ()
    newer: bool = False
    """Whether the stored layout is newer than this process knows. Nothing was changed then."""
    failures: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Jobs whose held failure has become final, with the receipt."""
    poll: bool = False
    """Whether jobs may be due for a status poll."""


@dataclass(frozen=True, slots=True)
class Polled:
    """How many status polls became due, and when (s) to look again; None if none is scheduled."""

    asked: int
    next: float | None = None


@dataclass(frozen=True, slots=True)
class WakePlan:
    """The wake-ups to send, each as a token and a delay (s), and when (s) to plan again; None: when asked."""

    wakes: tuple[tuple[str, float], ...] = ()
    next: float | None = None
