"""Hostile documents, made here: no file of anybody else's is used."""

import struct
import zlib
from collections.abc import Sequence


def pdf(bodies: Sequence[bytes]) -> bytes:
    """A PDF of these objects, of which the first is the catalog."""
    out = bytearray(b"%PDF-1.4\n")
    places = _objects(out, bodies)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out) + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(bodies) + 1,
        start,
    )


def plain_pdf(pages: int = 1) -> bytes:
    """A PDF of empty pages."""
    kids = b" ".join(b"%d 0 R" % (3 + i) for i in range(pages))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>"
    return pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages),
            *[page] * pages,
        ]
    )


def page_tree(depth: int) -> bytes:
    """Each node names the next one twice, none has a /Count, the last has no kids: 2**depth visits."""
    nodes = [b"<</Type/Pages/Kids[%d 0 R %d 0 R]>>" % (n + 3, n + 3) for n in range(depth)]
    return pdf([b"<</Type/Catalog/Pages 2 0 R>>", *nodes, b"<</Type/Pages/Kids[]>>"])


def xref_stream(megabytes: int) -> bytes:
    """A one-page PDF whose cross-reference stream inflates to so many megabytes of zeros."""
    out = bytearray(b"%PDF-1.5\n")
    places = _objects(out, ONE_PAGE)
    start = len(out)
    rows = _FREE + b"".join(b"\1" + place.to_bytes(4, "big") + b"\0\0" for place in [*places, start])
    return bytes(out) + _xref(4, _deflated(rows, megabytes), start)


def object_stream(megabytes: int) -> bytes:
    """A PDF whose one page is in an object stream that inflates to so many megabytes of spaces."""
    offsets = [sum(len(body) + 1 for body in ONE_PAGE[:i]) for i in range(3)]
    head = b"".join(b"%d %d " % (i, offset) for i, offset in enumerate(offsets, 1))
    data = _deflated(head + b" ".join(ONE_PAGE) + b" ", megabytes, b" ")
    out = bytearray(b"%PDF-1.5\n")
    place = len(out)
    out += b"4 0 obj\n<</Type/ObjStm/N 3/First %d/Filter/FlateDecode/Length %d>>\nstream\n" % (
        len(head),
        len(data),
    )
    out += data + b"\nendstream\nendobj\n"
    start = len(out)
    rows = _FREE + b"".join(b"\2" + (4).to_bytes(4, "big") + i.to_bytes(2, "big") for i in range(3))
    rows += b"".join(b"\1" + at.to_bytes(4, "big") + b"\0\0" for at in (place, start))
    return bytes(out) + _xref(5, zlib.compress(rows), start)


def many_ifds(pages: int) -> bytes:
    """A TIFF of so many directories of one entry each."""
    return _tiff([8 + 18 * i for i in range(1, pages)] + [0])


def absurd_ifd(entries: int = 0xFFFF) -> bytes:
    """A TIFF whose one directory says that it has so many entries, and has none."""
    return b"II*\0" + struct.pack("<IH", 8, entries)


def big_tiff() -> bytes:
    """A valid BigTIFF of one page of one pixel."""
    tags = [
        *((256, 3, 1, 8), (257, 3, 1, 1), (258, 3, 1, 1), (259, 3, 1, 1), (262, 3, 1, 0)),
        *((273, 16, 1, 16), (277, 3, 1, 1), (278, 3, 1, 1), (279, 16, 1, 1)),
    ]
    data = b"II+\0" + struct.pack("<HHQ", 8, 0, 24) + b"\xff" + bytes(7)
    return (
        data + struct.pack("<Q", len(tags)) + b"".join(struct.pack("<HHQQ", *tag) for tag in tags) + bytes(8)
    )


ONE_PAGE = (
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>",
)
_FREE = b"\0" * 5 + b"\xff\xff"


def _objects(out: bytearray, bodies: Sequence[bytes]) -> list[int]:
    places = []
    for i, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i, body)
    return places


def _xref(number: int, data: bytes, start: int) -> bytes:
    head = b"%d 0 obj\n<</Type/XRef/Size %d/W[1 4 2]/Root 1 0 R/Filter/FlateDecode/Length %d>>\nstream\n"
    end = b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % start
    return head % (number, number + 1, len(data)) + data + end


def _deflated(data: bytes, megabytes: int, filling: bytes = b"\0") -> bytes:
    """Compressed, with the filling behind it. After a full flush each megabyte of that is the same again."""
    squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    megabyte = filling * (1 << 20)
    head, piece = (squeeze.compress(b) + squeeze.flush(zlib.Z_FULL_FLUSH) for b in (data, megabyte))
    check = zlib.adler32(data)
    for _ in range(megabytes):
        check = zlib.adler32(megabyte, check)
    return b"\x78\xda" + head + piece * megabytes + squeeze.flush() + check.to_bytes(4, "big")


def _tiff(nexts: Sequence[int]) -> bytes:
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + b"".join(struct.pack("<HHHIII", 1, 256, 3, 1, 1, at) for at in nexts)
    )
