#!/usr/bin/env python3
"""Notify a service by HTTP how each fax ends, for services that cannot read a Redis stream.

    pip install faxline httpx
    python callback.py

Each end is a POST, signed according to Standard Webhooks (README.md says how to verify it), at least once and
in order. A 2xx confirms it. Anything else is tried again after growing waits, for as long as the service is
away. An event that the service refuses (4xx) a few times is skipped, with a line in the log. Run two, so that
one takes over from the other.

REDIS_URL        such as redis://localhost:6379/0
FAXLINE_ACCOUNT  the account's name (default)
CALLBACK_URL     where to POST, such as https://example.com/faxes
CALLBACK_SECRET  whsec_ and 24 to 64 random bytes in base64: what both sides know
CALLBACK_GROUP   the consumer group (callback)
CALLBACK_WAITS   seconds between the tries, the last one repeated (1,5,30,120,300)
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence

import httpx

from faxline import Event, EventsMissed, FaxLine

ENDS = {"fax.rejected", "fax.delivered", "fax.failed", "fax.canceled", "fax.unconfirmed"}
PATIENT = {408, 425, 429}
"""Client errors that ask to try again later."""
REFUSALS = 5
"""After this many refusals (4xx) an event is skipped, so that it does not hold up the others."""
CLAIM_AFTER = 900.0
"""Seconds after which another process takes over: more than twice the longest wait."""

log = logging.getLogger("callback")


def signature(secret: str, name: str, at: str, body: bytes) -> str:
    """The header webhook-signature of https://www.standardwebhooks.com."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{name}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def body_of(event: Event) -> bytes:
    """The body of a callback. `id` stays the same however often it is sent."""
    body = {"id": event.id, "type": event.name, "timestamp": event.at.isoformat()}
    return json.dumps(body | {"job": event.job, "data": dict(event.data)}).encode()


def take(client: httpx.Client, url: str, secret: str, event: Event) -> int | None:
    """POST it once; the status, or None where nobody answered."""
    body, at = body_of(event), str(int(time.time()))
    headers = {
        "content-type": "application/json",
        "webhook-id": event.id,
        "webhook-timestamp": at,
        "webhook-signature": signature(secret, event.id, at, body),
    }
    try:
        return client.post(url, content=body, headers=headers).status_code
    except httpx.TransportError as error:
        log.warning("%s: %s", event.id, type(error).__name__)
        return None


def tell(client: httpx.Client, url: str, secret: str, event: Event, waits: Sequence[float]) -> None:
    """POST it until the service has taken it, or refused it too often."""
    tries = refusals = 0
    while True:
        status = take(client, url, secret, event)
        if status is not None and status < 300:  # noqa: PLR2004 - 2xx
            return
        if status is not None and 400 <= status < 500 and status not in PATIENT:  # noqa: PLR2004 - 4xx
            refusals += 1
        if refusals == REFUSALS:
            log.error("%s (job %s): refused with %s, left behind", event.id, event.job, status)
            return
        wait = waits[min(tries, len(waits) - 1)]
        tries += 1
        log.warning("%s (job %s): %s, again in %g s", event.id, event.job, status, wait)
        time.sleep(wait)


def main() -> int:
    """Follow the events until the process is ended."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs
    try:
        url, secret = os.environ["CALLBACK_URL"], os.environ["CALLBACK_SECRET"]
        base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        waits = [float(wait) for wait in os.environ.get("CALLBACK_WAITS", "1,5,30,120,300").split(",")]
    except KeyError as error:
        sys.exit(f"set {error.args[0]}")
    except ValueError:
        sys.exit("CALLBACK_SECRET is base64, after whsec_; CALLBACK_WAITS are numbers of seconds with commas")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # ends orderly: the event at hand is given back
    redis_url = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
    group = os.environ.get("CALLBACK_GROUP", "callback")
    with (
        FaxLine(redis_url, os.environ.get("FAXLINE_ACCOUNT", "default")) as line,
        httpx.Client(timeout=10) as client,
        line.events(group=group, claim_after=CLAIM_AFTER) as events,
    ):
        while True:
            try:
                for event in events:
                    if event.name in ENDS:
                        tell(client, url, secret, event, waits)
            except EventsMissed as missed:
                log.error("%s", missed)  # noqa: TRY400 - there is nothing to trace


if __name__ == "__main__":
    sys.exit(main())
