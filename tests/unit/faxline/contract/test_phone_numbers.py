"""Fax numbers: what is possible is what phonenumbers says, and how people write one."""

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.phone_numbers import (
    E164,
    check_number,
    check_region,
    country_code,
    is_possible,
    normalize_number,
)

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
DIGITS = st.text("0123456789", max_size=14)
NUMBERS = st.builds(
    lambda code, digits: f"+{code}{digits}", st.sampled_from(CODES) | st.integers(1, 999), DIGITS
).filter(lambda number: E164.fullmatch(number) is not None)


def by_phonenumbers(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False


@given(NUMBERS)
@example("+12025550123")
@example("+2100000000")
@example("+54111512345678")
def test_a_number_is_possible_when_phonenumbers_says_so(number: str) -> None:
    assert is_possible(number) == by_phonenumbers(number)


def test_every_length_of_every_country_and_any_first_digit_is_judged_as_by_phonenumbers() -> None:
    numbers = [
        f"+{code}{first}" + "1" * (length - 1)
        for code in CODES
        for length in range(max(1, 7 - len(str(code))), 16 - len(str(code)))
        for first in range(10)
    ]
    assert len(numbers) > 10_000
    assert [number for number in numbers if is_possible(number) != by_phonenumbers(number)] == []


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("+12025550123", None, "+12025550123"),
        ("+1 (202) 555-0123", None, "+12025550123"),
        ("+1.202.555.0123", None, "+12025550123"),
        ("tel:+1-202-555-0123", None, "+12025550123"),
        ("Fax: +1 202 555 0123", None, "+12025550123"),
        ("\u202a+1\u00a0202\u2011555\u20110123\u202c", None, "+12025550123"),
        ("(+49) 30 901820", None, "+4930901820"),
        ("+49 (0)30 901820-21", None, "+493090182021"),
        ("+44 020 7946 0958", None, "+442079460958"),
        ("+4402079460958", None, "+442079460958"),
        ("0049 30 901820", None, "+4930901820"),
        ("0049 30 901820", "DE", "+4930901820"),
        ("0049 30 901820", "US", "+4930901820"),
        ("0049 30 901820", "AU", "+4930901820"),
        ("0011 49 30 901820", "AU", "+4930901820"),
        ("011 49 30 901820", "US", "+4930901820"),
        ("030 / 901820", "DE", "+4930901820"),
        ("0171/1234567", "de", "+491711234567"),
        ("+49 (0)30/901820", None, "+4930901820"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("12025550123", "US", "+12025550123"),
        ("+49 30 901820", "US", "+4930901820"),
        ("06 1234 5678", "IT", "+390612345678"),
    ],
)
def test_a_number_is_understood_as_people_write_it(written: str, region: str | None, number: str) -> None:
    assert normalize_number(written, region) == number


@pytest.mark.parametrize(
    ("written", "region", "says"),
    [
        ("+1.20255E+10", None, "scientific notation"),
        ("1,20255e+10", "US", "scientific notation"),
        ("4930901820.0", "DE", "scientific notation or a decimal"),
        ("12025550123", None, "the country code is missing"),
        ("030 901820", None, "the country code is missing"),
        ("011 49 30 901820", None, "the country code is missing"),
        ("0011 49 30 901820", None, "not a fax number"),
        ("555-0123", "US", "the area code is missing"),
        ("+49 30 901820/21", None, "a / may only follow the area code"),
        ("+49 30 1234 / 1235", None, "a / may only follow the area code"),
        ("+1 202 555 0123 +1 202 555 0124", None, "not one fax number"),
        ("+1 202 555 0123, +1 202 555 0124", None, "not one fax number"),
        ("+1 202 555 O123", None, "not one fax number"),
        ("+1 202 555 0123 ext. 7", None, "not one fax number"),
        ("tel:5550123;phone-context=+1-202", None, "not one fax number"),
        ("1-800-FLOWERS", "US", "not one fax number"),
        ("+1 202 555 012", None, "no number of that country code has this length"),
        ("+0 30 901820", None, "not a fax number"),
        ("", None, "the number is empty"),
        ("\u202a \u202c", None, "the number is empty"),
        ("+", "DE", "not one fax number"),
        ("()", "DE", "not a fax number"),
        ("00", None, "not a fax number"),
    ],
)
def test_what_is_no_number_or_leaves_open_which_one_is_told_and_not_guessed(
    written: str, region: str | None, says: str
) -> None:
    with pytest.raises(EntryRejected) as caught:
        normalize_number(written, region)
    assert (caught.value.member, caught.value.reason) == ("fax.faxNumber", Rejection.BAD_NUMBER)
    assert says in caught.value.message
    assert len(written) < 8 or written not in str(caught.value)


@given(
    st.text() | st.from_regex(r"[+(]?[0-9 ()./-]{0,20}"),
    st.sampled_from([None, "US", "DE", "AU", "JP", "BR"]),
)
def test_whatever_is_written_is_a_possible_number_in_e164_or_rejected(
    written: str, region: str | None
) -> None:
    try:
        number = normalize_number(written, region)
    except EntryRejected as error:
        assert error.reason is Rejection.BAD_NUMBER  # noqa: PT017 - either outcome is right
    else:
        check_number(number, "m")
        assert normalize_number(number) == number


@pytest.mark.parametrize("number", ["+4402079460958", "+112025550123", "+49030901820", "+360612345678"])
def test_a_number_that_keeps_the_prefix_dialled_within_its_country_is_rejected_with_the_fix(
    number: str,
) -> None:
    with pytest.raises(EntryRejected, match="leave out the") as caught:
        check_number(number, "fax.faxNumber")
    assert caught.value.reason is Rejection.BAD_NUMBER


@pytest.mark.parametrize("number", ["+390612345678", "+78121234567", "+74951234567", "+2250701234567"])
def test_a_digit_that_belongs_to_the_number_is_no_prefix(number: str) -> None:
    assert normalize_number(number) == number


def test_a_region_is_two_letters_that_phonenumbers_knows() -> None:
    assert (check_region("de"), check_region(None)) == ("DE", None)
    for wrong in ("", "Germany", "49", "XX"):
        with pytest.raises(ValueError, match="two letters"):
            check_region(wrong)


def test_the_country_code_of_a_number_is_told() -> None:
    assert [country_code(number) for number in ("+12025550123", "+4930901820", "+35312345678")] == [
        "1",
        "49",
        "353",
    ]
