"""The proofs by which iFax's webhooks are let in, and an account's secrets for them.

iFax's form for webhooks has an address, a user and a password; some accounts get a signature (docs/ifax.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Proof = Literal["signature", "basic", "path_secret"]
Refusal = Literal[
    "nothing_configured",
    "no_proof",
    "wrong_signature",
    "wrong_basic",
    "wrong_path_secret",
    "unexpected_signature",
    "unexpected_basic",
    "unexpected_path_secret",
    "unknown_account",
]
"""Why a webhook was refused. `unexpected_…`: it had a proof for which the account has no secret."""
REFUSALS: tuple[Refusal, ...] = tuple(reason for reason in get_args(Refusal) if reason != "unknown_account")
"""The refusals of a configured account."""
PROOFS: tuple[Proof, ...] = get_args(Proof)

_IN_A_PATH = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True)
class WebhookSecrets:
    """One account's webhook secrets. While one is rotated, the new value comes first, then the old.

    Attributes:
        signature: the keys of the HMAC.
        basic: `user:password` in UTF-8.
        path_secret: the secrets that may follow the account in the path.
    """

    signature: Sequence[bytes] = ()
    basic: Sequence[bytes] = ()
    path_secret: Sequence[bytes] = ()

    @property
    def configured(self) -> tuple[Proof, ...]:
        """The proofs that can let a webhook in."""
        return tuple(proof for proof in PROOFS if any(getattr(self, proof)))


def check_basic(text: str) -> str:
    """Check a value of WEBHOOK_BASIC.

    Raises:
        ValueError: it is not `user:password`. The message quotes nothing.
    """
    _, colon, password = text.partition(":")
    if not colon or not password:
        raise ValueError(
            'each must be a user and a password with a colon between, such as ["ifax:a-password"]'
        )
    if not text.isprintable():
        raise ValueError("a user or password holds a control character")
    return text


def check_path_secret(text: str) -> str:
    """Check a value of WEBHOOK_PATH_SECRETS, which must have only one spelling in a URL.

    Raises:
        ValueError: it holds other characters. The message quotes nothing.
    """
    if not _IN_A_PATH.fullmatch(text) or not text.strip("."):
        raise ValueError(
            "a secret of the path may hold A-Z, a-z, 0-9 and . _ ~ - only: others are spelled in two ways"
        )
    return text
