"""Fax numbers: E.164 and possible; shown by their last four digits only."""

import re
from functools import cache

from faxline.errors import EntryRejected, Rejection

E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def mask_number(number: str) -> str:
    """A number as it may be shown: `…1234`."""
    return "…" + re.sub(r"\D", "", number)[-4:]


def check_number(number: str, member: str) -> None:
    """Check that a number is E.164 and possible (ifax-api, Request Parameters, faxNumber).

    Not "valid": numbering plans change faster than tables, and the documentation's own +19876543210 is not.

    Raises:
        EntryRejected: bad_number.
    """
    fix = "write it as E.164, such as +12345678901: a plus, the country code, the number"
    if not E164.fullmatch(number):
        raise EntryRejected(member, Rejection.BAD_NUMBER, f"not a fax number; {fix}")
    if not is_possible(number):
        raise EntryRejected(
            member, Rejection.BAD_NUMBER, f"no number of that country code has this length; {fix}"
        )


def is_possible(number: str) -> bool:
    """What phonenumbers' is_possible_number says of an E.164 number, by its length where that is enough."""
    for end in range(2, 5):  # a country code has one to three digits, and none begins with another
        lengths = _lengths(number[1:end])
        if lengths is not None:
            return len(number) - end in lengths or _is_possible(number)
    return False


@cache
def _lengths(code: str) -> frozenset[int] | None:
    """The lengths with which a national number of this country code is possible whatever its digits are.

    None where there is no such country code. phonenumbers takes a national prefix off first; what is left is
    shorter, so it is not too long either, but where a rule of the country puts other digits in its place.
    """
    import phonenumbers  # noqa: PLC0415 - its tables are large, and `import faxline` is to be quick

    region = phonenumbers.region_code_for_country_code(int(code))
    if region == phonenumbers.UNKNOWN_REGION:
        return None
    plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(code), region)
    if plan is None or plan.national_prefix_transform_rule or plan.general_desc is None:
        return frozenset()
    general = plan.general_desc
    return frozenset(general.possible_length) | frozenset(general.possible_length_local_only)


def _is_possible(number: str) -> bool:
    import phonenumbers  # noqa: PLC0415 - as above

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False
