"""How metrics are made: the registry of a process, families with their label sets at 0, the ages of loops.

Counters and histograms are summed over the processes, which share the work. The gauges that describe Redis
come from every dispatcher alike, and a sum over two dispatchers would double them: take
`max by (account, …)`, as their help texts say. ops/prometheus and grafana do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

from faxline_worker.observability.metrics.account_labels import AccountLabels, Children


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


def watch_folders(registry: CollectorRegistry, broken: Callable[[], float]) -> None:
    """Export how many folders of the accounts' directory the process cannot read."""
    Gauge(
        "fax_account_folders_broken",
        "Folders of FAXLINE_ACCOUNTS_DIR that this process cannot read. Their accounts keep the last good "
        "settings, or are not served.",
        registry=registry,
    ).set_function(broken)


TAKE_MAX = "; every dispatcher exports the same value: take max, never sum."

_Family = TypeVar("_Family", Counter, Gauge, Histogram)


def _started(family: _Family, labels: Mapping[str, Sequence[str] | AccountLabels]) -> _Family:
    """Make every label set of a family at 0, so that rates and alerts see the first event too."""
    accounts = labels.get("account")
    values = [value for value in labels.values() if not isinstance(value, AccountLabels)]
    if isinstance(accounts, AccountLabels):
        accounts.start(family, product(*values))
    else:
        for each in product(*values):
            family.labels(*each)
    return family


def counter(
    registry: CollectorRegistry, name: str, help_text: str, **labels: Sequence[str] | AccountLabels
) -> Counter:
    """A counter with every label set at 0. `account` comes first."""
    return _started(Counter(name, help_text, labels, registry=registry), labels)


def gauge(
    registry: CollectorRegistry, name: str, help_text: str, **labels: Sequence[str] | AccountLabels
) -> Gauge:
    """A gauge with every label set at 0. `account` comes first."""
    return _started(Gauge(name, help_text, labels, registry=registry), labels)


def histogram(
    registry: CollectorRegistry,
    name: str,
    help_text: str,
    buckets: Sequence[float],
    **labels: Sequence[str] | AccountLabels,
) -> Histogram:
    """A histogram with every label set at 0. `account` comes first."""
    return _started(Histogram(name, help_text, labels, registry=registry, buckets=buckets), labels)


def children(family: _Family, accounts: AccountLabels) -> Children[_Family]:
    """The label sets of a family whose accounts come and go."""
    found = Children(family)
    accounts.remember(found)
    return found


def code_label(code: int | None) -> str:
    """A code of iFax as a label; empty where iFax gave none."""
    return "" if code is None else str(code)
