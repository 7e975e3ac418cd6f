"""The table of codes against the documentation."""

import re

import pytest

from faxline_worker.ifax import Decision, failure_reasons
from faxline_worker.ifax.codes import CODES, FIELD_CODES, STATUSES, code_named_in, status_row
from tests.stage.codes import ERROR_CODES, RESPONSE_CODES

DECISIONS = {
    Decision.ACCEPTED: {1, 0},
    Decision.DEFER: {-3010},
    Decision.PAUSE: {-3, -4, -3002, -3007, -3009},
    Decision.REFUSE: {-2, -5, -3001, -3003, -3004, -3005, -3006, -3008},
    Decision.RETRY: {-1},
}


def test_every_documented_number_is_in_the_table_with_its_message_and_no_other_is() -> None:
    assert {code: row.message for code, row in CODES.items()} == RESPONSE_CODES | ERROR_CODES


@pytest.mark.parametrize("decision", Decision)
def test_each_number_has_its_decision(decision: Decision) -> None:
    assert {code for code, row in CODES.items() if row.decision is decision} == DECISIONS.get(decision, set())


@pytest.mark.parametrize(
    ("statuses", "decision", "reason"),
    [
        ([429], Decision.DEFER, "rate_limited"),
        ([401], Decision.PAUSE, "authentication_failed"),
        ([402], Decision.PAUSE, "insufficient_balance"),
        ([400], Decision.UNREACHABLE, "bad_request"),
        ([404], Decision.UNREACHABLE, "not_found"),
        ([413], Decision.UNREACHABLE, "request_too_large"),
        ([403, 405, 407, 409, 415, 422, 451, 499], Decision.UNREACHABLE, "client_error"),
        ([408], Decision.UNREACHABLE, "request_timeout"),
        ([503], Decision.UNREACHABLE, "unavailable"),
        ([300, 301, 302, 304, 307, 308], Decision.UNREACHABLE, "redirected"),
        ([500, 501, 502, 504, 520, 524, 599], Decision.IN_DOUBT, "server_error"),
        ([100, 101, 199, 600, 999], Decision.IN_DOUBT, "bad_answer"),
    ],
)
def test_each_http_status_has_its_row(statuses: list[int], decision: Decision, reason: str) -> None:
    assert {(status_row(status).decision, status_row(status).reason) for status in statuses} == {
        (decision, reason)
    }


def test_every_reason_can_be_a_metric_label() -> None:
    names = [row.reason for row in (*CODES.values(), *STATUSES.values())]
    names += [reason for _, reason in failure_reasons()]
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", name)] == []


def test_the_reasons_for_the_metrics_are_each_named_once_and_none_is_an_acceptance() -> None:
    found = failure_reasons()
    assert len(found) == len(set(found))
    assert {code for code, _ in found} == {None, *CODES, *FIELD_CODES} - {1, 0}
    assert "accepted" not in {reason for _, reason in found}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Invalid API key", -3009),
        ("sorry, INVALID  api-key!", -3009),
        ("Insufficient account balance", -3002),
        ("Rate limit exceeded.", -3010),
        ("No permission for this action", -3007),
        ("Professional plan isn\u2019t activated", 12004),
        ("accessToken invalid", 12001),
        ("General error", None),
        ("Success", None),
        ("Invalid API keyring", None),
        ("", None),
    ],
)
def test_a_text_names_a_code_by_its_words_whatever_stands_around_them(text: str, code: int | None) -> None:
    assert code_named_in(text) == code
