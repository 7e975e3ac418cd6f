"""What the scripts answer: one dataclass or enum a reply."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Mark(StrEnum):
    """What became of a mark."""

    MARKED = "marked"
    LOST = "lost"


class Registration(StrEnum):
    """What became of an intake entry."""

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
    priority: str
    waited: float | None
    """Seconds from registration to this, its first, admission; None for a later attempt."""
    control_call: str | None = None
    """Set if the call is no submission but a control call about the job."""
    due: bool = False
    """Of a scheduled fax: its date has come, so it goes at once."""
    born: int = 0
    """When the job was registered, milliseconds since 1970."""
    quality: str | None = None
    """Of a fax that the far end could not receive as it was sent: the lower quality of this call."""
    sealed: str = ""
    """The request as the record keeps it, where it is sealed; `request` is empty then."""
    trace: str | None = None
    """The producer's traceparent, where traces are on and the metadata has one."""


@dataclass(frozen=True, slots=True)
class Held:
    """Jobs are ready, and a limit holds them: concurrency, window, burst, rate_limit_cooldown or paused.

    Or layout: a newer one is stored than this process knows.
    """

    limit: str


@dataclass(frozen=True, slots=True)
class Idle:
    """No job is ready."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call's answer did: result is settled, repeated, stale, resolved or duplicate."""

    result: str
    state: str | None
    wakes: tuple[str, ...]
    receipt: dict[str, Any] | None
    """The receipt that had come before the answer and was applied with it."""
    submitted_at: int | None
    next: Admitted | None = None
    """What the caller goes on with, if it wanted to."""
    apart: bool = False
    """Whether iFax accepts other processes' calls, so this one is at fault."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the answer to a control call did.

    It is applied, resolved_doubt, submitted, held, later, unconfirmed, canceled, refused, again, checked or
    repeated (lua/report.lua).
    """

    result: str
    job: str
    submitted_at: int | None = None
    retried: bool = False
    """The delivery failed and is tried again."""
    apart: bool = False
    """As in `Settlement`."""
    early: dict[str, Any] | None = None
    """Of a doubt that is settled: the receipt that had come before and was applied."""


@dataclass(frozen=True, slots=True)
class Receipted:
    """What a receipt did.

    It is applied, repeated, resolved_doubt, unmatched, held, received, gone or raised (it is there yet).
    """

    result: str
    job: str | None = None
    attempt: int | None = None
    submitted_at: int | None = None
    retried: bool = False
    """The delivery failed and is tried again."""
    error: str | None = None
    """Of one that raised."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A receipt whose jobId nobody knew met a doubt.

    It is resolved_doubt, held, or duplicate: the job went again.
    """

    result: str
    job: str
    attempt: int
    receipt: dict[str, Any]


class ReconcileLock(StrEnum):
    """What `try_lock_reconcile` answers."""

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
    """What the timers moved, when (seconds) to look again, and whether to plan: a job or permit came back."""

    next: float
    ready: bool
    match: bool
    """Receipts are due to meet the doubts."""
    changes: tuple[Change, ...] = ()
    newer: bool = False
    """A newer layout is stored than this process knows; nothing was touched."""
    failures: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Jobs whose failure was held and is the last, with the receipt."""
    poll: bool = False
    """Whether there may be jobs that iFax is to be asked about."""


@dataclass(frozen=True, slots=True)
class Polled:
    """How many jobs iFax is asked about now. When to look again (s); None: nothing is to be asked about."""

    asked: int
    next: float | None = None


@dataclass(frozen=True, slots=True)
class WakePlan:
    """The wake-ups to send: a token and in how many seconds. When to plan again (s); None: when asked."""

    wakes: tuple[tuple[str, float], ...] = ()
    next: float | None = None


@dataclass(frozen=True, slots=True)
class StreamCheck:
    """The streams to which others add, at one moment."""

    now: int
    """Redis' clock, ms."""
    entries: int
    """How many wait in intake."""
    oldest: int | None = None
    """When the oldest of them came, ms."""
    replace: tuple[str, ...] = ()
    """Which streams are out of ids, or were put aside and are not emptied yet: intake, status, orders."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was done to a stream that is out of ids."""

    replaced: str | None
    """The id of the far future, where the stream was put aside just now."""
    moved: int
    """Entries that were moved into the new one."""
    left: bool
    """Whether more are to be moved."""
