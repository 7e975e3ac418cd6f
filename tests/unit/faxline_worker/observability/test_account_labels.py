"""Which label sets a process exports where its accounts are many, or come and go."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from faxline_worker.observability.metrics.account_labels import AT_START
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.processes.common import failure_labels
from tests.stage.daemon import dispatcher_metrics

FEW, MANY = [f"a{i}" for i in range(AT_START)], [f"a{i}" for i in range(AT_START + 1)]
Metrics = DispatcherMetrics | WorkerMetrics
MAKE: tuple[Callable[[CollectorRegistry, list[str]], Metrics], ...] = (
    lambda registry, names: dispatcher_metrics(registry, accounts=names),
    lambda registry, names: WorkerMetrics(registry, names, failure_labels()),
)


def exported(registry: CollectorRegistry) -> set[str]:
    """The accounts in the label sets."""
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return {sample.labels["account"] for sample in samples if "account" in sample.labels}


@pytest.mark.parametrize("make", MAKE)
def test_with_few_accounts_every_label_set_is_there_from_the_start(
    make: Callable[[CollectorRegistry, list[str]], Metrics],
) -> None:
    make(registry := new_registry(), FEW)
    assert exported(registry) == set(FEW)
    assert (
        registry.get_sample_value(
            "fax_failures_total", {"account": "a0", "stage": "intake", "code": "", "reason": "set_aside"}
        )
        == 0
    )


@pytest.mark.parametrize("make", MAKE)
def test_with_many_accounts_label_sets_are_made_when_an_account_is_served(
    make: Callable[[CollectorRegistry, list[str]], Metrics],
) -> None:
    metrics = make(registry := new_registry(), MANY)
    assert exported(registry) == set()
    metrics.labels.serve("a7")
    metrics.labels.serve("a7")
    assert exported(registry) == {"a7"}
    assert registry.get_sample_value("fax_outcomes_total", {"account": "a7", "outcome": "failed"}) == 0


@pytest.mark.parametrize("make", MAKE)
def test_nothing_is_exported_about_an_account_that_was_removed_until_it_is_back(
    make: Callable[[CollectorRegistry, list[str]], Metrics],
) -> None:
    metrics = make(registry := new_registry(), ["a", "b"])
    metrics.outcome("a", "failed")
    metrics.labels.drop(["a"])
    assert exported(registry) == {"b"}
    metrics.labels.serve("a")
    metrics.outcome("a", "failed")
    assert registry.get_sample_value("fax_outcomes_total", {"account": "a", "outcome": "failed"}) == 1


@pytest.mark.parametrize("make", MAKE)
def test_many_accounts_are_dropped_in_one_pass_and_none_without_any(
    make: Callable[[CollectorRegistry, list[str]], Metrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = make(registry := new_registry(), MANY)
    for name in MANY[:5]:
        metrics.labels.serve(name)
        metrics.outcome(name, "failed")
    families = [family for family, _ in metrics.labels._families]
    looked: Counter[str] = Counter()

    class Looked(dict[Any, Any]):
        def copy(self) -> dict[Any, Any]:
            looked[self.name] += 1
            return super().copy()

        name: str

    for family in families:
        found = Looked(family._metrics)
        found.name = family._name
        monkeypatch.setattr(family, "_metrics", found)
    metrics.labels.drop([])
    assert not looked
    metrics.labels.drop(MANY[1:])
    assert set(looked.values()) == {1}
    assert exported(registry) == {MANY[0]}


def test_a_webhook_exports_an_account_of_many_from_its_first_webhook_on() -> None:
    metrics = WebhookMetrics(registry := new_registry(), MANY)
    assert exported(registry) == {"unknown"}
    metrics.webhook("a7", "stored")
    assert exported(registry) == {"unknown", "a7"}
