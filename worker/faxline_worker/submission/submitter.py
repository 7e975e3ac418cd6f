"""One turn of `submit`: admit a job, call iFax, settle the answer."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import redis
import structlog

from faxline.contract.texts import mask_number
from faxline_worker.config.retries import SubmissionRetries
from faxline_worker.ifax import Answer, Decision, Endpoint, IfaxClient
from faxline_worker.ifax.receipts import Receipt, is_sending, read_receipt, recipient
from faxline_worker.observability.metrics.labels import Outcome
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.state.receipts import evidence
from faxline_worker.state.results import Admitted, Held, Holds, ReportResult, Settlement, SettleResult
from faxline_worker.state.store import Store
from faxline_worker.submission.caller import Caller, LeaseLostError, endpoint_of, was_called
from faxline_worker.submission.outcomes import answer_for_settle, count_call, poll_result
from faxline_worker.submission.patience import wait_for_redis
from faxline_worker.submission.standing import Standing
from faxline_worker.tracing.spans import Traces

_T = TypeVar("_T")
_OUTCOMES: Mapping[ReportResult, Outcome] = {
    ReportResult.UNCONFIRMED: "unconfirmed",
    ReportResult.CANCELED: "canceled",
}
"""The results of a control call by which a job ends without a receipt."""


class SubmitWakes(Protocol):
    """Sends wake-ups."""

    def submit(self, account: str, *tokens: str) -> None:
        """Send a wake-up for each token."""


def _chance() -> float:
    return random.random()  # noqa: S311 - not a secret


@dataclass(frozen=True)
class Submitter:
    """Submits the jobs of one account, one call a turn."""

    store: Store
    client: IfaxClient
    token: Callable[[], str]
    """Returns the account's current API key, which may be rotated."""
    caller_id: str | None
    retries: SubmissionRetries
    wakes: SubmitWakes
    metrics: WorkerMetrics
    log: structlog.typing.FilteringBoundLogger
    patience: float
    """Seconds to go on trying to settle an answer while Redis is away."""
    traces: Traces
    applied: Callable[[dict[str, Any], int | None, str], None]
    """Counts a receipt that came before the answer."""
    standing: Standing
    """Decides whether this process takes the account's calls."""
    calls: int = 50
    """The most calls that one wake-up leads to."""
    ends: Callable[[], bool] = lambda: False
    """Whether this process is ending and takes no further call."""
    beat: Callable[[], None] = lambda: None
    """Called regularly, to show that the thread is alive."""

    @cached_property
    def _caller(self) -> Caller:
        return Caller(self.store, self.client, self.token, self.caller_id, self.log)

    def _defer(self, held_by: Holds) -> None:
        if held_by == "layout":
            self.log.error("the stored layout is newer than this version knows: no job is taken")
            return
        limit = "window" if held_by == "rate_limit_cooldown" else held_by
        self.metrics.deferral(self.store.account, limit)

    def turn(self, wake: str) -> None:
        """Admit a job, call iFax and settle the answer, then go on with the next job.

        The next job comes with the settlement. So a wake-up only starts the thread, and ready jobs keep it
        going. After `calls` calls, or when the process ends or steps back, another thread is woken instead.

        Args:
            wake: the wake-up's token.

        Raises:
            redis.RedisError: Redis is away for longer than `patience`, or refuses the command.
        """
        turn, trial = self.standing.turn, self.standing.away is not None
        try:
            admitted = self._admit(wake)
            left = self.calls
            while admitted is not None:
                left -= 1
                admitted = self._work(admitted, turn, most=left)
                if admitted is not None and (self.ends() or self.standing.turn != turn):
                    self._release(admitted)
                    return
        finally:
            if trial:
                self.standing.over()

    def _admit(self, wake: str = "") -> Admitted | None:
        admitted = self.store.submission.admit(uuid4().hex, wake, _chance())
        if isinstance(admitted, Held):
            self._defer(admitted.limit)
        return admitted if isinstance(admitted, Admitted) else None

    def _work(self, admitted: Admitted, turn: int, *, most: int) -> Admitted | None:
        """Make and settle one call.

        Args:
            admitted: the job.
            turn: the turn of `standing` in which it was admitted.
            most: the number of further calls that may follow.

        Returns:
            The next job; None if there is none.
        """
        self.beat()
        account = self.store.account
        if admitted.waited is not None and admitted.priority is not None:
            self.metrics.queue_wait(account, admitted.priority, admitted.waited)
        try:
            answer = self._caller.call(admitted)
        except LeaseLostError:
            self.log.warning("lease lost before the first byte", job=admitted.job, attempt=admitted.attempt)
            return None
        except redis.RedisError as error:  # nothing was sent: Redis failed before the first byte
            self.log.warning("job released", job=admitted.job, error=type(error).__name__)
            self._release(admitted)
            return None
        last = most <= 0 or self.ends() or answer.perhaps_ours or self.standing.away is not None
        if was_called(answer):
            self.traces.record_call(account, admitted, str(endpoint_of(admitted)), answer)
        if admitted.control_call is not None:
            self._report(admitted, answer, turn)
            return None if last else self._admit()
        settlement = self._settle(
            admitted,
            answer_for_settle(admitted, answer, self.retries, late=turn != self.standing.turn),
            last=last,
        )
        self.standing.answered(answer, turn, apart=settlement.apart)
        count_call(self.metrics, account, answer, settlement, self.applied)
        self.log.info(
            "iFax answered",
            job=admitted.job,
            attempt=admitted.attempt,
            to=admitted.number and mask_number(admitted.number),
            decision=str(answer.decision),
            status=answer.http_status,
            code=answer.code,
            reason=answer.reason,
            jobId=answer.job_id,
            seconds=round(answer.seconds, 3),
            state=settlement.state,
            result=settlement.result,
        )
        if settlement.wakes:
            self.wakes.submit(account, *settlement.wakes)
        if settlement.next is None and settlement.result is not SettleResult.SETTLED and not last:
            return self._admit()
        return settlement.next

    def _release(self, admitted: Admitted) -> None:
        """Put a job back in its place in the queue, after nothing was sent."""
        if admitted.control_call is not None:
            return  # its permit runs out, and a timer calls again or gives up
        settlement = self._settle(admitted, {"decision": "released"}, last=True)
        if settlement.wakes:
            self.wakes.submit(self.store.account, *settlement.wakes)

    def _report(self, admitted: Admitted, answer: Answer, turn: int) -> None:
        """Apply the answer to a control call. A final state from fax-status counts as a receipt."""
        account, word = self.store.account, read_receipt(answer.body)
        accepted = answer.decision is Decision.ACCEPTED and endpoint_of(admitted) is Endpoint.STATUS
        receipt = word if accepted and isinstance(word, Receipt) else None
        fields = answer_for_settle(admitted, answer, self.retries, late=turn != self.standing.turn) | {
            "seconds": answer.seconds,
            "receipt": receipt and receipt.to_dict() | self._evidence(receipt, answer.body),
            "sending": (accepted and is_sending(answer.body)) or None,
            "to": recipient(answer.body) if accepted else None,
        }
        done = self._wait_for_redis(lambda: self.store.submission.report(admitted, fields))
        self.standing.answered(answer, turn, apart=done.apart)
        self.metrics.request(account, answer.seconds)
        if answer.decision is Decision.DEFER:
            self.metrics.rate_limited(account)
        if admitted.kind == "poll":
            self.metrics.poll(account, poll_result(answer, done, sending=bool(fields["sending"])))
        self.metrics.delivered_after(account, done.after)
        if done.early is not None:
            self.applied(done.early, None, account)
        if done.result in {ReportResult.APPLIED, ReportResult.RESOLVED_DOUBT} and receipt is not None:
            since = done.submitted_at if done.result is ReportResult.APPLIED else None
            self.applied(receipt.to_dict() | {"retried": done.retried}, since, account)
        elif (outcome := _OUTCOMES.get(done.result)) is not None:
            self.metrics.outcome(account, outcome)
        self.log.info(
            "iFax answered a control call",
            job=admitted.job,
            kind=admitted.kind,
            decision=str(answer.decision),
            status=answer.http_status,
            code=answer.code,
            reason=answer.reason,
            seconds=round(answer.seconds, 3),
            result=done.result,
        )

    def _evidence(self, receipt: Receipt, body: bytes) -> dict[str, str]:
        return evidence(self.store.seals, receipt.to_dict(), body, raw=True)

    def _settle(self, admitted: Admitted, answer: dict[str, Any], *, last: bool) -> Settlement:
        """Settle an answer. Unless it is the last, the settlement brings the next job."""
        permit, chance = "" if last else uuid4().hex, _chance()
        return self._wait_for_redis(
            lambda: self.store.submission.settle(admitted, answer, permit=permit, chance=chance)
        )

    def _wait_for_redis(self, step: Callable[[], _T]) -> _T:
        """Write an answer, waiting for Redis if it is away: the answer must not be lost."""
        return wait_for_redis(step, until=time.monotonic() + self.patience, beat=self.beat)
