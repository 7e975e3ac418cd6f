"""The processes: how busy, how fast and how healthy each worker, webhook and dispatcher is."""

from typing import Any

from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from faxline_boards.archive import archive
from faxline_boards.board import choice, dashboard, data_source
from faxline_boards.console import console
from faxline_boards.panels import lines, table
from faxline_boards.parts import (
    A_MINUTE,
    GREEN,
    RED,
    Query,
    option,
    place,
    rows,
    threshold_override,
    words,
)
from faxline_boards.placement import nodes, shares

INSTANCE = 'instance=~"$instance"'
FAXLINE = 'job=~"faxline-dispatcher|faxline-worker|faxline-webhook|faxline-archive|faxline-console"'
BY = "{{job}} {{instance}}"


def _targets(at: Any) -> Any:
    return table(
        "Processes",
        "All targets of Prometheus, whether the last scrape went well, and when each process began. Many "
        "starts: look at its last log lines.",
        at,
        [
            rows(f"max by (job, instance) (up{{{FAXLINE}, {INSTANCE}}})"),
            rows(f"time() - max by (job, instance) (process_start_time_seconds{{{FAXLINE}, {INSTANCE}}})"),
        ],
        "short",
        {},
        alerts=["FaxProcessDown", "FaxDispatcherMissing", "FaxWorkerMissing", "FaxWebhookMissing"],
        transformations=[
            DataTransformerConfig("merge", options={}),
            DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {"job": 0, "instance": 1, "Value #A": 2, "Value #B": 3},
                    "renameByName": {"Value #A": "up", "Value #B": "age"},
                },
            ),
        ],
        overrides={
            "up": [
                option("mappings", words({"1": ("up", GREEN), "0": ("DOWN", RED)})),
                option("custom.cellOptions", {"type": "color-text"}),
                threshold_override({1: GREEN}, RED),
            ],
            "age": [option("unit", "s")],
        },
    )


def pods() -> dict[str, Any]:
    """The board's JSON."""
    panels = [
        _targets(place(0, 0, 8, 8)),
        lines(
            "Busy threads, of all",
            "A thread is busy for as long as iFax takes to answer. All busy while faxes wait for their turn: "
            "add pods.",
            place(8, 0, 8, 8),
            [
                Query(
                    f"max by (instance) (fax_worker_threads_busy{{{INSTANCE}}})"
                    f" / max by (instance) (fax_worker_threads{{{INSTANCE}}})",
                    "{{instance}}",
                )
            ],
            "percentunit",
            alerts=["FaxWorkersBusy"],
            steps={0.9: RED},
        ),
        lines(
            "Calls a minute",
            "Submissions of each worker. If one makes none while the others do, look at its log.",
            place(16, 0, 8, 8),
            [
                Query(
                    f"sum by (instance) (rate(fax_submissions_total{{{INSTANCE}}}[$__rate_interval])) * 60",
                    "{{instance}}",
                )
            ],
            A_MINUTE,
            alerts=["FaxNoneSubmitted"],
            stacked=True,
        ),
        lines(
            "Time of a call (p95)",
            "By worker. One that is slower than the others has trouble of its own: its network, its CPU.",
            place(0, 8, 8, 8),
            [
                Query(
                    "histogram_quantile(0.95, sum by (instance, le) ("
                    f"rate(fax_request_seconds_bucket{{{INSTANCE}}}[$__rate_interval])))",
                    "{{instance}}",
                )
            ],
            "s",
            alerts=["FaxDoubtsMany"],
        ),
        lines(
            "Receipts and webhooks a minute",
            "Receipts applied by each worker, webhooks taken by each webhook.",
            place(8, 8, 8, 8),
            [
                Query(
                    f"sum by (instance) (rate(fax_receipts_total{{{INSTANCE}}}[$__rate_interval])) * 60",
                    "receipts {{instance}}",
                ),
                Query(
                    f"sum by (instance) (rate(fax_webhooks_total{{{INSTANCE}}}[$__rate_interval])) * 60",
                    "webhooks {{instance}}",
                ),
            ],
            A_MINUTE,
            alerts=["FaxNoWebhooks"],
        ),
        lines(
            "Since a dispatcher last read Redis",
            "Some seconds are usual. If it grows, this dispatcher cannot reach Redis, and its gauges stand "
            "still.",
            place(16, 8, 8, 8),
            [Query(f"time() - fax_redis_read_timestamp_seconds{{{INSTANCE}}}", "{{instance}}")],
            "s",
            alerts=["FaxRedisAway"],
            steps={60: RED},
        ),
        lines(
            "CPU",
            "Cores in use by each process.",
            place(0, 16, 8, 8),
            [
                Query(
                    f"rate(process_cpu_seconds_total{{{FAXLINE}, {INSTANCE}}}[$__rate_interval])",
                    BY,
                )
            ],
            "short",
        ),
        lines(
            "Memory",
            "Resident memory of each process. It grows for days: report it, and restart the pod with "
            "SIGTERM.",
            place(8, 16, 8, 8),
            [Query(f"process_resident_memory_bytes{{{FAXLINE}, {INSTANCE}}}", BY)],
            "bytes",
        ),
        lines(
            "Open files, of all that are allowed",
            "Sockets are files too. Near 100 % a process can no longer accept or make connections.",
            place(16, 16, 8, 8),
            [
                Query(
                    f"process_open_fds{{{FAXLINE}, {INSTANCE}}} / process_max_fds{{{FAXLINE}, {INSTANCE}}}",
                    BY,
                )
            ],
            "percentunit",
            steps={0.8: RED},
        ),
        lines(
            "Webhook connections",
            "Connections that each webhook has open; FAXLINE_WEBHOOK__CONNECTIONS (500) is the ceiling.",
            place(0, 24, 8, 8),
            [Query(f"fax_webhook_connections{{{INSTANCE}}}", "{{instance}}")],
            "short",
            alerts=["FaxWebhookCrowded"],
        ),
        lines(
            "Webhook connections closed a minute",
            "header, request: slow or silent clients, which any public address has. idle: kept and not used. "
            "pipelined: the client waits for no answer. crowded: the ceiling was reached, and the longest "
            "waiting were closed.",
            place(8, 24, 8, 8),
            [
                Query(
                    "sum by (reason) (rate(fax_webhook_connections_closed_total"
                    f"{{{INSTANCE}}}[$__rate_interval])) * 60",
                    "{{reason}}",
                )
            ],
            A_MINUTE,
            alerts=["FaxWebhookCrowded"],
        ),
        lines(
            "Since a loop last completed a round",
            "Some seconds are usual; a worker's threads wait for iFax. If it grows, that part of the "
            "process's work stands still.",
            place(16, 24, 8, 8),
            [
                Query(
                    f"max by (job, instance, loop) (fax_loop_age_seconds{{{INSTANCE}}})",
                    "{{job}} {{instance}} {{loop}}",
                )
            ],
            "s",
            alerts=["FaxLoopStalled"],
            steps={60: RED},
        ),
        *shares(INSTANCE, 32),
        *nodes(32),
        *archive(48),
        *console(INSTANCE, 56),
    ]
    instances = f"label_values(up{{{FAXLINE}}}, instance)"
    return dashboard(
        "faxline-pods",
        "Faxline: worker pods",
        "How busy, how fast and how healthy each process is.",
        [data_source(), choice("instance", "Process", instances)],
        panels,
    )
