"""Documents: their names, their pages, and what is no document."""

import hashlib
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.page_count import REQUEST_BYTES, digest, open_document, page_count, selected_pages
from faxline.contract.sealing.stream import MAGIC
from tests.hostile_files import absurd_ifd, big_tiff, many_ifds, page_tree, plain_pdf


def tiff(pages: int, order: str = "<", last: int = 0) -> bytes:
    """IFDs of one entry each; `last` is where the last one points to."""
    size = 2 + 12 + 4
    data = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    for i in range(pages):
        after = 8 + (i + 1) * size if i + 1 < pages else last
        data += struct.pack(order + "HHHIII", 1, 256, 3, 1, 1, after)
    return data


def refused(data: bytes, name: str = "") -> EntryRejected:
    with pytest.raises(EntryRejected) as caught:
        page_count(data, "fax.faxData[0].document", name)
    assert caught.value.reason == Rejection.BAD_DOCUMENT
    assert caught.value.member == "fax.faxData[0].document"
    return caught.value


def test_a_document_is_named_by_its_sha256_digest() -> None:
    assert digest(b"fax") == "sha256:" + hashlib.sha256(b"fax").hexdigest()


@pytest.mark.parametrize("pages", [1, 2, 200])
def test_the_pages_of_a_pdf_are_counted(pages: int) -> None:
    assert page_count(plain_pdf(pages), "m", "a.pdf") == pages


def test_a_pdf_is_known_by_its_content_not_its_name() -> None:
    assert page_count(plain_pdf(3), "m", "letter.doc") == 3


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pages", [1, 5])
def test_the_pages_of_a_tiff_are_counted_in_either_byte_order(order: str, pages: int) -> None:
    assert page_count(tiff(pages, order), "m", "a.tif") == pages


@pytest.mark.parametrize("back_to", [8, 26, 44])
def test_a_tiff_whose_pages_go_round_in_a_circle_is_refused(back_to: int) -> None:
    assert "circle" in refused(tiff(3, last=back_to), "a.tif").message


def test_a_tiff_with_a_directory_without_entries_is_refused() -> None:
    empty = tiff(2, last=8 + 2 * 18) + bytes(6)
    assert refused(empty, "a.tif").message == "page 3 of the TIFF is empty: save it again"


def test_a_tiff_without_a_directory_is_refused() -> None:
    assert "no page" in refused(b"II*\0" + bytes(4), "a.tif").message


def test_a_bigtiff_is_refused_and_the_message_names_it() -> None:
    for data in (big_tiff(), b"MM\0+" + big_tiff()[4:]):
        assert "BigTIFF" in refused(data, "a.tif").message


def test_a_tiff_is_walked_through_no_further_than_tells_that_nobody_can_send_it() -> None:
    assert page_count(many_ifds(10_000), "m", "a.tif") == 10_000
    for endless in (many_ifds(1_000_000), tiff(20_000, last=8)):
        assert "more than 10000 pages" in refused(endless, "a.tif").message


def test_a_tiff_whose_directory_claims_entries_that_are_not_there_is_refused() -> None:
    assert "broken" in refused(absurd_ifd(), "a.tif").message


def test_a_document_that_no_request_can_hold_is_not_opened() -> None:
    with pytest.raises(EntryRejected) as caught:
        page_count(page_tree(60).ljust(REQUEST_BYTES + 1), "m", "a.pdf")
    assert caught.value.reason == Rejection.TOO_LARGE


def test_any_other_file_has_one_page() -> None:
    assert page_count(b"hello", "m", "a.txt") == 1


@given(st.sampled_from([b"", b"%PDF-1.4\n", b"II*\0", b"MM\0*", b"II+\0", plain_pdf(2)[:200]]), st.binary())
def test_whatever_a_document_is_it_has_pages_or_a_fault(begin: bytes, rest: bytes) -> None:
    opened = open_document(begin + rest)
    assert opened.limit is None
    assert (opened.pages > 0) == (opened.fault == "")


