"""The webhook: takes iFax's postflight webhooks, proves that they are iFax's, keeps them, answers.

It decides nothing about a fax. What is verified goes onto the account's status stream as it came, for the
worker to reconcile; only then is iFax told 204 (ARCHITECTURE.md, rule 1). Any other
answer makes iFax try again, up to 5 times (ifax-api, Webhook Retries). So a webhook may be stored twice; a
receipt is applied once all the same.

A webhook of an inbound fax may be a form with the fax in it: its fields are kept as JSON, the file is left.

What proves that one is iFax's is in webhook_proofs.py. Anybody can reach this address. So a body is read only
for an account that exists, in bounded size and time, and no text of a stranger becomes a label or a log line.
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
from structlog.stdlib import BoundLogger

from faxline_worker.ifax.fax_object import read_body, read_fax
from faxline_worker.ifax.receipts import Inbound, read_receipt
from faxline_worker.ifax.webhook_access import Refusal, WebhookSecrets
from faxline_worker.observability.metrics.labels import UNKNOWN_ACCOUNT
from faxline_worker.observability.metrics.webhook import WebhookMetrics
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
"""Seconds in which Redis must answer for `/readyz`."""


Kind = Literal["receipt", "malformed", "inbound"]


def create_app(
    *,
    accounts: Mapping[str, WebhookSecrets],
    store: StatusWriter,
    metrics: WebhookMetrics,
    log: BoundLogger,
    body_timeout: float = BODY_TIMEOUT,
    store_timeout: float = STORE_TIMEOUT,
    refused: RefusedWebhooks | None = None,
) -> Starlette:
    """The ASGI app: `POST /webhooks/ifax/{account}` and `/webhooks/ifax/{account}/{secret}`.

    Besides `GET /healthz` and `GET /readyz`.

    | answer | to |
    |---|---|
    | 204 | a webhook that is stored: a receipt, one of an inbound fax, or `malformed`, kept for a look |
    | 401 | no proof that is right; anything for an account without secrets. The log and the metrics say why |
    | 404 | an account that is not ours; its body is not read |
    | 408 | a body that is not whole within `body_timeout` |
    | 413 | more than 64 KiB, of a form more than 20 MB, announced or sent |
    | 503 | Redis is away, with Retry-After |

    An entry of the status stream has the fields `body` (as received; of a form its fields as JSON), `kind`
    (`receipt`, `inbound` or `malformed`) and `at` (ms since 1970 by this pod's clock, for information only).

    Args:
        accounts: what lets each account's webhooks in, by its name; with nothing, everything is refused.
        store: where webhooks are kept.
        metrics: where they are counted.
        log: gets one line a webhook.
        body_timeout: seconds in which the whole body must have come.
        store_timeout: seconds in which it must be stored.
        refused: remembers what was refused, for the doctor.
    """
    webhook = _Webhook(
        accounts,
        store,
        metrics,
        log,
        body_timeout,
        store_timeout,
        refused or RefusedWebhooks(),
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
    """What a signed body is, and its jobId if it has one, by the parser that the worker reads it with.

    A `receipt` has a jobId and a faxStatus, `inbound` is about a fax that came to us; all else, also what is
    no JSON object, is `malformed`. It never raises.
    """
    whole = read_body(body)
    if whole is None:
        return "malformed", None
    fax = read_fax(whole)
    if fax.inbound:
        return "inbound", fax.job_id
    return ("malformed" if fax.job_id is None or fax.status is None else "receipt"), fax.job_id


def tells_inbound(body: bytes) -> bool:
    """Whether there is something to tell of an inbound fax: an id or a number. The doctor's has none."""
    found = read_receipt(body)
    return isinstance(found, Inbound) and (found.job_id or found.transaction_id or found.sender) is not None


_ANSWER_OF: Mapping[Kind, WebhookAnswer] = {"receipt": STORED, "malformed": MALFORMED, "inbound": INBOUND}


@dataclass(frozen=True)
class _Webhook:
    """An ASGI app of its own under its route: without a `Request` and its wrappers a webhook costs less."""

    accounts: Mapping[str, WebhookSecrets]
    store: StatusWriter
    metrics: WebhookMetrics
    log: BoundLogger
    body_timeout: float
    """Seconds for a whole body."""
    store_timeout: float
    """Seconds until Redis has it."""
    refused: RefusedWebhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one webhook, count it and write its line."""
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
        self.log.log(answer.level, "webhook", **line)
        await RESPONSES[answer](scope, receive, send)

    async def healthy(self, _request: Request) -> Response:
        """Say that the process runs."""
        return JSONResponse({})

    async def ready(self, _request: Request) -> Response:
        """Say whether a webhook could be stored now."""
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self.store.ping()
        except (RedisError, OSError):
            return JSONResponse({"redis": False}, 503)
        return JSONResponse({"redis": True})

    async def _take(
        self, scope: Scope, receive: Receive, account: str, line: dict[str, Any]
    ) -> WebhookAnswer:
        """Read and verify, then keep; `line` gets what is known for the log."""
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
        """Store a verified body, unless there is nothing to tell of it."""
        kind, job_id = read_webhook(body)
        if job_id is not None:
            line["jobId"] = job_id
        if kind == "inbound" and not tells_inbound(body):
            return INBOUND
        fields = {"body": body, "kind": kind.encode(), "at": b"%d" % (time.time_ns() // 1_000_000)}
        try:
            async with asyncio.timeout(self.store_timeout):
                await self.store.add(account, fields)
        except (RedisError, OSError) as error:
            line["error"] = type(error).__name__  # its text may quote the command, the body with it
            return UNAVAILABLE
        return _ANSWER_OF[kind]
