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
import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Literal, Protocol

import redis.asyncio
from redis.exceptions import RedisError, ResponseError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.stdlib import BoundLogger

from faxline.contract.redis_keys import RedisKeys
from faxline.steps.replicas import NOT_ASKED, Confirmation
from faxline_worker.ifax.fax_object import read_body, read_fax
from faxline_worker.ifax.receipts import Inbound, read_receipt
from faxline_worker.ifax.webhook_access import Refusal, WebhookSecrets
from faxline_worker.observability.metrics import UNKNOWN_ACCOUNT, WebhookMetrics, WebhookResult
from faxline_worker.receipts.deadlines import Deadline
from faxline_worker.receipts.multipart import MultipartFields, boundary_of
from faxline_worker.receipts.recent_receipts import RecentReceipts
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from faxline_worker.receipts.webhook_proofs import DOCTOR, Examination
from faxline_worker.state.redis_clients import TooFewReplicasError, adds_nothing, took_nothing

BODY_LIMIT = 64 * 1024
"""Bytes of a webhook's body that are read at most."""
FORM_LIMIT = 20_000_000
"""Bytes of a form's body that are read at most; no more of it is held than its fields."""
BODY_TIMEOUT = 10.0
"""Seconds in which the whole body must have come."""
STORE_TIMEOUT = 5.0
"""Seconds for storing a webhook; iFax does not wait for ever either."""
READY_TIMEOUT = 1.0
"""Seconds in which Redis must answer for `/readyz`."""
LOT = 64
"""Webhooks that go to Redis in one round trip at the most: 4 MiB."""
RETRY_AFTER = 30
"""Seconds, the Retry-After of a 503."""

_CONTENT_TYPE = b"content-type"

_Waiting = tuple[str, Mapping[str, bytes], "asyncio.Future[None]"]
"""The stream, the entry, and who waits for it."""
Kind = Literal["receipt", "malformed", "inbound"]


class StatusWriter(Protocol):
    """Where verified webhooks are kept."""

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        """Add an entry to the account's status stream.

        Raises:
            redis.exceptions.RedisError, OSError: it is not, or perhaps not, stored.
        """

    async def ping(self) -> None:
        """Return if `add` has someone to talk to.

        Raises:
            redis.exceptions.RedisError, OSError: it has not.
        """


class RedisStatusWriter:
    """Keeps webhooks on Redis. Its Redis user needs XADD on the status streams and `@connection`, no more.

    One command costs this process as much as all the rest of a webhook. So what comes while others are on
    their way to Redis goes with the next lot, one round trip for all of it; what comes alone goes at once.

    Args:
        client: of the state's database; the caller closes it.
        probed: the stream of which `ping` asks whether it could be added to.
        timeout: seconds that a lot may take.
        confirmation: how many replicas must have a lot before iFax is answered.
        recent: what was stored lately; the client calls its `connected`.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        probed: str,
        timeout: float = STORE_TIMEOUT,
        confirmation: Confirmation = NOT_ASKED,
        recent: RecentReceipts | None = None,
    ) -> None:
        self._client = client
        self._probed = probed
        self._timeout = timeout
        self._confirmation = confirmation
        self._recent = recent or RecentReceipts()
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        """Add an entry to the account's status stream, see `StatusWriter`."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_stream(account), fields, stored))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await stored

    async def ping(self) -> None:
        """Return if Redis would take an entry, see `StatusWriter`."""
        try:
            await self._client.execute_command(*adds_nothing(self._probed))  # type: ignore[no-untyped-call]
        except ResponseError as error:
            took_nothing(error)

    async def repeat(self) -> None:
        """Store again what was stored lately, where a connection has been made anew.

        Raises:
            redis.exceptions.RedisError, OSError: it is not, or perhaps not, stored; the next call does it.
        """
        await self._client.ping()  # a connection that was lost is noticed by this
        due = self._recent.take_due()
        try:
            for start in range(0, len(due), LOT):
                async with asyncio.timeout(self._timeout), self._client.pipeline(transaction=False) as pipe:
                    for key, fields in due[start : start + LOT]:
                        pipe.execute_command("XADD", key, "*", *chain.from_iterable(fields.items()))
                    await pipe.execute()
        except BaseException:
            self._recent.not_repeated()
            raise

    async def _write(self) -> None:
        """Write until nobody waits. Between the last look and the end nobody else can run."""
        try:
            await asyncio.sleep(0)  # what came in the same moment goes with the first
            while self._waiting:
                lot = [self._waiting.popleft() for _ in range(min(LOT, len(self._waiting)))]
                lot = [
                    one for one in lot if not one[2].done()
                ]  # who gave up was answered, and iFax comes again
                if lot:
                    await self._write_lot(lot)
        finally:
            self._writing = None

    async def _write_lot(self, lot: Sequence["_Waiting"]) -> None:
        replies: Sequence[Any]
        try:
            async with asyncio.timeout(self._timeout), self._client.pipeline(transaction=False) as pipe:
                for key, fields, _ in lot:
                    pipe.execute_command("XADD", key, "*", *chain.from_iterable(fields.items()))
                if self._confirmation:
                    self._confirmation.ask(pipe)
                replies = await pipe.execute(raise_on_error=False)
            if self._confirmation:
                *replies, waited = replies
                if missed := self._confirmation.missed(waited):
                    replies = [TooFewReplicasError(missed)] * len(lot)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            replies = [error] * len(lot)
        for (key, fields, stored), reply in zip(lot, replies, strict=True):
            if not isinstance(reply, Exception):
                self._recent.stored(key, fields)
            if stored.done():
                continue
            if isinstance(reply, Exception):
                stored.set_exception(reply)
            else:
                stored.set_result(None)


