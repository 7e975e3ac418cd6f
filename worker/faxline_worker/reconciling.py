"""One turn of `reconcile`: the receipts of an account's status stream meet their jobs."""

import time
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from faxline_worker.ifax.receipts import Receipt, read_receipt
from faxline_worker.metrics import WorkerMetrics
from faxline_worker.store import Receipted, Store

BATCH = 100
"""Receipts of one account in one turn, so that the accounts take turns."""


class ReconcileWakes(Protocol):
    """Sends a wake-up."""

    def reconcile(self, account: str) -> None:
        """Wake an actor for the receipts of an account."""


def count_receipt(
    metrics: WorkerMetrics, account: str, receipt: dict[str, Any], submitted_at: int | None
) -> None:
    """Count what an applied receipt says: outcome, pages, failure and time from acceptance to the end."""
    outcome: Any = receipt["outcome"]
    metrics.outcome(account, outcome)
    metrics.pages(account, receipt.get("pages") or 0, receipt.get("transferred") or 0)
    if outcome == "failed":
        metrics.failure(account, "delivery", receipt.get("code"), receipt["reason"])
    if submitted_at is not None:
        metrics.delivery(account, max(0.0, time.time() - submitted_at / 1000))


@dataclass(frozen=True)
class Reconciler:
    """Applies the receipts of one account, each by one script, once, in any order."""

    store: Store
    wakes: ReconcileWakes
    metrics: WorkerMetrics
    log: structlog.stdlib.BoundLogger

    def turn(self) -> None:
        """Apply the oldest receipts; where more wait, another wake-up goes out."""
        self.store.reconcile_begins()
        entries = self.store.receipts(BATCH)
        for entry, fields in entries:
            receipt = read_receipt(fields.get(b"body", b"")) if fields.get(b"kind") == b"receipt" else None
            done = self.store.receipt(entry, receipt.to_dict() if receipt else None)
            self._count(entry, receipt, done)
        if len(entries) == BATCH and self.store.claim_reconcile():
            self.wakes.reconcile(self.store.account)

    def _count(self, entry: str, receipt: Receipt | None, done: Receipted) -> None:
        if done.result == "gone":
            return
        if receipt is None or done.result == "dead":
            self.log.warning("receipt set aside", entry=entry, reason="malformed")
            return
        result: Any = done.result
        self.metrics.receipt(self.store.account, result)
        if done.result in {"applied", "resolved_doubt"}:
            count_receipt(self.metrics, self.store.account, receipt.to_dict(), done.submitted_at)
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
            entry=entry,
        )
