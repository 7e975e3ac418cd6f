"""What both a worker and a dispatcher count about jobs."""

from collections.abc import Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter

from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import children, code_label, counter
from faxline_worker.observability.metrics.labels import DeferralLimit, FailureLabels, Outcome, PageKind, Stage


class JobMetrics:
    """What both the worker and the dispatcher count; a job may end in either."""

    def __init__(
        self, registry: CollectorRegistry, account: AccountLabels, failure_labels: Iterable[FailureLabels]
    ) -> None:
        self._outcomes = children(
            counter(
                registry,
                "fax_outcomes_total",
                "Ended jobs by outcome. An unconfirmed job that a late receipt amends counts again.",
                account=account,
                outcome=get_args(Outcome),
            ),
            account,
        )
        self._failures = Counter(
            "fax_failures_total",
            "Failures by stage, iFax's code (empty if none) and reason, including those tried again.",
            ["account", "stage", "code", "reason"],
            registry=registry,
        )
        # 150 label sets an account: with many accounts, those that occur.
        zero = () if account.many else failure_labels
        account.start(self._failures, ((stage, code_label(code), reason) for stage, code, reason in zero))
        self._deferrals = counter(
            registry,
            "fax_deferrals_total",
            "Deferred admissions by the limit that was full. A deferral spends no attempt.",
            account=account,
            limit=get_args(DeferralLimit),
        )
        self._pages = children(
            counter(
                registry,
                "fax_pages_total",
                "Pages that receipts report: of the faxes (total) and arrived (transferred), in each "
                "delivery; and of received faxes (received).",
                account=account,
                kind=get_args(PageKind),
            ),
            account,
        )
        self._partial = counter(
            registry,
            "fax_partial_deliveries_total",
            "Faxes that were delivered with fewer pages than they have.",
            account=account,
        )

    def outcome(self, account: str, outcome: Outcome) -> None:
        """Count the end of a job, or (`rejected`) an intake entry that became no job."""
        self._outcomes(account, outcome).inc()

    def failure(self, account: str, stage: Stage, code: int | None, reason: str) -> None:
        """Count a failure; the reason is its fixed name from the tables of codes and causes."""
        self._failures.labels(account, stage, code_label(code), reason).inc()

    def deferral(self, account: str, limit: DeferralLimit) -> None:
        """Count a deferred admission."""
        self._deferrals.labels(account, limit).inc()

    def pages(self, account: str, total: int, transferred: int) -> None:
        """Count a receipt's faxTotalPages and faxTransferredPages; a negative number counts as 0."""
        self._pages(account, "total").inc(max(0, total))
        self._pages(account, "transferred").inc(max(0, transferred))

    def received_pages(self, account: str, pages: int) -> None:
        """Count the pages of a received fax."""
        self._pages(account, "received").inc(pages)

    def partial(self, account: str) -> None:
        """Count a fax that was delivered without all of its pages."""
        self._partial.labels(account).inc()
