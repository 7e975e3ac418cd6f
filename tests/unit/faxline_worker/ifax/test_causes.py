"""The table of why deliveries fail, and what follows."""

from pathlib import Path

import pytest

from faxline_worker.ifax.causes import CAUSES, Again, cause_of, cause_table, delivery_reasons
from faxline_worker.ifax.codes import CODES
from faxline_worker.ifax.receipts import Receipt, read_receipt

DOCS = Path(__file__).parents[4] / "docs" / "causes.md"
Q850 = {
    *(1, 2, 3, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 25, 27, 28, 29, 30, 31, 34, 38, 41, 42, 43, 44, 45, 50),
    *(52, 54, 57, 58, 63, 65, 66, 69, 79, 81, 88, 95, 96, 97, 98, 99, 100, 101, 102, 103, 111, 127),
}
"""The causes of Q.850 that FreeSWITCH has names for."""


def test_the_docs_show_the_table_as_it_is() -> None:
    assert DOCS.read_text(encoding="utf-8").endswith("\n\n" + cause_table())


def test_every_cause_of_q850_has_a_row() -> None:
    assert {row.number for row in CAUSES.values()} >= Q850


def test_no_two_names_share_a_number() -> None:
    numbers = [row.number for row in CAUSES.values() if row.number is not None]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("message", "code", "reason", "again"),
    [
        ("USER_BUSY", 17, "busy", Again.BUSY),
        ("NO_ANSWER", 19, "no_answer", Again.NO_ANSWER),
        ("NORMAL_TEMPORARY_FAILURE", 41, "line_trouble", Again.OTHER),
        ("NORMAL_CLEARING", 0, "normal_clearing", Again.OTHER),
        ("UNALLOCATED_NUMBER", 1, "unallocated_number", None),
        ("CALL_REJECTED", 21, "rejected", None),
        ("OUTGOING_CALL_BARRED", 52, "not_permitted", None),
        ("The line said USER_BUSY (17)", None, "busy", Again.BUSY),
        ("USER_BUSY", 1, "busy", Again.BUSY),
        ("", 17, "busy", Again.BUSY),
        ("nobody knows", 19, "no_answer", Again.NO_ANSWER),
        ("Invalid fax number", -3001, "invalid_number", None),
        ("", -3010, "rate_limited", Again.OTHER),
        ("", -1, "general_error", Again.OTHER),
        ("something new", 4711, "other", Again.OTHER),
        ("", None, "other", Again.OTHER),
    ],
)
def test_the_name_decides_then_the_code(
    message: str, code: int | None, reason: str, again: Again | None
) -> None:
    cause = cause_of(message, code)
    assert (cause.reason, cause.again) == (reason, again)


@pytest.mark.parametrize("code", [code for code in CODES if code < 0])
def test_every_error_code_of_a_receipt_has_its_own_reason(code: int) -> None:
    assert cause_of("", code).reason == CODES[code].reason


def test_every_reason_is_counted_from_the_start() -> None:
    reasons = {reason for _, reason in delivery_reasons()}
    assert reasons >= {cause_of(name, None).reason for name in CAUSES} | {"other"}


@pytest.mark.parametrize(("status", "again"), [("failed", "busy"), ("delivered", None), ("canceled", None)])
def test_only_a_failure_is_worth_another_delivery(status: str, again: str | None) -> None:
    receipt = read_receipt(b'{"jobId": 1, "faxStatus": "%s", "message": "USER_BUSY"}' % status.encode())
    assert isinstance(receipt, Receipt)
    assert receipt.again == again
