"""Does the webhook's public address lead to our webhook, and does it take what iFax signs?

Nothing changes by it: an unsigned body is refused, and a signed one of an *inbound* fax is counted and left.
"""

import json
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from faxline.doctor.check import Check, Result
from faxline_worker.ifax.route import is_loopback
from faxline_worker.receipts.signature import HEADER, sign

UNSIGNED = b"{}"
INBOUND = json.dumps({"event": "faxline.doctor", "data": {"direction": "received"}}).encode()
"""A marked body that says of itself that it is about a received fax."""


def webhook_checks(client: httpx.Client, base: str, account: str, secrets: Sequence[bytes]) -> list[Check]:
    """Look at the address of one account.

    Args:
        client: does not follow redirects, and checks certificates.
        base: what stands before /webhooks/ifax.
        account: its name.
        secrets: its webhook secrets; with none there is no round trip.
    """
    url = f"{base.rstrip('/')}/webhooks/ifax/{account}"
    reached = _reached(client, url, account)
    if reached.failed:
        return [reached]
    name = f"signature of {account}"
    if not secrets:
        text = "no webhook secret here: look where FAXLINE_ACCOUNTS__…__WEBHOOK_SECRETS is set"
        return [reached, Check(name, Result.SKIP, text)]
    return [
        reached,
        *(_round_trip(client, url, name, place, secret) for place, secret in enumerate(secrets, 1)),
    ]


def _reached(client: httpx.Client, url: str, account: str) -> Check:
    name = f"webhook of {account}"
    try:
        answer = client.post(url, content=UNSIGNED)
    except httpx.HTTPError as error:
        return Check(name, Result.FAIL, _unreachable(error))
    if _refused_by_us(answer):
        if urlsplit(url).scheme == "https" or is_loopback(urlsplit(url).hostname or ""):
            return Check(name, Result.OK, "reached from here; it refuses what is not signed")
        text = "reached from here, but without TLS anybody on the way reads the faxes' numbers: use https"
        return Check(name, Result.WARN, text)
    return Check(name, Result.FAIL, f"HTTP {answer.status_code} to an unsigned body: {_misled(answer)}")


def _round_trip(client: httpx.Client, url: str, name: str, place: int, secret: bytes) -> Check:
    which = f"secret {place}"
    try:
        answer = client.post(url, content=INBOUND, headers={HEADER: sign(INBOUND, secret)})
    except httpx.HTTPError as error:
        return Check(name, Result.FAIL, _unreachable(error))
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return Check(name, Result.OK, f"{which} is taken")
    if _refused_by_us(answer):
        text = (
            f"the webhook does not know {which} of these settings: give it the same, or something on the way "
        )
        return Check(name, Result.FAIL, text + "changes bodies or drops the header X-iFax-Signature")
    return Check(name, Result.FAIL, f"HTTP {answer.status_code} to a signed body: {_misled(answer)}")


def _refused_by_us(answer: httpx.Response) -> bool:
    """Whether it is the 401 of our webhook, and not that of a proxy before it."""
    try:
        told = answer.json()
    except ValueError:
        return False
    return answer.status_code == HTTPStatus.UNAUTHORIZED and told == {"error": "bad_signature"}


def _misled(answer: httpx.Response) -> str:
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return "the proxy does not pass /webhooks/ifax/ on, or the webhook does not know the account"
    if answer.is_redirect:
        return "iFax may not follow a redirect; name the address where it ends"
    if answer.is_server_error:
        return "the proxy reaches no webhook: start one, and look at the Service or upstream"
    return "something else than Faxline's webhook answers there"


def _unreachable(error: httpx.HTTPError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): iFax will not come; renew it"
        cause = cause.__cause__ or cause.__context__
    return f"not reached ({type(error).__name__}): look at its name, the proxy and the firewall"
