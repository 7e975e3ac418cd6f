"""One turn of `reconcile`: apply the receipts of an account's status stream to their jobs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from faxline_worker.ifax.causes import counted_code
from faxline_worker.ifax.receipts import Inbound, Nonsense, Receipt, read_receipt
from faxline_worker.observability.metrics.jobs import JobMetrics
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.state.failure_counter import FailureCounter
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.results import Matched, MatchResult, Receipted, ReceiptResult, ReconcileLock
from faxline_worker.state.store import Store

SCRIPT_RAISED = "ResponseError"
"""The logged error if the script raised. The error's own text may quote the receipt."""
NEWER = "NEWERLAYOUT"
"""The error of a script that meets a record of a newer layout."""
BATCH, PIECE = 100, 50
"""The most receipts of an account in one turn, so that the accounts take turns; and in one script call."""


class ReconcileWakes(Protocol):
    """Sends wake-ups."""

    def reconcile(self, account: str) -> None:
        """Send a wake-up for the receipts of an account."""


def count_end(metrics: JobMetrics, account: str, receipt: dict[str, Any]) -> None:
    """Count an applied receipt's outcome, pages and failure.

    A failed delivery that is tried again (`retried`) counts as a failure, and not yet as an outcome.

    Args:
        metrics: where it is counted.
        account: the account's name.
        receipt: the receipt's members.
    """
    outcome = receipt["outcome"]
    if not receipt.get("retried"):
        metrics.outcome(account, outcome)
    pages, transferred = receipt.get("pages") or 0, receipt.get("transferred") or 0
    metrics.pages(account, pages, transferred)
    if outcome == "delivered" and receipt.get("transferred") is not None and transferred < pages:
        metrics.partial(account)
    if outcome == "failed":
        code, reason = receipt.get("code"), receipt["reason"]
        metrics.failure(account, "delivery", counted_code(code, reason), reason)


def count_receipt(
    metrics: WorkerMetrics, account: str, receipt: dict[str, Any], submitted_at: int | None
) -> None:
    """Count an applied receipt, and the time from acceptance to its outcome if that is known.

    Args:
        metrics: where it is counted.
        account: the account's name.
        receipt: the receipt's members.
        submitted_at: milliseconds since 1970; None if unknown.
    """
    count_end(metrics, account, receipt)
    if submitted_at is not None:
        metrics.delivery(account, max(0.0, time.time() - submitted_at / 1000))


_Read = Receipt | Inbound