@given(st.lists(st.integers(0, 400), max_size=30, unique=True), st.sampled_from("<>"))
def test_the_directories_of_a_tiff_are_counted_wherever_they_lie(places: list[int], order: str) -> None:
    at = [8 + 18 * place for place in places]
    data = bytearray(8 + 18 * 401)
    data[:4] = b"II*\0" if order == "<" else b"MM\0*"
    for where, place in zip([4, *(one + 14 for one in at)], [*at, 0], strict=True):
        struct.pack_into(order + "I", data, where, place)
    for one in at:
        struct.pack_into(order + "H", data, one, 1)
    assert open_document(bytes(data)).pages == len(places)


def test_an_empty_document_is_refused() -> None:
    assert "empty" in refused(b"", "a.txt").message


def test_a_pdf_without_pages_is_refused() -> None:
    refused(plain_pdf(0), "a.pdf")


def test_a_broken_pdf_is_refused() -> None:
    assert "broken" in refused(b"%PDF-1.4\nnothing more", "a.pdf").message


@pytest.mark.parametrize("name", ["a.pdf", "A.PDF", "a.tif", "a.tiff", "a.png", "a.jpg", "a.JPEG", "a.gif"])
def test_a_file_that_is_not_what_its_name_says_is_refused(name: str) -> None:
    assert "HTML" in refused(b"<!doctype html><title>404</title>", name).message


@pytest.mark.parametrize("begin", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a"])
def test_an_image_has_one_page_whichever_image_its_name_says(begin: bytes) -> None:
    assert [page_count(begin, "m", name) for name in ("a.png", "a.jpg", "a.gif", "a")] == [1, 1, 1, 1]


def test_a_tiff_that_ends_too_early_is_refused() -> None:
    refused(tiff(2)[:-3], "a.tif")


def test_an_encrypted_pdf_is_refused_and_the_message_says_so() -> None:
    user = b"<" + b"11" * 32 + b">"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[]/Count 0>>",
        b"<</Filter/Standard/V 1/R 2/Length 40/P -4/O " + user + b"/U " + user + b">>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for i, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj" % i + body + b"endobj\n"
    start = len(data)
    data += b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % o for o in offsets)
    data += b"trailer<</Size 4/Root 1 0 R/Encrypt 3 0 R/ID[<00><00>]>>\nstartxref\n%d\n%%%%EOF" % start
    assert "encrypted" in refused(data, "a.pdf").message


def test_pages_are_counted_in_many_threads_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        documents = [plain_pdf(n) for n in range(1, 9)] * 10
        assert list(pool.map(lambda d: page_count(d, "m", "a.pdf"), documents)) == [*range(1, 9)] * 10


@pytest.mark.parametrize(
    ("selections", "pages", "once", "each"),
    [
        (None, 7, 7, 7),
        ([], 7, 7, 7),
        (["2"], 7, 1, 1),
        (["1-5", "7"], 7, 6, 6),
        (["1-5", "2"], 5, 5, 6),
        (["7-7"], 7, 1, 1),
        (["1-5", "2", "1-10"], 11, 10, 16),
    ],
)
def test_selected_pages_are_counted_once_and_each_time_they_are_named(
    selections: list[str] | None, pages: int, once: int, each: int
) -> None:
    assert selected_pages(selections, pages, "m") == (once, each)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), min_size=1))
def test_pages_that_are_named_several_times_count_once_wherever_they_overlap(
    spans: list[tuple[int, int]],
) -> None:
    named = [page for first, more in spans for page in range(first, first + more + 1)]
    selections = [f"{first}-{first + more}" for first, more in spans]
    assert selected_pages(selections, 39, "m") == (len(set(named)), len(named))


@pytest.mark.parametrize("selection", ["8", "1-8", "8-9"])
def test_a_selection_outside_the_document_is_refused(selection: str) -> None:
    with pytest.raises(EntryRejected) as caught:
        selected_pages(["1", selection], 7, "fax.faxData[0].pages")
    assert (caught.value.member, caught.value.reason) == ("fax.faxData[0].pages", Rejection.BAD_VALUE)


@pytest.mark.parametrize("content", [b"", b"\x01\x01k" + bytes(16), plain_pdf(1)])
def test_what_begins_as_a_sealed_document_does_is_none(content: bytes) -> None:
    assert "sealed" in refused(MAGIC + content, "a.txt").message
