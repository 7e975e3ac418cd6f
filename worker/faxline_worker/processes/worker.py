"""The worker process: a Dramatiq worker with its broker and actors."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import dramatiq
import dramatiq.worker
import redis
from dramatiq import Broker
from dramatiq import cli as dramatiq_cli
from dramatiq.middleware import Middleware

from faxline.contract.environment import PREFIX
from faxline_worker.config.secrets import Secrets
from faxline_worker.config.settings import Settings
from faxline_worker.ifax import IfaxClient
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.maintenance.shared_settings import Offers
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.http_server import MonitoringPortError, MonitoringServer
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics import (
    WorkerMetrics,
    new_registry,
    watch_loops,
)
from faxline_worker.observability.pulse import Loops
from faxline_worker.processes.common import (
    failures_at_zero,
    give_up,
    load,
    make_broker,
    probe_client,
    process_name,
    require_layout,
    require_redis,
    traces_of,
)
from faxline_worker.processes.signals import end_with_parent, heed_once
from faxline_worker.receipts.reconciler import Reconciler, count_receipt
from faxline_worker.state.redis_clients import (
    check_writes,
    state_client,
)
from faxline_worker.state.store import Store
from faxline_worker.submission.standing import Standing
from faxline_worker.submission.submitter import Submitter
from faxline_worker.tracing.spans import Traces
from faxline_worker.wakeups.account_slots import Seats
from faxline_worker.wakeups.actors import Wakes, declare_actors
from faxline_worker.wakeups.broker import WakeBroker

CALLS, CALLS_OF_SEVERAL = 50, 16
"""How many calls a wake-up stands for at the most; where several accounts share the threads, others wait."""
RESTART_DELAY = 500
"""Milliseconds until a consumer of wake-ups that lost its connection begins again."""


class _WorkerMonitoring(Middleware):
    """Serves metrics and follows the secrets once the process has forked; at the end closes what it holds."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        registry: Any,
        loops: Loops,
        traces: Traces,
        *,
        client: redis.Redis,
        log: Any,
        stores: Mapping[str, Store],
        guard: RollbackGuard,
        standings: Mapping[str, Standing],
        taking: Callable[[], bool],
    ) -> None:
        self._traces = traces
        self._standings = standings
        self._secrets = secrets
        self._stores = stores
        self._guard = guard
        self._settings = settings
        self._registry = registry
        self._client = client
        self._loops = loops
        self._taking = taking
        self._probe = probe_client(settings, "worker")
        self._heartbeat = Heartbeat(self._probe, "worker", settings.accounts, loops, log, self._ends)
        self._offers = Offers(stores, f"worker {process_name()}", log)
        self._server: MonitoringServer | None = None

    def _ready(self) -> Mapping[str, bool | str]:
        return {
            "redis": check_writes(self._probe),
            "connections": check_writes(self._client),
            "layout": all(store.known for store in self._stores.values()),
            **self._ends(),
            **self._loops.checks(),
            **{
                f"account {name}": f"stepped back, for iFax accepts the calls of other workers: {away.why}"
                for name, standing in self._standings.items()
                if (away := standing.away) is not None
            },
        }

    def _ends(self) -> Mapping[str, bool | str]:
        return {"wake-ups": self._taking() or "are taken no more: the process ends"}

    def after_process_boot(self, broker: Broker) -> None:
        """Start to listen."""
        del broker
        heed_once()
        end_with_parent()
        try:
            self._server = MonitoringServer(
                self._registry,
                self._settings.metrics.worker_port,
                stalled=self._loops.stalled,
                ready=self._ready,
                variable="FAXLINE_METRICS__WORKER_PORT",
            )
        except MonitoringPortError as error:
            give_up(str(error))
        self._secrets.start(self._loops)
        self._offers.start()
        self._guard.start(self._settings.redis_url, "worker", self._loops)
        self._heartbeat.start()

    def after_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        """Stop listening."""
        del broker, worker
        self._secrets.close()
        self._offers.close()
        if self._server is not None:
            self._server.close()
        self._heartbeat.close()
        self._guard.close()
        self._probe.close()
        self._traces.close()


class Shutdown(Middleware):
    """When the process begins to end, no turn begins any more; calls under way end and settle."""

    def __init__(self, broker: WakeBroker, seats: Seats, wakes: Wakes, log: Any) -> None:
        self._broker = broker
        self._seats = seats
        self._wakes = wakes
        self._log = log

    def before_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        """Take no wake-up from now on, and pass on those that wait here."""
        del broker, worker
        self._broker.stop_taking()
        waited = self._seats.close()
        self._log.info("worker ends: calls under way are finished, no other begins", count=len(waited))
        try:
            for account, token in waited:
                self._wakes.submit(account, token)
        except redis.RedisError as error:  # the dispatcher sends them again
            self._log.warning("Redis is away", error=type(error).__name__)


