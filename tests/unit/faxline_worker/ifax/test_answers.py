"""Reading answers: the whole decision table, and whatever else may come."""

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faxline.contract.texts import SHOWN, clean_message
from faxline_worker.ifax import Answer, Decision, Endpoint, failure_reasons, read_answer
from faxline_worker.ifax.answers import LARGEST, LISTING, LONGEST_WAIT
from faxline_worker.ifax.codes import CODES

GOOD = {"status": 1, "message": "Fax processed for sending", "data": {"jobId": 12345}}
NEGATIVE = sorted(code for code in CODES if code < 0)
NOT_TAKEN = [300, 302, 400, 401, 402, 404, 408, 413, 422, 429, 503]
A, D, P, R, T, Q, N, U = (
    Decision.ACCEPTED,
    Decision.DEFER,
    Decision.PAUSE,
    Decision.REFUSE,
    Decision.RETRY,
    Decision.IN_DOUBT,
    Decision.UNREACHABLE,
    Decision.UNKNOWN,
)


def read(status: int, body: Any, endpoint: Endpoint = Endpoint.SEND, **headers: str) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(status, names, text, endpoint=endpoint)


def test_the_documented_good_answer_is_accepted() -> None:
    assert read_answer(200, {}, json.dumps(GOOD).encode(), 1.5) == Answer(
        decision=Decision.ACCEPTED,
        http_status=200,
        code=1,
        reason="accepted",
        message="Fax processed for sending",
        job_id=12345,
        retry_after=None,
        seconds=1.5,
    )


