"""The documents of one call: opened before anything is sent, read on from Redis while they are sent."""

import hashlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import redis

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.stream import CHUNK, HEADER_MOST, TAG, SealedDocument, is_sealed
from faxline_worker.ifax import Document, DocumentLostError, DocumentUnreadError
from faxline_worker.ifax.requests import PIECE
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.store import Store

_T = TypeVar("_T")

SEALING = HEADER_MOST + PIECE // CHUNK * TAG
"""Bytes that sealing adds to a piece, at the most."""
AWAY = 0.5
"""Seconds between two tries to read on while Redis is away."""


class DocumentMissingError(Exception):
    """A document of the job is not, or no longer, in Redis."""


class DocumentChangedError(Exception):
    """What is stored in a document's place is another one; nothing was sent."""


class Documents:
    """Opens the documents of a call.

    The first piece of what it opens is kept, so that a small document costs one command and cannot be lost on
    the way. Of all that follows a call holds one piece at a time: twenty calls with 14 MB each are no more
    than twenty pieces.

    Args:
        store: the account's.
        patience: seconds for which Redis is waited for while it is away and a document is half sent; the
            call's timeout, for beyond it nothing may be sent any more.
        sealed: whether each was sealed when its job was registered, so that none is taken in clear.
    """

    def __init__(self, store: Store, patience: float, *, sealed: bool = False) -> None:
        self._store = store
        self._sealed = sealed
        self._until = time.monotonic() + patience
        self._room = PIECE

    def allow(self, seconds: float) -> None:
        """Wait for Redis so much longer: the call has more time, by the size of its body."""
        self._until += seconds

    def open(self, name: str) -> Document:
        """A document by `sha256:<hex>`, found to be there.

        One that is no more than a piece is held against its digest here; a larger one while it is sent.

        Raises:
            DocumentMissingError: it is not.
            DocumentChangedError: it is another one.
            KeyMissing: it is sealed by a key that is not on the keyring.
            SealBroken: it was changed after it was sealed, is another document, or is in clear and must not.
            redis.RedisError: Redis is away or refuses us; nothing was sent yet.
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
            if is_sealed(head):  # since a moment ago
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
            sealed = seals.reader(name, stored)  # it may have been sealed anew since
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
        """The first piece, or nothing where the call has no room for it."""
        if len(first) > self._room:
            return b""
        self._room -= len(first)
        return first

    def _read_on(self, name: str, size: int, start: int, end: int) -> bytes:
        """A piece of a document that is half sent.

        Raises:
            DocumentLostError: the document is not there any more.
            DocumentUnreadError: Redis does not give it, and there is no time left to wait for it.
        """
        store = self._store
        if store.seals.on:  # it is in clear, and may be sealed at any moment
            head, piece, _ = self._patient(lambda: store.documents.head_and_piece(name, start, end))
            if is_sealed(head):
                return self._read_sealed(name, self._reader(name, head), size, start, end)[0]
        else:
            piece = self._patient(lambda: store.documents.piece(name, start, end))
        if len(piece) < end - start:
            raise DocumentLostError
        return piece

    def _read_sealed(
        self, name: str, sealed: SealedDocument, size: int, start: int, end: int
    ) -> tuple[bytes, SealedDocument]:
        """The same of a sealed one, which may have been sealed anew since; and what opens the next piece."""
        store = self._store
        while True:
            span = sealed.span(start, end)
            piece = self._patient(partial(store.documents.piece, name, *span))
            try:
                return sealed.open(piece, start, end, size), sealed
            except SealBroken as error:
                head = self._patient(lambda: store.documents.piece(name, 0, HEADER_MOST))
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

    def _patient(self, read: Callable[[], _T]) -> _T:
        pause = threading.Event()
        while True:
            try:
                return read()
            except redis.RedisError as error:
                if not unserved(error) or time.monotonic() > self._until:
                    raise DocumentUnreadError from error
                pause.wait(AWAY)


def _hex(name: str) -> str:
    return name.removeprefix("sha256:")


def _check(name: str, first: bytes, size: int) -> None:
    """Hold a document against its digest, if its first piece is all of it.

    Raises:
        DocumentChangedError: it is another one.
    """
    if size <= len(first) and hashlib.sha256(first).hexdigest() != _hex(name):
        raise DocumentChangedError
