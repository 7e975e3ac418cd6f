"""The documents of an account in Redis: each is stored once, by its digest, and sealed if there are keys."""

from collections.abc import Iterator, Sequence
from typing import cast

from faxline.contract.errors import SealBroken
from faxline.contract.page_count import digest as digest_of
from faxline.contract.sealing.stream import HEADER_MOST, is_sealed
from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.scan import scan_pages

SCRIPTS = ("store_document", "reseal_document")


class StoredDocuments:
    """Reads and stores the documents of one account.

    Args:
        context: the account.
        ttl: the shortest time (ms) for which a document is kept.
    """

    def __init__(self, context: AccountContext, ttl: int) -> None:
        self._context = context
        self._client = context.client
        self._keys = context.keys
        self._seals = context.seals
        self._ttl = ttl

    def read(self, digest: str) -> tuple[bytes | None, bool]:
        """Read a document by `sha256:<hex>`: its bytes (None if it is not stored), and whether it is sealed.

        Without keys, every document counts as sealed. The bytes are not compared with the digest.

        Raises:
            KeyMissing: it is sealed by a key that is not on the keyring.
            SealBroken: it was changed after it was sealed, or is another document.
        """
        stored = self.stored(digest)
        if stored is None:
            return None, False
        data = self._seals.open_document(digest, stored)
        return data, data is not stored or not self._seals.on

    def seal(self, digest: str, data: bytes) -> bool:
        """Seal a document that is stored in clear as `data`; False if it has changed since."""
        return self._swap(digest, data, data)

    def upload(self, digest: str, name: str) -> tuple[bytes, bytes] | None:
        """Read an upload of a producer: the document's bytes, and the bytes as uploaded.

        Raises:
            KeyMissing, SealBroken: as in `read`.
        """
        came = cast("bytes | None", self._client.get(self._keys.upload(name)))
        return None if came is None else (self._seals.open_document(digest, came), came)

    def drop_uploads(self, names: Sequence[str]) -> None:
        """Delete uploads whose documents are stored."""
        if names:
            self._client.unlink(*map(self._keys.upload, names))

    def is_here(self, digest: str) -> bool:
        """Whether a document is stored."""
        return bool(self._client.exists(self._key(digest)))

    def replace(self, digest: str, data: bytes) -> None:
        """Replace whatever is stored under a digest with the document's bytes."""
        stored = self.stored(digest)
        if stored is None:
            self.store(digest, data)
        else:
            self._swap(digest, stored, data)

    def stored(self, digest: str) -> bytes | None:
        """A document as it is stored, sealed or not."""
        return cast("bytes | None", self._client.get(self._key(digest)))

    def reseal(self, digest: str, stored: bytes) -> bool:
        """Seal a stored document with the current key; False if it has changed since it was read.

        Raises:
            KeyMissing: it is sealed by a key that is not on the keyring.
            SealBroken: it was changed after it was sealed, or is another document.
        """
        data = self._seals.open_document(digest, stored)
        if digest_of(data) != digest:
            raise SealBroken
        return self._swap(digest, stored, data)

    def _swap(self, digest: str, stored: bytes, data: bytes) -> bool:
        sealed, head = self._seals.document(digest, data), stored[:HEADER_MOST]
        reply = self._context.run("reseal_document", _hex(digest), len(stored), head, sealed)
        return bool(reply == b"done")

    def piece(self, digest: str, start: int, end: int) -> bytes:
        """The stored bytes of a document from `start` up to `end`; fewer if there are not so many."""
        return cast("bytes", self._client.getrange(self._key(digest), start, end - 1))

    def head_and_piece(self, digest: str, start: int, end: int) -> tuple[bytes, bytes, int]:
        """Read the beginning of a stored document, a piece of it and its size, in one transaction."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.getrange(self._key(digest), 0, HEADER_MOST - 1)
            pipe.getrange(self._key(digest), start, end - 1)
            pipe.strlen(self._key(digest))
            head, piece, size = pipe.execute()
        return head, piece, size

    def size(self, digest: str) -> int:
        """The stored size of a document in bytes; 0 if it is not stored."""
        size: int = self._client.strlen(self._key(digest))
        return size

    def store(self, digest: str, data: bytes, uploads: Sequence[str] = (), came: bytes = b"") -> bool:
        """Store a document once, sealed if there are keys, and delete its uploads.

        A longer time to live is kept. If the upload (`came`) is sealed, it is stored as it came.

        Returns:
            False if something is already stored under the digest; that stays.
        """
        stored = came if is_sealed(came) else self._seals.document(digest, data)
        reply = self._context.run("store_document", _hex(digest), stored, self._ttl, *uploads)
        return bool(reply == b"done")

    def uploaded(self) -> Iterator[bytes]:
        """The beginning of each upload that no entry has used yet. One may come twice."""
        for page in scan_pages(self._client, self._keys.upload("")):
            with self._client.pipeline(transaction=False) as pipe:
                for key in page:
                    pipe.getrange(key, 0, HEADER_MOST - 1)
                yield from pipe.execute()

    def heads(self) -> Iterator[tuple[str, bytes]]:
        """The name and the beginning of each document, read in pages. One may come twice."""
        begin = self._keys.document("")
        for page in scan_pages(self._client, begin):
            with self._client.pipeline(transaction=False) as pipe:
                for key in page:
                    pipe.getrange(key, 0, HEADER_MOST - 1)
                heads = pipe.execute()
            for key, head in zip(page, heads, strict=True):
                yield "sha256:" + key.decode().removeprefix(begin), head

    def _key(self, digest: str) -> str:
        return self._keys.document(_hex(digest))


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
