"""Passwords of local users: kept as argon2id hashes, and compared so that no name is given away."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

FEWEST_LETTERS = 12
"""Characters of a password at least."""
MOST_LETTERS = 256
"""Characters of a password at most: argon2 hashes no novel."""


class UserInvalid(ValueError):
    """A user cannot be added or changed. The message says why."""


class Passwords:
    """Hashes passwords and compares them.

    Example:
        >>> passwords = Passwords(PasswordHasher())
        >>> passwords.match(passwords.hash("correct horse battery"), "correct horse battery")
        True

    Args:
        hasher: of argon2.
    """

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._nobody = hasher.hash(secrets.token_hex())

    def hash(self, password: str) -> str:
        """What the database keeps of a password.

        Raises:
            UserInvalid: it is too short or too long.
        """
        if not FEWEST_LETTERS <= len(password) <= MOST_LETTERS:
            raise UserInvalid(f"a password has {FEWEST_LETTERS} to {MOST_LETTERS} characters")
        return self._hasher.hash(password)

    def match(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password. Without a hash, as of an unknown name, no takes as long."""
        if len(password) > MOST_LETTERS:
            return False
        try:
            self._hasher.verify(hashed or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None
