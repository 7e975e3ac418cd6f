"""The composition root: reads the environment once and puts each process together."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, TextIO
from uuid import uuid4

import dramatiq
import dramatiq.worker
import redis
from dramatiq import Broker
from dramatiq import cli as dramatiq_cli
from dramatiq.middleware import Middleware, ShutdownNotifications

from faxline.contract.environment import PREFIX, given_as
from faxline.contract.errors import Rejection
from faxline.contract.pdf_reader import PdfReader
from faxline.contract.redis_keys import VERSION_SIGN, AccountKeys
from faxline_worker.config.secrets import Secrets
from faxline_worker.config.settings import Settings, SettingsError, demand, read_settings, secret_files
from faxline_worker.dispatcher.dispatcher import BLOCK, Dispatcher
from faxline_worker.ifax import IfaxClient, failure_reasons
from faxline_worker.ifax.causes import delivery_reasons
from faxline_worker.intake.registrar import SET_ASIDE
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.maintenance.schema_version import told, upgrade
from faxline_worker.maintenance.shared_settings import Offers
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.http_server import MonitoringPortError, MonitoringServer
from faxline_worker.observability.logs import configure_logs, get_logger
from faxline_worker.observability.metrics import (
    DispatcherMetrics,
    FailureLabels,
    WebhookMetrics,
    WorkerMetrics,
    new_registry,
    watch_loops,
)
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.processes.signals import end_with_parent, heed_once
from faxline_worker.receipts.recent_receipts import RecentReceipts
from faxline_worker.receipts.reconciler import Reconciler, count_receipt
from faxline_worker.receipts.webhook import RedisStatusWriter, create_app
from faxline_worker.state.redis_clients import (
    RedisUnreachable,
    async_state_client,
    broker_client,
    check_adds,
    check_reachable,
    check_writes,
    state_client,
)
from faxline_worker.state.store import NewerLayoutError, Store
from faxline_worker.submission.standing import Standing
from faxline_worker.submission.submitter import NO_CALL, Submitter
from faxline_worker.tracing.spans import TraceFollower, Traces, TracesMissingError, make_traces
from faxline_worker.wakeups.account_slots import Seats
from faxline_worker.wakeups.actors import QUEUE, Wakes, declare_actors
from faxline_worker.wakeups.broker import WakeBroker, queue_key

CALLS, CALLS_OF_SEVERAL = 50, 16
"""How many calls a wake-up stands for at the most; where several accounts share the threads, others wait."""
RESTART_DELAY = 500
"""Milliseconds until a consumer of wake-ups that lost its connection begins again."""
REPEAT = 1.0
"""Seconds between two looks of a webhook whether its connection was made anew."""
TURN = 0.5
"""Seconds between two beats of the webhook's event loop."""
PROBE_TIMEOUT = 1.0
"""Seconds that a probe waits for Redis."""
BAD_SETTINGS = 2
"""The exit code of a process that cannot start."""


def give_up(message: str) -> NoReturn:
    """End the process with one readable line."""
    print(f"faxline-worker: {message}", file=sys.stderr)  # noqa: T201 - before and instead of the log
    sys.exit(BAD_SETTINGS)


def load(role: str, stream: TextIO | None = None) -> tuple[Settings, Secrets]:
    """Read the settings and set up the log of a process; a bad setting ends the process with one line."""
    try:
        settings = read_settings(os.environ)
        demand(settings, role)
        files = secret_files(os.environ)
    except SettingsError as error:
        give_up(str(error))
    redactor = configure_logs(role=role, level=settings.log_level, stream=stream, secrets=settings.secrets)
    log = get_logger(f"faxline_worker.{role}")
    return settings, Secrets(settings, files, log, redactor.learn)


