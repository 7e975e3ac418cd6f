"""Seals the values of an account, each for its own place: a value cannot be opened in another place."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.stream import Header, SealedDocument, is_sealed, open_sealed, seal_document

MARK = "sealed:"
"""The beginning of a sealed request. An unsealed one is JSON."""
IN_BASE64 = "base64:"
"""The beginning of a kept receipt that is no UTF-8. Any other one that is not sealed is JSON."""
SEALED_KINDS = ("send", "resend")
"""The kinds of entries whose content may be sealed."""


class Seals:
    """Seals and opens the values of one account. Thread-safe.

    Args:
        keyring: the keys. Without keys, nothing is sealed and no sealed value can be opened.
        account: the account's name, with which every place begins.
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
        """Seal a job's request for its record, if there are keys."""
        if self.keyring is None:
            return text
        return MARK + self.keyring.seal(text, self._place("request", job))

    def open_request(self, job: str, kept: str) -> str:
        """Open the request in a job's record.

        Raises:
            KeyMissing: the key is not on the keyring.
            SealBroken: the request was changed, or belongs to another job.
        """
        if not kept.startswith(MARK):
            return kept
        sealed = kept.removeprefix(MARK)
        return self._keys(sealed.partition(":")[0]).open(sealed, self._place("request", job))

    def receipt(self, job_id: str, body: bytes) -> str:
        """Seal a receipt as it came for its job's record, if there are keys.

        Args:
            job_id: iFax's jobId, which the receipt names.
            body: the receipt.
        """
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = IN_BASE64 + base64.b64encode(body).decode()
        if self.keyring is None:
            return text
        return MARK + self.keyring.seal(text, self._place("receipt", job_id))

    def open_receipt(self, job_id: str, kept: str) -> bytes:
        """Open a receipt of a job's record (`r:N`), as it came. The jobId is in its event and in `h:N`.

        Raises:
            KeyMissing: the key is not on the keyring.
            SealBroken: the receipt was changed, or names another jobId.
        """
        text = kept
        if kept.startswith(MARK):
            sealed = kept.removeprefix(MARK)
            text = self._keys(sealed.partition(":")[0]).open(sealed, self._place("receipt", job_id))
        return base64.b64decode(text.removeprefix(IN_BASE64)) if text.startswith(IN_BASE64) else text.encode()

    def entry(self, kind: str, payload: Mapping[str, Any], text: str) -> str:
        """Seal an entry for the push, if there are keys: its id stays in clear."""
        if self.keyring is None or kind not in SEALED_KINDS or "sealed" in payload:
            return text
        name = str(payload.get("id", ""))
        return json.dumps({"id": name, "sealed": self.keyring.seal(text, self._place(kind, name))})

    def open_entry(self, kind: str, name: str, sealed: str) -> str:
        """Open a sealed entry.

        Raises:
            KeyMissing: the key is not on the keyring.
            SealBroken: the entry was changed, or has another kind or id.
        """
        return self._keys(sealed.partition(":")[0]).open(sealed, self._place(kind, name))

    def document(self, name: str, data: bytes) -> bytes:
        """Seal a document, named `sha256:<hex>`, if there are keys."""
        if self.keyring is None:
            return data
        return seal_document(self.keyring, self._place("document", name), data)

    def open_document(self, name: str, stored: bytes) -> bytes:
        """Open a stored document.

        Raises:
            KeyMissing: the key is not on the keyring.
            SealBroken: the document was changed, or is another one.
        """
        if not is_sealed(stored):
            return stored
        return open_sealed(self._keys(Header.read(stored).key_id), self._place("document", name), stored)

    def reader(self, name: str, head: bytes) -> SealedDocument:
        """Make a reader that opens a sealed document in pieces. Raises like `open_document`."""
        return SealedDocument(self._keys(Header.read(head).key_id), self._place("document", name), head)

    def is_current(self, key_id: str | None) -> bool:
        """Whether a value sealed with this key (None: no key) needs no resealing."""
        return key_id == (self.keyring.current if self.keyring else None)


def key_of_request(kept: str) -> str | None:
    """The id of the key that seals a stored request; None if it is not sealed."""
    return kept.removeprefix(MARK).partition(":")[0] if kept.startswith(MARK) else None


def key_of_document(head: bytes) -> str | None:
    """The id of the key that seals a stored document, read from its beginning; None if it is not sealed."""
    try:
        return Header.read(head).key_id if is_sealed(head) else None
    except SealBroken:
        return None
