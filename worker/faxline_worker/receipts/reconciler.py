"""One turn of `reconcile`: the receipts of an account's status stream meet their jobs."""

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
from faxline_worker.state.results import Matched, Receipted, ReconcileLock
from faxline_worker.state.store import Store

SCRIPT_RAISED = "ResponseError"
"""What is told of a receipt at which the script raised: its text may quote the receipt."""
NEWER = "NEWERLAYOUT"
"""What a script raises that meets a record of a newer layout."""
BATCH, PIECE = 100, 50
"""Receipts of one account in one turn, so that the accounts take turns; and in one script."""


class ReconcileWakes(Protocol):
    """Sends a wake-up."""

    def reconcile(self, account: str) -> None:
        """Wake an actor for the receipts of an account."""


def count_end(metrics: JobMetrics, account: str, receipt: dict[str, Any]) -> None:
    """Count what an applied receipt says: outcome, pages and failure.

    A delivery that failed and is tried again (`retried`) is a failure, and no outcome yet.
    """
    outcome: Any = receipt["outcome"]
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
    """Count what an applied receipt says, and the time from acceptance to the end where it is known."""
    count_end(metrics, account, receipt)
    if submitted_at is not None:
        metrics.delivery(account, max(0.0, time.time() - submitted_at / 1000))


_Read = Receipt | Inbound


@dataclass(frozen=True)
class Reconciler:
    """Applies the receipts of one account, each by one script, once, in any order."""

    store: Store
    wakes: ReconcileWakes
    metrics: WorkerMetrics
    log: structlog.stdlib.BoundLogger
    failures: FailureCounter = field(default_factory=FailureCounter)

    def turn(self) -> None:
        """Apply the oldest receipts, then those that are due to meet the doubts.

        An entry that makes our code raise is tried again in later turns, and then set aside; those behind it
        go on.
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
        """Apply them; False where some are for a newer process, for which the dispatcher asks again."""
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
            self.log.warning("receipts of a newer layout are left to newer workers", count=left)
        return not left

    def _read(self, entry: str, fields: Mapping[bytes, bytes]) -> _Read | None:
        try:
            # Whatever `kind` an older version noted: what was set aside may be put back (`dead redrive`).
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
        self.log.error("receipt made our code raise", entry=entry, error=error)
        if self.failures.exhausted(entry):
            self._set_aside(entry, error)

    def _set_aside(self, entry: str, why: str) -> None:
        if self.store.streams.set_aside("status", entry, why):
            self.metrics.receipt(self.store.account, "set_aside")
            self.log.warning("receipt set aside", entry=entry, reason=why)

    def _count_matched(self, matched: Matched) -> None:
        account = self.store.account
        if matched.result == "resolved_doubt":
            self.metrics.receipt(account, "resolved_doubt")
            count_receipt(self.metrics, account, matched.receipt, None)
        elif matched.result == "held":
            self.metrics.receipt(account, "held")
        else:
            self.metrics.duplicate(account)
        self.log.info(
            "receipt met a doubt",
            job=matched.job,
            attempt=matched.attempt,
            jobId=matched.receipt["job_id"],
            outcome=matched.receipt["outcome"],
            result=matched.result,
        )

    def _count_inbound(self, entry: str, fax: Inbound, done: Receipted) -> None:
        if done.result == "gone":
            return
        result: Any = done.result
        self.metrics.receipt(self.store.account, result)
        if done.result == "received":
            self.metrics.received_pages(self.store.account, fax.pages or 0)
        self.log.info(
            "inbound fax", entry=entry, jobId=fax.job_id, pages=fax.pages, to=fax.to, result=done.result
        )

    def _count(self, entry: str, receipt: Receipt, done: Receipted) -> None:
        if done.result == "gone":
            return
        result: Any = done.result
        self.metrics.receipt(self.store.account, result)
        if done.result in {"applied", "resolved_doubt"}:
            told = receipt.to_dict() | {"retried": done.retried}
            count_receipt(self.metrics, self.store.account, told, done.submitted_at)
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
            entry=entry,
        )
