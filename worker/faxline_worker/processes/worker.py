"""The worker process: a Dramatiq worker whose threads call iFax and apply receipts."""

import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress

import dramatiq
import redis

from faxline_worker.config.live_accounts import LiveAccounts, Update
from faxline_worker.config.secrets import Secrets
from faxline_worker.ifax import IfaxClient
from faxline_worker.maintenance.shared_settings import SettingsPublisher
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.families import new_registry, watch_folders, watch_loops
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.observability.pulse import Loops
from faxline_worker.processes.common import (
    failures_at_zero,
    follow_accounts,
    load,
    make_broker,
    monitor,
    probe_client,
    process_name,
    rollback_guard,
    stop_on_signals,
    traces_of,
)
from faxline_worker.processes.draining import account_list, drain_by_redis, find_drained
from faxline_worker.processes.redis_at_start import require_layout, require_redis
from faxline_worker.processes.worker_accounts import WorkerAccounts
from faxline_worker.state.account_starts import AT_ONCE, check_layouts
from faxline_worker.state.redis_clients import check_writes, state_client
from faxline_worker.state.schema import NewerLayoutError
from faxline_worker.state.store import Store
from faxline_worker.state.stores import Stores
from faxline_worker.wakeups.account_concurrency import AccountConcurrency
from faxline_worker.wakeups.actors import Wakes, declare_actors
from faxline_worker.wakeups.shutdown import Shutdown
from faxline_worker.wakeups.worker_share import WorkerShare


def worker(threads: int | None = None) -> None:
    """Run a worker until a signal ends it. Calls under way are finished and settled first.

    Args:
        threads: calls at once; None takes FAXLINE_WORKER_THREADS.
    """
    live, secrets = load("worker")
    settings = live.settings
    require_redis(settings, "worker")
    with closing(state_client(settings.redis_url, name="faxline-worker")) as client:
        require_layout(client, settings)
    WorkerProcess(live, secrets, threads or settings.worker_threads).run()


