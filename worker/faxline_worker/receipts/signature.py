"""Verifies the signature of a webhook: HMAC-SHA256 of the body.

Source: docs/ifax.md, The fax object and the webhook.
"""

import hmac
from collections.abc import Sequence

HEADER = "X-iFax-Signature"
"""The header that carries the signature."""

_PREFIX = b"sha256="


def sign(body: bytes, secret: bytes) -> str:
    """Sign a body as iFax does: 64 lower-case hexadecimal digits."""
    return hmac.digest(secret, body, "sha256").hex()


def verify(body: bytes, header: str | None, secrets: Sequence[bytes]) -> bool:
    """Whether one of the secrets made this signature of this body.

    The digits may be of either case, with `sha256=` in front and blanks around. Every secret is compared, in
    constant time, even after one has matched, so the time of the answer says nothing about them. An empty
    secret never matches, because anybody could use it.

    Args:
        body: the request's body, byte for byte.
        header: the value of the header X-iFax-Signature; None if there is none. It may be any text.
        secrets: the account's webhook secrets; several while one is being rotated.

    Returns:
        False for a wrong, missing or malformed signature; it never raises.
    """
    running = RunningSignatures(secrets)
    running.feed(body)
    return running.verify(header)


class RunningSignatures:
    """The signatures of a body that comes piece by piece and is not kept.

    Args:
        secrets: the account's webhook secrets.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._made = [hmac.new(secret, digestmod="sha256") for secret in secrets if secret]

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece of the body."""
        for made in self._made:
            made.update(piece)

    def verify(self, header: str | None) -> bool:
        """Whether the header is a signature of the body fed so far; see the function `verify`."""
        if header is None:
            return False
        # Compared as bytes: hmac.compare_digest raises for a text beyond ASCII.
        given = header.encode("ascii", "replace").strip().lower().removeprefix(_PREFIX)
        matched = False
        for made in self._made:
            matched |= hmac.compare_digest(given, made.hexdigest().encode())
        return matched
