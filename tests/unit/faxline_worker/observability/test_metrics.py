import time
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry, Histogram, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from faxline.reading.account_state import BREAKER, KEY_MISSING, OPERATOR, ROLLED_BACK, UNREACHABLE
from faxline_worker.config.settings import read_settings
from faxline_worker.ifax.codes import CODES, STATUSES, Decision
from faxline_worker.ifax.errors import CAUSES
from faxline_worker.ifax.webhook_access import REFUSALS
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.observability.metrics.labels import UNKNOWN_ACCOUNT, ClosedFor, FailureLabels
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.processes.common import failure_labels, failures_at_zero

ACCOUNTS = ("default", "second")
FAILURES: list[FailureLabels] = [
    ("intake", None, "too_many_pages"),
    ("submission", -3001, "invalid_number"),
    ("delivery", 17, "user_busy"),
]

# The table of the design: each metric's type and, label by label, every value.
A = ("account",)
PRIORITIES = ("urgent", "normal", "bulk")
LIMITS = ("concurrency", "window", "burst")
STATES = (
    "queued",
    "submitting",
    "submitted",
    "in_doubt",
    "delivered",
    "failed",
    "canceled",
    "unconfirmed",
)
Labels = dict[str, tuple[str, ...]]
SHARED: dict[str, tuple[str, Labels]] = {
    "fax_outcomes_total": (
        "counter",
        {"account": ACCOUNTS, "outcome": ("delivered", "failed", "canceled", "unconfirmed", "rejected")},
    ),
    "fax_deferrals_total": (
        "counter",
        {"account": ACCOUNTS, "limit": ("concurrency", "window", "burst", "paused")},
    ),
    "fax_pages_total": ("counter", {"account": ACCOUNTS, "kind": ("total", "transferred", "received")}),
    "fax_partial_deliveries_total": ("counter", {"account": ACCOUNTS}),
}
WORKER: dict[str, tuple[str, Labels]] = SHARED | {
    "fax_submissions_total": (
        "counter",
        {"account": ACCOUNTS, "result": ("accepted", "rate_limited", "refused", "retryable", "in_doubt")},
    ),
    "fax_rate_limited_total": ("counter", {"account": ACCOUNTS}),
    "fax_duplicates_total": ("counter", {"account": ACCOUNTS}),
    "fax_delivered_after_end_total": ("counter", {"account": ACCOUNTS}),
    "fax_receipts_total": (
        "counter",
        {
            "account": ACCOUNTS,
            "result": (
                "applied",
                "repeated",
                "unmatched",
                "resolved_doubt",
                "set_aside",
                "held",
                "told",
                "received",
            ),
        },
    ),
    "fax_polls_total": (
        "counter",
        {
            "account": ACCOUNTS,
            "result": ("final", "held", "repeated", "sending", "unclear", "refused", "put_off"),
        },
    ),
    "fax_queue_wait_seconds": ("histogram", {"account": ACCOUNTS, "priority": PRIORITIES}),
    "fax_request_seconds": ("histogram", {"account": ACCOUNTS}),
    "fax_delivery_seconds": ("histogram", {"account": ACCOUNTS}),
    "fax_worker_stepped_back": ("gauge", {"account": ACCOUNTS}),
    "fax_worker_threads": ("gauge", {}),
    "fax_worker_threads_busy": ("gauge", {}),
}
DISPATCHER: dict[str, tuple[str, Labels]] = SHARED | {
    "fax_jobs": ("gauge", {"account": ACCOUNTS, "state": STATES}),
    "fax_oldest_job_age_seconds": ("gauge", {"account": ACCOUNTS, "priority": PRIORITIES}),
    "fax_limit_used": ("gauge", {"account": ACCOUNTS, "limit": LIMITS}),
    "fax_limit_capacity": ("gauge", {"account": ACCOUNTS, "limit": LIMITS}),
    "fax_backlog": ("gauge", {"account": ACCOUNTS, "ceiling": ("jobs", "bytes")}),
    "fax_backlog_ceiling": ("gauge", {"account": ACCOUNTS, "ceiling": ("jobs", "bytes")}),
    "fax_polls_used": ("gauge", {"account": ACCOUNTS}),
    "fax_polls_capacity": ("gauge", {"account": ACCOUNTS}),
    "fax_polling_alone": ("gauge", {}),
    "fax_account_paused": ("gauge", {"account": ACCOUNTS}),
    "fax_account_draining_seconds": ("gauge", {"account": ACCOUNTS}),
    "fax_account_closed": ("gauge", {"account": ACCOUNTS, "reason": get_args(ClosedFor)}),
    "fax_state_rolled_back": ("gauge", {"account": ACCOUNTS}),
    "fax_dead_receipts": ("gauge", {"account": ACCOUNTS}),
    "fax_queued_jobs": ("gauge", {"account": ACCOUNTS, "waits_for": ("turn", "time", "line")}),
    "fax_oldest_receipt_wait_seconds": ("gauge", {"account": ACCOUNTS}),
    "fax_receipts_overdue": ("gauge", {"account": ACCOUNTS}),
    "fax_doubts_held": ("gauge", {"account": ACCOUNTS}),
    "fax_slow_documents": ("gauge", {"account": ACCOUNTS}),
    "fax_documents_stopped_total": (
        "counter",
        {"account": ACCOUNTS, "limit": ("time", "memory", "crash")},
    ),
    "fax_settings_differ": ("gauge", {"account": ACCOUNTS}),
    "fax_redis_durable": ("gauge", {"node": ("",)}),
    "fax_redis_memory_bytes": ("gauge", {"node": ("",)}),
    "fax_redis_memory_limit_bytes": ("gauge", {"node": ("",)}),
    "fax_redis_aof_bytes": ("gauge", {"node": ("",)}),
    "fax_redis_aof_ok": ("gauge", {"node": ("",)}),
    "fax_redis_clock_steps_total": ("counter", {"direction": ("back", "forward")}),
    "fax_redis_read_timestamp_seconds": ("gauge", {}),
    "fax_intake_entries": ("gauge", {"account": ACCOUNTS}),
    "fax_events_unread": ("gauge", {"account": ACCOUNTS}),
    "fax_events_cap": ("gauge", {}),
    "fax_intake_oldest_age_seconds": ("gauge", {"account": ACCOUNTS}),
    "fax_intake_taken_total": ("counter", {"account": ACCOUNTS}),
    "fax_streams_replaced_total": (
        "counter",
        {"account": ACCOUNTS, "stream": ("intake", "status", "orders")},
    ),
    "fax_processes": ("gauge", {"role": ("dispatcher", "worker", "webhook")}),
    "fax_accounts_served": ("gauge", {}),
    "fax_accounts_unowned": ("gauge", {}),
}
WEBHOOK_RESULTS = ("stored", "bad_signature", "too_large", "malformed", "inbound", "unavailable")


