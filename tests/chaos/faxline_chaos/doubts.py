"""The doubts of a run: why each was entered, what settled it, and after how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from faxline import Event
from faxline_chaos.evidence import ASIDE

RECEIPT = "a receipt"
ANSWER = "a late answer"
RESEND = "the policy, resend"
FAIL = "the policy, fail"
HELD = "nobody: held for an operator"
SETTLERS = (RECEIPT, ANSWER, RESEND, FAIL, HELD)


@dataclass(frozen=True)
class Doubt:
    """One time that a job was in doubt.

    Attributes:
        reason: why it was entered.
        settled: one of `SETTLERS`.
        seconds: how long it lasted; None for one that is held.
    """

    reason: str
    settled: str
    seconds: float | None


def doubts_of(events: Sequence[Event]) -> list[Doubt]:
    """The doubts of one job, from its events."""
    steps = [event for event in events if event.name not in ASIDE]
    found = []
    for event, after in zip(steps, [*steps[1:], None], strict=True):
        if event.name == "fax.in_doubt":
            seconds = (after.at - event.at).total_seconds() if after else None
            found.append(Doubt(str(event.data.get("reason")), _settler(after), seconds))
    return found


def spread(seconds: Sequence[float]) -> str:
    """Median and 95th percentile, to read."""
    if not seconds:
        return ""
    most = quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return f"median {median(seconds):.1f} s, p95 {most:.1f} s"


def _settler(after: Event | None) -> str:
    if after is None:
        return HELD
    by_policy = after.data.get("reason") == "in_doubt"
    if after.name == "fax.retrying":
        return RESEND if by_policy else ANSWER
    if after.name == "fax.failed" and by_policy:
        return FAIL
    late = after.name == "fax.submitted" or after.data.get("stage") == "submission"
    return ANSWER if late else RECEIPT
