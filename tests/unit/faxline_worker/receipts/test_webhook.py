"""The webhook: what it lets in, keeps and answers."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faxline_worker.doctor.webhook_check import INBOUND
from faxline_worker.receipts.signature import HEADER, sign
from faxline_worker.receipts.webhook import read_webhook
from faxline_worker.receipts.webhook_body import BODY_LIMIT, FORM_LIMIT
from tests.stage.webhooks import (
    FAX,
    NEW,
    OLD,
    PATH,
    RECEIPT,
    MemoryStore,
    Site,
    TestClient,
    post,
    post_signed,
)

# What is stored


def test_a_verified_receipt_is_stored_as_it_came_and_answered_204(site: Site, store: MemoryStore) -> None:
    before = time.time_ns() // 1_000_000
    answer = post_signed(site, RECEIPT)
    after = time.time_ns() // 1_000_000
    assert (answer.status_code, answer.content) == (204, b"")
    [(account, fields)] = store.entries
    assert account == "default"
    assert before <= int(fields.pop("at")) <= after
    assert fields == {"body": RECEIPT, "kind": b"receipt"}
    assert site.counted == {("default", "stored"): 1}


def test_a_repeat_is_stored_and_answered_204_too(site: Site, store: MemoryStore) -> None:
    assert [post_signed(site, RECEIPT).status_code for _ in range(2)] == [204, 204]
    assert len(store.entries) == 2
    assert site.counted == {("default", "stored"): 2}


def test_a_fax_object_at_the_top_level_is_a_receipt_too(site: Site, store: MemoryStore) -> None:
    assert post_signed(site, json.dumps({**FAX, "direction": "sent"}).encode()).status_code == 204
    assert store.entries[0][1]["kind"] == b"receipt"


IN = {"jobId": 7, "fromNumber": "+441224515014", "faxReceivedPages": 2, "direction": "inbound"}


@pytest.mark.parametrize("payload", [IN, {"data": IN}, IN | {"direction": "Received"}])
def test_an_inbound_fax_is_kept_to_be_told(payload: dict[str, Any], site: Site, store: MemoryStore) -> None:
    body = json.dumps(payload).encode()
    assert post_signed(site, body).status_code == 204
    [(_, fields)] = store.entries
    assert (fields["kind"], fields["body"]) == (b"inbound", body)
    assert site.counted == {("default", "inbound"): 1}


def test_an_inbound_fax_of_which_nothing_is_known_is_counted_and_left(site: Site, store: MemoryStore) -> None:
    assert post_signed(site, INBOUND).status_code == 204
    assert store.entries == []
    assert site.counted == {("default", "inbound"): 1}


def form(size: int, **fields: str) -> bytes:
    """A form with some fields around a PDF of so many bytes."""
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts.insert(1, b'name="faxFile"; filename="fax.pdf"\r\n\r\n%PDF-1.4' + b"x" * size)
    start = b"--B\r\nContent-Disposition: form-data; "
    return b"".join(start + part + b"\r\n" for part in parts) + b"--B--\r\n"


FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=B"}
INBOUND_FORM = {"jobId": "7", "fromNumber": "+441224515014", "direction": "received"}


def test_a_form_is_kept_by_its_fields_and_its_file_is_left(site: Site, store: MemoryStore) -> None:
    body = form(3 * BODY_LIMIT, **INBOUND_FORM)
    assert post(site, body, sign(body, OLD), **FORM_TYPE).status_code == 204
    [(_, fields)] = store.entries
    assert (fields["kind"], json.loads(fields["body"])) == (b"inbound", INBOUND_FORM)


def test_a_receipt_in_a_form_is_a_receipt(site: Site, store: MemoryStore) -> None:
    body = form(9, jobId="12345", faxStatus="delivered")
    assert post(site, body, sign(body, OLD), **FORM_TYPE).status_code == 204
    assert store.entries[0][1]["kind"] == b"receipt"


def test_a_form_is_let_in_by_the_signature_of_all_of_it(site: Site, store: MemoryStore) -> None:
    body = form(100, **INBOUND_FORM)
    assert post(site, body + b" ", sign(body, OLD), **FORM_TYPE).status_code == 401
    assert post(site, body, None, **FORM_TYPE).status_code == 401
    assert store.entries == []


def test_a_form_beyond_its_bound_is_too_large(site: Site, store: MemoryStore) -> None:
    body = form(FORM_LIMIT, **INBOUND_FORM)
    assert post(site, body, sign(body, OLD), **FORM_TYPE).status_code == 413
    assert store.entries == []


MALFORMED = {
    "empty": b"",
    "no JSON": b"faxStatus=delivered",
    "no Unicode": b'{"data": "\xff\xfe"}',
    "a list": b"[1]",
    "a bare string": b'"delivered"',
    "an empty object": b"{}",
    "data that is a list": b'{"data": [{"jobId": 1, "faxStatus": "delivered"}]}',
    "no jobId": b'{"data": {"faxStatus": "delivered"}}',
    "no faxStatus": b'{"data": {"jobId": 12345}}',
    "a jobId that is a phone number": b'{"data": {"jobId": "+12345", "faxStatus": "delivered"}}',
    "a jobId that is a truth": b'{"data": {"jobId": true, "faxStatus": "delivered"}}',
    "a jobId with a fraction": b'{"data": {"jobId": 12345.5, "faxStatus": "delivered"}}',
    "a jobId that is no number": b'{"data": {"jobId": NaN, "faxStatus": "delivered"}}',
    "a jobId below 0": b'{"data": {"jobId": -1, "faxStatus": "delivered"}}',
    "a jobId beyond 64 bits": b'{"data": {"jobId": 9223372036854775808, "faxStatus": "delivered"}}',
    "a jobId with more digits than Python reads": b'{"data":{"jobId":' + b"9" * 60000 + b"}}",
    "a faxStatus that is a number": b'{"data": {"jobId": 12345, "faxStatus": 1}}',
    "lists nested too deep": b"[" * BODY_LIMIT,
    "objects nested too deep": b'{"data":' * (BODY_LIMIT // 8),
    "a whole nest of lists": b"[" * (BODY_LIMIT // 2) + b"]" * (BODY_LIMIT // 2),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_signed_body_that_makes_no_sense_is_kept_for_a_look_and_answered_204(
    body: bytes, site: Site, store: MemoryStore
) -> None:
    assert post_signed(site, body).status_code == 204
    [(_, fields)] = store.entries
    assert (fields["kind"], fields["body"]) == (b"malformed", body)
    assert site.counted == {("default", "malformed"): 1}


@pytest.mark.parametrize(
    "form", [FAX | {"jobId": "12345"}, {"job_id": " 12345 ", "fax_status": " Delivered"}]
)
@pytest.mark.parametrize("nested", [True, False])
def test_a_receipt_is_known_as_one_however_it_is_written(
    form: dict[str, Any], nested: bool, site: Site, store: MemoryStore
) -> None:
    body = json.dumps({"event": "fax.completed", "data": form} if nested else form).encode()
    assert post_signed(site, body).status_code == 204
    assert store.entries[0][1]["kind"] == b"receipt"
    assert site.lines[0]["jobId"] == 12345


def test_the_fax_object_in_data_counts_before_the_top_level() -> None:
    both = {"jobId": 1, "faxStatus": "failed", "direction": "received", "data": FAX}
    assert read_webhook(json.dumps(both).encode()) == ("receipt", 12345)


# Who is let in


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_each_of_the_accounts_secrets_is_accepted(secret: bytes, site: Site) -> None:
    assert post(site, RECEIPT, f"sha256={sign(RECEIPT, secret).upper()}").status_code == 204


@pytest.mark.parametrize(
    ("signature", "path"),
    [
        (None, PATH),
        ("", PATH),
        (sign(RECEIPT, b"a stranger's"), PATH),
        (sign(b"another body", NEW), PATH),
        (sign(RECEIPT, NEW), "/webhooks/ifax/second"),
        (sign(RECEIPT, NEW), "/webhooks/ifax/bare"),
        (sign(RECEIPT, b""), "/webhooks/ifax/bare"),
    ],
)
def test_a_bad_signature_and_an_account_without_secrets_are_refused_with_401(
    signature: str | None, path: str, site: Site, store: MemoryStore
) -> None:
    assert post(site, RECEIPT, signature, path).status_code == 401
    assert store.entries == []
    assert site.counted == {(path.rsplit("/", 1)[1], "bad_signature"): 1}


@pytest.mark.parametrize("name", ["nobody", "Default", "%2B12345678901", "default%0A", "%FF", "a" * 2000])
def test_an_account_that_is_not_ours_is_a_404_and_its_name_goes_nowhere(name: str, site: Site) -> None:
    answer = post(site, RECEIPT, sign(RECEIPT, NEW), f"/webhooks/ifax/{name}")
    assert answer.status_code == 404
    assert site.counted == {("unknown", "bad_signature"): 1}
    [line] = site.lines
    assert (line["account"], line["result"]) == ("unknown", "unknown_account")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_a_405(method: str, site: Site) -> None:
    assert TestClient(site.app).request(method, PATH).status_code == 405
    assert site.counted == {}


@pytest.mark.parametrize(
    "path", ["/", "/webhooks/ifax", "/webhooks/ifax/", PATH + "/", PATH + "/more/", PATH + "/more/again"]
)
def test_another_path_is_a_404_and_no_redirect(path: str, site: Site) -> None:
    assert post(site, RECEIPT, sign(RECEIPT, NEW), path).status_code == 404


# Any body

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ANY_FAX = st.fixed_dictionaries(
    {}, optional={"jobId": ANY_JSON, "faxStatus": ANY_JSON, "direction": ANY_JSON, "data": ANY_JSON}
)
ANY_BODY = (
    st.binary(max_size=400)
    | ANY_JSON.map(lambda value: json.dumps(value).encode())
    | ANY_FAX.map(lambda value: json.dumps(value).encode())
    | ANY_FAX.map(lambda value: json.dumps({"data": value}).encode("utf-16"))
    | ANY_FAX.map(lambda value: json.dumps({"data": value}).encode())
)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[TestClient, MemoryStore]]:
    store = MemoryStore()
    with TestClient(Site(store).app) as client:
        yield client, store


@settings(deadline=None)
@given(body=ANY_BODY)
def test_any_signed_body_is_answered_204_and_kept_unless_it_is_inbound(
    fuzzed: tuple[TestClient, MemoryStore], body: bytes
) -> None:
    client, store = fuzzed
    store.entries.clear()
    assert client.post(PATH, content=body, headers={HEADER: sign(body, OLD)}).status_code == 204
    if read_webhook(body)[0] != "inbound":
        assert [fields["body"] for _, fields in store.entries] == [body]


@settings(deadline=None)
@given(body=ANY_BODY, header=st.binary(max_size=100).filter(lambda header: not set(header) & set(b"\r\n\0")))
def test_any_unsigned_body_under_any_header_is_a_401(
    fuzzed: tuple[TestClient, MemoryStore], body: bytes, header: bytes
) -> None:
    client, store = fuzzed
    store.entries.clear()
    assert client.post(PATH, content=body, headers={HEADER.encode(): header}).status_code == 401
    assert store.entries == []
