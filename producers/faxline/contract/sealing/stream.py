"""The format of a sealed document. It can be opened in pieces, so a worker never holds the whole document.

A header is followed by chunks, each sealed on its own: the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizár (2015), as in Tink's AES-GCM-HKDF streaming. The nonce is the chunk's number and whether it
is the last, so a chunk that is missing, moved or cut off is noticed. The chunks' key is derived (HKDF-SHA256,
RFC 5869) from the key that the header names and a random salt, so no key and nonce are used together twice.

header: MAGIC, version (1 byte), length of the key's id (1 byte), the key's id, salt (16 bytes)
"""

import os
from dataclasses import dataclass, field
from typing import Any, Self

from faxline.contract.errors import SealBroken
from faxline.contract.sealing.keyring import Keyring

MAGIC = b"\x93FAXSEAL"
"""The first bytes of a sealed document. No PDF, TIFF or text begins with them."""
_VERSION = 1
_SALT = 16
CHUNK = 48 * 1024
"""The bytes of a document in one chunk."""
TAG = 16
"""The bytes that sealing adds to each chunk."""
HEADER_MOST = len(MAGIC) + 2 + 32 + _SALT
"""The bytes of the longest header."""
_SEALED = CHUNK + TAG


def is_sealed(head: bytes) -> bool:
    """Whether a stored document with this beginning is sealed."""
    return head.startswith(MAGIC)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a sealed document.

    Attributes:
        key_id: the id of the sealing key.
        raw: the bytes of the header.
    """

    key_id: str
    raw: bytes = field(repr=False)

    @classmethod
    def read(cls, head: bytes) -> Self:
        """Read the header from the beginning of a sealed document.

        Raises:
            SealBroken: the header is not valid.
        """
        at = len(MAGIC)
        if not is_sealed(head) or len(head) < at + 2 or head[at] != _VERSION:
            raise SealBroken
        end = at + 2 + head[at + 1]
        if len(head) < end + _SALT:
            raise SealBroken
        return cls(head[at + 2 : end].decode("ascii", "replace"), bytes(head[: end + _SALT]))


class SealedDocument:
    """Opens pieces of one sealed document.

    Args:
        keyring: the keys.
        place: where the document belongs.
        head: the first HEADER_MOST bytes of the document or more, or all of it.

    Raises:
        KeyMissing: the key is not on the keyring.
        SealBroken: the header is not valid.
    """

    def __init__(self, keyring: Keyring, place: str, head: bytes) -> None:
        self.header = Header.read(head)
        self._place = place.encode()
        self._cipher = _cipher(keyring.key(self.header.key_id), self.header.raw, self._place)

    def size(self, stored: int) -> int:
        """The unsealed size of the document, given its stored size; both in bytes.

        Raises:
            SealBroken: no document has this stored size.
        """
        body = stored - len(self.header.raw)
        chunks = -(-body // _SEALED)
        if body < TAG or body - chunks * TAG < 0:
            raise SealBroken
        return body - chunks * TAG

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of stored bytes that holds the document's bytes from `start` up to `end`.

        It may reach beyond the end of the stored document.
        """
        chunks, header = _chunks(start, end), len(self.header.raw)
        return header + chunks.start * _SEALED, header + chunks.stop * _SEALED

    def open(self, stored: bytes | memoryview, start: int, end: int, size: int) -> bytes:
        """Open the document's bytes from `start` up to `end`.

        Args:
            stored: the stored bytes in the range that `span` returned.
            start: the start, as given to `span`.
            end: the end, as given to `span`.
            size: the unsealed size of the document.

        Raises:
            SealBroken: the bytes were changed, cut off, or belong to another document.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only with keys

        most, chunks, view = max(0, size - 1) // CHUNK, _chunks(start, end), memoryview(stored)
        parts = []
        try:
            for number in chunks:
                at = (number - chunks.start) * _SEALED
                nonce = _nonce(number, last=number == most)
                parts.append(self._cipher.decrypt(nonce, view[at : at + _SEALED], self._place))
        except (InvalidTag, ValueError):
            raise SealBroken from None
        begin = start - chunks.start * CHUNK
        wanted = b"".join(parts)[begin : begin + end - start]  # slicing the whole makes no copy
        if len(wanted) != end - start:
            raise SealBroken
        return wanted


def seal_document(keyring: Keyring, place: str, data: bytes) -> bytes:
    """Seal a document for its place, with the current key."""
    key_id = keyring.current.encode()
    header = MAGIC + bytes([_VERSION, len(key_id)]) + key_id + os.urandom(_SALT)
    cipher = _cipher(keyring.key(keyring.current), header, place.encode())
    plain, most = memoryview(data), max(0, len(data) - 1) // CHUNK
    parts = [header]
    for number in range(most + 1):
        piece = plain[number * CHUNK : (number + 1) * CHUNK]
        parts.append(cipher.encrypt(_nonce(number, last=number == most), piece, place.encode()))
    return b"".join(parts)


def open_sealed(keyring: Keyring, place: str, stored: bytes) -> bytes:
    """Open a whole document.

    Raises:
        KeyMissing: the key is not on the keyring.
        SealBroken: the document was changed, cut off, or sealed for another place.
    """
    document = SealedDocument(keyring, place, stored[:HEADER_MOST])
    size = document.size(len(stored))
    start, end = document.span(0, size)
    return document.open(memoryview(stored)[start:end], 0, size, size)


def _chunks(start: int, end: int) -> range:
    """The numbers of the chunks with the bytes from `start` up to `end`; one chunk if the range is empty."""
    first = start // CHUNK
    return range(first, max(first + 1, -(-end // CHUNK)))


def _cipher(key: bytes, header: bytes, place: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only with keys
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - as above

    salt = header[-_SALT:]
    return AESGCM(HKDF(SHA256(), len(key), salt, b"faxline document " + header + place).derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
