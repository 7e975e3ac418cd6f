"""Turns the answer of a call into metrics, and into the arguments of `settle` and its audit record."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from faxline_worker.config.retries import SubmissionRetries
from faxline_worker.ifax import Answer, Decision
from faxline_worker.observability.metrics.labels import PollResult
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.state.results import Admitted, Reported, ReportResult, Settlement, SettleResult
from faxline_worker.submission.caller import endpoint_of, was_called

RESULTS: Mapping[Decision, Any] = {
    Decision.ACCEPTED: "accepted",
    Decision.DEFER: "rate_limited",
    Decision.PAUSE: "refused",
    Decision.REFUSE: "refused",
    Decision.RETRY: "retryable",
    Decision.UNREACHABLE: "retryable",
    Decision.UNKNOWN: "refused",
    Decision.IN_DOUBT: "in_doubt",
}
_TOLD = {SettleResult.SETTLED, SettleResult.RESOLVED, SettleResult.REPEATED}


def poll_result(answer: Answer, done: Reported, *, sending: bool) -> PollResult:
    """The result of a status call, for the metric."""
    match done.result:
        case ReportResult.APPLIED | ReportResult.RESOLVED_DOUBT:
            return "final"
        case ReportResult.HELD:
            return "held"
        case ReportResult.REPEATED | ReportResult.TOLD:
            return "repeated"
        case ReportResult.AGAIN:
            return "put_off"
    if sending:
        return "sending"
    return "unclear" if answer.decision in {Decision.ACCEPTED, Decision.IN_DOUBT} else "refused"


def answer_for_settle(
    admitted: Admitted, answer: Answer, retries: SubmissionRetries, *, late: bool
) -> dict[str, Any]:
    """The answer in the form that `settle` and `report` take.

    Args:
        admitted: the job.
        answer: iFax's answer.
        retries: the waits between attempts.
        late: whether this process has stepped back, or forward again, since the call began.

    Returns:
        The members of the answer; times in milliseconds.
    """
    exponent = min(admitted.attempt - 1, 30)
    longest = retries.base * min(2**exponent, retries.max / retries.base)
    backoff = longest.total_seconds() * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
    return {
        "decision": str(answer.decision),
        "job_id": str(answer.job_id) if answer.job_id is not None else None,
        "named": str(answer.named) if answer.named is not None else None,
        "code": answer.code,
        "reason": answer.reason,
        "message": answer.message or None,
        "retry": round(max(backoff, answer.retry_after or 0.0) * 1000),
        "cooldown": round(answer.retry_after * 1000) if answer.retry_after is not None else None,
        "jitter": random.uniform(1.0, 1.5),  # noqa: S311 - as above
        "silent": answer.silent or None,
        "meaning": answer.meaning,
        "ours": answer.perhaps_ours or None,
        "late": late or None,
        # For the audit record.
        "call": str(endpoint_of(admitted)) if was_called(answer) else None,
        "attempt": admitted.attempt,
        "about": str(admitted.request["jobId"]) if admitted.control_call else None,
        "outcome": RESULTS[answer.decision],
        "status": answer.http_status,
        "ms": round(answer.seconds * 1000),
    }


def count_call(
    metrics: WorkerMetrics,
    account: str,
    answer: Answer,
    settlement: Settlement,
    applied: Callable[[dict[str, Any], int | None, str], None],
) -> None:
    """Count a settled call.

    Args:
        metrics: the worker's metrics.
        account: the account's name.
        answer: iFax's answer.
        settlement: what `settle` did with the job.
        applied: counts a receipt that came before the answer.
    """
    metrics.submission(account, RESULTS[answer.decision])
    metrics.request(account, answer.seconds)
    if answer.decision is Decision.DEFER:
        metrics.rate_limited(account)
    elif answer.decision not in {Decision.ACCEPTED, Decision.IN_DOUBT}:
        metrics.failure(account, "submission", answer.counted_code, answer.reason)
    # If iFax accepted the fax and the job failed, it failed by a receipt, which is counted below. A repeated
    # result means that `settle` ran twice after a lost reply, so the outcome is this call's.
    ended = settlement.state == "failed" and answer.decision is not Decision.ACCEPTED
    if ended and settlement.result in _TOLD:
        metrics.outcome(account, "failed")
    if settlement.result is SettleResult.DUPLICATE:
        metrics.duplicate(account)
        metrics.delivered_after(account, settlement.after)
    if settlement.receipt is not None:
        metrics.receipt(account, "applied")
        applied(settlement.receipt, settlement.submitted_at, account)
