"""Every metric that Faxline exposes, each defined once, with all its label sets at 0 from the start.

A process makes one registry (`new_registry`) and one of `WorkerMetrics`, `DispatcherMetrics` and
`WebhookMetrics` on it. docs/metrics.md has the table. No number, no job id and no free text is ever a
label: account names come from the settings, the rest from fixed lists.

Counters and histograms are summed over the processes, which share the work. The gauges that describe Redis
come from every dispatcher alike, and a sum over two dispatchers would double them: take
`max by (account, …)`, as their help texts say. ops/prometheus and grafana do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import product
from typing import Literal, TypeVar, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from faxline.reading.processes import ROLES
from faxline_worker.ifax.webhook_access import REFUSALS, Refusal

SubmissionResult = Literal["accepted", "rate_limited", "refused", "retryable", "in_doubt"]
Outcome = Literal["delivered", "failed", "canceled", "unconfirmed", "rejected"]
Stage = Literal["intake", "submission", "delivery"]
DeferralLimit = Literal["concurrency", "window", "burst", "paused"]
Limit = Literal["concurrency", "window", "burst"]
ClosedFor = Literal[
    "operator",
    "unreachable",
    "breaker",
    "rate_limited",
    "authentication_failed",
    "invalid_key",
    "unusable_key",
    "insufficient_balance",
    "no_permission",
    "plan_inactive",
    "key_missing",
    "state_rolled_back",
    "other",
]
"""Why an account takes no calls; `other` is a reason of a newer version."""
Ceiling = Literal["jobs", "bytes"]
Direction = Literal["back", "forward"]
WebhookResult = Literal["stored", "bad_signature", "too_large", "malformed", "inbound", "unavailable"]
ConnectionClosed = Literal["header", "idle", "request", "pipelined", "crowded"]
ReceiptResult = Literal["applied", "repeated", "unmatched", "resolved_doubt", "set_aside", "held", "received"]
PageKind = Literal["total", "transferred", "received"]
PollResult = Literal["final", "held", "repeated", "sending", "unclear", "refused", "put_off"]
"""What a question how a fax stands came to."""
PriorityName = Literal["urgent", "normal", "bulk"]
DocumentLimit = Literal["time", "memory", "crash"]
StreamName = Literal["intake", "status", "orders"]
"""Those to which others add."""
WaitsFor = Literal["turn", "time", "line"]
"""What a queued job waits for: a permit, the time of its retry or date, or its number's line."""
StateName = Literal[
    "queued", "submitting", "submitted", "in_doubt", "delivered", "failed", "canceled", "unconfirmed"
]

FailureLabels = tuple[Stage, int | None, str]
"""Stage, iFax's number of the error (None if it gave none), and the fixed name of the reason."""

UNKNOWN_ACCOUNT = "unknown"
"""The account label of webhooks whose path names no account of ours: a stranger's text is no label."""

QUEUE_WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
REQUEST_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 30, 60)
DELIVERY_BUCKETS = (10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 10800)


class _Registry(CollectorRegistry):
    """Leaves out the `_created` series, which only a switch for the whole interpreter would turn off."""

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def new_registry() -> CollectorRegistry:
    """A registry of its own, with the metrics of the process, the interpreter and its garbage collector."""
    registry = _Registry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _LoopAges(Collector):
    """The ages are asked for as they are told, for a loop that stands still sets nothing."""

    def __init__(
        self, ages: Callable[[], Mapping[str, float]], stalled: Callable[[], Mapping[str, float]]
    ) -> None:
        self._ages = ages
        self._stalled = stalled

    def collect(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "fax_loop_age_seconds", "Seconds since a loop of this process last went round.", labels=["loop"]
        )
        stalled = GaugeMetricFamily(
            "fax_loop_stalled",
            "1 while a loop of this process stands still: it has not gone round for FAXLINE_STALL and for as "
            "long as it may wait besides.",
            labels=["loop"],
        )
        still = self._stalled()
        for loop, seconds in self._ages().items():
            age.add_metric([loop], seconds)
            stalled.add_metric([loop], float(loop in still))
        yield age
        yield stalled


def watch_loops(
    registry: CollectorRegistry,
    ages: Callable[[], Mapping[str, float]],
    stalled: Callable[[], Mapping[str, float]],
) -> None:
    """Tell how long ago each loop of the process last went round, and whether it stands still."""
    registry.register(_LoopAges(ages, stalled))


