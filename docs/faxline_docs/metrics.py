"""docs/metrics.md: every metric with its labels and help text, one table for each role."""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Metric

from faxline_archive.metrics import ArchiveMetrics
from faxline_console.metrics import ConsoleMetrics
from faxline_docs.markdown import code, table
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import watch_folders, watch_loops
from faxline_worker.observability.metrics.labels import FailureLabels
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.observability.metrics.worker import WorkerMetrics

ACCOUNT = "default"
_FAILURES: list[FailureLabels] = [("intake", None, ""), ("submission", None, ""), ("delivery", None, "")]


def watch_process(registry: CollectorRegistry) -> None:
    """The metrics that every process has."""
    watch_loops(registry, lambda: {"timers": 0.0}, dict)
    watch_folders(registry, float)


ROLES: dict[str, Callable[[CollectorRegistry], Any]] = {
    "A worker": lambda registry: WorkerMetrics(registry, [ACCOUNT], _FAILURES),
    "A dispatcher": lambda registry: DispatcherMetrics(registry, [ACCOUNT], _FAILURES),
    "A webhook": lambda registry: WebhookMetrics(registry, [ACCOUNT]),
    "An archive": lambda registry: ArchiveMetrics(registry, [ACCOUNT]),
    "A console": ConsoleMetrics,
    "Every process": watch_process,
}
_OPEN = {"account", "code", "reason", "loop"}
"""Labels whose values are not listed: your own names, and tables on other pages."""


def tables() -> str:
    """One table for each role."""
    return "\n\n".join(f"### {role}\n\n{_table(make)}" for role, make in ROLES.items())


def _table(make: Callable[[CollectorRegistry], Any]) -> str:
    registry = CollectorRegistry()
    make(registry)
    rows = [
        (code(_name(metric)), metric.type, _labels(metric), metric.documentation)
        for metric in sorted(registry.collect(), key=lambda metric: metric.name)
    ]
    return table(("metric", "type", "labels", "meaning"), rows)


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _labels(metric: Metric) -> str:
    values: dict[str, list[str]] = {}
    for sample in metric.samples:
        for label, value in sample.labels.items():
            if value not in (known := values.setdefault(label, [])):
                known.append(value)
    return "; ".join(_label(label, known) for label, known in values.items() if label != "le")


def _label(label: str, values: Iterable[str]) -> str:
    return code(label) if label in _OPEN else f"{code(label)}: {', '.join(values)}"
