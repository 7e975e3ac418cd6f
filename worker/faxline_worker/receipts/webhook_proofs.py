"""What proves that a webhook is iFax's: its signature, a user and password, or a secret in its path.

The documentation has the signature (ifax-api, Webhook Security). iFax's form for webhooks has a user and a
password besides, and some accounts get no signature at all (docs/ifax.md). So any one proof that is
configured lets a webhook in, whatever else came with it; where none is configured nothing gets in.
"""

import base64
import binascii
import hmac
import re
import secrets as random_secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from faxline_worker.ifax.webhook_access import PROOFS, Proof, Refusal, WebhookSecrets
from faxline_worker.receipts.signature import HEADER, RunningSignatures

_WRONG: Mapping[Proof, Refusal] = {
    "signature": "wrong_signature",
    "basic": "wrong_basic",
    "path_secret": "wrong_path_secret",
}
_UNEXPECTED: Mapping[Proof, Refusal] = {
    "signature": "unexpected_signature",
    "basic": "unexpected_basic",
    "path_secret": "unexpected_path_secret",
}

DOCTOR = "faxline-doctor"
"""How the User-Agent of the doctor's own tries begins: the next doctor is not told of them."""

LARGEST = 8 * 1024
"""Bytes of an Authorization header or of a path's secret that are looked at."""

_SIGNATURE, _AUTHORIZATION = HEADER.lower().encode(), b"authorization"
_BASIC = re.compile(rb" *basic +([a-z0-9+/]+=*) *", re.IGNORECASE)
_KEY = random_secrets.token_bytes(32)


@dataclass(frozen=True)
class Verdict:
    """What was found of a webhook's proofs.

    Attributes:
        by: those that are right; with one of them it is let in.
        wrong: those that came, are configured and are wrong.
        refusal: why it is refused; None where it is let in.
    """

    by: tuple[Proof, ...]
    wrong: tuple[Proof, ...]
    refusal: Refusal | None


class Examination:
    """Looks at the proofs of one webhook, whose body comes piece by piece and is not kept.

    Every value that is configured is compared, in constant time, whichever came and whichever matched.

    Args:
        secrets: the account's, as they are now.
        headers: the request's, names in lower case as ASGI has them. A header that came twice proves nothing.
        path_secret: what stands in the path after the account; None where nothing does.
    """

    def __init__(
        self, secrets: WebhookSecrets, headers: Sequence[tuple[bytes, bytes]], path_secret: str | None
    ) -> None:
        self._secrets = secrets
        self._signatures = RunningSignatures(secrets.signature)
        self._signature = [value for name, value in headers if name == _SIGNATURE]
        self._authorization = [value for name, value in headers if name == _AUTHORIZATION]
        self._path_secret = path_secret

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece of the body."""
        self._signatures.feed(piece)

    def verdict(self) -> Verdict:
        """What the proofs are worth, once the whole body was fed. It never raises."""
        came: Mapping[Proof, bool] = {
            "signature": bool(self._signature),
            "basic": bool(self._authorization),
            "path_secret": self._path_secret is not None,
        }
        right: Mapping[Proof, bool] = {
            "signature": self._signatures.verify(_only(self._signature, "latin-1")),
            "basic": _is_one_of(_credentials(self._authorization), _spelled(self._secrets.basic)),
            "path_secret": _is_one_of(_encoded(self._path_secret), self._secrets.path_secret),
        }
        configured = self._secrets.configured
        by = tuple(proof for proof in PROOFS if right[proof])
        wrong = tuple(proof for proof in configured if came[proof] and not right[proof])
        if by:
            return Verdict(by, wrong, None)
        if not configured:
            return Verdict((), (), "nothing_configured")
        unexpected = [_UNEXPECTED[proof] for proof in PROOFS if came[proof] and proof not in configured]
        refusals = [*(_WRONG[proof] for proof in wrong), *unexpected]
        return Verdict((), wrong, next(iter(refusals), "no_proof"))


def basic_header(user_and_password: bytes) -> str:
    """The header Authorization that proves a value of WEBHOOK_BASIC."""
    return "Basic " + base64.b64encode(user_and_password).decode()


def _only(values: Sequence[bytes], encoding: str) -> str | None:
    return values[0].decode(encoding) if len(values) == 1 else None


def _credentials(values: Sequence[bytes]) -> bytes | None:
    """What a header Authorization holds, decoded; None of one that is no Basic."""
    if len(values) != 1 or len(values[0]) > LARGEST:
        return None
    found = _BASIC.fullmatch(values[0])
    try:
        return base64.b64decode(found[1], validate=True) if found else None
    except binascii.Error:
        return None


def _encoded(secret: str | None) -> bytes | None:
    if secret is None or len(secret) > LARGEST:
        return None
    return secret.encode("utf-8", "surrogatepass")


def _spelled(values: Sequence[bytes]) -> Iterator[bytes]:
    """In UTF-8, and in Latin-1, in which older clients send a password beyond ASCII (RFC 7617, 3)."""
    for value in values:
        yield value
        with suppress(UnicodeEncodeError):
            yield value.decode().encode("latin-1")


def _is_one_of(given: bytes | None, values: Iterator[bytes] | Sequence[bytes]) -> bool:
    """Whether it is one of them, in a time that tells nothing about them, their lengths included."""
    mine, matched = hmac.digest(_KEY, given or b"", "sha256"), False
    for value in values:
        matched |= hmac.compare_digest(mine, hmac.digest(_KEY, value, "sha256")) and bool(value)
    return matched and given is not None
