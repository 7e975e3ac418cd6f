"""Text that may be shown: messages from outside, and masked phone numbers."""

import re
import unicodedata

SHOWN = 200
"""The most characters of a text to show."""

BETWEEN = r"\s().\-‐-―−/·"  # noqa: RUF001 - the dashes that people write
"""What people write between the digits of a number, for a class of a regular expression."""
_NUMBER = re.compile(rf"\+?\d(?:[{BETWEEN}]{{0,3}}\d){{6,}}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\b")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean_message(text: str) -> str:
    """Reduce text from outside to one line of at most 200 characters, without control characters.

    Every run of 7 or more digits is masked, also if it is written with spaces, brackets, dots, dashes or
    slashes: `+1 (234) 567-8901` becomes `…8901`.
    """
    line = " ".join(text.split())
    plain = line.isascii() and line.isprintable()
    shown = line if plain else "".join(c for c in line if unicodedata.category(c) not in _HIDDEN)
    return _NUMBER.sub(lambda run: mask_number(run[0]), shown).strip()[:SHOWN]


def clean_actor(user: str | None, by: str | None) -> str:
    """Who gave an order, as its event tells it: the Redis user, or else the name; "" if neither is known."""
    return clean_message(user or by or "")


def mask_e164(text: str, *, but: str = "") -> str:
    """Mask the E.164 numbers in a text of our own, except the number `but`.

    Dates, ids and names of files stay, which `clean_message` would mask.
    """
    return _E164.sub(lambda found: found[0] if found[0] == but else mask_number(found[0]), text)


def mask_number(number: str) -> str:
    """Mask a phone number, for logs, events and messages: `+12345678901` becomes `…8901`."""
    return "…" + re.sub(r"\D", "", number)[-4:]