def worker() -> None:
    """What dramatiq calls in the worker process: the broker and its actors."""
    # Here sys.stderr is a pipe to dramatiq's parent, which would write each line once more.
    settings, secrets = load("worker", sys.__stderr__)
    require_redis(settings, "worker")
    log = get_logger("faxline_worker.worker")
    guard = RollbackGuard(settings.accounts, settings.rollback_wait, log)
    client = state_client(settings.redis_url, name="faxline-worker", threads=True, connected=guard.connected)
    registry = new_registry()
    metrics = WorkerMetrics(registry, settings.accounts, failures_at_zero(settings))
    loops = Loops(settings.stall)
    threads = loops.pool("threads", settings.http_timeout + settings.lease_grace)
    broker = make_broker(settings, loops.add("consumer"))
    watch_loops(registry, loops.ages, loops.stalled)
    traces = traces_of(settings, "worker")
    who = process_name()
    stores = guard.stores = {
        name: Store(client, settings, name, who=who, memory=guard.memory(name)) for name in settings.accounts
    }

    def standing_of(account: str) -> Standing:
        def told(why: str | None) -> None:
            metrics.set_stepped_back(account, why is not None)
            if why is None:
                log.info("takes the account's calls again", account=account)
            else:
                log.warning(
                    "stepped back: iFax accepts the calls of other workers", account=account, error=why
                )

        return Standing(settings.unreachable.first, settings.unreachable.max, told)

    standings = {name: standing_of(name) for name in settings.accounts}
    monitoring = _WorkerMonitoring(
        settings,
        secrets,
        registry,
        loops,
        traces,
        client=client,
        log=log,
        stores=stores,
        guard=guard,
        standings=standings,
        taking=lambda: not broker.closing.is_set(),
    )
    broker.add_middleware(monitoring)
    dramatiq.set_broker(broker)
    ifax = IfaxClient(
        settings.ifax_url, timeout=settings.http_timeout, proxy=settings.proxy, trust=settings.trust
    )
    wakes = Wakes(broker)

    seats = Seats(settings.worker_threads, len(settings.accounts))

    @cache
    def submitter(account: str) -> Submitter:
        own = settings.accounts[account]
        return Submitter(
            store=stores[account],
            client=ifax,
            key=lambda: secrets.tokens[account],
            caller_id=own.caller_id,
            retries=settings.retries.submission,
            wakes=wakes,
            metrics=metrics,
            log=log.bind(account=account),
            patience=settings.in_doubt.wait,
            traces=traces,
            applied=lambda receipt, at, name: count_receipt(metrics, name, receipt, at),
            standing=standings[account],
            calls=CALLS if len(settings.accounts) == 1 else CALLS_OF_SEVERAL,
            ends=lambda: seats.closed,
            beat=threads.beat,
        )

    @cache
    def reconciler(account: str) -> Reconciler:
        return Reconciler(stores[account], wakes, metrics, log.bind(account=account))

    broker.add_middleware(Shutdown(broker, seats, wakes, log))
    metrics.set_threads(settings.worker_threads)
    declare_actors(broker, submitter, reconciler, seats, log, who=who, busy=metrics.busy, threads=threads)
    through = {"proxy": str(settings.proxy)} if settings.proxy is not None else {}
    log.info("worker ready", count=settings.worker_threads, **through)


def run_worker(threads: int | None) -> NoReturn:
    """Check the settings, then run as dramatiq with one process (its metrics are this pod's).

    It is dramatiq's own command, called and not executed: the process that it forks has all modules from
    here, where a new interpreter would read each of them once more.
    """
    settings, _ = load("worker")
    require_redis(settings, "worker")
    with closing(state_client(settings.redis_url, name="faxline-worker")) as client:
        require_layout({name: Store(client, settings, name) for name in settings.accounts})
    count = threads or settings.worker_threads
    os.environ[f"{PREFIX}WORKER_THREADS"] = str(count)
    # No message waits behind busy threads while another worker is idle; a cut connection is soon made again.
    # The variables are for the interpreter that follows a SIGHUP: here dramatiq has read them already.
    os.environ |= {"dramatiq_queue_prefetch": str(count), "dramatiq_restart_delay": str(RESTART_DELAY)}
    dramatiq.worker.QUEUE_PREFETCH = count
    dramatiq.worker.CONSUMER_RESTART_DELAY_SECS = RESTART_DELAY / 1000
    arguments = ["-p", "1", "-t", str(count), "--skip-logging", "faxline_worker.processes.worker:worker"]
    grace = round((settings.http_timeout + settings.lease_grace) * 1000)
    arguments = ["--worker-shutdown-timeout", str(grace), *arguments]
    sys.argv = [str(Path(dramatiq.__file__).with_name("__main__.py")), *arguments]  # it starts anew by them
    sys.exit(dramatiq_cli.main())  # type: ignore[no-untyped-call]
