"""The bodies of the calls."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline_worker.ifax import Body, Document, job_body, resend_body, send_body
from faxline_worker.ifax.requests import CHUNK, PIECE, SMALL
from tests.stage.samples import SAMPLE

NUMBER = "+12345678901"


def no_document(digest: str) -> Document:
    raise KeyError(digest)


def stored(documents: Mapping[str, bytes]) -> Callable[[str], Document]:
    return lambda name: Document.of(documents[name])


def one(data: bytes) -> Callable[[str], Document]:
    return lambda _: Document.of(data)


def content(body: Body) -> Any:
    """What the body says, having checked that its length is exact."""
    text = b"".join(body)
    assert len(text) == len(body)
    return json.loads(text)


def fax(*files: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"faxNumber": NUMBER, "faxData": list(files), **members}


LINK = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}


def test_the_documented_request_comes_out_word_for_word() -> None:
    request = {
        **SAMPLE,
        "faxData": [
            {
                "fileName": "abc.pdf",
                "fileUrl": "https://example.com/document.pdf",
                "pages": ["1-5", "2", "1-10"],
            },
            {"fileName": "xyz.pdf", "fileData": "JVBERi0xLjQK", "pages": ["1", "2"]},
        ],
    }
    assert content(send_body(request, no_document)) == request


@pytest.mark.parametrize(
    "size",
    [0, 1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 2],
)
def test_a_stored_document_becomes_filedata(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    name = "sha256:" + hashlib.sha256(data).hexdigest()
    body = send_body(fax({"fileName": "a.pdf", "document": name, "pages": ["1"]}), stored({name: data}))
    [file] = content(body)["faxData"]
    assert file == {"fileName": "a.pdf", "pages": ["1"], "fileData": base64.b64encode(data).decode()}


def test_files_of_every_kind_keep_their_order() -> None:
    documents = {"sha256:aa": b"first", "sha256:bb": b"second"}
    request = fax(
        {"fileName": "1", "document": "sha256:aa"},
        LINK,
        {"fileName": "3", "document": "sha256:bb"},
        {"fileName": "4", "fileData": "QUJD"},
    )
    files = content(send_body(request, stored(documents)))["faxData"]
    assert [file.get("fileData", file.get("fileUrl")) for file in files] == [
        base64.b64encode(b"first").decode(),
        LINK["fileUrl"],
        base64.b64encode(b"second").decode(),
        "QUJD",
    ]


@pytest.mark.parametrize(
    ("given_caller", "account_caller", "caller"),
    [
        (None, None, None),
        (None, "+10000000000", "+10000000000"),
        ("+19999999999", None, "+19999999999"),
        ("+19999999999", "+10000000000", "+19999999999"),
    ],
)
def test_the_accounts_caller_id_stands_in_where_the_request_names_none(
    given_caller: str | None, account_caller: str | None, caller: str | None
) -> None:
    body = content(send_body(fax(LINK, callerId=given_caller), no_document, caller_id=account_caller))
    assert body == fax(LINK) | ({"callerId": caller} if caller else {})


def test_nothing_that_ifax_does_not_document_is_sent() -> None:
    request = fax({**LINK, "note": "x", "pages": None}, priority="urgent", metadata={"a": 1}, subject=None)
    assert content(send_body(request, no_document)) == fax(LINK)


def test_a_missing_documents_error_goes_to_the_caller() -> None:
    with pytest.raises(KeyError, match="sha256:aa"):
        send_body(fax({"fileName": "a", "document": "sha256:aa"}), no_document)


def test_a_cover_text_in_any_script_comes_out_right_and_as_utf_8() -> None:
    text = 'Grüße \u2013 "naïve" 電話 \U0001f4e0 \u2028 \\ \x00'
    body = send_body(fax(LINK, message=text, subject=text), no_document)
    assert (content(body)["message"], content(body)["subject"]) == (text, text)
    assert "電話".encode() in b"".join(body)


def test_a_lone_surrogate_which_has_no_utf_8_does_not_break_a_body() -> None:
    assert content(send_body(fax(LINK, message="a\ud800b"), no_document))["message"] == "a?b"


def test_a_small_body_is_one_piece_and_a_large_one_comes_in_small_pieces() -> None:
    assert len(list(send_body(fax(LINK), no_document))) == 1
    document = bytes(5_000_000)
    pieces = list(send_body(fax({"fileName": "a", "document": "sha256:aa"}), one(document)))
    assert len(pieces) > 100
    assert max(map(len, pieces)) <= SMALL


def test_a_document_is_read_piece_by_piece_while_the_body_is_sent_and_not_before() -> None:
    asked: list[tuple[int, int]] = []

    def read(start: int, end: int) -> bytes:
        asked.append((start, end))
        return bytes(end - start)

    size = 2 * PIECE + 1
    body = send_body(fax({"fileName": "a", "document": "sha256:aa"}), lambda _: Document(size, read))
    pieces = iter(body)
    assert (len(body) > size, asked) == (True, [])
    for _ in range(3):  # the request, the file's name, the document's beginning
        next(pieces)
    assert asked == [(0, PIECE)]
    list(pieces)
    assert asked == [(0, PIECE), (PIECE, 2 * PIECE), (2 * PIECE, size)]


def test_a_body_can_be_sent_again() -> None:
    body = send_body(fax({"fileName": "a", "document": "sha256:aa"}), one(bytes(200_000)))
    assert list(body) == list(body)


def test_a_body_shows_nothing_but_its_length() -> None:
    body = send_body(fax({"fileName": "a", "document": "sha256:aa"}), one(b"secret"))
    assert repr(body) == f"Body({len(body)} bytes)"
    assert f"{body}" == repr(body)


@pytest.mark.parametrize("request_", [{"jobId": 12345}, {"jobId": 12345, "faxNumber": "+19876543210"}])
def test_a_resend_names_the_job_and_a_new_number_if_there_is_one(request_: dict[str, Any]) -> None:
    assert content(resend_body(request_)) == request_
    assert content(resend_body({**request_, "of": "invoice-77"})) == request_


def test_a_cancel_names_the_job() -> None:
    assert content(job_body(12345)) == {"jobId": 12345}


@given(
    texts=st.dictionaries(st.sampled_from(["subject", "from_name", "to_name", "message"]), st.text()),
    files=st.lists(st.binary(max_size=200), min_size=1, max_size=5),
)
def test_any_request_survives_the_way(texts: dict[str, str], files: list[bytes]) -> None:
    documents = {f"sha256:{i}": data for i, data in enumerate(files)}
    request = fax(*({"fileName": name, "document": name} for name in documents), **texts)
    body = content(send_body(request, stored(documents)))
    assert {name: body[name] for name in texts} == texts
    assert [base64.b64decode(file["fileData"]) for file in body["faxData"]] == files
