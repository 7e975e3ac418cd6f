"""What a dispatcher counts and reads about the intake streams."""

from typing import get_args

from prometheus_client import CollectorRegistry

from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import TAKE_MAX, counter, gauge
from faxline_worker.observability.metrics.labels import DocumentLimit, StreamName


class IntakeMetrics:
    """What a dispatcher counts and reads about the intake streams."""

    def __init__(self, registry: CollectorRegistry, accounts: AccountLabels) -> None:
        self._documents_stopped = counter(
            registry,
            "fax_documents_stopped_total",
            "PDFs that could not be opened within a limit (bad_document), by the limit.",
            account=accounts,
            limit=get_args(DocumentLimit),
        )
        self._slow_documents = gauge(
            registry,
            "fax_slow_documents",
            "Entries of this dispatcher whose slow PDFs wait to be opened on another thread.",
            account=accounts,
        )
        self._intake_entries = gauge(
            registry,
            "fax_intake_entries",
            f"Entries that wait in the intake stream{TAKE_MAX}",
            account=accounts,
        )
        self._intake_oldest = gauge(
            registry,
            "fax_intake_oldest_age_seconds",
            f"Age of the entry that has waited longest in the intake stream; 0 if none waits{TAKE_MAX}",
            account=accounts,
        )
        self._taken = counter(
            registry,
            "fax_intake_taken_total",
            "Entries taken off the intake stream: registered, repeated, rejected, canceled or set aside.",
            account=accounts,
        )
        self._replaced = counter(
            registry,
            "fax_streams_replaced_total",
            "Streams that ran out of ids and were replaced, because somebody used an id far in the future.",
            account=accounts,
            stream=get_args(StreamName),
        )

    def document_stopped(self, account: str, limit: DocumentLimit) -> None:
        """Count a PDF that hit a limit while it was opened."""
        self._documents_stopped.labels(account, limit).inc()

    def set_slow_documents(self, account: str, n: int) -> None:
        """Set the number of entries whose PDFs wait for the slow thread."""
        self._slow_documents.labels(account).set(n)

    def set_intake(self, account: str, *, entries: int, oldest: float) -> None:
        """Set how many entries wait in intake, and how long (s) the oldest has waited."""
        self._intake_entries.labels(account).set(entries)
        self._intake_oldest.labels(account).set(oldest)

    def taken(self, account: str, count: int) -> None:
        """Count entries that were taken off the intake stream."""
        self._taken.labels(account).inc(count)

    def stream_replaced(self, account: str, stream: StreamName) -> None:
        """Count a stream that ran out of ids and was replaced."""
        self._replaced.labels(account, stream).inc()
