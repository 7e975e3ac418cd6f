"""How metrics are made: the registry of a process, families with their label sets at 0, the ages of loops.

Counters and histograms are summed over the processes, which share the work. The gauges that describe Redis
come from every dispatcher alike, and a sum over two dispatchers would double them: take
`max by (account, …)`, as their help texts say. ops/prometheus and grafana do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import TypeVar

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


class _Registry(CollectorRegistry):
    """Leaves out the `_created` series. The client can turn them off for the whole interpreter only."""

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
    """Reads the ages when they are collected, because a stalled loop sets nothing."""

    def __init__(
        self, ages: Callable[[], Mapping[str, float]], stalled: Callable[[], Mapping[str, float]]
    ) -> None:
        self._ages = ages
        self._stalled = stalled

    def collect(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "fax_loop_age_seconds",
            "Seconds since a loop of this process last completed a round.",
            labels=["loop"],
        )
        stalled = GaugeMetricFamily(
            "fax_loop_stalled",
            "1 while a loop of this process is stalled: it has completed no round for FAXLINE_STALL, nor for "
            "as long as it may wait; else 0.",
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
    """Export how long ago each loop of the process last went round, and whether it is stalled."""
    registry.register(_LoopAges(ages, stalled))


TAKE_MAX = "; every dispatcher exports the same value: take max, never sum."

_Family = TypeVar("_Family", Counter, Gauge, Histogram)


def started(family: _Family, *values: Sequence[str]) -> _Family:
    """The family with every label set created, at 0, so that rates and alerts see the first event too."""
    for labels in product(*values):
        family.labels(*labels)
    return family


def counter(registry: CollectorRegistry, name: str, help_text: str, **labels: Sequence[str]) -> Counter:
    """A counter with every label set at 0."""
    return started(Counter(name, help_text, labels, registry=registry), *labels.values())


def gauge(registry: CollectorRegistry, name: str, help_text: str, **labels: Sequence[str]) -> Gauge:
    """A gauge with every label set at 0."""
    return started(Gauge(name, help_text, labels, registry=registry), *labels.values())


def histogram(
    registry: CollectorRegistry, name: str, help_text: str, buckets: Sequence[float], **labels: Sequence[str]
) -> Histogram:
    """A histogram with every label set at 0."""
    return started(Histogram(name, help_text, labels, registry=registry, buckets=buckets), *labels.values())


def children(family: _Family) -> Callable[..., _Family]:
    """The family's `labels`, which looks up faster; it remembers as many as there are label sets."""
    return cache(family.labels)


def code_label(code: int | None) -> str:
    """A code of iFax as a label; empty where iFax gave none."""
    return "" if code is None else str(code)