@pytest.mark.parametrize(
    ("status", "body", "decision", "code", "reason"),
    [
        # A 2xx: accepted only with status 1 or 0 and a jobId.
        (200, {"status": 0, "data": {"jobId": 5}}, A, 0, "accepted"),
        (201, {"status": "1", "data": {"jobId": "5"}}, A, 1, "accepted"),
        (202, {"status": 1, "jobId": 5}, A, 1, "accepted"),
        (200, {"status": 1, "code": 0, "data": {"jobId": 5, "code": 0}}, A, 1, "accepted"),
        (200, {"status": 1, "code": 200, "data": {"jobId": 5}}, A, 1, "accepted"),
        (200, {"code": 0, "message": "Success", "data": {"jobId": 5}}, A, 0, "accepted"),
        (200, {"status": 1}, Q, None, "no_job_id"),
        (200, {"status": 0, "data": {}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": {"jobId": None}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": {"jobId": True}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": {"jobId": "abc"}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": {"jobId": "+12025550123"}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": {"jobId": 0}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": {"jobId": -5}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": {"jobId": 5.5}}, Q, None, "no_job_id"),
        (200, {"status": 1, "data": [5]}, Q, None, "no_job_id"),
        # A 2xx with a documented error code follows the code, unless a jobId contradicts it.
        (200, {"status": -3001}, R, -3001, "invalid_number"),
        (200, {"status": 1, "code": -3010}, D, -3010, "rate_limited"),
        (200, {"status": -3, "message": "no"}, P, -3, "authentication_failed"),
        (200, {"status": -5, "data": {"code": -3006}}, R, -3006, "invalid_file_format"),
        (200, {"status": -2, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": 1, "code": -3001, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        # The general error proves nothing beside a 2xx.
        (200, {"status": -1}, Q, None, "bad_answer"),
        # A 2xx that is nothing iFax documents.
        (200, b"", Q, None, "bad_answer"),
        (200, b"OK", Q, None, "bad_answer"),
        (200, b"<html>", Q, None, "bad_answer"),
        (200, b"\xff\xfe", Q, None, "bad_answer"),
        (200, b"[" * 60_000, Q, None, "bad_answer"),
        (200, b"null", Q, None, "bad_answer"),
        (200, [1], Q, None, "bad_answer"),
        (200, {}, Q, None, "bad_answer"),
        (200, {"data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": True, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": "success", "data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": 2, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": 2, "code": 0, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": -9, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": 1, "code": -3999, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        (200, {"status": 10**40, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        # A 4xx: the precise code, then the response code, then the status.
        (400, {"status": -1, "code": -3002}, P, -3002, "insufficient_balance"),
        (400, {"status": -1, "errorCode": "-3008"}, R, -3008, "too_many_recipients"),
        (400, {"status": -1, "data": {"errorCode": -3004}}, R, -3004, "tiff_empty"),
        (400, {"status": -3009}, P, -3009, "invalid_key"),
        (400, {"data": {"status": -3007}}, P, -3007, "no_permission"),
        (400, {"status": -1}, T, -1, "general_error"),
        (404, {"status": -1}, T, -1, "general_error"),
        (400, {"status": -2}, R, -2, "invalid_parameters"),
        (401, {"status": -3}, P, -3, "authentication_failed"),
        (402, {"status": -4}, P, -4, "insufficient_balance"),
        (404, {"status": -5}, R, -5, "not_found"),
        (401, {"status": 401}, P, None, "authentication_failed"),
        (400, {"status": 400, "code": -3003}, R, -3003, "image_missing"),
        # A 4xx in iFax's form, with a number that is in no table.
        (422, {"status": -77}, U, -77, "unknown_refusal"),
        (400, {"status": 0, "code": 12001}, P, 12001, "invalid_key"),
        (400, {"status": 0, "code": 12002}, U, 12002, "unknown_refusal"),
        (403, {"errorCode": "12004", "message": "no plan"}, P, 12004, "plan_inactive"),
        (400, {"status": 1}, U, 1, "unknown_refusal"),
        (400, {"status": 0, "message": "no"}, U, 0, "unknown_refusal"),
        (401, {"status": 0, "code": 12001}, P, None, "authentication_failed"),
        (402, {"status": 0, "code": 12001}, P, None, "insufficient_balance"),
        (408, {"status": 0, "code": 12001}, N, None, "request_timeout"),
        (422, {"status": -77, "data": {"jobId": 5}}, Q, None, "bad_answer"),
        # A 4xx without any code is the network's word, or a proxy's.
        (400, b"<html>", N, None, "bad_request"),
        (400, {"error": "no"}, N, None, "bad_request"),
        (400, {"code": 12345678901}, N, None, "bad_request"),
        (400, {"data": {"code": 17}}, N, None, "bad_request"),
        (403, "<html>Request blocked</html>", N, None, "client_error"),
        (403, {"status": 403, "message": "Forbidden"}, N, None, "client_error"),
        (404, b"<html>", N, None, "not_found"),
        (404, {"data": {"jobId": 5}}, Q, None, "bad_answer"),
        (405, b"", N, None, "client_error"),
        (407, b"<html>", N, None, "client_error"),
        (408, b"", N, None, "request_timeout"),
        (413, b"<html>", N, None, "request_too_large"),
        (451, b"<html>", N, None, "client_error"),
        (401, b"<html>", P, None, "authentication_failed"),
        (402, b"<html>", P, None, "insufficient_balance"),
        # HTTP 200, status 0 with a code of its own and no jobId: a refusal.
        (200, {"status": 0, "code": 12001, "message": "accessToken invalid"}, P, 12001, "invalid_key"),
        (200, {"status": "0", "code": "12004"}, P, 12004, "plan_inactive"),
        (200, {"status": 0, "code": 12099, "message": "some other no"}, U, 12099, "unknown_refusal"),
        (200, {"status": 0, "code": 202, "message": "accepted for processing"}, Q, None, "no_job_id"),
        (200, {"status": 0, "code": -3011}, U, -3011, "unknown_refusal"),
        (200, {"status": 0, "code": 12099, "message": "invalid api key"}, P, -3009, "invalid_key"),
        (200, {"status": 0, "code": 7, "message": "Rate limit exceeded"}, D, -3010, "rate_limited"),
        (200, {"status": 0, "code": 7, "message": "Image does not exist"}, R, -3003, "image_missing"),
        (200, {"status": 0, "message": "Invalid API key"}, Q, None, "no_job_id"),
        (200, {"status": 0, "code": 12001, "jobId": 5}, A, 0, "accepted"),
        (200, {"status": 0, "code": -3009, "data": {"job_id": " 5 "}}, Q, None, "bad_answer"),
        # An answer that carries a fax object: its code and words are the fax's.
        (200, {"status": 1, "data": {"jobId": 5, "faxStatus": "failed", "code": -3001}}, A, 1, "accepted"),
        (200, {"status": 1, "jobId": 5, "faxStatus": "failed", "code": -3001}, A, 1, "accepted"),
        (200, {"status": 0, "data": {"faxStatus": "failed", "code": -3001}}, Q, None, "no_job_id"),
        (200, {"status": 0, "code": 12001, "data": {"faxStatus": "", "code": 5}}, P, 12001, "invalid_key"),
        (200, {"status": 0, "code": 12001, "data": {"jobId": 5}}, A, 0, "accepted"),
        (200, {"status": 0, "data": {"code": 12001}}, Q, None, "no_job_id"),
        (200, {"status": 1, "code": 12001}, Q, None, "no_job_id"),
        (200, {"status": 0, "code": 200}, Q, None, "no_job_id"),
        (200, {"status": 0}, Q, None, "no_job_id"),
        # A bad key stays one beside a code that says nothing: no attempt is burnt.
        (401, {"status": -1}, P, None, "authentication_failed"),
        (402, {"status": -1}, P, None, "insufficient_balance"),
        # A 429 spends no attempt whatever its body says; a 503 says nothing about it either.
        (429, b"", D, None, "rate_limited"),
        (429, {"status": -1, "code": -3010}, D, -3010, "rate_limited"),
        (429, {"status": -1}, D, None, "rate_limited"),
        (429, {"status": -2}, D, None, "rate_limited"),
        (503, {"status": -2}, N, None, "unavailable"),
        (503, {"code": -3010}, D, -3010, "rate_limited"),
        # A redirect is not followed, so what was asked was not done.
        (302, b"", N, None, "redirected"),
        (307, {"status": -3001}, N, None, "redirected"),
    ],
)
def test_an_answer_is_decided_by_the_table(
    status: int, body: Any, decision: Decision, code: int | None, reason: str
) -> None:
    answer = read(status, body)
    assert (answer.decision, answer.code, answer.reason) == (decision, code, reason)
    assert answer.job_id == (5 if decision is Decision.ACCEPTED else None)


@pytest.mark.parametrize("name", ["code", "errorCode", "status"])
@pytest.mark.parametrize("form", [int, str])
@pytest.mark.parametrize("place", ["top", "data"])
def test_a_documented_code_counts_wherever_it_stands(name: str, form: type, place: str) -> None:
    for code in NEGATIVE:
        members = {name: form(code)}
        answer = read(400, members if place == "top" else {"data": members})
        meant = CODES[code]
        assert (answer.code, answer.decision, answer.reason) == (code, meant.decision, meant.reason)
        assert answer.message == meant.message


@pytest.mark.parametrize("status", [500, 501, 502, 504, 520, 599])
@pytest.mark.parametrize("body", [GOOD, {"status": -3010}, {"status": -1}, {}])
def test_a_5xx_other_than_503_is_in_doubt_whatever_the_body_says(status: int, body: Any) -> None:
    answer = read(status, body)
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "server_error")


@pytest.mark.parametrize("status", NOT_TAKEN)
@pytest.mark.parametrize("good", [0, 1, "1"])
def test_a_refusal_that_names_a_new_fax_contradicts_itself_and_is_in_doubt(status: int, good: Any) -> None:
    answer = read(status, {"status": good, "data": {"jobId": 5}})
    assert (answer.decision, answer.reason) == (Decision.IN_DOUBT, "bad_answer")


@pytest.mark.parametrize(
    ("status", "body", "decision", "job_id"),
    [
        (200, {"status": 1, "data": {"jobId": 12345, "faxStatus": "canceled"}}, A, 12345),
        (200, {"status": 1}, A, None),
        (200, {"status": 0, "data": {"jobId": 12345}}, Q, None),
        (200, {"status": 1, "data": {"jobId": 12345, "faxStatus": "delivered"}}, Q, None),
        (200, {"status": 1, "data": {"jobId": "12345", "faxStatus": " Cancelled", "code": 487}}, A, 12345),
        (200, {"status": 1, "data": {"jobId": 12345, "faxStatus": "canceled", "code": -3001}}, A, 12345),
        (200, {"status": 1, "data": {"jobId": 99, "faxStatus": "canceled"}}, Q, None),
        (404, {"status": -5, "data": {"jobId": 12345}}, R, None),
        (200, {"status": -5, "data": {"jobId": 12345}}, R, None),
    ],
)
def test_a_cancel_is_accepted_where_the_fax_is_canceled(
    status: int, body: Any, decision: Decision, job_id: int | None
) -> None:
    text = json.dumps(body).encode()
    answer = read_answer(status, {}, text, endpoint=Endpoint.CANCEL, about=12345)
    assert (answer.decision, answer.job_id) == (decision, job_id)


@pytest.mark.parametrize(
    ("data", "decision", "job_id"),
    [
        ({"jobId": 12346, "originalJobId": 12345}, A, 12346),
        ({"jobId": 12346}, A, 12346),
        ({"jobId": 12345, "originalJobId": 12345}, Q, None),
        ({"originalJobId": 12345}, Q, None),
        ({"jobId": 12345, "faxStatus": "sending"}, Q, None),
        ({"jobId": 12346, "faxStatus": "failed", "code": -3001, "message": "Invalid fax number"}, A, 12346),
    ],
)
def test_a_resend_is_accepted_with_the_jobid_of_a_new_fax(
    data: dict[str, int], decision: Decision, job_id: int | None
) -> None:
    text = json.dumps({"status": 1, "data": data}).encode()
    answer = read_answer(200, {}, text, endpoint=Endpoint.RESEND, about=12345)
    assert (answer.decision, answer.job_id) == (decision, job_id)


FAILED = {"jobId": 5, "faxStatus": "failed", "code": -3001, "message": "Invalid fax number"}


@pytest.mark.parametrize(
    ("body", "decision", "reason"),
    [
        ({"status": 1, "data": FAILED}, A, "accepted"),
        ({"status": 1, "code": 0, "message": "ok", "data": FAILED}, A, "accepted"),
        ({"status": 1, **FAILED}, A, "accepted"),
        (FAILED, A, "accepted"),
        ({"data": FAILED}, A, "accepted"),
        ({"status": 1, "data": FAILED | {"code": -3009}}, A, "accepted"),
        ({"status": 1, "data": FAILED | {"jobId": 6}}, Q, "no_job_id"),
        ({"status": 1, "data": {"code": -3009}}, Q, "no_job_id"),
        ({"status": 0, "code": 12001, "message": "accessToken invalid"}, P, "invalid_key"),
        ({"status": -5, "code": -5, "data": FAILED}, R, "not_found"),
    ],
)
def test_the_code_of_the_fax_that_is_asked_for_is_not_the_calls(
    body: Any, decision: Decision, reason: str
) -> None:
    text = json.dumps(body).encode()
    answer = read_answer(200, {}, text, endpoint=Endpoint.STATUS, about=5)
    assert (answer.decision, answer.reason) == (decision, reason)


def test_an_answer_that_is_too_large_is_in_doubt_though_it_begins_well() -> None:
    fits = json.dumps(GOOD).encode().ljust(LARGEST)
    assert read(200, fits).decision is Decision.ACCEPTED
    assert read(200, fits + b" ").reason == "bad_answer"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "999999999"}, LONGEST_WAIT),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "nan"}, None),
        (
            {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            30.0,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "Date": "nonsense"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 -0000", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_WAIT),
    ],
)
def test_retry_after_is_read_as_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert read_answer(429, headers, b"").retry_after == seconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Fax job 12345 has been cancelled", "Fax job 12345 has been cancelled"),
        ("no fax to +12345678901 today", "no fax to …8901 today"),
        ("1234567 and 123456", "…4567 and 123456"),
        ("+1 (234) 567-8901 is busy", "…8901 is busy"),
        ("+44.1224.515.014/2", "…0142"),
        ("202\N{EN DASH}555\N{NON-BREAKING HYPHEN}0147 is busy", "…0147 is busy"),
        ("one\r\ntwo\tthree\x00\x1b[31m", "one two three[31m"),
        ("12345\x006789012", "…9012"),
        ("a\u202eb\u200bc\u2028d", "abc d"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("é" * 300, "é" * 200),
        ("  ", ""),
    ],
)
def test_a_message_is_made_fit_to_be_shown(text: str, shown: str) -> None:
    assert clean_message(text) == shown


def test_a_message_in_data_is_shown_and_the_tables_own_where_there_is_none() -> None:
    assert read(400, {"status": -2, "data": {"message": "bad pages"}}).message == "bad pages"
    assert read(400, {"status": -2, "message": 7}).message == "Invalid parameters"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (403, b"<html>", "HTTP 403 Forbidden"),
        (407, {"message": "say who you are"}, "HTTP 407 Proxy Authentication Required: say who you are"),
        (599 - 200, b"", "HTTP 399"),
        (422, {"status": -77, "message": "no"}, "no"),
        (422, {"status": -77}, "a refusal with a code that is in no table"),
    ],
)
def test_what_is_not_ifaxs_word_is_shown_with_its_http_status(status: int, body: Any, message: str) -> None:
    assert read(status, body).message == message


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {"status": 0, "code": 12099}, "unknown_refusal 12099"),
        (422, {"status": -77}, "unknown_refusal -77"),
        (502, b"<html>", "server_error 502"),
        (200, b"<html>", "bad_answer 200"),
        (200, {"status": 0}, "no_job_id 200"),
        (200, GOOD, None),
        (400, {"status": -2}, None),
        (403, b"<html>", None),
        (429, b"", None),
    ],
)
def test_answers_of_the_same_unknown_meaning_have_it_in_common(
    status: int, body: Any, meaning: str | None
) -> None:
    assert read(status, body).meaning == meaning