class WorkerProcess:
    """Composes a worker.

    Args:
        live: the accounts, with the daemon's settings.
        secrets: the accounts' tokens.
        threads: calls at once.
    """

    def __init__(self, live: LiveAccounts, secrets: Secrets, threads: int) -> None:
        self._live = live
        self._settings = settings = live.settings
        self._secrets = secrets
        self._log = get_logger("faxline_worker.worker")
        self._who = process_name()
        self._guard = rollback_guard(settings, self._log)
        self._client = state_client(
            settings.redis_url, name="faxline-worker", threads=True, connected=self._guard.connected
        )
        self._registry = new_registry()
        self._metrics = WorkerMetrics(self._registry, settings.accounts, failures_at_zero(settings))
        self._stores = Stores(
            *(self._client, settings, self._who), memory=self._guard.memory, first_use=self._first_use
        )
        if not self._metrics.labels.many:  # of many, each is begun with when its first wake-up comes
            self._stores.make_all()
        self._guard.stores = self._stores.made
        self._publisher = SettingsPublisher(self._stores.made.values, f"worker {self._who}", self._log)
        self._metrics.set_threads(threads)
        self._loops = Loops(settings.stall.total_seconds())
        watch_loops(self._registry, self._loops.ages, self._loops.stalled)
        self._longest = (settings.longest_call + settings.lease_grace).total_seconds()
        """The longest time in seconds that a call takes, with its writes to Redis."""
        self._pool = self._loops.pool("threads", self._longest)
        self._traces = traces_of(settings, "worker")
        live.listen(self._follow)
        follow_accounts(self._metrics.labels, live)
        watch_folders(self._registry, lambda: len(live.broken))
        self._looked = 0
        self._threads = threads
        self._broker = make_broker(settings, self._loops.add("consumer"), threads=threads)
        self._wakes = Wakes(self._broker)
        self._slots = AccountConcurrency(threads, len(settings.accounts))
        self._accounts = WorkerAccounts(
            live=live,
            settings=settings,
            stores=self._stores,
            ifax=IfaxClient(
                settings.ifax_url,
                timeout=settings.http_timeout.total_seconds(),
                rate=settings.http_rate,
                proxy=settings.proxy,
                trust=settings.trust,
            ),
            tokens=secrets.tokens,
            wakes=self._wakes,
            metrics=self._metrics,
            log=self._log,
            traces=self._traces,
            ending=lambda: self._slots.closed,
            beat=self._pool.beat,
        )

    def run(self) -> None:
        """Work until a signal ends the process, and finish the calls under way."""
        settings, stop = self._settings, stop_on_signals()
        self._declare_actors()
        probe = probe_client(settings, "worker")
        drain_by_redis(self._live, probe, self._log)
        find_drained(self._live, account_list(self._live, probe, self._log), self._log)
        share = WorkerShare(probe, self._live, self._broker)
        heartbeat = Heartbeat(
            *(probe, "worker", self._live, self._loops, self._log, self._taking),
            more=lambda: {**share.heartbeat_fields(heartbeat.name), "looks": round(self._secrets.looks, 1)},
        )
        with ExitStack() as stack:  # what begins first ends last
            stack.enter_context(closing(self._broker))
            stack.enter_context(closing(self._traces))
            stack.enter_context(closing(probe))
            stack.enter_context(
                monitor(self._registry, settings, "worker", self._loops, lambda: self._ready(probe))
            )
            self._guard.start(settings.redis_url, "worker", self._loops)
            self._secrets.start(self._loops)
            self._publisher.start()
            heartbeat.start()
            stack.enter_context(closing(self._guard))
            stack.enter_context(closing(heartbeat))
            stack.enter_context(closing(self._publisher))
            stack.enter_context(closing(self._secrets))
            self._work(stop)

    def _work(self, stop: threading.Event) -> None:
        """Run the threads until a signal ends the process and their calls are finished."""
        through = {"proxy": str(self._settings.proxy)} if self._settings.proxy is not None else {}
        threads = dramatiq.Worker(self._broker, worker_threads=self._threads)
        threads.start()
        self._log.info("worker ready", count=self._threads, **through)
        stop.wait()
        threads.stop(timeout=round(self._longest * 1000))
        self._log.info("worker stopped")

    def _declare_actors(self) -> None:
        self._broker.add_middleware(Shutdown(self._broker, self._slots, self._wakes, self._log))
        declare_actors(
            self._broker,
            self._accounts.submitter,
            self._accounts.reconciler,
            self._slots,
            self._log,
            who=self._who,
            busy=self._metrics.busy,
            threads=self._pool,
        )

    def _ready(self, probe: redis.Redis) -> Mapping[str, bool | str]:
        return {
            "redis": check_writes(probe),
            "connections": check_writes(self._client),
            "layout": self._layout_known(probe),
            **self._taking(),
            **self._stepped_back(),
        }

    def _taking(self) -> Mapping[str, bool | str]:
        return {"wake-ups": not self._broker.closing.is_set() or "no longer taken: the process is ending"}

    def _stepped_back(self) -> Mapping[str, bool | str]:
        return {f"account {name}": why for name, why in self._accounts.stepped_back().items()}

    def _layout_known(self, probe: redis.Redis) -> bool:
        """Whether this version knows the layout of the accounts; of many, each time of the next ones."""
        names = list(self._settings.accounts)
        first = self._looked % max(1, len(names))
        self._looked = first + AT_ONCE
        with suppress(NewerLayoutError):
            check_layouts(probe, names[first : first + AT_ONCE])
            return True
        return False

    def _first_use(self, store: Store) -> None:
        """Begin to work for an account, before its first job.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        self._guard.check_in([store])
        self._publisher.publish([store])
        self._metrics.labels.serve(store.account)

    def _follow(self, update: Update) -> None:
        """Work for the accounts as they are now. Calls under way go on as they began."""
        self._settings = update.settings
        self._accounts.follow(update)
        for name in update.removed:
            self._guard.forget(name)
        self._slots.share(len(update.settings.accounts))
