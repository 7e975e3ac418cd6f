"""Does the webhook's public address lead to our webhook, and does each proof that is configured let one in?

Nothing changes by it: a body without a proof is refused, and one of an *inbound* fax is counted and left.
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
"""A marked body that says of itself that it is about a received fax."""

_OURS = {"User-Agent": DOCTOR}
_NAMES: Mapping[Proof, str] = {"signature": "signature", "basic": "user", "path_secret": "path secret"}


@dataclass(frozen=True)
class _Try:
    """A webhook with one proof: what it is called, and where and how it goes."""

    name: str
    url: str
    headers: Mapping[str, str]
    wrong: str
    """What to look at where it is refused."""


def webhook_checks(client: httpx.Client, base: str, account: str, secrets: WebhookSecrets) -> list[Check]:
    """Look at the address of one account.

    Args:
        client: does not follow redirects, and checks certificates.
        base: what stands before /webhooks/ifax.
        account: its name.
        secrets: what lets its webhooks in; of each value there is a round trip.
    """
    url = f"{base.rstrip('/')}/webhooks/ifax/{account}"
    reached = _reached(client, url, account)
    if reached.failed:
        return [reached]
    if not secrets.configured:
        text = (
            "nothing here lets a webhook in: look where "
            f"FAXLINE_ACCOUNTS__{account.upper()}__WEBHOOK_SECRETS, …_BASIC or …_PATH_SECRETS is set"
        )
        return [reached, Check(f"signature of {account}", Result.SKIP, text)]
    checks = [reached]
    for proof in secrets.configured:
        name = f"{_NAMES[proof]} of {account}"
        if proof != "signature" and reached.result is Result.WARN:
            text = "not tried, for it would go over the network in clear: use https"
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
            return Check(name, Result.OK, "reached from here; it refuses what is not proved to be iFax's")
        text = "reached from here, but without TLS anybody on the way reads the faxes' numbers: use https"
        return Check(name, Result.WARN, text)
    return Check(name, Result.FAIL, f"HTTP {answer.status_code} to an unsigned body: {_misled(answer)}")


def _round_trip(client: httpx.Client, name: str, one: _Try) -> Check:
    try:
        answer = client.post(one.url, content=INBOUND, headers={**_OURS, **one.headers})
    except httpx.HTTPError as error:
        return Check(name, Result.FAIL, _unreachable(error))
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return Check(name, Result.OK, f"{one.name} is taken")
    if _refused_by_us(answer):
        text = f"the webhook does not know {one.name} of these settings: give it the same, or something on "
        return Check(name, Result.FAIL, f"{text}the way {one.wrong}")
    return Check(name, Result.FAIL, f"HTTP {answer.status_code} to what iFax may send: {_misled(answer)}")


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
