"""How many connections a webhook process takes: by its settings, and by the open files that it may have."""

import resource
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from faxline_worker.config.listeners import Webhook
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.receipts.connection_limits import Bounds, ConnectionLimiter

BACKLOG = 2048
"""Connections that the system queues before they are accepted, so that they may come in one burst."""
OTHER_FILES = 100
"""Open files beside the connections: for Redis, the log and the libraries."""


def make_limiter(
    settings: Webhook, metrics: WebhookMetrics, log: FilteringBoundLogger
) -> tuple[ConnectionLimiter, int]:
    """Make the limiter of this process.

    Args:
        settings: the webhook's settings.
        metrics: the webhook's metrics.
        log: the webhook's logger.

    Returns:
        The limiter, and the size of the listen backlog.
    """
    most, backlog = places(settings.connections)
    if most < settings.connections:
        log.warning("FAXLINE_WEBHOOK__CONNECTIONS needs more open files than allowed", limit=most)

    def crowded() -> None:
        text = "the webhook has reached its ceiling of connections: the longest waiting are closed"
        log.warning(text, limit=most)

    timeouts = (settings.header_timeout, settings.body_timeout, settings.idle_timeout)
    bounds = Bounds(most, *(timeout.total_seconds() for timeout in timeouts))
    limiter = ConnectionLimiter(bounds, min(most, backlog), metrics.connection_closed, crowded)
    metrics.watch_connections(lambda: len(limiter))
    return limiter, backlog


def places(wanted: int) -> tuple[int, int]:
    """Raise the limit of open files as far as allowed, and compute how many connections it leaves.

    Args:
        wanted: the number of connections in the settings.

    Returns:
        The most connections, and the size of the listen backlog, whose connections are open files as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 2 * BACKLOG + OTHER_FILES  # one backlog is admitted for a moment while the next fills
    files = needed if soft == resource.RLIM_INFINITY else soft
    if files < needed:
        granted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):  # macOS has a lower ceiling
            resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
            files = granted
    if files >= needed:
        return wanted, BACKLOG
    left = max(4, files - OTHER_FILES)
    backlog = min(BACKLOG, left // 4)
    return min(wanted, left - 2 * backlog), backlog
