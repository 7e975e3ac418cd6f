"""Random, mutated and hostile documents, drawn from a seed; some of them are right."""

import random
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from tests.hostile_files import (
    absurd_ifd,
    big_tiff,
    many_ifds,
    object_stream,
    page_tree,
    pdf,
    plain_pdf,
    xref_stream,
)

GOOD = "right"
_NUMBER = re.compile(rb"[0-9]+")
_NUMBERS = (b"0", b"-1", b"1", b"4294967295", b"2147483648", b"-2147483648", b"9" * 30, b"1e9", b"")
_WORDS = (
    b"[" * 5000,
    b"<<" * 5000,
    b"(" * 5000,
    b"/Kids[1 0 R 2 0 R]",
    b"/Length 0 R",
    b"stream\n",
    b"\0" * 999,
)
_FILTERS = (
    b"/FlateDecode",
    b"/LZWDecode",
    b"/ASCIIHexDecode",
    b"/ASCII85Decode",
    b"/RunLengthDecode",
    b"/DCTDecode",
)
_BOMBS: tuple[tuple[Callable[[int], bytes], int], ...] = (
    *((page_tree, depth) for depth in (12, 18, 60)),
    *((xref_stream, megabytes) for megabytes in (1, 40, 300)),
    *((object_stream, megabytes) for megabytes in (1, 40, 300)),
)
_FIRST = (("long", plain_pdf, 201), *(("bomb", make, size) for make, size in _BOMBS))


@dataclass(frozen=True)
class Document:
    """One.

    Attributes:
        kind: how it was made.
        name: what the file calls itself.
        data: its bytes.
        pages: how many it has, where it is right.
    """

    kind: str
    name: str
    data: bytes
    pages: int | None = None


class Documents:
    """Makes one after another: first one of too many pages and each bomb, then what the seed draws.

    Args:
        seed: of everything random.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"documents:{seed}")
        self._first = iter(_FIRST)

    def next(self) -> Document:
        """The next one."""
        if (first := next(self._first, None)) is not None:
            kind, make, size = first
            return Document(kind, "a.pdf", _made(make, size))
        kinds: Mapping[Callable[[], Document], int] = {
            self._right: 20,
            self._mutated: 40,
            self._odd_pdf: 15,
            self._bomb: 5,
            self._tiff: 15,
            self._noise: 5,
        }
        return self._chance.choices(list(kinds), list(kinds.values()))[0]()

    def _right(self) -> Document:
        pages = self._chance.randrange(1, 40)
        if self._chance.random() < 0.2:
            return Document(GOOD, "a.tif", many_ifds(pages), pages)
        return Document(GOOD, "a.pdf", plain_pdf(pages), pages)

    def _mutated(self) -> Document:
        data = bytearray(self._chance.choice((plain_pdf(3), plain_pdf(40), xref_stream(0), object_stream(0))))
        for _ in range(self._chance.randrange(1, 6)):
            self._chance.choice((self._flip, self._cut, self._repeat, self._number, self._word))(data)
        if b"%PDF-" not in data[:1024]:
            data[:0] = b"%PDF-1.7\n"
        return Document("mutated", "a.pdf", bytes(data))

    def _odd_pdf(self) -> Document:
        """Trees that turn back on themselves, wrong counts, filters upon filters."""
        kids = b" ".join(b"%d 0 R" % self._chance.randrange(6) for _ in range(self._chance.randrange(9)))
        count = self._chance.choice(_NUMBERS)
        filters = b"".join(self._chance.choices(_FILTERS, k=self._chance.randrange(30)))
        node = b"<</Type/Pages/Parent %d 0 R/Kids[%s]/Count %s>>"
        bodies = [b"<</Type/Catalog/Pages %d 0 R>>" % self._chance.randrange(1, 6)]
        bodies += [node % (self._chance.randrange(6), kids, count) for _ in range(4)]
        content = self._chance.randbytes(self._chance.randrange(2000))
        bodies += [b"<</Filter[%s]/Length %d>>\nstream\n%s\nendstream" % (filters, len(content), content)]
        return Document("odd", "a.pdf", pdf(bodies))

    def _bomb(self) -> Document:
        make, size = self._chance.choice(_BOMBS)
        return Document("bomb", "a.pdf", _made(make, size))

    def _tiff(self) -> Document:
        chance = self._chance
        made = chance.choice(
            (many_ifds(300_000), many_ifds(300), many_ifds(9), absurd_ifd(), absurd_ifd(0), big_tiff())
        )
        data = bytearray(made)
        for _ in range(chance.randrange(4)):
            struct.pack_into(
                "<I", data, chance.randrange(4, min(len(data), 400) - 3), chance.choice((0, 8, 26, 2**32 - 1))
            )
        if chance.random() < 0.3:
            self._flip(data)
        return Document("tiff", chance.choice(("a.tif", "a.tiff", "a.pdf")), bytes(data))

    def _noise(self) -> Document:
        begin = self._chance.choice(
            (b"", b"%PDF-1.4\n", b"II*\0", b"MM\0*", b"II+\0", b"\x89PNG\r\n\x1a\n", b"PK\3\4")
        )
        size = self._chance.choice((0, 1, 7, 100, 5000, 1_000_000))
        return Document(
            "noise",
            self._chance.choice(("a.pdf", "a.tif", "a.txt", "a")),
            begin + self._chance.randbytes(size),
        )

    def _flip(self, data: bytearray) -> None:
        for _ in range(self._chance.choice((1, 1, 10, 100))):
            data[self._chance.randrange(len(data))] = self._chance.randrange(256)

    def _cut(self, data: bytearray) -> None:
        del data[self._chance.randrange(16, max(17, len(data))) :]

    def _repeat(self, data: bytearray) -> None:
        start = self._chance.randrange(len(data))
        piece = data[start : start + self._chance.randrange(1, 400)]
        data[start:start] = piece * self._chance.choice((1, 2, 50))

    def _number(self, data: bytearray) -> None:
        found = list(_NUMBER.finditer(data))
        if found:
            one = self._chance.choice(found)
            data[one.start() : one.end()] = self._chance.choice(_NUMBERS)

    def _word(self, data: bytearray) -> None:
        place = self._chance.randrange(len(data))
        data[place:place] = self._chance.choice(_WORDS)


@cache
def _made(make: Callable[[int], bytes], size: int) -> bytes:
    return make(size)