@cache
def _stream(account: str) -> str:
    """The account's status stream; only accounts that are configured come here, so they are few."""
    return RedisKeys(account).status


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
        Deadline(body_timeout),
        Deadline(store_timeout),
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


@dataclass(frozen=True, eq=False)  # each is one of a kind
class _Answer:
    """How a request ends: the word for the log, the HTTP status, and as what it is counted, if at all."""

    result: str
    status: int
    counted: WebhookResult | None
    level: int = logging.WARNING
    close: bool = False  # there may be more to come that nobody wants to read
    challenge: bool = False  # a user and password would be taken


_STORED = _Answer("stored", 204, "stored", logging.INFO)
_INBOUND = _Answer("inbound", 204, "inbound", logging.INFO)
_MALFORMED = _Answer("malformed", 204, "malformed")
_DISCONNECTED = _Answer("disconnected", 400, None, logging.INFO)
_BAD_SIGNATURE = _Answer("bad_signature", 401, "bad_signature")
_NO_USER = _Answer("bad_signature", 401, "bad_signature", challenge=True)
_UNKNOWN_ACCOUNT = _Answer("unknown_account", 404, "bad_signature", close=True)
_TOO_SLOW = _Answer("too_slow", 408, None, close=True)
_TOO_LARGE = _Answer("too_large", 413, "too_large", close=True)
_UNAVAILABLE = _Answer("unavailable", 503, "unavailable", logging.ERROR)
_ANSWER_OF: Mapping[Kind, _Answer] = {"receipt": _STORED, "malformed": _MALFORMED, "inbound": _INBOUND}
_ANSWERS = (
    _STORED,
    _INBOUND,
    _MALFORMED,
    _DISCONNECTED,
    _BAD_SIGNATURE,
    _NO_USER,
    _UNKNOWN_ACCOUNT,
    _TOO_SLOW,
    _TOO_LARGE,
    _UNAVAILABLE,
)


