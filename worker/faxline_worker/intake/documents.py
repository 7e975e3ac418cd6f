"""Checks the documents that entries name: each must match its digest, and is opened once.

A producer uploads a document to a key of its own, `upload:RANDOM`. The entry names that key and the digest.
Intake compares the bytes with the digest, stores them as `document:DIGEST`, where only the daemon may write,
and deletes the upload. It also checks a document that a producer with more rights stored under its digest
directly. A document that this process has checked is not read again for the next entry; Redis is only asked
whether it is still there.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import structlog

from faxline.contract.errors import EntryRejected, Rejection, SealBroken
from faxline.contract.page_count import Opened, check_digest, digest
from faxline_worker.state.documents import StoredDocuments

KNOWN = 4096
"""Number of documents per account whose page counts are remembered."""
_TRIES = 5
"""Number of reads of a document that somebody else changes meanwhile."""


class IntakeDocuments:
    """The documents of one account. Not thread-safe.

    Args:
        stored: the account's documents in Redis.
        log: the account's logger.
    """

    def __init__(self, stored: StoredDocuments, log: structlog.typing.FilteringBoundLogger) -> None:
        self._stored = stored
        self._log = log
        self._known: OrderedDict[str, Opened | None] = OrderedDict()
        self._here, self._dropped = set[str](), set[str]()

    def begin(self) -> None:
        """Forget which documents were seen in Redis: a new batch of entries begins.

        A document cannot expire while an entry that was read waits (lua/tidy.lua). Between batches it can.
        """
        self._here.clear()
        self._dropped.clear()

    def find(
        self, name: str, uploads: Mapping[str, Sequence[str]], opener: Callable[[bytes], Opened]
    ) -> Opened | None:
        """Open a document; None if it is not stored.

        Args:
            name: the document, as `sha256:<hex>`.
            uploads: the upload keys that the entry names, by document.
            opener: counts the pages of a document's bytes.

        Raises:
            EntryRejected: the bytes do not match the digest, or the seal is broken.
            KeyMissing: the document is sealed with a key that is not on the keyring.
            Exception: whatever `opener` raises.
        """
        own = uploads.get(name, ())
        known = self._known.get(name)
        if known is not None and (name in self._here or self._stored.is_here(name)):
            self._known.move_to_end(name)
            self._here.add(name)
            self._stored.drop_uploads([upload for upload in own if upload not in self._dropped])
            self._dropped.update(own)
            return known
        try:
            data = self._bring(name, own)
        except SealBroken as error:
            raise EntryRejected("fax.faxData", Rejection.SEAL_BROKEN, str(error)) from None
        if data is None:
            return None
        opened = opener(data)
        self._know(name, opened if opened.limit is None else None)  # a limit hit once may not be hit again
        self._here.add(name)
        return opened

    def keep(self, data: bytes) -> str:
        """Store a document that came inside an entry, and return its name, `sha256:<hex>`."""
        name = digest(data)
        self._keep(name, data)
        self._know(name, self._known.get(name))
        return name

    def _know(self, name: str, opened: Opened | None) -> None:
        self._known[name] = opened
        self._known.move_to_end(name)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def _keep(self, name: str, data: bytes, uploads: Sequence[str] = (), came: bytes = b"") -> None:
        there = not self._stored.store(name, data, uploads, came)
        if there and name not in self._known and not self._is_right(name):
            self._log.error("an altered document was replaced", digest=name)
            self._stored.replace(name, data)

    def _bring(self, name: str, uploads: Sequence[str]) -> bytes | None:
        """Read a document's bytes, and store them under its digest if they were uploaded."""
        for upload in uploads:
            brought = self._stored.upload(name, upload)
            if brought is None:
                continue  # another entry named the same upload, and the document is stored
            check_digest(name, brought[0])
            self._keep(name, brought[0], uploads, brought[1])
            self._dropped.update(uploads)
            return brought[0]
        for _ in range(_TRIES):
            data, sealed = self._stored.read(name)
            if data is None:
                return None
            check_digest(name, data)
            if sealed or self._stored.seal(name, data):
                return data
        raise SealBroken  # somebody keeps replacing it with clear text

    def _is_right(self, name: str) -> bool:
        """Whether the stored bytes match the digest; seals them if they are in clear and there is a key."""
        try:
            data, sealed = self._stored.read(name)
        except SealBroken:
            return False
        return data is not None and digest(data) == name and (sealed or self._stored.seal(name, data))