def exposed(registry: CollectorRegistry) -> dict[str, Metric]:
    """What a scrape of the registry reads of Faxline's own metrics, by exposed name."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in families
        if family.name.startswith("fax_")
    }


def series(samples: list[Sample]) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le")) for sample in samples}


def product_of(labels: Labels) -> set[tuple[tuple[str, str], ...]]:
    sets: set[tuple[tuple[str, str], ...]] = {()}
    for name, values in labels.items():
        sets = {tuple(sorted((*known, (name, value)))) for known in sets for value in values}
    return sets


@pytest.fixture
def registry() -> CollectorRegistry:
    return new_registry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


@pytest.mark.parametrize(("process", "table"), [(WorkerMetrics, WORKER), (DispatcherMetrics, DISPATCHER)])
def test_every_label_set_of_the_table_is_there_at_zero_from_the_start(
    process: type[WorkerMetrics | DispatcherMetrics],
    table: dict[str, tuple[str, Labels]],
    registry: CollectorRegistry,
) -> None:
    process(registry, ACCOUNTS, FAILURES)
    families = exposed(registry)
    assert families.keys() == table.keys() | {"fax_failures_total"}
    for name, (kind, labels) in table.items():
        assert families[name].type == kind
        assert series(families[name].samples) == product_of(labels), name
    assert {sample.value for family in families.values() for sample in family.samples} == {0.0}


def test_the_failures_at_zero_are_those_the_caller_names(registry: CollectorRegistry) -> None:
    WorkerMetrics(registry, ["default"], iter(FAILURES))
    assert series(exposed(registry)["fax_failures_total"].samples) == {
        (("account", "default"), ("code", code), ("reason", reason), ("stage", stage))
        for stage, code, reason in [
            ("intake", "", "too_many_pages"),
            ("submission", "-3001", "invalid_number"),
            ("delivery", "17", "user_busy"),
        ]
    }


def test_the_webhook_counts_by_result_and_strangers_in_one_series(registry: CollectorRegistry) -> None:
    WebhookMetrics(registry, ACCOUNTS)
    families = exposed(registry)
    assert families.keys() == {
        "fax_webhooks_total",
        "fax_webhooks_refused_total",
        "fax_webhook_connections",
        "fax_webhook_connections_closed_total",
    }
    assert series(families["fax_webhook_connections_closed_total"].samples) == product_of(
        {"reason": ("header", "idle", "request", "pipelined", "crowded")}
    )
    assert series(families["fax_webhooks_total"].samples) == product_of(
        {"account": ACCOUNTS, "result": WEBHOOK_RESULTS}
    ) | {(("account", UNKNOWN_ACCOUNT), ("result", "bad_signature"))}
    assert {sample.value for sample in families["fax_webhooks_total"].samples} == {0.0}
    assert series(families["fax_webhooks_refused_total"].samples) == product_of(
        {"account": ACCOUNTS, "reason": REFUSALS}
    ) | {(("account", UNKNOWN_ACCOUNT), ("reason", "unknown_account"))}


def test_a_metric_of_two_processes_is_the_same_in_both() -> None:
    worker, dispatcher = new_registry(), new_registry()
    WorkerMetrics(worker, ACCOUNTS, FAILURES)
    DispatcherMetrics(dispatcher, ACCOUNTS, FAILURES)
    ours, theirs = exposed(worker), exposed(dispatcher)
    assert ours.keys() & theirs.keys() == SHARED.keys() | {"fax_failures_total"}
    for name in ours.keys() & theirs.keys():
        assert ours[name] == theirs[name]


def test_no_name_is_registered_twice_when_one_process_is_all_three(registry: CollectorRegistry) -> None:
    WebhookMetrics(registry, ACCOUNTS)
    WorkerMetrics(registry, ACCOUNTS, FAILURES)
    with pytest.raises(ValueError, match="fax_outcomes"):
        DispatcherMetrics(registry, ACCOUNTS, FAILURES)


def test_each_of_the_workers_words_moves_its_own_series_alone(registry: CollectorRegistry) -> None:
    metrics = WorkerMetrics(registry, ACCOUNTS, FAILURES)
    metrics.submission("default", "in_doubt")
    metrics.outcome("second", "delivered")
    metrics.pages("default", total=20, transferred=19)
    metrics.failure("default", "submission", -3001, "invalid_number")
    metrics.rate_limited("default")
    metrics.deferral("default", "paused")
    metrics.receipt("default", "resolved_doubt")
    metrics.queue_wait("default", "urgent", 0.02)
    metrics.request("default", 0.3)
    metrics.delivery("default", 173)
    moved = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in exposed(registry).values()
        for sample in family.samples
        if sample.value and not sample.name.endswith("_bucket")
    }
    assert moved == {
        ("fax_submissions_total", "default", "in_doubt"): 1,
        ("fax_outcomes_total", "delivered", "second"): 1,
        ("fax_pages_total", "default", "total"): 20,
        ("fax_pages_total", "default", "transferred"): 19,
        ("fax_failures_total", "-3001", "default", "invalid_number", "submission"): 1,
        ("fax_rate_limited_total", "default"): 1,
        ("fax_deferrals_total", "default", "paused"): 1,
        ("fax_receipts_total", "default", "resolved_doubt"): 1,
        ("fax_queue_wait_seconds_count", "default", "urgent"): 1,
        ("fax_queue_wait_seconds_sum", "default", "urgent"): 0.02,
        ("fax_request_seconds_count", "default"): 1,
        ("fax_request_seconds_sum", "default"): 0.3,
        ("fax_delivery_seconds_count", "default"): 1,
        ("fax_delivery_seconds_sum", "default"): 173,
    }


def test_each_of_the_dispatchers_words_sets_its_own_series_alone(registry: CollectorRegistry) -> None:
    metrics = DispatcherMetrics(registry, ACCOUNTS, FAILURES)
    metrics.outcome("default", "rejected")
    metrics.failure("default", "intake", None, "too_many_pages")
    metrics.deferral("default", "window")
    metrics.set_jobs("default", "queued", 1000)
    metrics.set_oldest_job_age("default", "bulk", 61.5)
    metrics.set_limit("default", "burst", used=12.5, capacity=50)
    metrics.set_backlog("default", "jobs", used=1234, ceiling=1_000_000)
    metrics.set_paused("second", paused=True)
    metrics.set_rolled_back("second", rolled_back=True)
    metrics.set_dead_receipts("default", 3)
    metrics.set_redis_durable(durable=True)
    moved = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in exposed(registry).values()
        for sample in family.samples
        if sample.value
    }
    assert moved == {
        ("fax_outcomes_total", "default", "rejected"): 1,
        ("fax_failures_total", "", "default", "intake", "too_many_pages"): 1,
        ("fax_deferrals_total", "default", "window"): 1,
        ("fax_jobs", "default", "queued"): 1000,
        ("fax_oldest_job_age_seconds", "bulk", "default"): 61.5,
        ("fax_limit_used", "burst", "default"): 12.5,
        ("fax_limit_capacity", "burst", "default"): 50,
        ("fax_backlog", "default", "jobs"): 1234,
        ("fax_backlog_ceiling", "default", "jobs"): 1_000_000,
        ("fax_account_paused", "second"): 1,
        ("fax_state_rolled_back", "second"): 1,
        ("fax_dead_receipts", "default"): 3,
        ("fax_redis_durable", ""): 1,
    }


def test_every_gauge_that_all_dispatchers_expose_alike_says_so(registry: CollectorRegistry) -> None:
    DispatcherMetrics(registry, ACCOUNTS, FAILURES)
    gauges = [family for family in exposed(registry).values() if family.type == "gauge"]
    silent = {family.name for family in gauges if "take max, never sum" not in family.documentation}
    assert silent == {"fax_redis_read_timestamp_seconds", "fax_slow_documents", "fax_accounts_served"}


def test_the_moment_of_the_last_look_at_redis_is_told(registry: CollectorRegistry) -> None:
    before = time.time()
    DispatcherMetrics(registry, ACCOUNTS, FAILURES).redis_read()
    assert (value(registry, "fax_redis_read_timestamp_seconds") or 0) >= before


def test_a_paused_account_and_a_durable_redis_can_end(registry: CollectorRegistry) -> None:
    metrics = DispatcherMetrics(registry, ACCOUNTS, FAILURES)
    for state in (True, False):
        metrics.set_paused("default", state)
        metrics.set_redis_durable(state)
        assert value(registry, "fax_account_paused", account="default") == float(state)
        assert value(registry, "fax_redis_durable", node="") == float(state)


def test_the_gauges_of_a_clusters_nodes_go_with_them(registry: CollectorRegistry) -> None:
    metrics = DispatcherMetrics(registry, ACCOUNTS, FAILURES)
    metrics.keep_nodes(["a:1", "b:1"])
    for node in ("a:1", "b:1"):
        metrics.set_redis_durable(durable=True, node=node)
        metrics.set_redis(memory=1, limit=2, aof=3, aof_ok=True, node=node)
    assert value(registry, "fax_redis_durable", node="") is None
    assert value(registry, "fax_redis_aof_bytes", node="a:1") == 3
    metrics.keep_nodes(["b:1", "c:1"])
    assert value(registry, "fax_redis_durable", node="a:1") is None
    assert value(registry, "fax_redis_durable", node="b:1") == 1


def test_a_receipts_negative_pages_and_a_clocks_negative_time_count_as_zero(
    registry: CollectorRegistry,
) -> None:
    metrics = WorkerMetrics(registry, ACCOUNTS, FAILURES)
    metrics.pages("default", total=-5, transferred=-1)
    metrics.queue_wait("default", "normal", -0.5)
    metrics.request("default", -0.5)
    metrics.delivery("default", -0.5)
    assert value(registry, "fax_pages_total", account="default", kind="total") == 0
    assert value(registry, "fax_queue_wait_seconds_sum", account="default", priority="normal") == 0
    assert value(registry, "fax_request_seconds_sum", account="default") == 0
    assert value(registry, "fax_delivery_seconds_sum", account="default") == 0
    assert value(registry, "fax_delivery_seconds_count", account="default") == 1


@pytest.mark.parametrize(
    ("name", "shortest", "longest"),
    [
        ("fax_queue_wait_seconds", 0.01, 86400),
        ("fax_request_seconds", 0.05, 60),
        ("fax_delivery_seconds", 10, 3 * 3600),
    ],
)
def test_the_buckets_span_what_is_measured(
    name: str, shortest: float, longest: float, registry: CollectorRegistry
) -> None:
    WorkerMetrics(registry, ACCOUNTS, FAILURES)
    buckets = [
        float(sample.labels["le"])
        for sample in exposed(registry)[name].samples
        if sample.name.endswith("_bucket")
        and sample.labels["account"] == "default"
        and sample.labels.get("priority", "urgent") == "urgent"
    ]
    assert buckets == sorted(set(buckets))
    assert buckets[0] == shortest
    assert buckets[-2:] == [longest, float("inf")]


def test_the_registry_tells_about_the_process_and_the_interpreter_too(registry: CollectorRegistry) -> None:
    names = {metric.name for metric in registry.collect()}
    assert {"python_info", "python_gc_collections"} <= names
    assert "process_open_fds" in names


def test_no_created_series_are_exposed_in_any_format(registry: CollectorRegistry) -> None:
    WorkerMetrics(registry, ACCOUNTS, FAILURES)
    Histogram("other_seconds", "Not ours.", registry=registry).observe(1)
    openmetrics = generate_openmetrics(registry)  # type: ignore[no-untyped-call]
    for text in (generate_latest(registry), openmetrics):
        assert b"fax_outcomes_total" in text
        assert b"other_seconds_count" in text
        assert b"_created" not in text


def test_a_label_is_escaped_whatever_the_account_is_called(registry: CollectorRegistry) -> None:
    WebhookMetrics(registry, ['a"\n\\b']).webhook('a"\n\\b', "stored")
    samples = exposed(registry)["fax_webhooks_total"].samples
    assert [sample.labels["account"] for sample in samples if sample.value] == ['a"\n\\b']


@pytest.mark.parametrize("kind", [WorkerMetrics, DispatcherMetrics])
def test_each_label_set_of_the_failures_is_there_from_the_start_or_where_that_is_not_wanted_as_it_counts(
    kind: type[WorkerMetrics] | type[DispatcherMetrics],
) -> None:
    def shown(failures: list[FailureLabels], failed: str = "") -> list[str]:
        registry = new_registry()
        metrics = kind(registry, [f"a{i}" for i in range(9)], failures)
        if failed:
            metrics.failure(failed, "delivery", 17, "user_busy")
        lines = generate_latest(registry).decode().splitlines()
        return [line for line in lines if line.startswith("fax_failures_total{")]

    environment = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "test-token"}
    assert len(shown(failures_at_zero(read_settings(environment)))) == 9 * len(set(failure_labels()))
    none = failures_at_zero(read_settings(environment | {"FAXLINE_METRICS__FAILURES_FROM_ZERO": "false"}))
    assert shown(none) == []
    counted = 'fax_failures_total{account="a7",code="17",reason="user_busy",stage="delivery"} 1.0'
    assert shown(none, failed="a7") == [counted]


def test_an_account_is_closed_for_one_reason_and_one_of_a_newer_version_is_another(
    registry: CollectorRegistry,
) -> None:
    metrics = DispatcherMetrics(registry, ["default"], FAILURES)

    def closed_for() -> set[str]:
        reasons = get_args(ClosedFor)
        found = {r: value(registry, "fax_account_closed", account="default", reason=r) for r in reasons}
        return {reason for reason, on in found.items() if on == 1}

    for reason, shown in (("unreachable", "unreachable"), ("breaker", "breaker"), ("of-2030", "other")):
        metrics.set_closed("default", reason)
        assert closed_for() == {shown}
    metrics.set_closed("default", "")
    assert closed_for() == set()


def test_every_reason_for_which_an_answer_pauses_has_its_label() -> None:
    rows = (*CODES.values(), *STATUSES.values())
    reasons = {row.reason for row in rows if row.decision is Decision.PAUSE}
    reasons |= {cause.reason for cause in CAUSES.values() if cause.unsent is Decision.PAUSE}
    assert reasons | {OPERATOR, UNREACHABLE, BREAKER, KEY_MISSING, ROLLED_BACK} <= set(get_args(ClosedFor))
