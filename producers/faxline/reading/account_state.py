"""The state of an account: its limits and their use, its backlog, and what holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from faxline.reading.shared_settings import SharedSettings, find_differences

STRIDE = 2_000_000_000_000_000
EPOCH_US = 1_577_836_800_000_000
"""A place in the ready set is the rank of the priority times STRIDE, plus the microseconds from EPOCH_US to
the registration."""
POLL_PLACE = 4 * STRIDE
"""The place of status calls: after all jobs that are due."""
RANKS: Mapping[str, int] = {"urgent": 1, "normal": 2, "bulk": 3}
OPERATOR = "operator"
"""The reason of a pause ordered by an operator."""
ROLLED_BACK = "state_rolled_back"
"""The reason of a pause after Redis went back to an older state and may not know what was sent."""
KEY_MISSING = "key_missing"
"""The reason of a pause because a worker lacks a sealing key."""
HELD = (OPERATOR, ROLLED_BACK)
"""The reasons of pauses that only an operator ends: nothing is probed."""
UNREACHABLE = "unreachable"
"""The reason of a pause while iFax does not answer, or something else does."""
BREAKER = "breaker"
"""The reason of a pause after several answers of the same unknown meaning."""


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limit: how much of it is used, its value now, and its value in the settings. 0 turns it off."""

    used: float
    effective: int
    configured: int