@dataclass(frozen=True)
class Reconciler:
    """Applies the receipts of one account, each once, in any order."""

    store: Store
    wakes: ReconcileWakes
    metrics: WorkerMetrics
    log: structlog.typing.FilteringBoundLogger
    failures: FailureCounter = field(default_factory=FailureCounter)

    def turn(self) -> None:
        """Apply the oldest receipts, then match those that are due with the jobs in doubt.

        An entry that raises an exception is tried again in later turns, and then set aside. Those behind it
        go on.

        Raises:
            redis.RedisError: Redis is away or refuses the command. Receipts stay on the stream.
        """
        read: list[tuple[str, _Read]] = []
        bodies: list[Mapping[bytes, bytes]] = []
        for entry, fields in self.store.receipts.read(BATCH):
            receipt = self._read(entry, fields)
            if receipt is not None:
                read.append((entry, receipt))
                bodies.append(fields)
        for start in range(0, len(read), PIECE):
            if not self._apply(read[start : start + PIECE], bodies[start : start + PIECE]):
                return
        claim = self.store.receipts.try_lock_reconcile(turn=True)
        if claim is ReconcileLock.MATCH:
            for matched in self.store.receipts.match():
                self._count_matched(matched)
            claim = self.store.receipts.try_lock_reconcile(turn=True)
        if claim is not ReconcileLock.NONE:
            self.wakes.reconcile(self.store.account)

    def _apply(self, read: Sequence[tuple[str, _Read]], bodies: Sequence[Mapping[bytes, bytes]]) -> bool:
        """Apply receipts; False if some need a newer worker, which the dispatcher wakes again."""
        applied = self.store.receipts.apply([(entry, receipt.to_dict()) for entry, receipt in read], bodies)
        left = 0
        for (entry, receipt), done in zip(read, applied, strict=True):
            if done.error is None:
                if isinstance(receipt, Inbound):
                    self._count_inbound(entry, receipt, done)
                else:
                    self._count(entry, receipt, done)
                self.failures.forget(entry)
            elif NEWER in done.error:
                left += 1
            else:
                self._count_failure(entry, SCRIPT_RAISED)
        if left:
            self.log.warning("receipts of jobs with a newer layout are left to newer workers", count=left)
        return not left

    def _read(self, entry: str, fields: Mapping[bytes, bytes]) -> _Read | None:
        try:
            # The entry's `kind` is ignored: an older version may have set it, and `dead redrive` put it back.
            receipt = read_receipt(fields.get(b"body", b""))
            if not isinstance(receipt, Nonsense):
                return receipt
            self._set_aside(entry, str(receipt))
        except Exception as error:
            if unserved(error):
                raise
            self._count_failure(entry, type(error).__name__)
        return None

    def _count_failure(self, entry: str, error: str) -> None:
        self.log.error("receipt raised an exception", entry=entry, error=error)
        if self.failures.exhausted(entry):
            self._set_aside(entry, error)

    def _set_aside(self, entry: str, why: str) -> None:
        if self.store.streams.set_aside("status", entry, why):
            self.metrics.receipt(self.store.account, "set_aside")
            self.log.warning("receipt set aside", entry=entry, reason=why)

    def _count_matched(self, matched: Matched) -> None:
        account = self.store.account
        if matched.result is MatchResult.RESOLVED_DOUBT:
            self.metrics.receipt(account, "resolved_doubt")
            count_receipt(self.metrics, account, matched.receipt, None)
        elif matched.result is MatchResult.HELD:
            self.metrics.receipt(account, "held")
        else:
            self.metrics.duplicate(account)
            self.metrics.delivered_after(account, matched.receipt.get("after"))
            if matched.receipt.get("applied"):
                count_receipt(self.metrics, account, matched.receipt, None)
        self.log.info(
            "receipt met a doubt",
            job=matched.job,
            attempt=matched.attempt,
            jobId=matched.receipt["job_id"],
            outcome=matched.receipt["outcome"],
            result=matched.result,
        )

    def _count_inbound(self, entry: str, fax: Inbound, done: Receipted) -> None:
        if done.result is ReceiptResult.GONE:
            return
        result: Any = done.result
        self.metrics.receipt(self.store.account, result)
        if done.result is ReceiptResult.RECEIVED:
            self.metrics.received_pages(self.store.account, fax.pages or 0)
        self.log.info(
            "inbound fax", entry=entry, jobId=fax.job_id, pages=fax.pages, to=fax.to, result=done.result
        )

    def _count(self, entry: str, receipt: Receipt, done: Receipted) -> None:
        if done.result is ReceiptResult.GONE:
            return
        result: Any = done.result
        self.metrics.receipt(self.store.account, result)
        if done.result in {ReceiptResult.APPLIED, ReceiptResult.RESOLVED_DOUBT}:
            members = receipt.to_dict() | {"retried": done.retried}
            count_receipt(self.metrics, self.store.account, members, done.submitted_at)
        self.metrics.delivered_after(self.store.account, done.after)
        self.log.info(
            "receipt",
            job=done.job,
            attempt=done.attempt,
            jobId=receipt.job_id,
            outcome=receipt.outcome,
            code=receipt.code,
            reason=receipt.reason,
            pages=receipt.pages,
            transferred=receipt.transferred,
            result=done.result,
            retried=done.retried or None,
            state=done.after,
            entry=entry,
        )
