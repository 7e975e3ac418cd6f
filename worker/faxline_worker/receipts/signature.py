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
    running = RunningSignatures(secrets)
    running.feed(body)
    return running.verify(header)


class RunningSignatures:
    """The signatures of a body that comes piece by piece and is not kept.

    Args:
        secrets: as `verify` has them.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._made = [hmac.new(secret, digestmod="sha256") for secret in secrets if secret]

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece of the body."""
        for made in self._made:
            made.update(piece)

    def verify(self, header: str | None) -> bool:
        """Whether the header is one of the signatures of what was fed, see `verify`."""
        if header is None:
            return False
        # Compared as bytes: hmac.compare_digest raises for a text beyond ASCII.
        given = header.encode("ascii", "replace").strip().lower().removeprefix(_PREFIX)
        matched = False
        for made in self._made:
            matched |= hmac.compare_digest(given, made.hexdigest().encode())
        return matched
