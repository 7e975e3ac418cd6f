"""The documents that entries name, as intake takes them: each is what its digest says, and is opened once.

A producer writes under a key of its own, `upload:RANDOM`, which the entry names beside the digest. Here the
bytes are held against the digest, stored under it (`document:DIGEST`, where only the daemon may write), and
the upload is taken away. A document that a producer with more rights put under its digest itself is held
against it too. What this process has found right is not read again for the next entry: it only must still be
there.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import structlog

from faxline.contract.errors import EntryRejected, Rejection, SealBroken
from faxline.contract.page_count import Opened, check_digest, digest
from faxline_worker.state.documents import StoredDocuments

KNOWN = 4096
"""Documents of an account of which it is known what opening them told, at the most."""
_TRIES = 5
"""How often a document that changes under our hands is looked at."""


class IntakeDocuments:
    """Those of one account. Not thread-safe.

    Args:
        stored: where they are kept.
        log: the account's.
    """

    def __init__(self, stored: StoredDocuments, log: structlog.stdlib.BoundLogger) -> None:
        self._stored = stored
        self._log = log
        self._known: OrderedDict[str, Opened | None] = OrderedDict()
        self._here, self._dropped = set[str](), set[str]()

    def begin(self) -> None:
        """Other entries are taken: what was seen to be there may have gone since.

        It cannot go while the entries that were read wait (lua/tidy.lua).
        """
        self._here.clear()
        self._dropped.clear()

    def find(
        self, name: str, uploads: Mapping[str, Sequence[str]], opener: Callable[[bytes], Opened]
    ) -> Opened | None:
        """What opening a document by `sha256:<hex>` tells; None where it is not stored.

        Args:
            name: it.
            uploads: of each document the uploads that the entry names.
            opener: opens it.

        Raises:
            EntryRejected: what was uploaded, or is stored, is another document, or its seal is broken.
            KeyMissing: it is sealed by a key that is not on the keyring.
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
        self._know(name, opened if opened.limit is None else None)  # else it may have been for want of time
        self._here.add(name)
        return opened

    def keep(self, data: bytes) -> str:
        """Store a document that came inside an entry; its name."""
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
        """A document's bytes, which are then stored under its digest."""
        for upload in uploads:
            brought = self._stored.upload(name, upload)
            if brought is None:
                continue  # another entry brought it, and the document is stored
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
        raise SealBroken  # somebody puts it there in clear again and again

    def _is_right(self, name: str) -> bool:
        """Whether what is stored under a digest is that document, sealed where there are keys."""
        try:
            data, sealed = self._stored.read(name)
        except SealBroken:
            return False
        return data is not None and digest(data) == name and (sealed or self._stored.seal(name, data))
