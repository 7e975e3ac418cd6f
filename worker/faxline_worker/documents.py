"""The documents of one call: opened before anything is sent, read on from Redis while they are sent."""

import threading
import time

import redis

from faxline_worker.ifax import Document, DocumentLostError, DocumentUnreadError
from faxline_worker.ifax.requests import PIECE
from faxline_worker.redis_clients import unserved
from faxline_worker.store import Store

AWAY = 0.5
"""Seconds between two tries to read on while Redis is away."""


class DocumentMissingError(Exception):
    """A document of the job is not, or no longer, in Redis."""


class Documents:
    """Opens the documents of a call.

    The first piece of what it opens is kept, so that a small document costs one command and cannot be lost on
    the way. Of all that follows a call holds one piece at a time: twenty calls with 14 MB each are no more
    than twenty pieces.

    Args:
        store: the account's.
        patience: seconds for which Redis is waited for while it is away and a document is half sent; the
            call's timeout, for beyond it nothing may be sent any more.
    """

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self._until = time.monotonic() + patience
        self._room = PIECE

    def open(self, name: str) -> Document:
        """A document by `sha256:<hex>`, found to be there.

        Raises:
            DocumentMissingError: it is not.
            redis.RedisError: Redis is away or refuses us; nothing was sent yet.
        """
        first = self._store.document_piece(name, 0, PIECE)
        if not first:
            raise DocumentMissingError
        size = len(first) if len(first) < PIECE else self._store.document_size(name)
        if size < len(first):
            raise DocumentMissingError
        if len(first) > self._room:
            first = b""
        self._room -= len(first)

        def read(start: int, end: int) -> bytes:
            return first[start:end] if end <= len(first) else self._read_on(name, start, end)

        return Document(size, read)

    def _read_on(self, name: str, start: int, end: int) -> bytes:
        """A piece of a document that is half sent.

        Raises:
            DocumentLostError: the document is not there any more.
            DocumentUnreadError: Redis does not give it, and there is no time left to wait for it.
        """
        pause = threading.Event()
        while True:
            try:
                piece = self._store.document_piece(name, start, end)
            except redis.RedisError as error:
                if not unserved(error) or time.monotonic() > self._until:
                    raise DocumentUnreadError from error
                pause.wait(AWAY)
            else:
                if len(piece) < end - start:
                    raise DocumentLostError
                return piece