def require_redis(settings: Settings, role: str) -> None:
    """Wait for both servers as long as the settings say, and look whether they let this part do its work.

    Else the process ends with one line, which names the server and the cause, or the user and the right.

    Args:
        settings: the daemon's.
        role: dispatcher, worker or webhook.
    """
    for variable, url, make in (
        ("FAXLINE_REDIS_URL", settings.redis_url, state_client),
        ("FAXLINE_BROKER_URL", settings.broker, broker_client),
    ):
        try:
            with closing(make(url)) as client:
                check_reachable(client, settings.redis_patience)
                for right, call in _first_calls(variable, role, settings):
                    with _right(_where(variable, settings), right, role, client):
                        call(client)
        except (RedisUnreachable, redis.RedisError, ValueError, OSError) as error:
            give_up(f"{_where(variable, settings)}: {error}")


def _where(variable: str, settings: Settings) -> str:
    """The variable that names a server, as it was given."""
    if variable == "FAXLINE_BROKER_URL" and not settings.broker_url:
        state = given_as(os.environ, "FAXLINE_REDIS_URL")
        return f"{state} (another database of it, for {variable} is not set)"
    return given_as(os.environ, variable)


def _first_calls(
    variable: str, role: str, settings: Settings
) -> Iterator[tuple[str, Callable[[redis.Redis], object]]]:
    """The first things that a part does: the right that each needs, and how to try it without a trace."""
    keys, wakes = AccountKeys(next(iter(settings.accounts))), queue_key(QUEUE)
    if role == "webhook":
        if variable == "FAXLINE_REDIS_URL":
            yield f"add receipts (XADD {keys.status})", lambda client: check_adds(client, keys.status)
    elif variable == "FAXLINE_REDIS_URL":
        yield (
            f"read an account (HGET {keys.account_state})",
            lambda client: client.hget(keys.account_state, "layout"),
        )
        yield "run scripts (EVAL)", check_writes
    else:
        yield f"read wake-ups (LLEN {wakes})", lambda client: client.llen(wakes)


@contextmanager
def _right(variable: str, right: str, role: str, client: redis.Redis) -> Iterator[None]:
    """End the process with one line where this Redis user lacks the right to what is done inside."""
    try:
        yield
    except redis.exceptions.NoPermissionError:
        user: Any = "?"
        with suppress(redis.RedisError):
            user = client.acl_whoami()
        name = user.decode() if isinstance(user, bytes) else user
        give_up(
            f"{variable}: the Redis user {name!r} may not {right}: give the {role} its own user, {role!r} of "
            "ops/redis/users.acl, or give this one that right"
        )


def failures_at_zero(settings: Settings) -> list[FailureLabels]:
    """Those of them that are told before any such failure was."""
    return failure_labels() if settings.metrics.failures_from_zero else []


def failure_labels() -> list[FailureLabels]:
    """Every stage, code and reason under which a failure is counted."""
    labels: list[FailureLabels] = [("intake", None, str(reason)) for reason in (*Rejection, SET_ASIDE)]
    labels += [("submission", code, reason) for code, reason in failure_reasons()]
    labels += [
        ("submission", None, reason) for reason in (*sorted(NO_CALL), "expired", "in_doubt", "operator")
    ]
    labels += [("delivery", code, reason) for code, reason in delivery_reasons()]
    return sorted(set(labels), key=str)


def require_layout(stores: Mapping[str, Store]) -> None:
    """End the process with one line where a newer layout is stored than this version knows."""
    for store in stores.values():
        try:
            store.check_layout()
        except NewerLayoutError as error:
            give_up(str(error))


def traces_of(settings: Settings, role: str) -> Traces:
    """The traces of a process; a missing package ends it with one line."""
    try:
        return make_traces(settings.traces.endpoint, role)
    except TracesMissingError as error:
        give_up(str(error))


def make_broker(settings: Settings, loop: Loop | None = None) -> WakeBroker:
    """The Dramatiq broker: a client of ours, no retries and no time limit, for no message matters."""
    return WakeBroker(broker_client(settings.broker), [ShutdownNotifications(notify_shutdown=False)], loop)


