"""The ASGI app that receives iFax's webhooks: verifies them, stores them, and answers.

It decides nothing about a fax. A verified webhook is added to the account's status stream as it came, for a
worker to reconcile. Only then is iFax answered 204 (ARCHITECTURE.md, rule 1). After any other answer iFax
tries again, up to 5 times (docs/ifax.md, The fax object and the webhook). So a webhook may be stored twice,
but a receipt is applied once.

A webhook of an inbound fax may be a form that holds the fax. Its fields are stored as JSON, without the file.

webhook_proofs.py checks that a webhook comes from iFax. Anybody can reach this address. So a body is read
only for a configured account, within limits of size and time, and no text of a stranger becomes a label or a
log line.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from faxline.steps.redis_errors import trouble
from faxline_worker.ifax.fax_object import read_body, read_fax
from faxline_worker.ifax.receipts import Inbound, read_receipt
from faxline_worker.ifax.webhook_access import Refusal, WebhookSecrets
from faxline_worker.observability.metrics.labels import UNKNOWN_ACCOUNT
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.receipts.line_limit import LineLimit
from faxline_worker.receipts.multipart import boundary_of
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from faxline_worker.receipts.status_writer import STORE_TIMEOUT, StatusWriter
from faxline_worker.receipts.webhook_answers import (
    BAD_SIGNATURE,
    CONTENT_TYPE,
    DISCONNECTED,
    INBOUND,
    MALFORMED,
    NO_SUCH_ACCOUNT,
    NO_USER,
    RESPONSES,
    STORED,
    TOO_LARGE,
    TOO_SLOW,
    UNAVAILABLE,
    WebhookAnswer,
)
from faxline_worker.receipts.webhook_body import BODY_TIMEOUT, WebhookBody, header_of, receive_body
from faxline_worker.receipts.webhook_proofs import DOCTOR, Examination

READY_TIMEOUT = 1.0
"""Seconds that `/readyz` waits for Redis."""


Kind = Literal["receipt", "malformed", "inbound"]


def create_app(
    *,
    accounts: Mapping[str, WebhookSecrets],
    store: StatusWriter,
    metrics: WebhookMetrics,
    log: FilteringBoundLogger,
    body_timeout: float = BODY_TIMEOUT,
    store_timeout: float = STORE_TIMEOUT,
    refused: RefusedWebhooks | None = None,
) -> Starlette:
    """Make the ASGI app: `POST /webhooks/ifax/{account}` and `/webhooks/ifax/{account}/{secret}`.

    It also serves `GET /healthz` and `GET /readyz`.

    | answer | when |
    |---|---|
    | 204 | the webhook is stored: a receipt, an inbound fax, or `malformed`, which is kept for inspection |
    | 401 | no proof is right, or the account has no secrets. The log and the metrics give the reason |
    | 404 | the account is not configured. The body is not read |
    | 408 | the body is incomplete after `body_timeout` |
    | 413 | the body is over 64 KiB, or 20 MB for a form, as announced or as sent |
    | 503 | Redis is away; with Retry-After |

    An entry of the status stream has the fields `body` (as received; a form's fields as JSON), `kind`
    (`receipt`, `inbound` or `malformed`) and `at` (ms since 1970 by this pod's clock, for information only).

    Args:
        accounts: the webhook secrets by account. An account without secrets refuses everything.
        store: stores the webhooks.
        metrics: counts them.
        log: gets one line for each webhook; of an account's refused ones for at most 60 a minute.
        body_timeout: seconds for the whole body.
        store_timeout: seconds to store it.
        refused: remembers refused webhooks, for the doctor.
    """
    webhook = _Webhook(
        accounts,
        store,
        metrics,
        log,
        body_timeout,
        store_timeout,
        refused or RefusedWebhooks(),
        LineLimit(),
    )
    app = Starlette(
        routes=[
            Route("/webhooks/ifax/{account}", webhook, methods=["POST"]),
            Route("/webhooks/ifax/{account}/{secret}", webhook, methods=["POST"]),
            Route("/healthz", webhook.healthy, methods=["GET"]),
            Route("/readyz", webhook.ready, methods=["GET"]),
        ]
    )
    app.router.redirect_slashes = False  # a redirect would be built from the stranger's Host header
    return app


def read_webhook(body: bytes) -> tuple[Kind, int | None]:
    """Classify a verified body, and return its jobId if it has one. Never raises.

    A `receipt` has a jobId and a faxStatus, `inbound` is about a received fax, and anything else is
    `malformed`, such as a body that is not a JSON object. The worker uses the same parser.
    """
    whole = read_body(body)
    if whole is None:
        return "malformed", None
    fax = read_fax(whole)
    if fax.inbound:
        return "inbound", fax.job_id
    return ("malformed" if fax.job_id is None or fax.status is None else "receipt"), fax.job_id


def identifies_inbound(body: bytes) -> bool:
    """Whether an inbound webhook has an id or a number. The doctor's test webhook has neither."""
    found = read_receipt(body)
    return isinstance(found, Inbound) and (found.job_id or found.transaction_id or found.sender) is not None


_ANSWER_OF: Mapping[Kind, WebhookAnswer] = {"receipt": STORED, "malformed": MALFORMED, "inbound": INBOUND}


@dataclass(frozen=True)
class _Webhook:
    """The route's own ASGI app. Starlette's `Request` and its wrappers would make a webhook slower."""

    accounts: Mapping[str, WebhookSecrets]
    store: StatusWriter
    metrics: WebhookMetrics
    log: FilteringBoundLogger
    body_timeout: float
    """Seconds for the whole body."""
    store_timeout: float
    """Seconds to store it."""
    refused: RefusedWebhooks
    lines: LineLimit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one webhook, count it and log it."""
        began = time.perf_counter()
        account = scope["path_params"]["account"]
        line: dict[str, Any] = {"account": account, "size": 0}
        if account in self.accounts:
            answer = await self._take(scope, receive, account, line)
        else:
            answer, line["account"] = NO_SUCH_ACCOUNT, UNKNOWN_ACCOUNT
            self.metrics.refused(UNKNOWN_ACCOUNT, "unknown_account")
        if answer.counted is not None:
            self.metrics.webhook(line["account"], answer.counted)
        line["result"], line["status"] = answer.result, answer.status
        line["seconds"] = round(time.perf_counter() - began, 4)
        self._tell(answer, line)
        await RESPONSES[answer](scope, receive, send)

    def _tell(self, answer: WebhookAnswer, line: Mapping[str, Any]) -> None:
        if 400 <= answer.status < 500:  # noqa: PLR2004 - refused: nobody knows who sends it
            left_out = self.lines.take(line["account"])
            if left_out is None:
                return
            if left_out:
                self.log.warning(
                    "refused webhooks have no line each", account=line["account"], count=left_out
                )
        self.log.log(answer.level, "webhook", **line)

    async def healthy(self, _request: Request) -> Response:
        """Say that the process runs."""
        return JSONResponse({})

    async def ready(self, _request: Request) -> Response:
        """Say whether a webhook could be stored now, and which nodes of a cluster take none."""
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                away = await self.store.ping()
        except (RedisError, OSError):
            return JSONResponse({"redis": False}, 503)
        return JSONResponse({"redis": True, **({"away": list(away)} if away else {})})

    async def _take(
        self, scope: Scope, receive: Receive, account: str, line: dict[str, Any]
    ) -> WebhookAnswer:
        """Read, verify and store a webhook. `line` collects members for the log."""
        boundary = boundary_of((header_of(scope, CONTENT_TYPE) or b"").decode("latin-1"))
        secrets = self.accounts[account]
        proofs = Examination(secrets, scope["headers"], scope["path_params"].get("secret"))
        body = WebhookBody(proofs, boundary)
        try:
            async with asyncio.timeout(self.body_timeout):
                whole = await receive_body(scope, receive, body)
        except TimeoutError:
            return TOO_SLOW
        except ClientDisconnect:
            return DISCONNECTED
        finally:
            line["size"] = body.size
        if not whole:
            return TOO_LARGE
        verdict = proofs.verdict()
        tried = (header_of(scope, b"user-agent") or b"").startswith(DOCTOR.encode())
        if verdict.wrong:
            line["reason"] = f"wrong_{verdict.wrong[0]}"
        if verdict.refusal is not None:
            line["reason"] = verdict.refusal
            self._refuse(account, verdict.refusal, tried=tried)
            return NO_USER if secrets.basic else BAD_SIGNATURE
        line["by"] = " ".join(verdict.by)
        if not tried:
            self.refused.let_in(account)
        return await self._keep(account, body.content(), line)

    def _refuse(self, account: str, reason: Refusal, *, tried: bool) -> None:
        self.metrics.refused(account, reason)
        if not tried:
            self.refused.refused(account, reason)

    async def _keep(self, account: str, body: bytes, line: dict[str, Any]) -> WebhookAnswer:
        """Store a verified body, unless it is an inbound webhook that identifies no fax."""
        kind, job_id = read_webhook(body)
        if job_id is not None:
            line["jobId"] = job_id
        if kind == "inbound" and not identifies_inbound(body):
            return INBOUND
        fields = {"body": body, "kind": kind.encode(), "at": b"%d" % (time.time_ns() // 1_000_000)}
        try:
            async with asyncio.timeout(self.store_timeout):
                await self.store.add(account, fields)
        except (RedisError, OSError) as error:
            line["error"] = trouble(error) if isinstance(error, RedisError) else type(error).__name__
            return UNAVAILABLE
        return _ANSWER_OF[kind]
