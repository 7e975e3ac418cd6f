"""The metrics of an archive."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import children, counter, gauge


class ArchiveMetrics:
    """The metrics of an `archive` process. Those that describe an account come from the process that works.

    Args:
        registry: where they are registered; one of these a registry.
        accounts: the names of all accounts.
    """

    def __init__(self, registry: CollectorRegistry, accounts: Iterable[str]) -> None:
        self.labels = account = AccountLabels(accounts)
        self._registry = registry
        self.unread = children(
            gauge(
                registry,
                "fax_archive_unread_entries",
                "Entries of events and audit that the archive has not committed yet.",
                account=account,
            ),
            account,
        )
        self.lag = children(
            gauge(
                registry,
                "fax_archive_lag_seconds",
                "The age of the oldest entry that the archive has not committed yet; 0 if there is none.",
                account=account,
            ),
            account,
        )
        self.size = children(
            gauge(
                registry,
                "fax_archive_entries",
                "Entries in the archive, erased ones included.",
                account=account,
            ),
            account,
        )
        self.altered = children(
            gauge(
                registry,
                "fax_archive_altered",
                "1 if no checkpoint can be signed because the entries in the database were changed, else 0.",
                account=account,
            ),
            account,
        )
        self.written = children(
            counter(
                registry,
                "fax_archive_written_total",
                "Entries that this process committed.",
                account=account,
            ),
            account,
        )
        self.missing = children(
            counter(
                registry,
                "fax_archive_missing_total",
                "What the archive will never have: entries that Redis dropped before they were read, and "
                "faxes whose record was gone.",
                account=account,
                what=("entries", "records"),
            ),
            account,
        )
        self.working = self._one("fax_archive_working", "1 if this process is the one that writes, else 0.")
        self.database_up = self._one("fax_archive_database_up", "1 if the database answers, else 0.")
        self.checkpoint = self._one(
            "fax_archive_checkpoint_timestamp_seconds",
            "When checkpoints of all accounts that had changed were last signed; 0 if not yet.",
        )

    def _one(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)
