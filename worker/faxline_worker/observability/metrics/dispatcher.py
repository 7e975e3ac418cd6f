"""The metrics of a dispatcher."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from faxline_worker.observability.metrics.account_gauges import AccountGauges
from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import TAKE_MAX
from faxline_worker.observability.metrics.intake import IntakeMetrics
from faxline_worker.observability.metrics.job_gauges import JobGauges
from faxline_worker.observability.metrics.jobs import JobMetrics
from faxline_worker.observability.metrics.labels import FailureLabels
from faxline_worker.observability.metrics.redis import RedisMetrics


class DispatcherMetrics(JobMetrics, JobGauges, AccountGauges, IntakeMetrics, RedisMetrics):
    """The metrics of a `dispatcher` process: what it counts, and the gauges that describe Redis.

    Args:
        registry: where they are registered; one of these a registry.
        accounts: the names of all accounts.
        failure_labels: every (stage, code, reason) that is there at 0 from the start.
        events_cap: about how many events an account's stream keeps.
        polling_alone: whether results come by polling alone.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        accounts: Iterable[str],
        failure_labels: Iterable[FailureLabels],
        *,
        events_cap: int = 0,
        polling_alone: bool = False,
    ) -> None:
        self.labels = names = AccountLabels(accounts)
        JobMetrics.__init__(self, registry, names, failure_labels)
        JobGauges.__init__(self, registry, names)
        AccountGauges.__init__(self, registry, names)
        IntakeMetrics.__init__(self, registry, names)
        RedisMetrics.__init__(self, registry)
        Gauge(
            "fax_polling_alone",
            f"1 if results come by polling alone, so that no webhook is needed; else 0{TAKE_MAX}",
            registry=registry,
        ).set(polling_alone)
        self._served = Gauge(
            "fax_accounts_served", "Accounts that this dispatcher serves.", registry=registry
        )
        self._unowned = Gauge(
            "fax_accounts_unowned", f"Accounts that no dispatcher at work serves{TAKE_MAX}", registry=registry
        )
        Gauge(
            "fax_events_cap",
            f"The approximate number of events that an account's stream keeps (FAXLINE_EVENTS_CAP){TAKE_MAX}",
            registry=registry,
        ).set(events_cap)

    def set_accounts_served(self, n: int) -> None:
        """So many accounts are served here."""
        self._served.set(n)

    def set_accounts_unowned(self, n: int) -> None:
        """So many accounts are served by no dispatcher."""
        self._unowned.set(n)
