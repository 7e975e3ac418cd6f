"""Fax numbers: what is possible is found by the length alone, and is what phonenumbers says."""

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faxline.numbers import E164, is_possible

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


@pytest.mark.parametrize("code", CODES)
def test_every_length_of_every_country_and_any_first_digit_is_judged_as_by_phonenumbers(code: int) -> None:
    lengths = range(max(1, 7 - len(str(code))), 16 - len(str(code)))
    numbers = [f"+{code}{first}" + "1" * (length - 1) for length in lengths for first in range(10)]
    assert [is_possible(number) for number in numbers] == [by_phonenumbers(number) for number in numbers]
