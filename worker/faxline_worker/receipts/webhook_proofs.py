"""Checks that a webhook comes from iFax, by its signature, a user and password, or a secret in its path.

iFax documents the signature. Its form for webhooks also has a user and a password, and some accounts get no
signature at all (docs/ifax.md, fact 3). So one configured proof that is right lets a webhook in, whatever
else came with it. An account without a configured proof refuses every webhook.
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
"""The start of the User-Agent of the doctor's test webhooks, which are not counted as refusals."""

LARGEST = 8 * 1024
"""The most bytes of an Authorization header or a path's secret; a longer one proves nothing."""

_SIGNATURE, _AUTHORIZATION = HEADER.lower().encode(), b"authorization"
_BASIC = re.compile(rb" *basic +([a-z0-9+/]+=*) *", re.IGNORECASE)
_KEY = random_secrets.token_bytes(32)


@dataclass(frozen=True)
class Verdict:
    """The result of checking a webhook's proofs.

    Attributes:
        by: the proofs that are right; one is enough to let the webhook in.
        wrong: the proofs that came, are configured and are wrong.
        refusal: why the webhook is refused; None if it is let in.
    """

    by: tuple[Proof, ...]
    wrong: tuple[Proof, ...]
    refusal: Refusal | None


class Examination:
    """Checks the proofs of one webhook, whose body comes piece by piece and is not kept.

    Every configured value is compared, in constant time, whichever proofs came and whichever matched.

    Args:
        secrets: the account's current webhook secrets.
        headers: the request's headers, names in lower case as ASGI has them. A header that came twice proves
            nothing.
        path_secret: the part of the path after the account; None if there is none.
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
        """Judge the proofs, after the whole body was fed. Never raises."""
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
    """The value of the header Authorization for a value of WEBHOOK_BASIC, `user:password`."""
    return "Basic " + base64.b64encode(user_and_password).decode()


def _only(values: Sequence[bytes], encoding: str) -> str | None:
    return values[0].decode(encoding) if len(values) == 1 else None


def _credentials(values: Sequence[bytes]) -> bytes | None:
    """The decoded `user:password` of an Authorization header; None if it is not valid Basic."""
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
    """Each value in UTF-8 and in Latin-1, which older clients use for non-ASCII passwords (RFC 7617, 3)."""
    for value in values:
        yield value
        with suppress(UnicodeEncodeError):
            yield value.decode().encode("latin-1")


def _is_one_of(given: bytes | None, values: Iterator[bytes] | Sequence[bytes]) -> bool:
    """Whether a value is among others. The time says nothing about them, not even their lengths."""
    mine, matched = hmac.digest(_KEY, given or b"", "sha256"), False
    for value in values:
        matched |= hmac.compare_digest(mine, hmac.digest(_KEY, value, "sha256")) and bool(value)
    return matched and given is not None
