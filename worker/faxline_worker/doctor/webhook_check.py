"""The doctor's check that the webhook's public address leads to our webhook, and that each proof works.

It changes nothing: a body without a proof is refused, and a body about an *inbound* fax is only counted.
"""

import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from faxline.contract.check import Check, Result
from faxline_worker.ifax.route import is_loopback
from faxline_worker.ifax.webhook_access import Proof, WebhookSecrets
from faxline_worker.receipts.signature import HEADER, sign
from faxline_worker.receipts.webhook_proofs import DOCTOR, basic_header

UNSIGNED = b"{}"
INBOUND = json.dumps({"event": "faxline.doctor", "data": {"direction": "received"}}).encode()
"""A marked body about a received fax."""

_OURS = {"User-Agent": DOCTOR}
_NAMES: Mapping[Proof, str] = {"signature": "signature", "basic": "user", "path_secret": "path secret"}


@dataclass(frozen=True)
class _Try:
    """A webhook with one proof: its name, its address and its headers."""

    name: str
    url: str
    headers: Mapping[str, str]
    wrong: str
    """What to check if it is refused."""


def check_webhook(client: httpx.Client, base: str, account: str, secrets: WebhookSecrets) -> list[Check]:
    """Check the address of one account.

    Args:
        client: it must not follow redirects, and must check certificates.
        base: the address, without /webhooks/ifax.
        account: its name.
        secrets: what lets its webhooks in. Each value is tried once.
    """
    url = f"{base.rstrip('/')}/webhooks/ifax/{account}"
    reached = _reached(client, url, account)
    if reached.failed:
        return [reached]
    if not secrets.configured:
        text = (
            "nothing here lets a webhook in: run the check where "
            f"FAXLINE_ACCOUNTS__{account.upper()}__WEBHOOK_SECRETS, …_BASIC or …_PATH_SECRETS is set"
        )
        return [reached, Check(f"signature of {account}", Result.SKIP, text)]
    checks = [reached]
    for proof in secrets.configured:
        name = f"{_NAMES[proof]} of {account}"
        if proof != "signature" and reached.result is Result.WARN:
            text = "not tried: it would cross the network without TLS. Use https"
            checks.append(Check(name, Result.SKIP, text))
            continue
        checks += [_round_trip(client, name, one) for one in _tries(url, proof, secrets)]
    return checks


def _tries(url: str, proof: Proof, secrets: WebhookSecrets) -> Iterator[_Try]:
    for place, value in enumerate(getattr(secrets, proof), 1):
        if proof == "signature":
            way = "changes bodies or drops the header X-iFax-Signature"
            yield _Try(f"secret {place}", url, {HEADER: sign(INBOUND, value)}, way)
        elif proof == "basic":
            way = "drops the header Authorization, or asks for a user and password of its own"
            yield _Try(f"user and password {place}", url, {"Authorization": basic_header(value)}, way)
        else:
            yield _Try(f"path secret {place}", f"{url}/{value.decode()}", {}, "cuts or changes the path")


def _reached(client: httpx.Client, url: str, account: str) -> Check:
    name = f"webhook of {account}"
    try:
        answer = client.post(url, content=UNSIGNED, headers=_OURS)
    except httpx.HTTPError as error:
        return Check(name, Result.FAIL, _unreachable(error))
    if _refused_by_us(answer):
        if urlsplit(url).scheme == "https" or is_loopback(urlsplit(url).hostname or ""):
            return Check(name, Result.OK, "reached from here, and it refuses a body without a proof")
        text = "reached from here, but without TLS anyone on the way can read the faxes' numbers: use https"
        return Check(name, Result.WARN, text)
    return Check(name, Result.FAIL, f"HTTP {answer.status_code} to an unsigned body: {_why_misled(answer)}")


def _round_trip(client: httpx.Client, name: str, one: _Try) -> Check:
    try:
        answer = client.post(one.url, content=INBOUND, headers={**_OURS, **one.headers})
    except httpx.HTTPError as error:
        return Check(name, Result.FAIL, _unreachable(error))
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return Check(name, Result.OK, f"{one.name} is accepted")
    if _refused_by_us(answer):
        text = f"the webhook does not know {one.name} of these settings: set the same there, or something on "
        return Check(name, Result.FAIL, f"{text}the way {one.wrong}")
    return Check(name, Result.FAIL, f"HTTP {answer.status_code} to what iFax may send: {_why_misled(answer)}")


def _refused_by_us(answer: httpx.Response) -> bool:
    """Whether it is the 401 of our webhook and not of a proxy before it."""
    try:
        body = answer.json()
    except ValueError:
        return False
    return answer.status_code == HTTPStatus.UNAUTHORIZED and body == {"error": "bad_signature"}


def _why_misled(answer: httpx.Response) -> str:
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return "the proxy does not forward /webhooks/ifax/, or the webhook does not know the account"
    if answer.is_redirect:
        return "iFax may not follow a redirect: use the address where it ends"
    if answer.is_server_error:
        return "the proxy reaches no webhook: start one, and check the Service or upstream"
    return "something other than Faxline's webhook answers there"


def _unreachable(error: httpx.HTTPError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): iFax will not call it. Renew it"
        cause = cause.__cause__ or cause.__context__
    return f"not reached ({type(error).__name__}): check its name, the proxy and the firewall"