def test_no_message_shows_the_key_that_was_sent() -> None:
    body = json.dumps({"status": 0, "code": 12001, "message": "accessToken k-123456789 invalid"}).encode()
    answer = read_answer(200, {}, body, secret="k-123456789")
    assert answer.message == "accessToken [secret] invalid"


def test_an_unknown_code_is_no_metrics_label() -> None:
    assert read(422, {"status": -77}).counted_code is None
    assert read(400, {"status": -3001}).counted_code == -3001


MEMBERS = st.sampled_from(["status", "code", "errorCode", "jobId", "message", "data", "faxStatus", "other"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([*CODES, *map(str, CODES)])
    | st.floats()
    | st.text()
)
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(MEMBERS, inner) | st.lists(inner, max_size=3),
    max_leaves=12,
)


def check_sense(answer: Answer, status: int, endpoint: Endpoint) -> None:
    if answer.decision is Decision.ACCEPTED:
        assert 200 <= status < 300
        assert answer.job_id is not None or endpoint in {Endpoint.CANCEL, *LISTING}
        assert answer.code in {0, 1}
    else:
        assert answer.job_id is None
        assert (answer.counted_code, answer.reason) in failure_reasons()
    if status >= 500 and status != 503:
        assert answer.decision is Decision.IN_DOUBT
    assert answer.job_id is None or answer.job_id > 0
    assert answer.retry_after is None or 0 <= answer.retry_after <= LONGEST_WAIT
    assert len(answer.message) <= SHOWN
    assert not re.search(r"\d{7}", answer.message)
    assert not any(unicodedata.category(c).startswith("C") for c in answer.message)
    answer.message.encode()


