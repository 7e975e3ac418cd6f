"""Fax numbers: E.164 and possible; shown by their last four digits only."""

import re

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
    import phonenumbers  # noqa: PLC0415 - its tables are large, and `import faxline` is to be quick

    fix = "write it as E.164, such as +12345678901: a plus, the country code, the number"
    if not E164.fullmatch(number):
        raise EntryRejected(member, Rejection.BAD_NUMBER, f"not a fax number; {fix}")
    try:
        possible = phonenumbers.is_possible_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        possible = False
    if not possible:
        raise EntryRejected(
            member, Rejection.BAD_NUMBER, f"no number of that country code has this length; {fix}"
        )
