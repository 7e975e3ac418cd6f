"""Whose number an entry that was set aside is about."""

from collections.abc import Mapping
from typing import Any

from faxline_worker.ifax.fax_object import read_body, read_fax

_COUNTRY = 3
"""The most digits of a country."""


def recipients(entry: Mapping[str, Any], original: str = "") -> list[str]:
    """The numbers to which an entry of intake would send. It is not checked: anything may stand in it.

    Example:
        >>> recipients({"id": "a", "fax": {"faxNumber": ["+12025550123", "+12025550124"]}})
        ['+12025550123', '+12025550124']

    Args:
        entry: its members.
        original: the number of the job that a resend repeats; "" if it is not known.
    """
    fax = entry.get("fax")
    if isinstance(fax, dict):
        named = fax.get("faxNumber")
        return [one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str)]
    own = entry.get("faxNumber")
    return [own] if isinstance(own, str) else [original] if original else []


def is_about(body: bytes, number: str) -> bool:
    """Whether a webhook's body has the number as its sender or recipient, perhaps without the country.

    Args:
        body: the body as it came.
        number: E.164.
    """
    whole = read_body(body)
    fax = read_fax(whole) if whole is not None else None
    return fax is not None and any(_is_same(one, number) for one in (fax.to, fax.sender) if one)


def _is_same(named: str, number: str) -> bool:
    digits = number.removeprefix("+")
    if named.startswith("+"):
        return named == number
    return digits.endswith(named) and len(digits) - len(named) <= _COUNTRY
