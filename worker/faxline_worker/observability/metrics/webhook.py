"""The metrics of a webhook."""

from collections.abc import Callable, Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from faxline_worker.ifax.webhook_access import REFUSALS, Refusal
from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import children, counter
from faxline_worker.observability.metrics.labels import UNKNOWN_ACCOUNT, ConnectionClosed, WebhookResult


class WebhookMetrics:
    """The metrics of a `webhook` process.

    Args:
        registry: where they are registered; one of these a registry.
        accounts: the names of all accounts.
    """

    def __init__(self, registry: CollectorRegistry, accounts: Iterable[str]) -> None:
        self.labels = account = AccountLabels(accounts)
        self._webhooks = children(
            counter(
                registry,
                "fax_webhooks_total",
                "Webhooks by result. bad_signature counts every refusal; the account is `unknown` if the "
                "path names no configured one.",
                account=account,
                result=get_args(WebhookResult),
            ),
            account,
        )
        self._webhooks(UNKNOWN_ACCOUNT, "bad_signature")
        self._refused = children(
            counter(
                registry,
                "fax_webhooks_refused_total",
                "Refused webhooks by reason: no secret is configured, no proof came, the proof was wrong, or "
                "its kind is not configured (unexpected_...).",
                account=account,
                reason=REFUSALS,
            ),
            account,
        )
        self._refused(UNKNOWN_ACCOUNT, "unknown_account")
        self._closed = children(
            counter(
                registry,
                "fax_webhook_connections_closed_total",
                "Closed connections by reason: the headers, the next request or the rest did not come in "
                "time (header, idle, request), the client pipelined too many requests (pipelined), or the "
                "ceiling was reached (crowded).",
                reason=get_args(ConnectionClosed),
            ),
            account,
        )
        self._connections = Gauge(
            "fax_webhook_connections", "Open connections of the webhook.", registry=registry
        )

    def webhook(self, account: str, result: WebhookResult) -> None:
        """Count an answered webhook; `account` is a configured name or UNKNOWN_ACCOUNT."""
        self._serve(account)
        self._webhooks(account, result).inc()

    def refused(self, account: str, reason: Refusal) -> None:
        """Count a refused webhook; `account` as in `webhook`."""
        self._serve(account)
        self._refused(account, reason).inc()

    def _serve(self, account: str) -> None:
        if account != UNKNOWN_ACCOUNT:
            self.labels.serve(account)

    def connection_closed(self, reason: ConnectionClosed) -> None:
        """Count a connection that Faxline closed."""
        self._closed(reason).inc()

    def watch_connections(self, count: Callable[[], float]) -> None:
        """Export how many connections are open. `count` is called by the thread that serves /metrics."""
        self._connections.set_function(count)