@given(
    status=st.sampled_from([*NOT_TAKEN, 200, 201, 500]) | st.integers(100, 999),
    body=BODIES,
    retry_after=st.text(),
    date=st.text(),
    endpoint=st.sampled_from(Endpoint),
)
@example(status=200, body=GOOD, retry_after="", date="", endpoint=Endpoint.SEND)
def test_any_json_gives_an_answer_that_makes_sense(
    status: int, body: Any, retry_after: str, date: str, endpoint: Endpoint
) -> None:
    headers = {"Retry-After": retry_after, "Date": date}
    answer = read_answer(status, headers, json.dumps(body).encode(), endpoint=endpoint)
    check_sense(answer, status, endpoint)


@given(status=st.integers(100, 999), body=st.binary(), endpoint=st.sampled_from(Endpoint))
def test_any_bytes_give_an_answer_that_accepts_nothing(status: int, body: bytes, endpoint: Endpoint) -> None:
    answer = read_answer(status, {}, body, endpoint=endpoint)
    check_sense(answer, status, endpoint)
    assert answer.decision is not Decision.ACCEPTED


@given(text=st.text(alphabet=st.sampled_from("0123456789 +-().x/…\n\x00") | st.characters()))
def test_no_message_shows_a_run_of_seven_digits(text: str) -> None:
    assert not re.search(r"\d{7}", clean_message(text))
