"""What a dispatcher reads in Redis about the jobs of each account."""

from functools import partial
from typing import get_args

from prometheus_client import CollectorRegistry

from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import TAKE_MAX, gauge
from faxline_worker.observability.metrics.labels import Ceiling, PriorityName, StateName, WaitsFor


class JobGauges:
    """What a dispatcher reads in Redis about the jobs of each account."""

    def __init__(self, registry: CollectorRegistry, accounts: AccountLabels) -> None:
        made = partial(gauge, registry, account=accounts)
        self._jobs = made("fax_jobs", f"Jobs on record, by state{TAKE_MAX}", state=get_args(StateName))
        self._oldest = made(
            "fax_oldest_job_age_seconds",
            f"Age of the job that has waited longest to be submitted; 0 if none waits{TAKE_MAX}",
            priority=get_args(PriorityName),
        )
        self._queued = made(
            "fax_queued_jobs",
            f"Queued jobs by what they wait for: turn, time (retry or date), line (of a number){TAKE_MAX}",
            waits_for=get_args(WaitsFor),
        )
        self._receipt_wait = made(
            "fax_oldest_receipt_wait_seconds",
            f"Longest time that a submitted fax has waited for its receipt; 0 if none waits{TAKE_MAX}",
        )
        self._overdue = made(
            "fax_receipts_overdue",
            f"Submitted faxes that have waited longer for a receipt than FAXLINE_RECEIPT_EXPECTED{TAKE_MAX}",
        )
        self._held_doubts = made(
            "fax_doubts_held",
            f"Jobs in doubt that an operator must resolve, because their wait is over{TAKE_MAX}",
        )
        self._backlog = made(
            "fax_backlog",
            f"Jobs that have not ended, and the bytes that they keep if bytes have a ceiling{TAKE_MAX}",
            ceiling=get_args(Ceiling),
        )
        self._backlog_ceiling = made(
            "fax_backlog_ceiling",
            f"Backlog above which entries are rejected (backlog_full); 0 if there is no ceiling{TAKE_MAX}",
            ceiling=get_args(Ceiling),
        )
        self._dead_receipts = made(
            "fax_dead_receipts",
            f"Entries set aside because they could not be read or raised an exception{TAKE_MAX}",
        )
        self._events_unread = made(
            "fax_events_unread",
            f"Events that the slowest consumer group has not read; 0 without groups{TAKE_MAX}",
        )

    def set_jobs(self, account: str, state: StateName, n: int) -> None:
        """Set the number of jobs in a state."""
        self._jobs.labels(account, state).set(n)

    def set_oldest_job_age(self, account: str, priority: PriorityName, seconds: float) -> None:
        """Set how long the oldest waiting job has waited (s); 0 if none waits."""
        self._oldest.labels(account, priority).set(seconds)

    def set_backlog(self, account: str, of: Ceiling, *, used: float, ceiling: float) -> None:
        """Set the size of the backlog, and its ceiling."""
        self._backlog.labels(account, of).set(used)
        self._backlog_ceiling.labels(account, of).set(ceiling)

    def set_dead_receipts(self, account: str, n: int) -> None:
        """Set the number of set-aside entries."""
        self._dead_receipts.labels(account).set(n)

    def set_events_unread(self, account: str, n: int) -> None:
        """Set the number of events that the slowest consumer group has not read."""
        self._events_unread.labels(account).set(n)

    def set_queued(self, account: str, waits_for: WaitsFor, n: int) -> None:
        """Set the number of queued jobs that wait for one thing."""
        self._queued.labels(account, waits_for).set(n)

    def set_receipts(self, account: str, *, oldest: float, overdue: int) -> None:
        """Set how long (s) the oldest missing receipt has been awaited, and how many are overdue."""
        self._receipt_wait.labels(account).set(oldest)
        self._overdue.labels(account).set(overdue)

    def set_doubts_held(self, account: str, n: int) -> None:
        """Set the number of doubts that wait for an operator."""
        self._held_doubts.labels(account).set(n)
