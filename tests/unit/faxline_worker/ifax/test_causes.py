"""The table of why deliveries fail, and what follows."""

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faxline_worker.ifax.causes import (
    CAUSES,
    OTHER,
    TEXTS,
    Again,
    Cause,
    cause_of,
    counted_code,
    delivery_reasons,
)
from faxline_worker.ifax.codes import CODES
from faxline_worker.ifax.receipts import Receipt, read_receipt

Q850 = {
    *(1, 2, 3, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 25, 27, 28, 29, 30, 31, 34, 38, 41, 42, 43, 44, 45, 50),
    *(52, 54, 57, 58, 63, 65, 66, 69, 79, 81, 88, 95, 96, 97, 98, 99, 100, 101, 102, 103, 111, 127),
}
"""The causes of Q.850 that FreeSWITCH has names for."""
ODD_NUMBERS = (None, 0, 1, 17, 21, 49, 487, 12_001, -3001, -3010, 10**12)
"""What may stand beside a text: Q.850's, spandsp's, iFax's own, and what nobody knows."""
SILENT = {"", "none", "unspecified"}


def spellings(text: str) -> list[str]:
    """How a text is met: in any case, with other blanks, dashes and punctuation."""
    return [
        text,
        text.lower(),
        text.upper(),
        text.swapcase(),
        f"  {text}. ",
        re.sub(r"[ _]", "-", text),
        re.sub(r"[ _-]", "  ", text),
        re.sub(r"[ -]", "_", text),
        re.sub(r"[ _-]", "", text),
    ]


def decision(cause: Cause) -> tuple[str, Again | None, bool]:
    return cause.reason, cause.again, cause.lower


def fold(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def test_every_row_decides_however_it_is_written_and_whatever_number_stands_beside_it() -> None:
    for text, row in TEXTS.items():
        if fold(text) in SILENT:
            continue
        for spelt, number in product(spellings(text), ODD_NUMBERS):
            assert decision(cause_of(spelt, number)) == decision(row), (spelt, number)


def test_a_text_of_hylafax_is_known_by_its_code_by_its_words_and_by_both() -> None:
    for text, row in TEXTS.items():
        code, _, words = text.partition(" ")
        if row.source == "HylaFAX":
            for spelt in (code, words or code, f"{words} {{{code}}}", f"{words}: 12 of 34 {{{code}}}"):
                assert decision(cause_of(spelt, 1)) == decision(row), spelt


KNOWN = {fold(part) for text in TEXTS for part in (text, *text.split(" ", 1))}


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(sorted(TEXTS)), min_size=2, max_size=3).map(", ".join),
        st.tuples(st.text(min_size=1), st.sampled_from(sorted(TEXTS))).map(" ".join),
        st.tuples(st.sampled_from(sorted(TEXTS)), st.text(min_size=1)).map(" ".join),
    ),
    st.one_of(st.none(), st.sampled_from(ODD_NUMBERS), st.integers(-5000, 20_000)),
)
def test_no_text_that_is_not_in_the_table_ever_makes_a_fax_final(text: str, number: int | None) -> None:
    plain = re.sub(
        r"\s*[(\[]\s*\d{1,3}\s*[)\]]\.?$",
        "",
        re.sub(r"^\s*SIP(/2\.0)?[\s:;]+", "", text, flags=re.IGNORECASE),
    )
    if fold(plain) in KNOWN | SILENT or fold(text) in KNOWN:
        return
    assert cause_of(text, number).again is not None


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
        ("UNALLOCATED_NUMBER (1)", None, "unallocated_number", None),
        ("CALL_REJECTED", 21, "rejected", None),
        ("OUTGOING_CALL_BARRED", 52, "not_permitted", None),
        ("The line said USER_BUSY (17)", None, "busy", Again.BUSY),
        ("USER_BUSY", 1, "busy", Again.BUSY),
        ("User busy", 1, "busy", Again.BUSY),
        ("the number is busy", 1, "busy", Again.BUSY),
        ("", 17, "busy", Again.BUSY),
        ("", 1, "unallocated_number", None),
        ("NONE", 1, "unallocated_number", None),
        ("nobody knows", 19, "other", Again.OTHER),
        ("nobody knows", 1, "other", Again.OTHER),
        ("nobody knows", -3001, "other", Again.OTHER),
        ("Call failed: UNALLOCATED_NUMBER", 1, "unallocated_number", Again.OTHER),
        ("Invalid fax number", -3001, "invalid_number", None),
        ("", -3001, "invalid_number", None),
        ("", -3010, "rate_limited", Again.OTHER),
        ("", -1, "general_error", Again.OTHER),
        ("something new", 4711, "other", Again.OTHER),
        ("", None, "other", Again.OTHER),
        ("SIP/2.0 486 Busy Here", 0, "busy", Again.BUSY),
        ("404", 0, "unallocated_number", None),
        ("Not Found", 0, "other", Again.OTHER),
        ("Far end is not able to receive", 9, "not_ready", Again.NO_ANSWER),
        ("Fax failed - result (49) The call dropped prematurely.", 49, "line_trouble", Again.OTHER),
        ("Human/voice answered", 0, "no_fax", Again.NO_ANSWER),
        ("Not a fax machine", 0, "incompatible", None),
    ],
)
def test_the_text_decides_and_a_number_only_where_there_is_none(
    message: str, code: int | None, reason: str, again: Again | None
) -> None:
    cause = cause_of(message, code)
    assert (cause.reason, cause.again) == (reason, again)


def test_only_the_resolution_of_the_image_asks_for_a_lower_quality() -> None:
    lower = {row.reason for row in TEXTS.values() if row.lower}
    assert lower == {"resolution_unsupported"}
    assert not OTHER.lower


@pytest.mark.parametrize("code", [code for code in CODES if code < 0])
def test_every_error_code_of_a_receipt_has_its_own_reason(code: int) -> None:
    assert cause_of("", code).reason == CODES[code].reason


def test_every_reason_is_counted_from_the_start() -> None:
    reasons = {reason for _, reason in delivery_reasons()}
    assert reasons >= {row.reason for row in TEXTS.values()} | {"other"}


@pytest.mark.parametrize(
    ("code", "reason", "counted"),
    [(17, "busy", 17), (49, "line_trouble", None), (486, "busy", None), (-3001, "invalid_number", -3001)],
)
def test_only_a_number_that_is_known_for_the_reason_is_a_label(
    code: int, reason: str, counted: int | None
) -> None:
    assert counted_code(code, reason) == counted


@pytest.mark.parametrize(("status", "again"), [("failed", "busy"), ("delivered", None), ("canceled", None)])
def test_only_a_failure_is_worth_another_delivery(status: str, again: str | None) -> None:
    receipt = read_receipt(b'{"jobId": 1, "faxStatus": "%s", "message": "USER_BUSY"}' % status.encode())
    assert isinstance(receipt, Receipt)
    assert receipt.again == again
