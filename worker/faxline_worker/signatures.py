"""The signature of a postflight webhook: HMAC-SHA256 of the body (ifax-api, Webhook Security)."""

import hmac
from collections.abc import Sequence

HEADER = "X-iFax-Signature"
"""The header that carries the signature."""

_PREFIX = b"sha256="


def sign(body: bytes, secret: bytes) -> str:
    """The signature of a body as iFax sends it: 64 lower-case hexadecimal digits."""
    return hmac.digest(secret, body, "sha256").hex()


def verify(body: bytes, header: str | None, secrets: Sequence[bytes]) -> bool:
    """Whether one of the secrets made this signature of this body.

    The digits may be of either case, with `sha256=` in front and blanks around. Every secret is tried, also
    after one has matched, and compared in constant time, so the answer's time tells nothing about them. An
    empty secret signs nothing: anybody could use it.

    Args:
        body: the request's body as received, byte for byte.
        header: the text of the header X-iFax-Signature, any text at all; None if there is none.
        secrets: the account's webhook secrets, so that one can be rotated.

    Returns:
        False for a wrong, missing or odd signature; it never raises.
    """
    if header is None:
        return False
    # Compared as bytes: hmac.compare_digest raises for a text beyond ASCII.
    given = header.encode("ascii", "replace").strip().lower().removeprefix(_PREFIX)
    matched = False
    for secret in secrets:
        matched |= hmac.compare_digest(given, sign(body, secret).encode()) and bool(secret)
    return matched
