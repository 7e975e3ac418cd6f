"""Fax numbers: read them as people write them, and check that they are E.164 and possible."""

import re
import unicodedata
from typing import Any

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.texts import BETWEEN

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
EXAMPLE = "+12345678901"
"""The example number of iFax's documentation, which messages show. It is not a real number."""
MEMBER = "fax.faxNumber"
SHEET = " (a spreadsheet drops the + of a number that is not text)"
"""What a message says of a missing country code: nothing for a number that was typed into a form."""

_FIX = f"write it as E.164, such as {EXAMPLE}: a plus, the country code, the number"
_WRITTEN = re.compile(rf"\(?\+?[\d{BETWEEN}]+")
_AS_A_FLOAT = re.compile(r"\+?\d+([.,]\d+)?[eE][+-]?\d+|\+?\d{5,}[.,]\d{1,2}")


def check_number(number: str, member: str) -> None:
    """Check that a number is E.164 and possible (docs/ifax.md, Calls: faxNumber).

    It need not be "valid": numbering plans change faster than tables, and even the documentation's own
    +19876543210 is not.

    Raises:
        EntryRejected: the number is not E.164, or not possible (bad_number).
    """
    if not E164.fullmatch(number):
        raise EntryRejected(member, Rejection.BAD_NUMBER, f"not a fax number; {_FIX}")
    if not is_possible(number):
        raise EntryRejected(
            member, Rejection.BAD_NUMBER, f"no number of that country code has this length; {_FIX}"
        )
    if prefix := _kept_prefix(number):
        raise EntryRejected(
            member,
            Rejection.BAD_NUMBER,
            f"leave out the {prefix} after the country code, which is dialled only within the country",
        )


def check_region(region: str | None) -> str | None:
    """Return a region in capitals, such as DE.

    Raises:
        ValueError: phonenumbers does not know the region.
    """
    if region is None:
        return None
    import phonenumbers  # noqa: PLC0415 - its tables are large; `import faxline` must be quick

    if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("region is a country by its two letters, such as US or DE")
    return region.upper()


def normalize_number(text: str, region: str | None = None, member: str = MEMBER) -> str:
    """Convert a number as people write it to E.164.

    >>> normalize_number("+1 (202) 555-0123")
    '+12025550123'
    >>> normalize_number("030 / 901820", region="DE")
    '+4930901820'

    Args:
        text: the number, with + or 00 and the country code, or as it is dialled within the region. It may
            begin with `tel:`.
        region: the country of numbers without a country code, by its two letters.
        member: the member that an error names.

    Raises:
        EntryRejected: the text is not a number, or is ambiguous (bad_number); it is not a text (bad_value).
        ValueError: there is no such region.
    """
    if not isinstance(text, str):
        raise EntryRejected(member, Rejection.BAD_VALUE, f'a number is text, such as "{EXAMPLE}"')
    number = text
    if not E164.fullmatch(text) or _kept_prefix(text):
        number = _read(_plain(text, member), check_region(region), member)
    check_number(number, member)
    return number


def number_in(text: str, region: str | None = None) -> str | None:
    """Convert a text that may be a number to E.164; None if it is not a number, or is ambiguous."""
    try:
        return normalize_number(text, region)
    except EntryRejected:
        return None


def _plain(text: str, member: str) -> str:
    """Remove what is often pasted with a number."""
    plain = "".join(c for c in text if unicodedata.category(c) != "Cf")  # invisible formatting characters
    plain = re.sub(r"^\s*(tel|fax):", "", plain, flags=re.IGNORECASE).replace("\uff0b", "+").strip()
    if _AS_A_FLOAT.fullmatch(plain):
        raise EntryRejected(
            member,
            Rejection.BAD_NUMBER,
            "a spreadsheet turned the number into scientific notation or a decimal (such as 1.20255E+10) and "
            "lost its digits: format the column as text, enter the number again, export again",
        )
    if not plain:
        raise EntryRejected(member, Rejection.BAD_NUMBER, f"the number is empty; {_FIX}")
    if not _WRITTEN.fullmatch(plain):
        raise EntryRejected(
            member,
            Rejection.BAD_NUMBER,
            f"not one fax number: use only digits, spaces and + ( ) - . /; {_FIX}",
        )
    return plain


def _read(plain: str, region: str | None, member: str) -> str:
    import phonenumbers  # noqa: PLC0415 - as above

    found = _parse(plain, region)
    if plain.startswith("00") and not (region and found and phonenumbers.is_valid_number(found)):
        # Australia dials 0011 for other countries, and no country code begins with 11.
        found = None if re.match(r"00\W*1\W*1", plain) else _parse("+" + plain[2:], None)
    elif region is None and "+" not in plain:
        raise EntryRejected(
            member,
            Rejection.BAD_NUMBER,
            f"the country code is missing{SHEET}; "
            f'{_FIX}; or name the country of such numbers (region="US", --region US)',
        )
    if found is None:
        raise EntryRejected(member, Rejection.BAD_NUMBER, f"not a fax number; {_FIX}")
    length = phonenumbers.is_possible_number_with_reason(found)
    if length == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise EntryRejected(member, Rejection.BAD_NUMBER, f"the area code is missing; {_FIX}")
    number = _e164(found)
    if "/" in plain:  # +49 30 901820/21 are two numbers
        area = len(str(found.country_code)) + phonenumbers.length_of_national_destination_code(found)
        tail = re.sub(r"\D", "", plain.rpartition("/")[2])
        if len(tail) != len(number) - 1 - area:
            raise EntryRejected(member, Rejection.BAD_NUMBER, f"a / may only follow the area code; {_FIX}")
    return number


def _parse(text: str, region: str | None) -> Any:
    import phonenumbers  # noqa: PLC0415 - as above

    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _e164(found: Any) -> str:
    import phonenumbers  # noqa: PLC0415 - as above

    text: str = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    return text


def country_code(number: str) -> str:
    """The country code of an E.164 number, such as 49; "" if there is no such country."""
    found = _parse(number, None)
    return str(found.country_code) if found is not None else ""


def is_possible(number: str) -> bool:
    """Whether an E.164 number is possible (phonenumbers' is_possible_number)."""
    import phonenumbers  # noqa: PLC0415 - as above

    found = _parse(number, None)
    return found is not None and phonenumbers.is_possible_number(found)


def _kept_prefix(number: str) -> str:
    """The national prefix, such as 0, if an E.164 number has it after the country code; else ""."""
    import phonenumbers  # noqa: PLC0415 - as above

    found = _parse(number, None)
    if found is None:
        return ""
    region = phonenumbers.region_code_for_country_code(found.country_code)
    plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(found.country_code, region)
    prefix: str = (plan.national_prefix or "") if plan is not None else ""
    end = 1 + len(str(found.country_code))
    if not prefix or not number.startswith(prefix, end):
        return ""
    return prefix if _e164(found) == number[:end] + number[end + len(prefix) :] else ""
