"""By what iFax's webhooks may get in, and what an account's settings have of it.

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
"""Why a webhook was refused. `unexpected_…`: it brought a proof that the account's settings do not know."""
REFUSALS: tuple[Refusal, ...] = tuple(reason for reason in get_args(Refusal) if reason != "unknown_account")
"""Those of an account that is ours."""
PROOFS: tuple[Proof, ...] = get_args(Proof)

_IN_A_PATH = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True)
class WebhookSecrets:
    """What lets webhooks of one account in: of each the new value first, then the old, while it is rotated.

    Attributes:
        signature: the keys of the HMAC.
        basic: `user:password` in UTF-8.
        path_secret: what may stand in the path after the account.
    """

    signature: Sequence[bytes] = ()
    basic: Sequence[bytes] = ()
    path_secret: Sequence[bytes] = ()

    @property
    def configured(self) -> tuple[Proof, ...]:
        """The proofs that can let a webhook in."""
        return tuple(proof for proof in PROOFS if any(getattr(self, proof)))


def check_basic(text: str) -> str:
    """A value of WEBHOOK_BASIC.

    Raises:
        ValueError: it is no user and password; the text quotes nothing.
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
    """A value of WEBHOOK_PATH_SECRETS: what no proxy and no client writes in another way.

    Raises:
        ValueError: it cannot stand in a path as it is; the text quotes nothing.
    """
    if not _IN_A_PATH.fullmatch(text) or not text.strip("."):
        raise ValueError(
            "a secret of the path may hold A-Z, a-z, 0-9 and . _ ~ - only: others are spelled in two ways"
        )
    return text
