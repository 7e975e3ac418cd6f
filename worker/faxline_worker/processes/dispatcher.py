"""The dispatcher process."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from uuid import uuid4

import redis
from prometheus_client import CollectorRegistry

from faxline.contract.pdf_reader import PdfReader
from faxline.contract.redis_keys import VERSION_SIGN
from faxline_worker.config.settings import Settings
from faxline_worker.dispatcher.context import BLOCK
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.maintenance.shared_settings import SettingsPublisher
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry, watch_loops
from faxline_worker.observability.pulse import Loops
from faxline_worker.processes.common import (
    failures_at_zero,
    give_up,
    load,
    make_broker,
    monitor,
    probe_client,
    process_name,
    require_layout,
    require_redis,
    stop_on_signals,
    traces_of,
)
from faxline_worker.state.redis_clients import (
    check_writes,
    state_client,
)
from faxline_worker.state.store import Store
from faxline_worker.state.stores import Stores
from faxline_worker.tracing.spans import TraceFollower
from faxline_worker.wakeups.actors import Wakes


def dispatcher() -> None:
    """Run a dispatcher until SIGTERM, SIGINT or SIGHUP."""
    settings, _ = load("dispatcher")
    require_redis(settings, "dispatcher")
    log, who = get_logger("faxline_worker.dispatcher.dispatcher"), process_name()
    guard = RollbackGuard(min(settings.accounts), settings.rollback_wait.total_seconds(), log)
    client = state_client(
        settings.redis_url, name="faxline-dispatcher", longest_block=BLOCK, connected=guard.connected
    )
    stores = Stores(client, settings, who, memory=guard.memory)
    stores.make_all()
    guard.stores = stores.made
    require_layout(client, settings.accounts)
    registry, loops = new_registry(), Loops(settings.stall.total_seconds())
    watch_loops(registry, loops.ages, loops.stalled)
    broker, probe = make_broker(settings), probe_client(settings, "dispatcher")
    process = _make(client, stores, Wakes(broker), settings=settings, registry=registry, loops=loops, who=who)
    publisher = SettingsPublisher(stores.made.values, f"dispatcher {who}", log)
    heartbeat = Heartbeat(
        probe, "dispatcher", settings.accounts, loops, log, more=lambda: {"results": settings.results}
    )
    with ExitStack() as stack:  # what is opened first is closed last
        for part in (client, probe, broker):
            stack.callback(part.close)
        stack.enter_context(
            monitor(registry, settings, "dispatcher", loops, lambda: {"redis": check_writes(probe)})
        )
        if settings.traces.endpoint:
            traces = traces_of(settings, "dispatcher")
            follower = TraceFollower(client, settings.accounts, traces, log, who)
            follower.start()
            stack.callback(follower.stop)
        stop = stop_on_signals()
        publisher.start()
        process.start(ended=stop.set)
        guard.start(settings.redis_url, "dispatcher", loops)
        heartbeat.start()
        for close in (heartbeat.close, guard.close, publisher.close, process.stop):
            stack.callback(close)
        log.info("dispatcher ready", count=len(settings.accounts))
        stop.wait()
        log.info("dispatcher stops")
    log.info("dispatcher stopped")
    if process.newer is not None:
        give_up(str(process.newer))


def _make(
    client: redis.Redis,
    stores: Mapping[str, Store],
    wakes: Wakes,
    *,
    settings: Settings,
    registry: CollectorRegistry,
    loops: Loops,
    who: str,
) -> Dispatcher:
    """Make the dispatcher, which reads the streams and runs the timers, from the settings."""
    return Dispatcher(
        client,
        stores,
        wakes,
        DispatcherMetrics(
            registry,
            settings.accounts,
            failures_at_zero(settings),
            events_cap=settings.events_cap,
            polling_alone=settings.results == "poll",
        ),
        get_logger("faxline_worker.dispatcher.dispatcher"),
        consumer=f"{who}-{uuid4().hex[:8]}{VERSION_SIGN}{version('faxline')}",
        takeover=settings.takeover.total_seconds(),
        sweep=settings.paced_sweep.total_seconds(),
        wake_lease=settings.wake_lease.total_seconds(),
        file_hosts=settings.file_hosts,
        pdf_reader=partial(PdfReader, settings.pdf.timeout.total_seconds(), settings.pdf.memory, children=1),
        loops=loops,
    )