def process_name() -> str:
    """This process, as the audit and the offers name it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def probe_client(settings: Settings, role: str) -> redis.Redis:
    """The client of the probes and of the heartbeat: they do not wait long for an answer."""
    return state_client(settings.redis_url, name=f"faxline-{role}-probe", socket_timeout=PROBE_TIMEOUT)


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
    arguments = ["-p", "1", "-t", str(count), "--skip-logging", "faxline_worker.processes.roles:worker"]
    grace = round((settings.http_timeout + settings.lease_grace) * 1000)
    arguments = ["--worker-shutdown-timeout", str(grace), *arguments]
    sys.argv = [str(Path(dramatiq.__file__).with_name("__main__.py")), *arguments]  # it starts anew by them
    sys.exit(dramatiq_cli.main())  # type: ignore[no-untyped-call]


def dispatcher() -> None:
    """Run a dispatcher until SIGTERM or SIGINT."""
    settings, _ = load("dispatcher")
    require_redis(settings, "dispatcher")
    log = get_logger("faxline_worker.dispatcher.dispatcher")
    guard = RollbackGuard(settings.accounts, settings.rollback_wait, log)
    client = state_client(
        settings.redis_url, name="faxline-dispatcher", longest_block=BLOCK, connected=guard.connected
    )
    registry = new_registry()
    metrics = DispatcherMetrics(
        registry, settings.accounts, failures_at_zero(settings), events_cap=settings.events_cap
    )
    broker = make_broker(settings)
    who = process_name()
    stores = guard.stores = {
        name: Store(client, settings, name, who=who, memory=guard.memory(name)) for name in settings.accounts
    }
    require_layout(stores)
    loops = Loops(settings.stall)
    watch_loops(registry, loops.ages, loops.stalled)
    process = Dispatcher(
        client,
        stores,
        Wakes(broker),
        metrics,
        log,
        consumer=f"{who}-{uuid4().hex[:8]}{VERSION_SIGN}{version('faxline')}",
        takeover=settings.takeover,
        sweep=settings.sweep,
        wake_lease=settings.wake_lease,
        file_hosts=settings.file_hosts,
        pdf_reader=partial(PdfReader, settings.pdf.timeout, settings.pdf.memory, children=1),
        loops=loops,
    )
    probe = probe_client(settings, "dispatcher")
    try:
        monitoring = MonitoringServer(
            registry,
            settings.metrics.dispatcher_port,
            stalled=loops.stalled,
            ready=lambda: {"redis": check_writes(probe), **loops.checks()},
            variable="FAXLINE_METRICS__DISPATCHER_PORT",
        )
    except MonitoringPortError as error:
        give_up(str(error))
    follower = None
    if settings.traces.endpoint:
        traces = traces_of(settings, "dispatcher")
        follower = TraceFollower(client, settings.accounts, traces, log, who)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    offers = Offers(stores, f"dispatcher {who}", log)
    offers.start()
    process.start(ended=stop.set)
    guard.start(settings.redis_url, "dispatcher", loops)
    heartbeat = Heartbeat(probe, "dispatcher", settings.accounts, loops, log)
    heartbeat.start()
    if follower is not None:
        follower.start()
    log.info("dispatcher ready", count=len(settings.accounts))
    stop.wait()
    log.info("dispatcher stops")
    process.stop()
    offers.close()
    guard.close()
    heartbeat.close()
    if follower is not None:
        follower.stop()
    monitoring.close()
    broker.close()
    probe.close()
    client.close()
    log.info("dispatcher stopped")
    if process.newer is not None:
        give_up(str(process.newer))


def migrate(*, look: bool) -> int:
    """Bring all accounts to the present layout, while the daemon runs, and say what was done.

    Args:
        look: change nothing; 1 is returned where there is something to do.
    """
    settings, _ = load("migrate")
    require_redis(settings, "dispatcher")
    left = 0
    with closing(state_client(settings.redis_url, name="faxline-migrate")) as client:
        for name in settings.accounts:
            try:
                done = upgrade(client, Store(client, settings, name, who="migrate"), look=look)
            except NewerLayoutError as error:
                give_up(str(error))
            except redis.RedisError as error:
                give_up(f"Redis refused, and what was done stays; call it again: {error}")
            left += look and not done.nothing
            print(f"account {name}: {told(done, look=look)}")  # noqa: T201 - the command's answer
    return 1 if left else 0


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """The webhook's socket; a port that is taken ends the process with one line that names the setting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except (OSError, OverflowError) as error:
        listener.close()
        give_up(
            f"cannot listen on port {port} of {host} for webhooks ({getattr(error, 'strerror', error)}): "
            "free it, or set FAXLINE_WEBHOOK__PORT (or FAXLINE_WEBHOOK__HOST) to another"
        )
    return listener