@dataclass(frozen=True, slots=True)
class BacklogState:
    """How much the open jobs hold, and the ceiling above which entries are rejected; 0 means no ceiling."""

    used: int
    configured: int


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account at one moment.

    Example:
        >>> state = line.account_state()
        >>> f"{state.window.used} of {state.window.effective}"
        '412 of 1000'

    Attributes:
        name: the name of the account.
        now: Redis' clock, in microseconds since 1970, as all times here for which no other unit is given.
        jobs: how many jobs are in each state.
        oldest: how many seconds the oldest ready job of each priority has waited.
        concurrency: the limit of calls at once.
        window: the limit of calls in the window.
        burst: the limit of calls in a burst.
        window_us: the length of the window, in microseconds.
        limit_factor: the part of the limits that is used; below 1 after a 429 that our own traffic did not
            cause.
        concurrency_backoff: the reduced number of calls at once while calls hang; 0 otherwise.
        cooldown_until: until when the account makes no calls after a 429.
        verified_at: until when it waits after a change of the Redis server, while every process checks
            whether the state went back.
        paused: the reason of the pause; empty if it is not paused.
        paused_since: since when; 0 if it is not paused.
        paused_by: the process (host:pid) or the operator that caused the pause; empty if unknown.
        paused_why: more about the reason, such as `connection refused`, or iFax's own words.
        probe_at: when a paused account is next probed.
        probed: how many probes have gone since the pause began.
        seconds: how long a call takes on average; None before the first.
        dead: how many entries are set aside.
        waiting: how many queued jobs wait for their turn, for a time, and for their number.
        held_doubts: how many jobs in doubt wait for an operator.
        receipt_wait: seconds since the submission of the job that waits longest for its receipt.
        overdue: how many receipts are later than usual.
        backlog: what the open jobs hold, as `jobs` and as `bytes` (0 if bytes have no ceiling).
        polls: the status polls, and the share of the window's requests that they may use; 0 if none is
            scheduled.
        known: whether a dispatcher ever served it.
        layout: the version of what is stored, MAJOR.MINOR; empty before 1.1.
        replaced: when each stream last ran out of ids and was replaced, in milliseconds.
        keys: the ids of the sealing keys of the dispatcher that started last, the current key first; None if
            it was an older version.
        shared_settings: the settings that its processes must share. More than one item means that they
            differ; the limits here are then the strictest.
        skew: how far (µs) the account's steady clock is ahead of the server's clock, which may step. All
            times in microseconds are by the server's clock.
        step: how far (s) the server's clock stepped when a dispatcher last saw it step; negative is back.
        step_at: when (µs) that was, by the clock after the step; 0 means never.
    """

    name: str
    now: int
    jobs: Mapping[str, int]
    oldest: Mapping[str, float]
    concurrency: LimitState
    window: LimitState
    burst: LimitState
    window_us: int
    limit_factor: float
    concurrency_backoff: int
    cooldown_until: int
    paused: str
    probe_at: int
    seconds: float | None
    dead: int
    known: bool = True
    waiting: Mapping[str, int] = field(default_factory=dict)
    held_doubts: int = 0
    receipt_wait: float = 0.0
    overdue: int = 0
    backlog: Mapping[str, BacklogState] = field(default_factory=dict)
    layout: str = ""
    replaced: Mapping[str, int] = field(default_factory=dict)
    keys: tuple[str, ...] | None = None
    shared_settings: tuple[SharedSettings, ...] = ()
    paused_since: int = 0
    paused_by: str = ""
    paused_why: str = ""
    probed: int = 0
    skew: int = 0
    step: float = 0.0
    step_at: int = 0
    verified_at: int = 0
    polls: LimitState = LimitState(0, 0, 0)

    @property
    def held(self) -> int:
        """The number of permits held."""
        return int(self.concurrency.used)

    @property
    def pause(self) -> str:
        """Which pause it is, for `FaxLine.resume`; empty if the account is not paused."""
        return f"{self.paused} {self.paused_since + self.skew}" if self.paused else ""

    @property
    def probes(self) -> bool:
        """Whether calls find out, one at a time, that the account's pause is over."""
        return bool(self.paused) and self.paused not in HELD

    @property
    def idle(self) -> bool:
        """Whether the account is idle: no jobs, no calls in the window, and no pause or cooldown."""
        used = (*self.jobs.values(), self.window.used, self.dead, self.polls.used)
        closed = self.paused or self.cooling_down or self.concurrency_backoff or self.limit_factor < 1
        return not any(used) and not closed and not find_differences(self.shared_settings)

    @property
    def cooling_down(self) -> bool:
        """Whether the account makes no calls because of a 429."""
        return self.cooldown_until > self.now

    @property
    def verifying(self) -> bool:
        """Whether it waits after a change of the Redis server."""
        return self.verified_at > self.now

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline accounts --json`. Times are ISO 8601 in UTC."""
        return {
            "account": self.name,
            "known": self.known,
            "paused": self.paused or None,
            "paused_since": from_micros(self.paused_since).isoformat() if self.paused_since else None,
            "paused_by": self.paused_by or None,
            "paused_why": self.paused_why or None,
            "probe_at": from_micros(self.probe_at).isoformat() if self.probes else None,
            "cooldown_until": from_micros(self.cooldown_until).isoformat() if self.cooling_down else None,
            "verified_at": from_micros(self.verified_at).isoformat() if self.verifying else None,
            "limits": {
                name: {"used": limit.used, "effective": limit.effective, "configured": limit.configured}
                for name, limit in (
                    ("concurrency", self.concurrency),
                    ("window", self.window),
                    ("burst", self.burst),
                )
            },
            "polls": {
                "used": self.polls.used,
                "effective": self.polls.effective,
                "configured": self.polls.configured,
            },
            "window_seconds": self.window_us / 1e6,
            "limit_factor": self.limit_factor,
            "concurrency_backoff": self.concurrency_backoff or None,
            "call_seconds": self.seconds,
            "jobs": dict(self.jobs),
            "oldest_seconds": dict(self.oldest),
            "waiting": dict(self.waiting),
            "held_doubts": self.held_doubts,
            "receipt_wait_seconds": self.receipt_wait,
            "receipts_overdue": self.overdue,
            "dead_receipts": self.dead,
            "differing_settings": {
                variable: {value: list(by) for value, by in values.items()}
                for variable, values in find_differences(self.shared_settings).items()
            },
            "backlog": {
                name: {"used": backlog.used, "ceiling": backlog.configured}
                for name, backlog in self.backlog.items()
            },
            "streams_replaced": {
                name: from_micros(at * 1000).isoformat() for name, at in self.replaced.items()
            },
        }


def from_micros(us: float) -> datetime:
    """A time of an account's state, which counts microseconds since 1970."""
    return datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=us)
