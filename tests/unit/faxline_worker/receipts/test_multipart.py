"""The fields of a multipart body, and what is held of it meanwhile."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline_worker.receipts.multipart import FIELDS, PARTS, MultipartFields, boundary_of

FILE = b"%PDF-1.4\r\n--not\r\n\x00\xff" * 5_000


def part(name: str, content: bytes, more: str = "") -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


BODY = b"".join(
    [
        part("jobId", b"77"),
        part("faxFile", FILE, '; filename="fax.pdf"'),
        part("fromNumber", b"+441224515014"),
        part("empty", b""),
        b"--B--\r\nthe end",
    ]
)
FIELDS_OF_BODY = {"jobId": "77", "fromNumber": "+441224515014", "empty": ""}


def fields(body: bytes, size: int = 1 << 30) -> dict[str, Any]:
    form = MultipartFields(b"B")
    for at in range(0, len(body), size):
        form.feed(body[at : at + size])
    return form.fields()


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 30])
def test_the_fields_are_read_and_the_file_is_left_however_the_body_comes(size: int) -> None:
    assert fields(BODY, size) == FIELDS_OF_BODY


def test_no_more_than_a_piece_and_the_fields_is_held() -> None:
    form = MultipartFields(b"B")
    form.feed(part("faxFile", b"", '; filename="fax.pdf"').removesuffix(b"\r\n"))
    for _ in range(100):
        form.feed(b"x" * 65_536)
        assert len(form._held) < 100


def test_fields_beyond_their_bound_are_cut() -> None:
    found = fields(part("a", b"x" * 3 * FIELDS) + part("b", b"y") + b"--B--")
    assert len(found["a"]) < FIELDS
    assert found["b"] == ""


def test_the_fax_object_may_be_json_in_a_field_of_its_own() -> None:
    assert fields(part("data", b'{"jobId": 7}') + b"--B--") == {"data": {"jobId": 7}}


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=B", b"B"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=B", None),
        ("application/json", None),
        ("", None),
        (f"multipart/form-data; boundary={'x' * 71}", None),
    ],
)
def test_only_a_form_with_a_boundary_is_read_as_one(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


@given(
    st.lists(
        st.sampled_from([b"--B", b"\r\n", b"--", b'Content-Disposition: form-data; name="a"', b"\xff", b"x"])
    )
)
def test_any_body_reads_without_an_error(pieces: list[bytes]) -> None:
    form = MultipartFields(b"B")
    for piece in pieces:
        form.feed(piece)
    assert isinstance(form.fields(), dict)


def test_no_more_parts_are_read_than_a_webhook_may_have() -> None:
    """Each costs time before anything is proved."""
    body = b"".join(part(f"f{n}", b"") for n in range(3 * PARTS))
    assert fields(body, 4096) == {f"f{n}": "" for n in range(PARTS)}
