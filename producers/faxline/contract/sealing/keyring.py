"""The keyring: the keys that seal documents, requests and entries, by their ids.

A sealed value has the id of its key. The first key seals and all keys open. So put a new key before the old
one, and remove the old one once it seals nothing (docs/data-protection.md).
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from faxline.contract.errors import KeyMissing, SealBroken

KEY_BYTES = 32
"""The bytes of a key (AES-256)."""
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
NONCE = 12
"""The bytes of AES-GCM's nonce (NIST SP 800-38D, 8.2), which is random for each text."""


def new_key(key_id: str | None = None) -> str:
    """Make a new key as `id:base64`, a line for FAXLINE_SEALING_KEYS.

    Args:
        key_id: the id of the key. Default: today's date and four random digits.

    Raises:
        ValueError: the id is not valid.
    """
    made = key_id or f"{datetime.now(UTC):%Y-%m-%d}-{os.urandom(2).hex()}"
    if not KEY_ID.fullmatch(made):
        raise ValueError("a key's id is 1 to 32 of A-Z a-z 0-9 . _ -")
    return f"{made}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


class Keyring:
    """Keys by their ids, the current one first. Thread-safe.

    Example:
        >>> FaxLine("redis://localhost:6379/0", keys=Keyring.read(Path("keys.txt").read_text()))

    Args:
        keys: the keys by their ids, 32 bytes each.

    Raises:
        ValueError: there is no key, a key has another length, an id is not valid, or the package
            `cryptography` is not installed.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise ValueError("no key: `faxline keys new` makes one")
        for key_id, key in keys.items():
            if not KEY_ID.fullmatch(key_id):
                raise ValueError("a key's id is 1 to 32 of A-Z a-z 0-9 . _ -")
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {key_id!r} has {len(key)} bytes and needs {KEY_BYTES}, as base64")
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only with keys
        except ImportError:
            raise ValueError(
                "keys need the package cryptography: pip install '.[sealing]' in the checkout"
            ) from None
        self._keys = dict(keys)
        self._ciphers: dict[str, Any] = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = next(iter(self._keys))

    @classmethod
    def read(cls, text: str) -> "Keyring":
        """Parse FAXLINE_SEALING_KEYS: lines `id:base64`, or a JSON list of them.

        Example:
            >>> Keyring.read(os.environ["FAXLINE_SEALING_KEYS"]).current
            '2027'

        Raises:
            ValueError: as for the class, or a line has another form. The text never quotes a key.
        """
        keys: dict[str, bytes] = {}
        for place, line in enumerate(_lines(text), start=1):
            key_id, colon, encoded = line.partition(":")
            try:
                key = base64.b64decode(encoded.strip(), validate=True)
            except (binascii.Error, ValueError):
                key, colon = b"", ""
            if not colon:
                raise ValueError(f"key {place} is not of the form id:base64, as `faxline keys new` prints it")
            if key_id.strip() in keys:
                raise ValueError(f"the id of key {place} is there twice")
            keys[key_id.strip()] = key
        return cls(keys)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._keys,)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys' ids, the current one first.

        Example:
            >>> Keyring({"2027": os.urandom(32), "2026": os.urandom(32)}).ids
            ('2027', '2026')
        """
        return tuple(self._keys)

    def key(self, key_id: str) -> bytes:
        """The bytes of a key.

        Example:
            >>> len(keyring.key("2027"))
            32

        Raises:
            KeyMissing: there is no such key.
        """
        if key_id not in self._keys:
            raise KeyMissing(key_id)
        return self._keys[key_id]

    def seal(self, text: str, place: str) -> str:
        """Seal a text for a place. The result is `id:base64`, the nonce and the AES-GCM ciphertext.

        Example:
            >>> keyring.seal("secret", "default|request|invoice-77").partition(":")[0]
            '2027'

        Args:
            text: any text.
            place: where the text belongs (associated data). It can be opened for this place only.
        """
        nonce = os.urandom(NONCE)
        sealed: bytes = self._ciphers[self.current].encrypt(nonce, text.encode(), place.encode())
        return f"{self.current}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """Open a sealed text.

        Example:
            >>> keyring.open(keyring.seal("secret", "a place"), "a place")
            'secret'

        Args:
            sealed: as `seal` returned it.
            place: the place that was given to `seal`.

        Raises:
            KeyMissing: the key is not on the keyring.
            SealBroken: the text was changed, or sealed for another place.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only with keys

        key_id, _, encoded = sealed.partition(":")
        if key_id not in self._ciphers:
            raise KeyMissing(key_id)
        try:
            data = base64.b64decode(encoded, validate=True)
            opened: bytes = self._ciphers[key_id].decrypt(data[:NONCE], data[NONCE:], place.encode())
            return opened.decode()
        except (InvalidTag, ValueError):
            raise SealBroken from None


def _lines(text: str) -> list[str]:
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise ValueError('the keys are lines id:base64, or a JSON list of them: ["id:base64"]')
        return found
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
