"""The webhook process: the ASGI app on uvicorn."""

import asyncio
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress

import redis
import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from structlog.typing import FilteringBoundLogger

from faxline.contract.environment import PREFIX
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.config.listeners import Webhook
from faxline_worker.config.secrets import Secrets
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.http_server import Note
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.families import new_registry, watch_folders, watch_loops
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.processes.common import (
    follow_accounts,
    give_up,
    load,
    monitor,
    probe_client,
)
from faxline_worker.processes.draining import drain_by_redis
from faxline_worker.processes.redis_at_start import require_redis
from faxline_worker.receipts.connection_ceiling import make_limiter
from faxline_worker.receipts.connection_limits import ConnectionLimiter
from faxline_worker.receipts.recent_receipts import RecentReceipts
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from faxline_worker.receipts.status_writer import RedisStatusWriter
from faxline_worker.receipts.webhook import create_app
from faxline_worker.state.entry_checks import away_to_add
from faxline_worker.state.redis_clients import async_state_client

REPEAT = 1.0
"""Seconds between two checks whether the connection to Redis was lost and made again."""
TURN = 0.5
"""Seconds between two beats of the event loop."""


def listen(host: str, port: int, backlog: int, part: str = "WEBHOOK") -> socket.socket:
    """Open the socket of a webhook or a console. If the port is taken, the process ends with one line.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        backlog: connections that may wait.
        part: of the settings that name host and port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only if it is.
    what = "webhooks" if part == "WEBHOOK" else "browsers"
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except (OSError, OverflowError) as error:
        listener.close()
        give_up(
            f"cannot listen on port {port} of {host} for {what} ({getattr(error, 'strerror', error)}): "
            f"free it, or set {PREFIX}{part}__PORT (or {PREFIX}{part}__HOST) to another"
        )
    return listener


def warn_of_closed_accounts(secrets: Secrets, log: FilteringBoundLogger) -> None:
    """Log which accounts refuse every webhook, because no secret is configured."""
    for name, own in secrets.webhooks.items():
        if not own.configured:
            variables = f"{PREFIX}ACCOUNTS__{name.upper()}__WEBHOOK_SECRETS, …_BASIC or …_PATH_SECRETS"
            log.warning(
                "every webhook is refused: the account has no webhook secret", account=name, member=variables
            )


class NodesAway:
    """Logs which nodes of a cluster take no webhooks, when that changes."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._away = list[str]()

    def found(self, away: Sequence[str]) -> bool | str:
        """What `/readyz` says: the webhooks of the accounts on other nodes are stored."""
        if list(away) != self._away:
            log = self._log.warning if away else self._log.info
            log("nodes of Redis that take no webhooks", host=", ".join(away), count=len(away))
            self._away = list(away)
        return Note(f"away: {', '.join(away)}") if away else True


def uvicorn_config(
    app: Starlette, limiter: ConnectionLimiter, backlog: int, settings: Webhook
) -> uvicorn.Config:
    """Configure uvicorn: the limiter limits the connections, and nothing of the caller is used or logged."""
    return uvicorn.Config(
        app,
        http=limiter.protocol,
        ws="none",  # an upgraded connection would escape the limiter's limits
        backlog=backlog,
        timeout_keep_alive=round(2 * settings.idle_timeout.total_seconds())
        + 1,  # the limiter closes idle connections sooner
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the caller's address is neither used nor logged
        timeout_graceful_shutdown=10,
    )


async def beat(loop: Loop) -> None:
    """Beat for an event loop, for as long as it turns."""
    while True:
        loop.well()
        await asyncio.sleep(TURN)


async def _repeat(writer: RedisStatusWriter) -> None:
    while True:
        with suppress(redis.RedisError, OSError):  # Redis is away: try again in the next round
            await writer.repeat()
        await asyncio.sleep(REPEAT)


async def _serve(
    server: uvicorn.Server,
    client: redis.asyncio.Redis,
    writer: RedisStatusWriter,
    loop: Loop,
    log: FilteringBoundLogger,
) -> None:
    """Listen and serve until a signal ends uvicorn."""
    config = server.config
    listener = listen(config.host, config.port, config.backlog)
    log.info("webhook listens", host=config.host, port=config.port)
    turning = [asyncio.create_task(beat(loop)), asyncio.create_task(_repeat(writer))]
    try:
        await server.serve([listener])
    finally:
        for task in turning:
            task.cancel()
        await client.aclose()


def webhook() -> None:
    """Run the webhook until SIGTERM or SIGINT."""
    live, secrets = load("webhook")
    settings = live.settings
    require_redis(settings, "webhook")
    log = get_logger("faxline_worker.receipts.webhook")
    registry, loops = new_registry(), Loops(settings.stall.total_seconds())
    metrics = WebhookMetrics(registry, settings.accounts)
    follow_accounts(metrics.labels, live)
    watch_folders(registry, lambda: len(live.broken))
    loop, probe = loops.add("event loop"), probe_client(settings, "webhook")
    drain_by_redis(live, probe, log)
    watch_loops(registry, loops.ages, loops.stalled)
    warn_of_closed_accounts(secrets, log)
    recent, refused = RecentReceipts(), RefusedWebhooks()
    client = async_state_client(settings.redis_url, name="faxline-webhook", connected=recent.connected)
    writer = RedisStatusWriter(client, secrets.webhooks, confirmation=settings.confirmation, recent=recent)
    app = create_app(
        accounts=secrets.webhooks,
        store=writer,
        metrics=metrics,
        log=log,
        body_timeout=settings.webhook.body_timeout.total_seconds(),
        refused=refused,
    )
    limiter, backlog = make_limiter(settings.webhook, metrics, log)
    server = uvicorn.Server(uvicorn_config(app, limiter, backlog, settings.webhook))

    def listens() -> Mapping[str, bool]:
        return {"listens": server.started}

    nodes = NodesAway(log)

    def checks() -> Mapping[str, bool | str]:
        streams = [RedisKeys(account).status for account in secrets.webhooks]
        return {"redis": nodes.found(away_to_add(probe, streams)), **listens()}

    monitoring = monitor(registry, settings, "webhook", loops, checks)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn shuts down, then raises the signal again
    secrets.start(loops)
    heartbeat = Heartbeat(probe, "webhook", live, loops, log, listens, more=refused.heartbeat_fields)
    heartbeat.start()
    with (
        monitoring,
        closing(secrets),
        closing(probe),
        closing(heartbeat),
        asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner,
    ):
        runner.run(_serve(server, client, writer, loop, log))
    log.info("webhook stopped")
