"""The documents of an account as Redis keeps them: each once, by its digest, sealed where there are keys."""

from collections.abc import Iterator
from typing import cast

import redis

from faxline.keys import AccountKeys
from faxline.sealed_documents import HEADER_MOST
from faxline.seals import Seals
from faxline_worker.scan import scan_pages
from faxline_worker.scripts import Scripts


class StoredDocuments:
    """Reads and keeps them.

    Args:
        client: a client of the state's database (bytes replies).
        keys: the account's.
        seals: its seals.
        scripts: `keep` and `reseal_document` on that client.
        ttl: milliseconds for which a document is kept at least.
    """

    def __init__(
        self, client: redis.Redis, keys: AccountKeys, seals: Seals, scripts: Scripts, ttl: int
    ) -> None:
        self._client = client
        self._keys = keys
        self._seals = seals
        self._scripts = scripts
        self._ttl = ttl

    def read(self, digest: str) -> bytes | None:
        """A document's bytes by `sha256:<hex>`; None when it is not (or no longer) there.

        One that came in clear is sealed, where there are keys.

        Raises:
            KeyMissing: it is sealed by a key that is not on the keyring.
            SealBroken: it was changed after it was sealed, or is another document.
        """
        stored = self.stored(digest)
        if stored is None:
            return None
        data = self._seals.open_document(digest, stored)
        if data is stored and self._seals.on:
            self.reseal(digest, stored)
        return data

    def stored(self, digest: str) -> bytes | None:
        """A document as it is stored, sealed or not."""
        return cast("bytes | None", self._client.get(self._key(digest)))

    def reseal(self, digest: str, stored: bytes) -> bool:
        """Seal a stored document by the current key; whether it was still the one that was read.

        Raises:
            KeyMissing: it is sealed by a key that is not on the keyring.
            SealBroken: it was changed after it was sealed, or is another document.
        """
        sealed = self._seals.document(digest, self._seals.open_document(digest, stored))
        args = [len(stored), stored[:HEADER_MOST], sealed]
        return bool(self._scripts.run("reseal_document", [self._key(digest)], args) == b"done")

    def piece(self, digest: str, start: int, end: int) -> bytes:
        """A document's stored bytes from `start` until before `end`; fewer where it ends or is not there."""
        return cast("bytes", self._client.getrange(self._key(digest), start, end - 1))

    def head_and_piece(self, digest: str, start: int, end: int) -> tuple[bytes, bytes, int]:
        """What a stored document begins with, a piece of it, and its size, all of one moment."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.getrange(self._key(digest), 0, HEADER_MOST - 1)
            pipe.getrange(self._key(digest), start, end - 1)
            pipe.strlen(self._key(digest))
            head, piece, size = pipe.execute()
        return head, piece, size

    def size(self, digest: str) -> int:
        """How many bytes of a document are stored; 0 when it is not there."""
        size: int = self._client.strlen(self._key(digest))
        return size

    def keep(self, digest: str, data: bytes) -> None:
        """Store a document once, sealed where there are keys; a time to live that is longer already stays."""
        args = [self._seals.document(digest, data), self._ttl]
        self._scripts.run("keep", [self._key(digest)], args)

    def heads(self) -> Iterator[tuple[str, bytes]]:
        """The names of all documents with what each begins with, read in pages; one may come twice."""
        begin = self._keys.document("")
        for page in scan_pages(self._client, begin):
            with self._client.pipeline(transaction=False) as pipe:
                for key in page:
                    pipe.getrange(key, 0, HEADER_MOST - 1)
                heads = pipe.execute()
            for key, head in zip(page, heads, strict=True):
                yield "sha256:" + key.decode().removeprefix(begin), head

    def _key(self, digest: str) -> str:
        return self._keys.document(digest.removeprefix("sha256:"))
