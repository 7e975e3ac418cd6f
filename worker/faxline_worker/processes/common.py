"""What all processes share: their settings and log, the broker, probes and signals."""

import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import NoReturn

import redis
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from faxline.contract.connections.cluster_url import cluster_url
from faxline.contract.errors import Rejection
from faxline_worker.config.live_accounts import LiveAccounts, Update
from faxline_worker.config.requirements import check_requirements
from faxline_worker.config.secrets import Secrets
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.config.source import SettingsError, secret_files
from faxline_worker.ifax import failure_reasons
from faxline_worker.ifax.causes import delivery_reasons
from faxline_worker.intake.registrar import SET_ASIDE
from faxline_worker.maintenance.cluster_rollback_watch import ClusterRollbackGuard
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.observability.http_server import Checks, MonitoringPortError, MonitoringServer
from faxline_worker.observability.logs import configure_logs, get_logger
from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.labels import FailureLabels
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state.redis_clients import (
    broker_client,
    state_client,
)
from faxline_worker.submission.caller import NO_CALL
from faxline_worker.tracing.spans import Traces, TracesMissingError, make_traces
from faxline_worker.wakeups.broker import WakeBroker

PROBE_TIMEOUT = 1.0
"""Seconds that a probe waits for Redis."""
BAD_SETTINGS = 2
"""The exit code of a process that cannot start."""


def give_up(message: str) -> NoReturn:
    """End the process with one line on standard error, and exit code 2."""
    print(f"faxline-worker: {message}", file=sys.stderr)  # noqa: T201 - before and instead of the log
    sys.exit(BAD_SETTINGS)


def load(role: str) -> tuple[LiveAccounts, Secrets]:
    """Read the settings and set up the log of a process. A bad setting ends the process with one line.

    Args:
        role: dispatcher, worker, webhook or migrate.

    Returns:
        The accounts, whose `settings` are those of the process, and their secrets.
    """
    try:
        settings = read_settings(os.environ)
        check_requirements(settings, role)
        files = secret_files(os.environ)
    except SettingsError as error:
        give_up(str(error))
    redactor = configure_logs(role=role, level=settings.log_level, secrets=settings.secrets)
    log = get_logger(f"faxline_worker.{role}")
    live = LiveAccounts(settings, role, log)
    redactor.learn(live.secrets())
    return live, Secrets(live.settings, files, log, redactor.learn, live)


def follow_accounts(labels: AccountLabels, live: LiveAccounts) -> None:
    """Export the label sets of new accounts, unless accounts are many, and none of accounts that are gone."""

    def follow(update: Update) -> None:
        for name in () if labels.many else (*update.added, *update.drained):
            labels.serve(name)
        labels.drop(update.removed)

    live.listen(follow)


def first_account(settings: Settings) -> str:
    """Some account of the process, for what needs a key of one. A directory may have none yet."""
    return min(settings.accounts, default="default")


def failures_at_zero(settings: Settings) -> list[FailureLabels]:
    """The failure labels that are exported at 0 from the start."""
    return failure_labels() if settings.metrics.failures_from_zero else []


def failure_labels() -> list[FailureLabels]:
    """Every stage, code and reason that a failure can be counted with."""
    labels: list[FailureLabels] = [("intake", None, str(reason)) for reason in (*Rejection, SET_ASIDE)]
    labels += [("submission", code, reason) for code, reason in failure_reasons()]
    labels += [
        ("submission", None, reason)
        for reason in (*sorted(NO_CALL), "expired", "in_doubt", "operator", "worker_lost")
    ]
    labels += [("delivery", code, reason) for code, reason in delivery_reasons()]
    return sorted(set(labels), key=str)


def traces_of(settings: Settings, role: str) -> Traces:
    """Set up the traces of a process. If a package is missing, the process ends with one line."""
    try:
        return make_traces(settings.traces.endpoint, role)
    except TracesMissingError as error:
        give_up(str(error))


def make_broker(settings: Settings, loop: Loop | None = None, *, threads: int = 1) -> WakeBroker:
    """Make the Dramatiq broker. It has no middleware: a message is only a hint, so none is retried or timed.

    Args:
        settings: the daemon's settings.
        loop: the consumer's loop in a worker, which beats in every round.
        threads: the worker's number of threads.
    """
    return WakeBroker(broker_client(settings.broker), [], loop, threads=threads)


def rollback_guard(settings: Settings, log: FilteringBoundLogger) -> RollbackGuard:
    """Make the watch for a Redis that goes back, for one server or for a cluster."""
    kind = RollbackGuard if cluster_url(settings.redis_url) is None else ClusterRollbackGuard
    return kind(first_account(settings), settings.rollback_wait.total_seconds(), log)


def process_name() -> str:
    """The name of this process in the audit and the shared settings: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def raise_file_limit() -> None:
    """Allow this process as many open files as the system lets it have.

    A dispatcher may have a connection for each account, and a soft limit of 1024 is common.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # where the hard limit is not a number that may be set
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def probe_client(settings: Settings, role: str) -> redis.Redis:
    """Make the Redis client of the probes and the heartbeat, which has a short timeout."""
    return state_client(settings.redis_url, name=f"faxline-{role}-probe", socket_timeout=PROBE_TIMEOUT)


def monitor(
    registry: CollectorRegistry, settings: Settings, role: str, loops: Loops, ready: Checks
) -> MonitoringServer:
    """Serve a process's metrics and probes. If the port is taken, the process ends with one line.

    Args:
        registry: the process's metrics.
        settings: the daemon's settings.
        role: dispatcher, worker or webhook.
        loops: the loops that must not stall.
        ready: the further checks of `/readyz`.
    """
    try:
        return MonitoringServer(
            registry,
            getattr(settings.metrics, f"{role}_port"),
            stalled=loops.stalled,
            ready=lambda: {**ready(), **loops.checks()},
            variable=f"FAXLINE_METRICS__{role.upper()}_PORT",
        )
    except MonitoringPortError as error:
        give_up(str(error))


def stop_on_signals() -> threading.Event:
    """Return an event that is set by SIGTERM, SIGINT (Ctrl-C) or SIGHUP (a terminal closes).

    A second signal changes nothing, because it must not cut a call under way. A signal that is ignored at the
    start stays ignored: nohup ignores SIGHUP.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stop.set())
    return stop