def webhook() -> None:
    """Run the webhook until SIGTERM or SIGINT."""
    import uvicorn  # noqa: PLC0415 - only this process needs it

    from faxline_worker.receipts.connection_limits import open_door  # noqa: PLC0415 - as above

    settings, secrets = load("webhook")
    require_redis(settings, "webhook")
    log = get_logger("faxline_worker.receipts.webhook")
    registry = new_registry()
    metrics = WebhookMetrics(registry, settings.accounts)
    probe = probe_client(settings, "webhook")
    loops = Loops(settings.stall)
    loop = loops.add("event loop")
    watch_loops(registry, loops.ages, loops.stalled)
    recent = RecentReceipts()
    client = async_state_client(settings.redis_url, name="faxline-webhook", connected=recent.connected)
    stream = AccountKeys(next(iter(settings.accounts))).status
    writer = RedisStatusWriter(client, stream, confirmation=settings.confirmation, recent=recent)
    app = create_app(
        accounts=secrets.webhook_secrets,
        store=writer,
        metrics=metrics,
        log=log,
        body_timeout=settings.webhook.body_timeout,
    )
    door, backlog = open_door(settings.webhook, metrics, log)
    config = uvicorn.Config(
        app,
        http=door.protocol,
        ws="none",  # an upgrade would lead past the door
        backlog=backlog,
        timeout_keep_alive=round(2 * settings.webhook.idle_timeout) + 1,  # the door is sooner
        host=settings.webhook.host,
        port=settings.webhook.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who called, and how, is neither used nor logged
        timeout_graceful_shutdown=10,
    )

    server = uvicorn.Server(config)

    async def turn() -> None:
        while True:
            loop.well()
            await asyncio.sleep(TURN)

    async def repeat() -> None:
        while True:
            with suppress(redis.RedisError, OSError):  # it is away: the next time
                await writer.repeat()
            await asyncio.sleep(REPEAT)

    async def serve() -> None:
        listener = listen(settings.webhook.host, settings.webhook.port, backlog)
        log.info("webhook listens", host=settings.webhook.host, port=settings.webhook.port)
        turning = [asyncio.create_task(turn()), asyncio.create_task(repeat())]
        try:
            await server.serve([listener])
        finally:
            for task in turning:
                task.cancel()
            await client.aclose()

    try:
        monitoring = MonitoringServer(
            registry,
            settings.metrics.webhook_port,
            stalled=loops.stalled,
            ready=lambda: {"redis": check_adds(probe, stream), "listens": server.started, **loops.checks()},
            variable="FAXLINE_METRICS__WEBHOOK_PORT",
        )
    except MonitoringPortError as error:
        give_up(str(error))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn ends in order, then raises the signal once more
    secrets.start(loops)
    heartbeat = Heartbeat(
        probe, "webhook", settings.accounts, loops, log, lambda: {"listens": server.started}
    )
    heartbeat.start()
    with (
        monitoring,
        closing(secrets),
        closing(probe),
        closing(heartbeat),
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        runner.run(serve())
    log.info("webhook stopped")
