"""The metrics of a worker."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import children, counter, gauge, histogram
from faxline_worker.observability.metrics.jobs import JobMetrics
from faxline_worker.observability.metrics.labels import (
    FailureLabels,
    PollResult,
    PriorityName,
    ReceiptResult,
    SubmissionResult,
)

QUEUE_WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
REQUEST_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 30, 60)
DELIVERY_BUCKETS = (10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 10800)


class WorkerMetrics(JobMetrics):
    """The metrics of a `worker` process.

    Args:
        registry: where they are registered; one of these a registry.
        accounts: the names of all accounts.
        failure_labels: every (stage, code, reason) that is there at 0 from the start.
    """

    def __init__(
        self, registry: CollectorRegistry, accounts: Iterable[str], failure_labels: Iterable[FailureLabels]
    ) -> None:
        self.labels = account = AccountLabels(accounts)
        super().__init__(registry, account, failure_labels)
        self._submissions = children(
            counter(
                registry,
                "fax_submissions_total",
                "Submissions (calls of fax-send and fax-resend) by result.",
                account=account,
                result=get_args(SubmissionResult),
            ),
            account,
        )
        self._duplicates = counter(
            registry,
            "fax_duplicates_total",
            "Requests that iFax accepted in addition to the one that counts.",
            account=account,
        )
        self._delivered_after_end = counter(
            registry,
            "fax_delivered_after_end_total",
            "Faxes that iFax reported as delivered after they had ended as failed or canceled.",
            account=account,
        )
        self._rate_limited = counter(
            registry,
            "fax_rate_limited_total",
            "Answers of iFax that the rate limit is exceeded (HTTP 429 or code -3010).",
            account=account,
        )
        self._receipts = children(
            counter(
                registry,
                "fax_receipts_total",
                "Receipts by result. A receipt that comes before its answer is first counted as unmatched.",
                account=account,
                result=get_args(ReceiptResult),
            ),
            account,
        )
        self._polls = children(
            counter(
                registry,
                "fax_polls_total",
                "Status polls, scheduled or about a doubt, by result.",
                account=account,
                result=get_args(PollResult),
            ),
            account,
        )
        self._queue_wait = children(
            histogram(
                registry,
                "fax_queue_wait_seconds",
                "Time from when a job was due until it was admitted.",
                QUEUE_WAIT_BUCKETS,
                account=account,
                priority=get_args(PriorityName),
            ),
            account,
        )
        self._request = children(
            histogram(
                registry,
                "fax_request_seconds",
                "Duration of a call to iFax, until its answer or its failure.",
                REQUEST_BUCKETS,
                account=account,
            ),
            account,
        )
        self._threads = Gauge(
            "fax_worker_threads",
            "Threads of this worker process; each makes one call at a time.",
            registry=registry,
        )
        self._busy = Gauge(
            "fax_worker_threads_busy",
            "Threads of this worker process that are busy.",
            registry=registry,
        )
        self._stepped_back = gauge(
            registry,
            "fax_worker_stepped_back",
            "1 while this worker leaves the account's calls to others, as iFax accepts only theirs; else 0.",
            account=account,
        )
        self._delivery = children(
            histogram(
                registry,
                "fax_delivery_seconds",
                "Time from an accepted submission until its receipt.",
                DELIVERY_BUCKETS,
                account=account,
            ),
            account,
        )

    def submission(self, account: str, result: SubmissionResult) -> None:
        """Count the end of a send or resend."""
        self._submissions(account, result).inc()

    def set_threads(self, n: int) -> None:
        """Set the number of threads."""
        self._threads.set(n)

    def set_stepped_back(self, account: str, *, stepped_back: bool) -> None:
        """Set whether the process leaves the account's calls to others."""
        self._stepped_back.labels(account).set(stepped_back)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count a thread as busy inside the block."""
        with self._busy.track_inprogress():
            yield

    def duplicate(self, account: str) -> None:
        """Count an older attempt that turned out to be accepted too."""
        self._duplicates.labels(account).inc()

    def delivered_after(self, account: str, state: str | None) -> None:
        """Count a delivery that was heard of when the job had ended in this state; None: it had not."""
        if state == "delivered":
            self.duplicate(account)
        elif state is not None:
            self._delivered_after_end.labels(account).inc()

    def rate_limited(self, account: str) -> None:
        """Count an answer with 429 or code -3010."""
        self._rate_limited.labels(account).inc()

    def poll(self, account: str, result: PollResult) -> None:
        """Count a status poll."""
        self._polls(account, result).inc()

    def receipt(self, account: str, result: ReceiptResult) -> None:
        """Count a receipt from the status stream."""
        self._receipts(account, result).inc()

    def queue_wait(self, account: str, priority: PriorityName, seconds: float) -> None:
        """Record how long (s) after it was due a job was admitted; negative (two clocks) counts as 0."""
        self._queue_wait(account, priority).observe(max(0.0, seconds))

    def request(self, account: str, seconds: float) -> None:
        """Record the duration (s) of a call to iFax; a negative time counts as 0."""
        self._request(account).observe(max(0.0, seconds))

    def delivery(self, account: str, seconds: float) -> None:
        """Record how long (s) after acceptance a receipt came; negative (it came first) counts as 0."""
        self._delivery(account).observe(max(0.0, seconds))
