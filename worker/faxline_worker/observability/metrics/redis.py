"""What a dispatcher reads about Redis itself and about the processes at work."""

from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from faxline.reading.processes import ROLES
from faxline_worker.observability.metrics.families import TAKE_MAX, counter, gauge
from faxline_worker.observability.metrics.labels import Direction

ONE = ("",)
"""The label of a server that is no node of a cluster."""


class RedisMetrics:
    """What a dispatcher reads about Redis itself and about the processes at work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._durable = gauge(
            registry,
            "fax_redis_durable",
            f"1 if Redis keeps what it accepted (append-only file, no eviction), else 0{TAKE_MAX}",
            node=ONE,
        )
        self._memory = gauge(
            registry, "fax_redis_memory_bytes", f"Memory that Redis uses for its data{TAKE_MAX}", node=ONE
        )
        self._memory_limit = gauge(
            registry,
            "fax_redis_memory_limit_bytes",
            f"Redis' maxmemory; 0 if there is no limit{TAKE_MAX}",
            node=ONE,
        )
        self._aof = gauge(
            registry,
            "fax_redis_aof_bytes",
            f"Size of Redis' append-only file; 0 if there is none{TAKE_MAX}",
            node=ONE,
        )
        self._aof_ok = gauge(
            registry,
            "fax_redis_aof_ok",
            f"1 if the last write and rewrite of the append-only file succeeded, else 0{TAKE_MAX}",
            node=ONE,
        )
        self._nodes = set(ONE)
        self._processes = gauge(
            registry,
            "fax_processes",
            f"Running processes, by their heartbeats in Redis{TAKE_MAX}",
            role=ROLES,
        )
        self._clock_steps = counter(
            registry,
            "fax_redis_clock_steps_total",
            "Steps of Redis' clock that this dispatcher noticed, by direction.",
            direction=get_args(Direction),
        )
        self._read = Gauge(
            "fax_redis_read_timestamp_seconds",
            "When this dispatcher last read its gauges from Redis. They do not change while Redis is away.",
            registry=registry,
        )

    def set_processes(self, counts: Mapping[str, float]) -> None:
        """Set the number of running processes of each role; NaN if it is unknown."""
        for role, n in counts.items():
            self._processes.labels(role).set(n)

    def keep_nodes(self, nodes: Iterable[str]) -> None:
        """Show the gauges of these nodes of a cluster only: those that were primaries are gone."""
        for node in self._nodes.difference(nodes):
            for family in (self._durable, self._memory, self._memory_limit, self._aof, self._aof_ok):
                family.remove(node)
        self._nodes.intersection_update(nodes)

    def set_redis_durable(self, durable: bool, node: str = "") -> None:
        """Set whether a server keeps what it accepted. Only the nodes of a cluster have a name."""
        self._nodes.add(node)
        self._durable.labels(node).set(durable)

    def set_redis(self, *, memory: int, limit: int, aof: int, aof_ok: bool, node: str = "") -> None:
        """Set a server's memory and the size of its append-only file (bytes)."""
        self._nodes.add(node)
        self._memory.labels(node).set(memory)
        self._memory_limit.labels(node).set(limit)
        self._aof.labels(node).set(aof)
        self._aof_ok.labels(node).set(aof_ok)

    def clock_step(self, direction: Direction) -> None:
        """Count a step of Redis' clock."""
        self._clock_steps.labels(direction).inc()

    def redis_read(self) -> None:
        """Note that the gauges were read from Redis now."""
        self._read.set_to_current_time()
