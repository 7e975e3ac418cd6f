"""Reads the documents of one call: opens them before anything is sent, and reads on while they are sent."""

import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import redis

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.stream import CHUNK, HEADER_MOST, TAG, SealedDocument, is_sealed
from faxline_worker.ifax import Document, DocumentLostError, DocumentUnreadError
from faxline_worker.ifax.requests import PIECE
from faxline_worker.state.store import Store
from faxline_worker.submission.patience import wait_for_redis

_T = TypeVar("_T")

SEALING = HEADER_MOST + PIECE // CHUNK * TAG
"""The most bytes that sealing adds to a piece."""


class DocumentMissingError(Exception):
    """A document of the job is not stored in Redis, or no longer."""


class DocumentChangedError(Exception):
    """The stored document does not match its digest; nothing was sent."""


class Documents:
    """Opens the documents of a call.

    It keeps the first piece of a document, so that a small document costs one command and cannot get lost
    during the call. Of a larger document a call holds one piece at a time, so twenty calls with 14 MB each
    hold twenty pieces.

    Args:
        store: the account's state.
        patience: seconds to wait for Redis while it is away and a document is half sent. This is the call's
            timeout, because nothing may be sent after it.
        sealed: whether each document was sealed when its job was registered. If so, clear text is refused.
    """

    def __init__(self, store: Store, patience: float, *, sealed: bool = False) -> None:
        self._store = store
        self._sealed = sealed
        self._until = time.monotonic() + patience
        self._room = PIECE

    def allow(self, seconds: float) -> None:
        """Wait for Redis this much longer: a call with a large body has more time."""
        self._until += seconds

    def open(self, name: str) -> Document:
        """Open a document.

        A document of one piece is compared with its digest here, a larger one while it is sent.

        Args:
            name: the document, as `sha256:<hex>`.

        Raises:
            DocumentMissingError: the document is not stored.
            DocumentChangedError: the stored bytes do not match the digest.
            KeyMissing: the document is sealed with a key that is not on the keyring.
            SealBroken: it was changed after it was sealed, is another document, or is not sealed but must be.
            redis.RedisError: Redis is away or refuses the command; nothing was sent yet.
        """
        stored = self._store.documents.piece(name, 0, PIECE + (SEALING if self._store.seals.on else 0))
        if is_sealed(stored):
            return self._open_sealed(name, stored)
        first, size = stored[:PIECE], len(stored)
        if not stored:
            raise DocumentMissingError
        if self._sealed:
            raise SealBroken
        if size >= PIECE and self._store.seals.on:
            head, first, size = self._store.documents.head_and_piece(name, 0, PIECE)
            if is_sealed(head):  # it was sealed a moment ago
                return self.open(name)
        elif size >= PIECE:
            size = self._store.documents.size(name)
        if size < len(first):
            raise DocumentMissingError
        _check(name, first, size)
        first = self._keep(first)

        def read(start: int, end: int) -> bytes:
            return first[start:end] if end <= len(first) else self._read_on(name, size, start, end)

        return Document(size, read, "" if size <= len(first) else _hex(name))

    def _open_sealed(self, name: str, stored: bytes) -> Document:
        seals, size = self._store.seals, len(stored)
        sealed = seals.reader(name, stored)
        if size >= PIECE:
            _, stored, size = self._store.documents.head_and_piece(name, 0, PIECE + SEALING)
            if not stored:
                raise DocumentMissingError
            sealed = seals.reader(name, stored)  # it may have been sealed again meanwhile
        size = sealed.size(size)
        end = min(PIECE, size)
        begin, over = sealed.span(0, end)
        first = sealed.open(memoryview(stored)[begin:over], 0, end, size)
        _check(name, first, size)
        first = self._keep(first)

        def read(start: int, end: int) -> bytes:
            nonlocal sealed
            if end <= len(first):
                return first[start:end]
            piece, sealed = self._read_sealed(name, sealed, size, start, end)
            return piece

        return Document(size, read, "" if size <= len(first) else _hex(name))

    def _keep(self, first: bytes) -> bytes:
        """The first piece; empty if the call already holds as many bytes as it may."""
        if len(first) > self._room:
            return b""
        self._room -= len(first)
        return first

    def _read_on(self, name: str, size: int, start: int, end: int) -> bytes:
        """Read a further piece of a document that is being sent.

        Raises:
            DocumentLostError: the document is no longer stored.
            DocumentUnreadError: Redis did not return it within the call's time.
        """
        store = self._store
        if store.seals.on:  # it is in clear, and another process may seal it at any moment
            head, piece, _ = self._wait(lambda: store.documents.head_and_piece(name, start, end))
            if is_sealed(head):
                return self._read_sealed(name, self._reader(name, head), size, start, end)[0]
        else:
            piece = self._wait(lambda: store.documents.piece(name, start, end))
        if len(piece) < end - start:
            raise DocumentLostError
        return piece

    def _read_sealed(
        self, name: str, sealed: SealedDocument, size: int, start: int, end: int
    ) -> tuple[bytes, SealedDocument]:
        """Read a further piece of a sealed document, and return what opens the next piece.

        The document may have been sealed again, with another key, since the call began.
        """
        store = self._store
        while True:
            span = sealed.span(start, end)
            piece = self._wait(partial(store.documents.piece, name, *span))
            try:
                return sealed.open(piece, start, end, size), sealed
            except SealBroken as error:
                head = self._wait(lambda: store.documents.piece(name, 0, HEADER_MOST))
                if not head:
                    raise DocumentLostError from None
                anew = self._reader(name, head)
                if anew.header == sealed.header:
                    raise DocumentUnreadError from error
                sealed = anew

    def _reader(self, name: str, head: bytes) -> SealedDocument:
        try:
            return self._store.seals.reader(name, head)
        except (KeyMissing, SealBroken) as error:
            raise DocumentUnreadError from error

    def _wait(self, read: Callable[[], _T]) -> _T:
        try:
            return wait_for_redis(read, until=self._until)
        except redis.RedisError as error:
            raise DocumentUnreadError from error


def _hex(name: str) -> str:
    return name.removeprefix("sha256:")


def _check(name: str, first: bytes, size: int) -> None:
    """Compare a document with its digest, if its first piece is the whole document.

    Raises:
        DocumentChangedError: the bytes do not match.
    """
    if size <= len(first) and hashlib.sha256(first).hexdigest() != _hex(name):
        raise DocumentChangedError
