"""Seals what the archive keeps about people, and makes it findable: by an HMAC where keys are configured.

Without keys both are plain. The key of the HMACs is derived from a sealing key (HKDF), so a search tries each
key of the ring, and after a rotation only the current one is needed.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from faxline.contract.errors import KeyMissing
from faxline.contract.sealing.keyring import Keyring
from faxline_archive.schema import VALUE

NUMBER = "number"
"""What `index` and `lookups` find a phone number by."""


def member(key: str) -> str:
    """What `index` and `lookups` find a member of the metadata by."""
    return f"metadata {key}"


class Privacy:
    """Seals, opens and finds the texts of one account. Thread-safe.

    Args:
        keyring: the sealing keys; None without any.
        account: the account's name.

    Example:
        >>> Privacy(None, "default").index(NUMBER, "+12025550123")
        '+12025550123'
    """

    def __init__(self, keyring: Keyring | None, account: str) -> None:
        self._keyring = keyring
        self._account = account
        self._index_keys = (
            {key_id: _index_key(keyring.key(key_id), account) for key_id in keyring.ids} if keyring else {}
        )

    @property
    def key_id(self) -> str | None:
        """The id of the key that seals now; None if nothing is sealed."""
        return self._keyring.current if self._keyring else None

    def seal(self, text: str, *place: str) -> str:
        """Seal a text for its place in the archive, if there are keys."""
        return self._keyring.seal(text, self._place(place)) if self._keyring else text

    def open(self, stored: str, key_id: str | None, *place: str) -> str:
        """Open a stored text.

        Args:
            stored: the text as it is in the database.
            key_id: the key beside it; None if it is not sealed.
            place: as it was given to `seal`.

        Raises:
            KeyMissing: the key is not on the keyring.
            SealBroken: the text was changed, or belongs to another place.
        """
        if key_id is None:
            return stored
        if self._keyring is None:
            raise KeyMissing(key_id)
        return self._keyring.open(stored, self._place(place))

    def index(self, what: str, value: str) -> str:
        """What a value is found by: its HMAC by the current key, or the value if there are no keys.

        Args:
            what: NUMBER, or `member(key)`.
            value: a number in E.164, or the text of a member.
        """
        return self._index(self.key_id, what, value)

    def lookups(self, what: str, value: str) -> tuple[str, ...]:
        """All that a value may be found by, as rows that an older key sealed have its HMAC.

        The value itself is among them: rows from before there were keys have it.
        """
        return tuple(self._index(key_id, what, value) for key_id in (*self._index_keys, None))

    def _index(self, key_id: str | None, what: str, value: str) -> str:
        if key_id is not None:
            text = f"{what}\0{value}".encode("utf-8", "surrogatepass")
            return hmac.digest(self._index_keys[key_id], text, "sha256").hex()
        if len(value) <= VALUE and "\0" not in value and value.isprintable():
            return value
        return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()

    def _place(self, place: tuple[str, ...]) -> str:
        return " ".join(("archive", self._account, *place))


def _index_key(key: bytes, account: str) -> bytes:
    info = b"faxline archive index " + account.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)
