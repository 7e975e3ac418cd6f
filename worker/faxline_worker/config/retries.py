"""The settings of what happens when something fails: retries, doubts, polls, pauses and probes."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from faxline_worker.config.values import Part, PositiveSeconds, Seconds, Times, Waits


class SubmissionRetries(Part):
    """Retries of a submission that iFax provably did not take.

    Attributes:
        attempts: tries in all.
        base: the first wait. Each further wait is twice as long.
        max: the longest wait.
    """

    attempts: PositiveInt = 5
    base: PositiveSeconds = timedelta(seconds=2)
    max: PositiveSeconds = timedelta(minutes=5)


def _seconds(*values: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=value) for value in values)


class DeliveryRetries(Part):
    """Retries of a fax that iFax could not deliver, by the cause.

    The defaults reach a machine that is out of paper, or in an office at lunch: five tries within an hour, or
    nearly two where somebody must come first (docs/causes.md).

    Attributes:
        attempts: deliveries in all.
        busy, no_answer, other: the waits between them.
        redial_wait: how long a failed receipt with a `retryAttempt` waits for another one before it counts.
    """

    attempts: PositiveInt = 5
    busy: Waits = _seconds(180, 300, 900, 2400)
    no_answer: Waits = _seconds(300, 900, 1800, 3600)
    other: Waits = _seconds(60, 300, 900, 1800)
    redial_wait: Seconds = timedelta(minutes=10)


class Retries(Part):
    """Both kinds of retries."""

    submission: SubmissionRetries = SubmissionRetries()
    delivery: DeliveryRetries = DeliveryRetries()


class InDoubt(Part):
    """What happens to a job whose request may have reached iFax.

    Attributes:
        wait: how long it waits for a receipt.
        clock_slack: how much iFax's clock and Redis' may differ when a receipt without a known jobId is
            compared with the doubts.
        then: what follows the wait.
    """

    wait: PositiveSeconds = timedelta(hours=2, minutes=30)
    clock_slack: Seconds = timedelta(minutes=2)
    then: Literal["hold", "resend", "fail"] = "hold"


class Poll(Part):
    """When iFax is asked how a submitted fax stands, and how much of the limits that may use.

    Attributes:
        schedule: times after the acceptance. The last one is repeated.
        share: the part of the hour's requests, of the burst and of the concurrency.
    """

    schedule: Times = _seconds(120, 300, 600, 1200, 2400)
    share: float = Field(0.2, gt=0, le=1)

    @field_validator("schedule")
    @classmethod
    def _rising(cls, schedule: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if list(schedule) != sorted(set(schedule)):
            raise ValueError("must be rising seconds, such as [120,300,600]")
        return schedule


class Cooldown(Part):
    """How long an account makes no calls after a 429, and how far its limits shrink.

    Attributes:
        base: the wait after a 429 without Retry-After. It doubles with each further 429 in a row.
        min, max: the bounds of every such wait, Retry-After included.
        min_limit_factor: the part of the limits that stays in use.
    """

    base: PositiveSeconds = timedelta(seconds=5)
    min: PositiveSeconds = timedelta(milliseconds=500)
    max: PositiveSeconds = timedelta(minutes=15)
    min_limit_factor: float = Field(0.05, gt=0, le=1)


class Unreachable(Part):
    """How an account is probed while iFax cannot be reached, or while something else answers in its place.

    Attributes:
        first: the wait before the first probe. Each further wait is about twice as long.
        max: the longest wait.
    """

    first: PositiveSeconds = timedelta(seconds=1)
    max: PositiveSeconds = timedelta(seconds=45)


class Breaker(Part):
    """After how many answers in a row of one unknown meaning an account is paused.

    A fax that iFax refuses so fails once another fax was accepted in between, or once it was refused as
    often.
    """

    after: PositiveInt = 5


class StepBack(Part):
    """How long another worker's accepted call proves that iFax can be reached and the token is good.

    A worker that fails meanwhile steps back by itself, and the account stays open for the others.
    """

    window: PositiveSeconds = timedelta(minutes=1)


class Probe(Part):
    """How a paused account is probed.

    Attributes:
        first: the wait before the first probe. Each further wait is twice as long.
        max: the longest wait.
    """

    first: PositiveSeconds = timedelta(minutes=1)
    max: PositiveSeconds = timedelta(hours=1)
