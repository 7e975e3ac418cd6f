"""Seal the values of an account, each for its own place, so that none can be opened elsewhere."""

import json
from collections.abc import Mapping
from typing import Any

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.stream import Header, SealedDocument, is_sealed, open_sealed, seal_document

MARK = "sealed:"
"""What a sealed request begins with; one that is not sealed is JSON."""
SEALED_KINDS = ("send", "resend")
"""The kinds of entries whose content may be sealed."""


class Seals:
    """Seals and opens the values of one account. Thread-safe.

    Args:
        keyring: the keys; without, nothing is sealed, and what is sealed does not open.
        account: the account's name, which every place begins with.
    """

    def __init__(self, keyring: Keyring | None, account: str) -> None:
        self.keyring = keyring
        self._account = account

    @property
    def on(self) -> bool:
        """Whether values are sealed."""
        return self.keyring is not None

    def _keys(self, sealed_by: str) -> Keyring:
        if self.keyring is None:
            raise KeyMissing(sealed_by)
        return self.keyring

    def _place(self, *names: str) -> str:
        return " ".join((self._account, *names))

    def request(self, job: str, text: str) -> str:
        """A job's request as its record keeps it."""
        if self.keyring is None:
            return text
        return MARK + self.keyring.seal(text, self._place("request", job))

    def open_request(self, job: str, kept: str) -> str:
        """The request that a record keeps.

        Raises:
            KeyMissing: its key is not on the keyring.
            SealBroken: it was changed, or is another job's.
        """
        if not kept.startswith(MARK):
            return kept
        sealed = kept.removeprefix(MARK)
        return self._keys(sealed.partition(":")[0]).open(sealed, self._place("request", job))

    def entry(self, kind: str, payload: Mapping[str, Any], text: str) -> str:
        """An entry as it is pushed: its id in clear, all else sealed."""
        if self.keyring is None or kind not in SEALED_KINDS or "sealed" in payload:
            return text
        name = str(payload.get("id", ""))
        return json.dumps({"id": name, "sealed": self.keyring.seal(text, self._place(kind, name))})

    def open_entry(self, kind: str, name: str, sealed: str) -> str:
        """The text of a sealed entry.

        Raises:
            KeyMissing: its key is not on the keyring.
            SealBroken: it was changed, or is of another kind or id.
        """
        return self._keys(sealed.partition(":")[0]).open(sealed, self._place(kind, name))

    def document(self, name: str, data: bytes) -> bytes:
        """A document, by `sha256:<hex>`, as it is stored."""
        if self.keyring is None:
            return data
        return seal_document(self.keyring, self._place("document", name), data)

    def open_document(self, name: str, stored: bytes) -> bytes:
        """A stored document.

        Raises:
            KeyMissing: its key is not on the keyring.
            SealBroken: it was changed, or is another document.
        """
        if not is_sealed(stored):
            return stored
        return open_sealed(self._keys(Header.read(stored).key_id), self._place("document", name), stored)

    def reader(self, name: str, head: bytes) -> SealedDocument:
        """What opens a sealed document in pieces, by its beginning. Raises as `open_document` does."""
        return SealedDocument(self._keys(Header.read(head).key_id), self._place("document", name), head)

    def is_current(self, key_id: str | None) -> bool:
        """Whether a value that this key seals (None: no key) is as it would be sealed now."""
        return key_id == (self.keyring.current if self.keyring else None)


def key_of_request(kept: str) -> str | None:
    """The id of the key that seals a kept request; None where none does."""
    return kept.removeprefix(MARK).partition(":")[0] if kept.startswith(MARK) else None


def key_of_document(head: bytes) -> str | None:
    """The id of the key that seals a stored document, by its beginning; None where none does."""
    try:
        return Header.read(head).key_id if is_sealed(head) else None
    except SealBroken:
        return None
