"""What the processes' /metrics say, taken together as Prometheus would."""

from collections import Counter
from collections.abc import Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from faxline_local.stack import Local

Key = tuple[str, ...]
"""A metric's name and the values of its labels, in the order of the labels' names."""


def page(local: Local, process: str) -> str:
    """The text that a process exposes."""
    url = f"http://127.0.0.1:{local.metrics[process]}/metrics"
    return httpx.get(url, trust_env=False).raise_for_status().text


def samples(local: Local) -> Iterator[Sample]:
    """Faxline's own samples of every process."""
    for process in local.metrics:
        for family in text_string_to_metric_families(page(local, process)):
            if family.name.startswith("fax_"):
                yield from family.samples


def counted(local: Local) -> Counter[Key]:
    """Every counter, summed over the processes; only those that have moved."""
    found: Counter[Key] = Counter()
    for sample in samples(local):
        if sample.name.endswith(("_total", "_count")) and sample.value:
            found[key_of(sample)] += round(sample.value)
    return found


def gauged(local: Local) -> dict[Key, float]:
    """Every gauge, the greatest of the processes."""
    found: dict[Key, float] = {}
    for sample in samples(local):
        if not sample.name.endswith(("_total", "_count", "_sum", "_bucket")):
            found[key_of(sample)] = max(sample.value, found.get(key_of(sample), sample.value))
    return found


def key_of(sample: Sample) -> Key:
    """The key of a sample."""
    return (sample.name, *(value for _, value in sorted(sample.labels.items())))
