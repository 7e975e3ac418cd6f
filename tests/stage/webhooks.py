"""The webhook of one account in this process, and what iFax sends it."""

import asyncio
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import StarletteDeprecationWarning

from faxline_worker.ifax.webhook_access import WebhookSecrets
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from faxline_worker.receipts.signature import HEADER, sign
from faxline_worker.receipts.status_writer import StatusWriter
from faxline_worker.receipts.webhook import create_app

with warnings.catch_warnings():  # it prefers httpx2 to the httpx that Faxline uses
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    import starlette.testclient

TestClient = starlette.testclient.TestClient
OLD, NEW = b"the old made-up secret", b"the new made-up secret"
ACCOUNTS = {
    "default": WebhookSecrets(signature=[OLD, NEW]),
    "second": WebhookSecrets(signature=[b"its own secret"]),
    "bare": WebhookSecrets(),
    "empty": WebhookSecrets([b""], [b""], [b""]),
}
FAX = {
    "jobId": 12345,
    "fromNumber": "+441224515014",
    "toNumber": "+15065001844",
    "faxCallLength": 173,
    "faxCallStart": 1610966603,
    "faxCallEnd": 1610966723,
    "faxTotalPages": 20,
    "faxTransferredPages": 20,
    "faxStatus": "delivered",
    "message": "NORMAL_CLEARING",
    "code": 0,
}
RECEIPT = json.dumps({"event": "fax.completed", "timestamp": 1610966723, "data": FAX}).encode()
PATH = "/webhooks/ifax/default"


@dataclass
class MemoryStore:
    """A status stream in memory, that can be told to fail or to hang."""

    entries: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    error: Exception | None = None
    hangs: bool = False
    away: list[str] = field(default_factory=list)

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        await self.ping()
        self.entries.append((account, dict(fields)))

    async def ping(self) -> list[str]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.away


@dataclass
class Site:
    """An app with all that stands around it."""

    store: StatusWriter
    app: Starlette = field(init=False)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    lines: list[Any] = field(default_factory=list)
    body_timeout: float = 10.0
    store_timeout: float = 10.0
    remembered: RefusedWebhooks = field(default_factory=RefusedWebhooks)

    def __post_init__(self) -> None:
        capture = structlog.testing.LogCapture()
        self.lines = capture.entries
        log = structlog.wrap_logger(
            None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger("debug")
        )
        self.app = create_app(
            accounts=ACCOUNTS,
            store=self.store,
            metrics=WebhookMetrics(self.registry, ACCOUNTS),
            log=cast("structlog.typing.FilteringBoundLogger", log),
            body_timeout=self.body_timeout,
            store_timeout=self.store_timeout,
            refused=self.remembered,
        )

    @property
    def counted(self) -> dict[tuple[str, str], float]:
        """The series of fax_webhooks_total that are not at 0."""
        return self._series("fax_webhooks_total", "result")

    @property
    def refused(self) -> dict[tuple[str, str], float]:
        """The same of fax_webhooks_refused_total."""
        return self._series("fax_webhooks_refused_total", "reason")

    def _series(self, name: str, label: str) -> dict[tuple[str, str], float]:
        return {
            (sample.labels["account"], sample.labels[label]): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == name and sample.value
        }


def post(site: Site, body: bytes, signature: str | None, path: str = PATH, **headers: str) -> httpx.Response:
    signed = {} if signature is None else {HEADER: signature}
    client = TestClient(site.app, follow_redirects=False)
    return cast("httpx.Response", client.post(path, content=body, headers=headers | signed))


def post_signed(site: Site, body: bytes) -> httpx.Response:
    return post(site, body, sign(body, NEW))
