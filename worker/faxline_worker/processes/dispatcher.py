"""The dispatcher process."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from uuid import uuid4

from prometheus_client import CollectorRegistry

from faxline.contract.pdf.reader import PdfReader
from faxline.contract.redis_keys import VERSION_SIGN
from faxline_worker.config.live_accounts import LiveAccounts, Update
from faxline_worker.config.settings import Settings
from faxline_worker.dispatcher.context import BLOCK
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.dispatcher.served import Served
from faxline_worker.dispatcher.shares import Shares
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.maintenance.shared_settings import SettingsPublisher
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry, watch_folders, watch_loops
from faxline_worker.observability.pulse import Loops
from faxline_worker.processes.common import (
    failures_at_zero,
    give_up,
    load,
    make_broker,
    monitor,
    probe_client,
    process_name,
    raise_file_limit,
    rollback_guard,
    stop_on_signals,
    traces_of,
)
from faxline_worker.processes.draining import account_list, drain_by_redis, find_drained
from faxline_worker.processes.redis_at_start import require_layout, require_redis
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
    live, secrets = load("dispatcher")
    settings = live.settings
    raise_file_limit()
    require_redis(settings, "dispatcher")
    log, who = get_logger("faxline_worker.dispatcher.dispatcher"), process_name()
    guard = rollback_guard(settings, log)
    client = state_client(
        settings.redis_url, name="faxline-dispatcher", longest_block=BLOCK, connected=guard.connected
    )
    stores = Stores(client, settings, who, memory=guard.memory)
    stores.make_all()
    guard.stores = stores.made
    require_layout(client, settings)
    registry, loops = new_registry(), Loops(settings.stall.total_seconds())
    watch_loops(registry, loops.ages, loops.stalled)
    broker, probe = make_broker(settings), probe_client(settings, "dispatcher")
    drain_by_redis(live, probe, log)
    find_drained(live, account_list(live, probe, log), log, missing=True)
    watch_folders(registry, lambda: len(live.broken))
    served, publisher = Served(stores), SettingsPublisher(stores.made.values, f"dispatcher {who}", log)
    heartbeat = Heartbeat(
        *(probe, "dispatcher", live, loops, log),
        more=lambda: {"results": settings.results, **shares.heartbeat_fields()},
    )
    metrics, known = _metrics(registry, settings), set(stores)
    shares = Shares(served, metrics, heartbeat.name, live.group, broker, broken=lambda: live.broken)
    process = Dispatcher(
        *(client, served, Wakes(broker), metrics, log),
        consumer=f"{who}-{uuid4().hex[:8]}{VERSION_SIGN}{version('faxline')}",
        takeover=settings.takeover.total_seconds(),
        sweep=settings.paced_sweep.total_seconds(),
        wake_lease=settings.wake_lease.total_seconds(),
        file_hosts=settings.file_hosts,
        pdf_reader=partial(PdfReader, settings.pdf.timeout.total_seconds(), settings.pdf.memory, children=1),
        loops=loops,
        accounts=account_list(live, client, log),
        begin=partial(_begin, guard, publisher, known),
        shares=shares,
        drained=lambda account: live.drained(account, shares.slowest_look),
    )
    live.listen(partial(_follow, stores, shares, guard, live, known))
    with ExitStack() as stack:  # what is opened first is closed last
        for part in (client, probe, broker):
            stack.callback(part.close)
        stack.enter_context(
            monitor(registry, settings, "dispatcher", loops, lambda: {"redis": check_writes(probe)})
        )
        if settings.traces.endpoint:
            traces = traces_of(settings, "dispatcher")
            follower = TraceFollower(client, served, traces, log, who)
            follower.start()
            stack.callback(follower.stop)
        stop = stop_on_signals()
        publisher.start()
        secrets.start(loops)
        process.start(ended=stop.set)
        guard.start(settings.redis_url, "dispatcher", loops)
        heartbeat.start()
        for close in (heartbeat.close, secrets.close, guard.close, publisher.close, process.stop):
            stack.callback(close)
        log.info("dispatcher ready", count=len(settings.accounts))
        stop.wait()
        log.info("dispatcher stops")
    log.info("dispatcher stopped")
    if process.newer is not None:
        give_up(str(process.newer))


def _metrics(registry: CollectorRegistry, settings: Settings) -> DispatcherMetrics:
    return DispatcherMetrics(
        registry,
        settings.accounts,
        failures_at_zero(settings),
        events_cap=settings.events_cap,
        polling_alone=settings.results == "poll",
    )


def _begin(
    guard: RollbackGuard, publisher: SettingsPublisher, known: set[str], stores: Sequence[Store]
) -> None:
    """Begin with accounts that came after the start, before their first entry is taken."""
    new = [store for store in stores if store.account not in known]
    guard.check_in(new)
    publisher.publish(new)
    known.update(store.account for store in new)


def _follow(  # noqa: PLR0917 - the parts that follow
    stores: Stores, shares: Shares, guard: RollbackGuard, live: LiveAccounts, known: set[str], update: Update
) -> None:
    """Serve the accounts as they are now."""
    stores.follow(update.settings, update.renewed)
    stores.make_all()
    known.difference_update(update.removed)
    shares.follow(update, live.draining)
    for name in update.removed:
        guard.forget(name)