_ALIKE = "; every dispatcher tells the same: take max, never sum."

_Family = TypeVar("_Family", Counter, Gauge, Histogram)


def _started(family: _Family, *values: Sequence[str]) -> _Family:
    """The family with every label set created, at 0, so that rates and alerts see the first event too."""
    for labels in product(*values):
        family.labels(*labels)
    return family


def _counter(registry: CollectorRegistry, name: str, help_text: str, **labels: Sequence[str]) -> Counter:
    return _started(Counter(name, help_text, labels, registry=registry), *labels.values())


def _gauge(registry: CollectorRegistry, name: str, help_text: str, **labels: Sequence[str]) -> Gauge:
    return _started(Gauge(name, help_text, labels, registry=registry), *labels.values())


def _histogram(
    registry: CollectorRegistry, name: str, help_text: str, buckets: Sequence[float], **labels: Sequence[str]
) -> Histogram:
    return _started(Histogram(name, help_text, labels, registry=registry, buckets=buckets), *labels.values())


def _children(family: _Family) -> Callable[..., _Family]:
    """The family's `labels`, which looks up faster; it remembers as many as there are label sets."""
    return cache(family.labels)


def _code(code: int | None) -> str:
    return "" if code is None else str(code)


class JobMetrics:
    """What both the worker and the dispatcher count; a job may end in either."""

    def __init__(
        self, registry: CollectorRegistry, accounts: Iterable[str], failure_labels: Iterable[FailureLabels]
    ) -> None:
        account = tuple(accounts)
        self._outcomes = _children(
            _counter(
                registry,
                "fax_outcomes_total",
                "Jobs that ended, by outcome; an unconfirmed one that a late receipt amends counts again.",
                account=account,
                outcome=get_args(Outcome),
            )
        )
        self._failures = Counter(
            "fax_failures_total",
            "Failures by stage, iFax's code (empty if it gave none) and reason, also those tried again.",
            ["account", "stage", "code", "reason"],
            registry=registry,
        )
        for name, (stage, code, reason) in product(account, failure_labels):
            self._failures.labels(name, stage, _code(code), reason)
        self._deferrals = _counter(
            registry,
            "fax_deferrals_total",
            "Admissions put off, by the limit that had no room; a deferral spends no attempt.",
            account=account,
            limit=get_args(DeferralLimit),
        )
        self._pages = _children(
            _counter(
                registry,
                "fax_pages_total",
                "Pages that receipts report, of the fax (total) and arrived (transferred); "
                "each delivery counts. And pages of faxes that came to us (received).",
                account=account,
                kind=get_args(PageKind),
            )
        )
        self._partial = _counter(
            registry,
            "fax_partial_deliveries_total",
            "Faxes that were delivered without all of their pages.",
            account=account,
        )

    def outcome(self, account: str, outcome: Outcome) -> None:
        """A job ended; `rejected` is an intake entry that became none."""
        self._outcomes(account, outcome).inc()

    def failure(self, account: str, stage: Stage, code: int | None, reason: str) -> None:
        """Something failed; the reason is its fixed name from the table of codes."""
        self._failures.labels(account, stage, _code(code), reason).inc()

    def deferral(self, account: str, limit: DeferralLimit) -> None:
        """An admission was put off."""
        self._deferrals.labels(account, limit).inc()

    def pages(self, account: str, total: int, transferred: int) -> None:
        """A receipt's faxTotalPages and faxTransferredPages; less than 0 counts as 0."""
        self._pages(account, "total").inc(max(0, total))
        self._pages(account, "transferred").inc(max(0, transferred))

    def received_pages(self, account: str, pages: int) -> None:
        """The pages of a fax that came to us."""
        self._pages(account, "received").inc(pages)

    def partial(self, account: str) -> None:
        """A fax was delivered without all of its pages."""
        self._partial.labels(account).inc()


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
        account = tuple(accounts)
        super().__init__(registry, account, failure_labels)
        self._submissions = _children(
            _counter(
                registry,
                "fax_submissions_total",
                "Submissions (fax-send or fax-resend) by how the call to iFax ended.",
                account=account,
                result=get_args(SubmissionResult),
            )
        )
        self._duplicates = _counter(
            registry,
            "fax_duplicates_total",
            "Requests that iFax turned out to have accepted besides the one that counts.",
            account=account,
        )
        self._rate_limited = _counter(
            registry,
            "fax_rate_limited_total",
            "Answers of iFax that its rate limit was exceeded (HTTP 429 or code -3010).",
            account=account,
        )
        self._receipts = _children(
            _counter(
                registry,
                "fax_receipts_total",
                "Receipts by what became of them; one that came before its answer is unmatched first.",
                account=account,
                result=get_args(ReceiptResult),
            )
        )
        self._polls = _children(
            _counter(
                registry,
                "fax_polls_total",
                "Questions how a fax stands, by schedule or about a doubt, by what they came to.",
                account=account,
                result=get_args(PollResult),
            )
        )
        self._queue_wait = _children(
            _histogram(
                registry,
                "fax_queue_wait_seconds",
                "Time a job waited from being due until it was admitted.",
                QUEUE_WAIT_BUCKETS,
                account=account,
                priority=get_args(PriorityName),
            )
        )
        self._request = _children(
            _histogram(
                registry,
                "fax_request_seconds",
                "Time a call to iFax took, until its answer or its failure.",
                REQUEST_BUCKETS,
                account=account,
            )
        )
        self._threads = Gauge(
            "fax_worker_threads",
            "Threads of this worker process; each makes a call at a time.",
            registry=registry,
        )
        self._busy = Gauge(
            "fax_worker_threads_busy",
            "Threads of this worker process that work on something.",
            registry=registry,
        )
        self._stepped_back = _gauge(
            registry,
            "fax_worker_stepped_back",
            "1 while this worker leaves the account's calls to others, whose calls iFax accepts; else 0.",
            account=account,
        )
        self._delivery = _children(
            _histogram(
                registry,
                "fax_delivery_seconds",
                "Time from a submission that iFax accepted until its receipt.",
                DELIVERY_BUCKETS,
                account=account,
            )
        )

    def submission(self, account: str, result: SubmissionResult) -> None:
        """A send or resend ended."""
        self._submissions(account, result).inc()

    def set_threads(self, n: int) -> None:
        """The process has so many threads."""
        self._threads.set(n)

    def set_stepped_back(self, account: str, stepped_back: bool) -> None:
        """Whether the process leaves the account's calls to others."""
        self._stepped_back.labels(account).set(stepped_back)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A thread works on something."""
        with self._busy.track_inprogress():
            yield

    def duplicate(self, account: str) -> None:
        """An older attempt turned out to be accepted too."""
        self._duplicates.labels(account).inc()

    def rate_limited(self, account: str) -> None:
        """An answer of iFax was 429 or code -3010."""
        self._rate_limited.labels(account).inc()

    def poll(self, account: str, result: PollResult) -> None:
        """IFax was asked how a fax stands."""
        self._polls(account, result).inc()

    def receipt(self, account: str, result: ReceiptResult) -> None:
        """A receipt was read from the status stream."""
        self._receipts(account, result).inc()

    def queue_wait(self, account: str, priority: PriorityName, seconds: float) -> None:
        """A job was admitted, so long after it was due; less than 0 (two clocks) counts as 0."""
        self._queue_wait(account, priority).observe(max(0.0, seconds))

    def request(self, account: str, seconds: float) -> None:
        """A call to iFax took so long; less than 0 counts as 0."""
        self._request(account).observe(max(0.0, seconds))

    def delivery(self, account: str, seconds: float) -> None:
        """A receipt came so long after the fax was accepted; less than 0 (it came first) counts as 0."""
        self._delivery(account).observe(max(0.0, seconds))


class DispatcherMetrics(JobMetrics):
    """The metrics of a `dispatcher` process, with the gauges that describe Redis.

    Args:
        registry: where they are registered; one of these a registry.
        accounts: the names of all accounts.
        failure_labels: every (stage, code, reason) that is there at 0 from the start.
        events_cap: about how many events an account's stream keeps.
        polling_alone: whether results come by asking iFax alone.
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
        account, limit = tuple(accounts), get_args(Limit)
        super().__init__(registry, account, failure_labels)
        self._jobs = _gauge(
            registry,
            "fax_jobs",
            f"Jobs on record, by state{_ALIKE}",
            account=account,
            state=get_args(StateName),
        )
        self._oldest = _gauge(
            registry,
            "fax_oldest_job_age_seconds",
            f"Age of the job that has waited longest to be submitted; 0 if none waits{_ALIKE}",
            account=account,
            priority=get_args(PriorityName),
        )
        self._queued = _gauge(
            registry,
            "fax_queued_jobs",
            f"Queued jobs by what they wait for: turn, time (of a retry or date), line (of a number){_ALIKE}",
            account=account,
            waits_for=get_args(WaitsFor),
        )
        self._receipt_wait = _gauge(
            registry,
            "fax_oldest_receipt_wait_seconds",
            f"How long the fax that has waited longest for its receipt has waited; 0 if none waits{_ALIKE}",
            account=account,
        )
        self._overdue = _gauge(
            registry,
            "fax_receipts_overdue",
            f"Submitted faxes whose receipt is later than FAXLINE_RECEIPT_EXPECTED{_ALIKE}",
            account=account,
        )
        self._held_doubts = _gauge(
            registry,
            "fax_doubts_held",
            f"Jobs in doubt whose wait is over: an operator must resolve them{_ALIKE}",
            account=account,
        )
        self._used = _gauge(
            registry,
            "fax_limit_used",
            f"Room in use under a limit of iFax{_ALIKE}",
            account=account,
            limit=limit,
        )
        self._capacity = _gauge(
            registry,
            "fax_limit_capacity",
            f"Room there is under a limit of iFax, as now in effect; 0: the limit is off{_ALIKE}",
            account=account,
            limit=limit,
        )
        self._polls_used = _gauge(
            registry,
            "fax_polls_used",
            f"Questions how faxes stand that count for their share of the requests{_ALIKE}",
            account=account,
        )
        self._polls_capacity = _gauge(
            registry,
            "fax_polls_capacity",
            f"Questions that the share has room for in a window; 0: nobody asks by schedule{_ALIKE}",
            account=account,
        )
        Gauge(
            "fax_polling_alone",
            f"1 where results come by asking iFax alone, so that no webhook is needed{_ALIKE}",
            registry=registry,
        ).set(polling_alone)
        self._backlog = _gauge(
            registry,
            "fax_backlog",
            f"Jobs that have not ended, and what they keep where bytes have a ceiling{_ALIKE}",
            account=account,
            ceiling=get_args(Ceiling),
        )
        self._backlog_ceiling = _gauge(
            registry,
            "fax_backlog_ceiling",
            f"Above this entries are rejected (backlog_full); 0: there is no ceiling{_ALIKE}",
            account=account,
            ceiling=get_args(Ceiling),
        )
        self._closed = _gauge(
            registry,
            "fax_account_closed",
            f"1 while the account takes no calls for this reason, but one probe at a time; else 0{_ALIKE}",
            account=account,
            reason=get_args(ClosedFor),
        )
        self._paused = _gauge(
            registry, "fax_account_paused", f"1 while the account is paused, else 0{_ALIKE}", account=account
        )
        self._rolled_back = _gauge(
            registry,
            "fax_state_rolled_back",
            f"1 while the account is paused because Redis went back to an older state, else 0{_ALIKE}",
            account=account,
        )
        self._dead_receipts = _gauge(
            registry,
            "fax_dead_receipts",
            f"Entries set aside for a look: nonsense, or what made our code raise{_ALIKE}",
            account=account,
        )
        self._events_unread = _gauge(
            registry,
            "fax_events_unread",
            f"Events that the consumer group furthest behind has yet to read; 0 without groups{_ALIKE}",
            account=account,
        )
        Gauge(
            "fax_events_cap",
            f"About how many events an account's stream keeps (FAXLINE_EVENTS_CAP){_ALIKE}",
            registry=registry,
        ).set(events_cap)
        self._documents_stopped = _counter(
            registry,
            "fax_documents_stopped_total",
            "PDFs that were given up while they were opened (bad_document), by what they ran into.",
            account=account,
            limit=get_args(DocumentLimit),
        )
        self._slow_documents = _gauge(
            registry,
            "fax_slow_documents",
            "Entries of this dispatcher whose PDFs take long to open, and wait for it apart from the others.",
            account=account,
        )
        self._settings_differ = _gauge(
            registry,
            "fax_settings_differ",
            f"Settings in which the account's processes at work differ; the strictest hold{_ALIKE}",
            account=account,
        )
        self._durable = Gauge(
            "fax_redis_durable",
            f"1 if Redis keeps what it accepted (append-only file, no eviction), else 0{_ALIKE}",
            registry=registry,
        )
        self._memory = Gauge(
            "fax_redis_memory_bytes", f"Memory that Redis uses for its data{_ALIKE}", registry=registry
        )
        self._memory_limit = Gauge(
            "fax_redis_memory_limit_bytes", f"Redis' maxmemory; 0: no limit{_ALIKE}", registry=registry
        )
        self._aof = Gauge(
            "fax_redis_aof_bytes",
            f"Size of Redis' append-only file; 0: there is none{_ALIKE}",
            registry=registry,
        )
        self._aof_ok = Gauge(
            "fax_redis_aof_ok",
            f"1 if the last write and the last rewrite of the append-only file went well, else 0{_ALIKE}",
            registry=registry,
        )
        self._intake_entries = _gauge(
            registry, "fax_intake_entries", f"Entries that wait in the intake stream{_ALIKE}", account=account
        )
        self._intake_oldest = _gauge(
            registry,
            "fax_intake_oldest_age_seconds",
            f"Age of the entry that has waited longest in the intake stream; 0 if none waits{_ALIKE}",
            account=account,
        )
        self._taken = _counter(
            registry,
            "fax_intake_taken_total",
            "Entries taken off the intake stream: registered, repeated, rejected, canceled or set aside.",
            account=account,
        )
        self._replaced = _counter(
            registry,
            "fax_streams_replaced_total",
            "Streams that ran out of ids and were replaced: somebody added an id of the far future.",
            account=account,
            stream=get_args(StreamName),
        )
        self._processes = _gauge(
            registry, "fax_processes", f"Processes at work, by their heartbeats in Redis{_ALIKE}", role=ROLES
        )
        self._clock_steps = _counter(
            registry,
            "fax_redis_clock_steps_total",
            "Steps of Redis' clock that this dispatcher saw, by their direction.",
            direction=get_args(Direction),
        )
        self._read = Gauge(
            "fax_redis_read_timestamp_seconds",
            "When this dispatcher last read its gauges from Redis; while Redis is away they stand still.",
            registry=registry,
        )

    def set_jobs(self, account: str, state: StateName, n: int) -> None:
        """So many jobs are in this state."""
        self._jobs.labels(account, state).set(n)

    def set_oldest_job_age(self, account: str, priority: PriorityName, seconds: float) -> None:
        """The job that has waited longest has waited so long; 0 if none waits."""
        self._oldest.labels(account, priority).set(seconds)

    def set_limit(self, account: str, limit: Limit, used: float, capacity: float) -> None:
        """A limit's room in use and in all."""
        self._used.labels(account, limit).set(used)
        self._capacity.labels(account, limit).set(capacity)

    def set_polls(self, account: str, used: float, capacity: float) -> None:
        """What is used of the questions' share of the requests."""
        self._polls_used.labels(account).set(used)
        self._polls_capacity.labels(account).set(capacity)

    def set_backlog(self, account: str, of: Ceiling, *, used: float, ceiling: float) -> None:
        """What the backlog comes to, and its ceiling."""
        self._backlog.labels(account, of).set(used)
        self._backlog_ceiling.labels(account, of).set(ceiling)

    def set_closed(self, account: str, reason: str) -> None:
        """Why the account takes no calls; nothing where it does."""
        known = get_args(ClosedFor)
        told = reason if not reason or reason in known else "other"
        for each in known:
            self._closed.labels(account, each).set(each == told)

    def set_paused(self, account: str, paused: bool) -> None:
        """Whether the account is paused."""
        self._paused.labels(account).set(paused)

    def set_rolled_back(self, account: str, rolled_back: bool) -> None:
        """Whether the account is paused because Redis went back."""
        self._rolled_back.labels(account).set(rolled_back)

    def set_dead_receipts(self, account: str, n: int) -> None:
        """So many webhooks are kept for a look."""
        self._dead_receipts.labels(account).set(n)

    def set_events_unread(self, account: str, n: int) -> None:
        """So many events wait for the group that is furthest behind."""
        self._events_unread.labels(account).set(n)

    def document_stopped(self, account: str, limit: DocumentLimit) -> None:
        """A PDF was given up while it was opened."""
        self._documents_stopped.labels(account, limit).inc()

    def set_slow_documents(self, account: str, n: int) -> None:
        """So many entries wait for their PDFs to be opened apart."""
        self._slow_documents.labels(account).set(n)

    def set_queued(self, account: str, waits_for: WaitsFor, n: int) -> None:
        """So many queued jobs wait for this."""
        self._queued.labels(account, waits_for).set(n)

    def set_receipts(self, account: str, *, oldest: float, overdue: int) -> None:
        """How long (s) the oldest awaited receipt is awaited, and how many are later than usual."""
        self._receipt_wait.labels(account).set(oldest)
        self._overdue.labels(account).set(overdue)

    def set_doubts_held(self, account: str, n: int) -> None:
        """So many doubts wait for an operator."""
        self._held_doubts.labels(account).set(n)

    def set_intake(self, account: str, *, entries: int, oldest: float) -> None:
        """So many entries wait in intake, the oldest for so long (s)."""
        self._intake_entries.labels(account).set(entries)
        self._intake_oldest.labels(account).set(oldest)

    def taken(self, account: str, count: int) -> None:
        """So many entries were taken off the intake stream."""
        self._taken.labels(account).inc(count)

    def stream_replaced(self, account: str, stream: StreamName) -> None:
        """A stream ran out of ids and was replaced."""
        self._replaced.labels(account, stream).inc()

    def set_processes(self, counts: Mapping[str, float]) -> None:
        """So many processes of each role are at work; not a number where nobody knows."""
        for role, n in counts.items():
            self._processes.labels(role).set(n)

    def set_settings_differ(self, account: str, n: int) -> None:
        """In so many settings its processes differ."""
        self._settings_differ.labels(account).set(n)

    def set_redis_durable(self, durable: bool) -> None:
        """Whether Redis keeps what it accepted."""
        self._durable.set(durable)

    def set_redis(self, *, memory: int, limit: int, aof: int, aof_ok: bool) -> None:
        """What the server says of its memory and its append-only file, in bytes."""
        self._memory.set(memory)
        self._memory_limit.set(limit)
        self._aof.set(aof)
        self._aof_ok.set(aof_ok)

    def clock_step(self, direction: Direction) -> None:
        """Redis' clock stepped."""
        self._clock_steps.labels(direction).inc()

    def redis_read(self) -> None:
        """The gauges were read from Redis now."""
        self._read.set_to_current_time()


