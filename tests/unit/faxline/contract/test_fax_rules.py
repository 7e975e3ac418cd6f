"""The checks of a fax beyond its shape, each at its boundary (docs/ifax.md, Limits)."""

import base64
import json
from typing import Any

import pytest

from faxline.contract.entries import SendEntry
from faxline.contract.entry_reader import parse_entry
from faxline.contract.errors import EntryRejected
from faxline.contract.fax_rules import check_send
from faxline.contract.page_count import REQUEST_BYTES, Pages, digest
from faxline.contract.phone_numbers import check_number
from faxline.contract.texts import mask_number
from faxline_worker.ifax import send_body
from tests.hostile_files import plain_pdf

NUMBER = "+12345678901"
URL = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}


def inline(data: bytes, name: str = "a.pdf", **more: Any) -> dict[str, Any]:
    return {"fileName": name, "fileData": base64.b64encode(data).decode(), **more}


def pages(files: list[dict[str, Any]], *, to: Any = NUMBER, id: str = "a", stored: Any = ()) -> Pages:  # noqa: A002
    kept = {digest(data): data for data in stored}
    text = json.dumps({"id": id, "fax": {"faxNumber": to, "faxData": files}})
    parsed = parse_entry("send", text)
    assert isinstance(parsed, SendEntry)
    return check_send(parsed, kept.get, written=len(text))


def check(files: list[dict[str, Any]], **more: Any) -> int:
    return pages(files, **more).least


def refused(files: list[dict[str, Any]], **more: Any) -> tuple[str, str]:
    with pytest.raises(EntryRejected) as caught:
        check(files, **more)
    return caught.value.member, str(caught.value.reason)


@pytest.mark.parametrize("number", [NUMBER, "+19876543210", "+441224515014", "+15065001844"])
def test_a_number_of_the_documentation_is_possible(number: str) -> None:
    check_number(number, "m")


@pytest.mark.parametrize(
    "number",
    ["12345", "12345678901", "", "+", "+123", "+1234567890123456", "+1 234 567 8901", "+1٢345678901"],
)
def test_what_is_not_e164_or_not_possible_is_rejected(number: str) -> None:
    with pytest.raises(EntryRejected) as caught:
        check_number(number, "fax.faxNumber")
    assert (caught.value.member, caught.value.reason) == ("fax.faxNumber", "bad_number")


def test_a_masked_number_shows_its_last_four_digits_only() -> None:
    assert mask_number("+12345678901") == "…8901"


def test_20_files_pass_and_21_do_not() -> None:
    assert check([URL] * 20) == 0
    assert refused([URL] * 21) == ("fax.faxData", "too_many_files")


def test_a_fax_without_files_is_rejected() -> None:
    assert refused([]) == ("fax.faxData", "no_files")


def test_15_recipients_pass_and_16_do_not() -> None:
    assert check([URL], to=[NUMBER] * 15) == 0
    assert refused([URL], to=[NUMBER] * 16) == ("fax.faxNumber", "too_many_recipients")


def test_an_id_leaves_room_for_the_ids_of_its_group() -> None:
    assert check([URL], id="a" * 128) == 0
    assert check([URL], id="a" * 126, to=[NUMBER] * 9) == 0
    assert refused([URL], id="a" * 126, to=[NUMBER] * 10) == ("id", "bad_id")


def test_200_pages_pass_and_201_do_not() -> None:
    assert check([inline(plain_pdf(120)), inline(plain_pdf(80))]) == 200
    assert refused([inline(plain_pdf(120)), inline(plain_pdf(81))]) == ("fax.faxData", "too_many_pages")


def test_only_selected_pages_count() -> None:
    assert check([inline(plain_pdf(300), pages=["1-200"])]) == 200
    assert refused([inline(plain_pdf(300), pages=["1-200", "7"])]) == ("fax.faxData", "too_many_pages")


OVERLAP = ["1-5", "2", "1-10"]
"""iFax's own sample."""


@pytest.mark.parametrize(
    ("files", "least", "most", "text"),
    [
        ([inline(plain_pdf(11))], 11, 11, "11"),
        ([inline(plain_pdf(11), pages=OVERLAP)], 10, 16, "10-16"),
        ([inline(plain_pdf(11), pages=OVERLAP), inline(plain_pdf(2))], 12, 18, "12-18"),
        ([inline(plain_pdf(2)), URL], 2, None, "2-"),
        ([inline(b"a text", "a.txt")], 1, None, "1-"),
    ],
)
def test_pages_are_a_range_where_nobody_knows_how_many_are_sent(
    files: list[dict[str, Any]], least: int, most: int | None, text: str
) -> None:
    assert pages(files) == (least, most)
    assert str(pages(files)) == text


def test_a_selection_outside_the_document_names_its_file() -> None:
    assert refused([URL, inline(plain_pdf(2), pages=["3"])]) == ("fax.faxData[1].pages", "bad_value")


def test_a_stored_document_is_opened_and_counted() -> None:
    data = plain_pdf(3)
    assert check([{"fileName": "a.pdf", "document": digest(data)}], stored=[data]) == 3


def test_a_document_that_is_not_stored_is_named() -> None:
    missing = {"fileName": "a.pdf", "document": "sha256:" + "0" * 64}
    assert refused([URL, missing]) == ("fax.faxData[1].document", "document_missing")


def test_a_broken_document_is_named() -> None:
    assert refused([URL, inline(b"%PDF-1.4\nno more")]) == ("fax.faxData[1].fileData", "bad_document")
    assert refused([inline(b"hello", "a.pdf")]) == ("fax.faxData[0].fileData", "bad_document")


@pytest.mark.parametrize("sources", [{}, {"fileUrl": "https://example.com/a", "fileData": "aGVsbG8="}])
def test_a_file_has_exactly_one_source(sources: dict[str, str]) -> None:
    assert refused([{"fileName": "a.txt", **sources}]) == ("fax.faxData[0]", "bad_value")


@pytest.mark.parametrize("count", [1, 20])
def test_a_request_of_20_million_bytes_as_sent_passes_and_more_does_not(count: int) -> None:
    """The length is that of the body which the worker sends, where the account has the longest caller id."""

    def body(files: list[dict[str, Any]]) -> int:
        request = {"faxNumber": NUMBER, "faxData": files}
        return len(send_body(request, document, caller_id="+123456789012345"))

    def document(digest: str) -> Any:
        raise KeyError(digest)

    names = [f"{i}.txt" for i in range(count)]
    room = (REQUEST_BYTES - body([inline(b"", name) for name in names])) // 4 * 3
    each = [room // count // 3 * 3] * count
    each[0] += (room - sum(each)) // 3 * 3
    data = [b"a" * size for size in each]
    fits = [{"fileName": name, "document": digest(d)} for name, d in zip(names, data, strict=True)]
    spare = REQUEST_BYTES - body([inline(d, name) for name, d in zip(names, data, strict=True)])
    assert 0 <= spare < 4
    fits[0]["fileName"] = "a" * spare + names[0]
    assert check(fits, stored=data) == count
    fits[0]["fileName"] += "x"
    assert refused(fits, stored=data) == ("fax.faxData", "too_large")
