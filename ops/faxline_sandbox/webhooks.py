"""Postflight webhooks as documented: the payload, signed, with retries.

Source: docs/ifax.md, The fax object and the webhook.

They may carry a user and password, as in the form on iFax's page, beside or instead of the signature.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import httpx

from faxline_sandbox.accounts import Customer
from faxline_sandbox.config import SandboxConfig
from faxline_sandbox.faults import WebhookFault
from faxline_sandbox.inbound import InboundFax, transaction_id
from faxline_sandbox.ledger import Entry, WebhookAttempt

RETRY_WAITS = (300.0, 600.0, 1200.0, 1800.0, 3600.0)
"""Seconds before each retry, before `time_scale` (docs/ifax.md, The fax object and the webhook)."""
SIGNATURE_HEADER = "X-iFax-Signature"
SHUFFLE_SECONDS = 10.0
BOUNDARY = "----sandbox7MA4YWxk"

_LOST = "lost"
_KEEPALIVE = (
    1.0  # seconds; well below what servers use, so that no try uses a connection that was just closed
)

_log = logging.getLogger("faxline_sandbox")


def fax_object(entry: Entry, *, field: bool = False) -> dict[str, Any]:
    """The fax object of webhooks and fax-status, with more members in the profile `field`.

    Times are whole Unix seconds.
    """
    start, end = int(entry.accepted_at), int(entry.history[-1][1])
    number = entry.from_number.replace("+1", "+", 1) if "no_country" in entry.forms else entry.from_number
    job_id = str(entry.job_id) if "text_job_id" in entry.forms else entry.job_id
    fax: dict[str, Any] = {
        "job_id" if "job_id" in entry.forms else "jobId": job_id,
        "fromNumber": number,
        "toNumber": entry.to_number,
        "faxCallLength": end - start,
        "faxCallStart": start,
        "faxCallEnd": end,
        "faxTotalPages": entry.pages,
        "faxTransferredPages": entry.transferred,
        "faxStatus": entry.word or entry.state,
        "message": entry.message,
        "code": entry.code,
    }
    if field or entry.redial is not None:
        more = {"transactionId": transaction_id(entry.job_id), "direction": "sent"}
        fax |= more | {"success": entry.state == "delivered", "retryAttempt": entry.redial or 0}
    return fax


def payload(fax: Entry | InboundFax, *, field: bool = False) -> tuple[bytes, str]:
    """The body of a fax's webhook, and its Content-Type."""
    if isinstance(fax, InboundFax):
        data, flat, multipart, file = fax.fax_object(), True, fax.multipart, fax.pdf()
    else:
        data, flat = fax_object(fax, field=field), field or "flat" in fax.forms
        multipart, file = "multipart" in fax.forms, b"%PDF-1.4\n" + b"x" * 1000
    if multipart:
        return _form(data, file), f"multipart/form-data; boundary={BOUNDARY}"
    body = data if flat else {"event": "fax.completed", "timestamp": data["faxCallEnd"], "data": data}
    return json.dumps(body).encode(), "application/json"


def _form(data: Mapping[str, Any], file: bytes) -> bytes:
    """A form with the members as fields, and a file between them."""
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in data.items()]
    head = b'name="faxFile"; filename="fax.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
    parts.insert(1, head + file)
    start = f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
    return b"".join(start + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def signature(body: bytes, secret: str) -> str:
    """Lower-case hexadecimal HMAC-SHA256 of the raw body (docs/ifax.md, The fax object and the webhook)."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class WebhookSender:
    """Delivers webhooks; made inside the event loop, closed by `close`.

    Args:
        config: has the timeout, the time scale and how many may be on their way at once.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._timeout = config.webhook_timeout
        self._scale = config.time_scale
        self._field = config.in_field
        self._room = asyncio.Semaphore(config.webhook_concurrency)
        self._client = httpx.AsyncClient(
            timeout=None,  # noqa: S113 - the whole try has one deadline, below
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE),
            trust_env=False,
        )
        self._overtaking: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def deliver(
        self, entry: Entry | InboundFax, customer: Customer, fault: WebhookFault | None, tried: asyncio.Event
    ) -> None:
        """Deliver the webhook of an ended fax, with all its retries.

        Args:
            entry: gets every try.
            customer: the account, which has the receiver and counts the outcome.
            fault: what goes wrong, or None.
            tried: set after the first try.
        """
        account = customer.account
        if account.webhook_url is None:
            tried.set()
            return
        customer.webhooks.pending += 1
        try:
            action = fault.action if fault else None
            if action == "lose":
                entry.webhooks.append(WebhookAttempt(time.time(), None, _LOST))
                customer.webhooks.lost += 1
                return
            if fault and action == "delay":
                await asyncio.sleep(fault.seconds or 0)
            if fault and action == "shuffle":
                await self._overtaken(account.label, fault.seconds)
            body = payload(entry, field=self._field)
            for wait in (None, *RETRY_WAITS):
                if wait is not None:
                    await asyncio.sleep(wait * self._scale)
                if action == "late" and wait is None:
                    entry.webhooks.append(WebhookAttempt(time.time(), None, _LOST))
                    continue
                arrived = await self._try(entry, customer, body)
                if action == "double" and wait is None:
                    arrived = await self._try(entry, customer, body) or arrived
                tried.set()
                if arrived:
                    customer.webhooks.sent += 1
                    return
            customer.webhooks.failed += 1
            _log.warning("webhook of job %d, account %s: given up", entry.job_id, account.label)
        finally:
            tried.set()
            customer.webhooks.pending -= 1

    async def _try(self, entry: Entry | InboundFax, customer: Customer, webhook: tuple[bytes, str]) -> bool:
        account, (body, content_type) = customer.account, webhook
        headers = {"Content-Type": content_type}
        if account.webhook_signed:
            headers[SIGNATURE_HEADER] = signature(body, account.webhook_secret)
        if account.webhook_basic:
            encoded = base64.b64encode(account.webhook_basic.encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        answer, error = None, None
        async with self._room:
            at = time.time()
            customer.webhooks.tries += 1
            try:
                async with asyncio.timeout(self._timeout):
                    response = await self._client.post(
                        account.webhook_url or "", content=body, headers=headers
                    )
                answer = response.status_code
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
                error = type(failure).__name__
            seconds = time.time() - at
        redial = entry.redial if isinstance(entry, Entry) else None
        attempt = WebhookAttempt(at, answer, error, seconds, redial)
        entry.webhooks.append(attempt)
        for overtaken in self._overtaking.pop(account.label, ()):
            overtaken.set()
        return attempt.arrived

    async def _overtaken(self, label: str, seconds: float | None) -> None:
        """Wait until another webhook of the account was tried, at most this many seconds."""
        event = asyncio.Event()
        self._overtaking[label].append(event)
        try:
            async with asyncio.timeout(SHUFFLE_SECONDS if seconds is None else seconds):
                await event.wait()
        except TimeoutError:
            pass