class WebhookMetrics:
    """The metrics of a `webhook` process.

    Args:
        registry: where they are registered; one of these a registry.
        accounts: the names of all accounts.
    """

    def __init__(self, registry: CollectorRegistry, accounts: Iterable[str]) -> None:
        self._webhooks = _children(
            _counter(
                registry,
                "fax_webhooks_total",
                "Webhooks by result; "
                "bad_signature is all that was refused; a path that names no account is of account unknown.",
                account=tuple(accounts),
                result=get_args(WebhookResult),
            )
        )
        self._webhooks(UNKNOWN_ACCOUNT, "bad_signature")
        self._refused = _children(
            _counter(
                registry,
                "fax_webhooks_refused_total",
                "Webhooks that were refused, by reason: nothing is configured, no proof came, a wrong one, "
                "or one that the settings do not know (unexpected_...).",
                account=tuple(accounts),
                reason=REFUSALS,
            )
        )
        self._refused(UNKNOWN_ACCOUNT, "unknown_account")
        self._closed = _children(
            _counter(
                registry,
                "fax_webhook_connections_closed_total",
                "Connections that were closed: headers, the next request, or the rest did not come in time "
                "(header, idle, request), requests came without waiting for the answers (pipelined), or they "
                "made room for others at the ceiling (crowded).",
                reason=get_args(ConnectionClosed),
            )
        )
        self._connections = Gauge(
            "fax_webhook_connections", "Connections that the webhook has open.", registry=registry
        )

    def webhook(self, account: str, result: WebhookResult) -> None:
        """A webhook was answered; `account` is a configured name or UNKNOWN_ACCOUNT."""
        self._webhooks(account, result).inc()

    def refused(self, account: str, reason: Refusal) -> None:
        """A webhook was refused; `account` as above."""
        self._refused(account, reason).inc()

    def connection_closed(self, reason: ConnectionClosed) -> None:
        """The door closed a connection."""
        self._closed(reason).inc()

    def watch_connections(self, count: Callable[[], float]) -> None:
        """Tell from now on how many connections are open; `count` is called by the thread that tells."""
        self._connections.set_function(count)
