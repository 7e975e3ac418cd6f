"""The webhook process: the ASGI app on uvicorn."""

import asyncio
import signal
import socket
from contextlib import closing, suppress

import redis
import uvicorn
from structlog.stdlib import BoundLogger

from faxline.contract.environment import PREFIX
from faxline.contract.redis_keys import AccountKeys
from faxline_worker.config.secrets import Secrets
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics import (
    WebhookMetrics,
    new_registry,
    watch_loops,
)
from faxline_worker.observability.pulse import Loops
from faxline_worker.processes.common import (
    give_up,
    load,
    monitor,
    probe_client,
    require_redis,
)
from faxline_worker.receipts.connection_limits import open_door
from faxline_worker.receipts.recent_receipts import RecentReceipts
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from faxline_worker.receipts.webhook import RedisStatusWriter, create_app
from faxline_worker.state.redis_clients import (
    async_state_client,
    check_adds,
)

REPEAT = 1.0
"""Seconds between two looks of a webhook whether its connection was made anew."""
TURN = 0.5
"""Seconds between two beats of the webhook's event loop."""


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


def tell_closed(secrets: Secrets, log: BoundLogger) -> None:
    """Say which accounts have nothing that could let a webhook in."""
    for name, own in secrets.webhooks.items():
        if not own.configured:
            variables = f"{PREFIX}ACCOUNTS__{name.upper()}__WEBHOOK_SECRETS, …_BASIC or …_PATH_SECRETS"
            log.warning(
                "no webhook is let in: nothing is set for the account", account=name, member=variables
            )


def webhook() -> None:
    """Run the webhook until SIGTERM or SIGINT."""
    settings, secrets = load("webhook")
    require_redis(settings, "webhook")
    log = get_logger("faxline_worker.receipts.webhook")
    registry, loops = new_registry(), Loops(settings.stall)
    metrics = WebhookMetrics(registry, settings.accounts)
    probe = probe_client(settings, "webhook")
    loop = loops.add("event loop")
    watch_loops(registry, loops.ages, loops.stalled)
    tell_closed(secrets, log)
    recent, refused = RecentReceipts(), RefusedWebhooks()
    client = async_state_client(settings.redis_url, name="faxline-webhook", connected=recent.connected)
    stream = AccountKeys(next(iter(settings.accounts))).status
    writer = RedisStatusWriter(client, stream, confirmation=settings.confirmation, recent=recent)
    app = create_app(
        accounts=secrets.webhooks,
        store=writer,
        metrics=metrics,
        log=log,
        body_timeout=settings.webhook.body_timeout,
        refused=refused,
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

    monitoring = monitor(
        registry,
        settings,
        "webhook",
        loops,
        lambda: {"redis": check_adds(probe, stream), "listens": server.started},
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn ends in order, then raises the signal once more
    secrets.start(loops)
    heartbeat = Heartbeat(
        probe,
        "webhook",
        settings.accounts,
        loops,
        log,
        lambda: {"listens": server.started},
        more=refused.told,
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