@dataclass(frozen=True)
class _Webhook:
    """An ASGI app of its own under its route: without a `Request` and its wrappers a webhook costs less."""

    accounts: Mapping[str, WebhookSecrets]
    store: StatusWriter
    metrics: WebhookMetrics
    log: BoundLogger
    body_deadline: Deadline
    store_deadline: Deadline
    refused: RefusedWebhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one webhook, count it and write its line."""
        began = time.perf_counter()
        account = scope["path_params"]["account"]
        line: dict[str, Any] = {"account": account, "size": 0}
        if account in self.accounts:
            answer = await self._take(scope, receive, account, line)
        else:
            answer, line["account"] = _UNKNOWN_ACCOUNT, UNKNOWN_ACCOUNT
            self.metrics.refused(UNKNOWN_ACCOUNT, "unknown_account")
        if answer.counted is not None:
            self.metrics.webhook(line["account"], answer.counted)
        line["result"], line["status"] = answer.result, answer.status
        line["seconds"] = round(time.perf_counter() - began, 4)
        self.log.log(answer.level, "webhook", **line)
        await _RESPONSES[answer](scope, receive, send)

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

    async def _take(self, scope: Scope, receive: Receive, account: str, line: dict[str, Any]) -> _Answer:
        """Read and verify, then keep; `line` gets what is known for the log."""
        boundary = boundary_of((_header(scope, _CONTENT_TYPE) or b"").decode("latin-1"))
        secrets = self.accounts[account]
        proofs = Examination(secrets, scope["headers"], scope["path_params"].get("secret"))
        body = _Body(proofs, boundary)
        try:
            with self.body_deadline():
                whole = await _read(scope, receive, body)
        except TimeoutError:
            return _TOO_SLOW
        except ClientDisconnect:
            return _DISCONNECTED
        finally:
            line["size"] = body.size
        if not whole:
            return _TOO_LARGE
        verdict = proofs.verdict()
        tried = (_header(scope, b"user-agent") or b"").startswith(DOCTOR.encode())
        if verdict.wrong:
            line["reason"] = f"wrong_{verdict.wrong[0]}"
        if verdict.refusal is not None:
            line["reason"] = verdict.refusal
            self._refuse(account, verdict.refusal, tried=tried)
            return _NO_USER if secrets.basic else _BAD_SIGNATURE
        line["by"] = " ".join(verdict.by)
        if not tried:
            self.refused.let_in(account)
        return await self._keep(account, body.content(), line)

    def _refuse(self, account: str, reason: Refusal, *, tried: bool) -> None:
        self.metrics.refused(account, reason)
        if not tried:
            self.refused.refused(account, reason)

    async def _keep(self, account: str, body: bytes, line: dict[str, Any]) -> _Answer:
        """Store a verified body, unless there is nothing to tell of it."""
        kind, job_id = read_webhook(body)
        if job_id is not None:
            line["jobId"] = job_id
        if kind == "inbound" and not tells_inbound(body):
            return _INBOUND
        fields = {"body": body, "kind": kind.encode(), "at": b"%d" % (time.time_ns() // 1_000_000)}
        try:
            with self.store_deadline():
                await self.store.add(account, fields)
        except (RedisError, OSError) as error:
            line["error"] = type(error).__name__  # its text may quote the command, the body with it
            return _UNAVAILABLE
        return _ANSWER_OF[kind]


class _Body:
    """A request's body, held as it is, or of a form (one with a boundary) its fields alone."""

    def __init__(self, proofs: Examination, boundary: bytes | None) -> None:
        self._proofs = proofs
        self.size = 0
        self.limit = BODY_LIMIT if boundary is None else FORM_LIMIT
        self._form = None if boundary is None else MultipartFields(boundary)
        self._whole = bytearray()

    def feed(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.limit:
            return
        self._proofs.feed(piece)
        if self._form is None:
            self._whole += piece
        else:
            self._form.feed(piece)

    def content(self) -> bytes:
        return bytes(self._whole) if self._form is None else json.dumps(self._form.fields()).encode()


async def _read(scope: Scope, receive: Receive, body: _Body) -> bool:
    """Feed the request's body; False as soon as it is known to be over its limit.

    Raises:
        ClientDisconnect: the client went away.
    """
    try:
        announced = int(_header(scope, b"content-length") or 0)
    except ValueError:  # nonsense, or more digits than Python reads: what comes is counted anyway
        announced = 0
    if announced > body.limit:
        return False
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body.feed(message.get("body", b""))
        if body.size > body.limit:
            return False
        more = message.get("more_body", False)
        del message  # it holds a copy, and the next may let us wait
    return True


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this name, which is in lower case as ASGI has them."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def _response(answer: _Answer) -> Response:
    if answer.status == 204:  # noqa: PLR2004 - no content
        return Response(status_code=204)
    headers = {"Connection": "close"} if answer.close else {}
    if answer is _UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    if answer.challenge:
        headers["WWW-Authenticate"] = 'Basic realm="faxline", charset="UTF-8"'
    return JSONResponse({"error": answer.result}, answer.status, headers)


_RESPONSES = {answer: _response(answer) for answer in _ANSWERS}
"""An answer holds nothing of its request, so one response does for all."""
