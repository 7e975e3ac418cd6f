"""Numbers in a search line: which words are one, whether a fax went to it, and what may be in no address."""

import re
from collections.abc import Iterable, Iterator

from faxline.contract.phone_numbers import number_in
from faxline.contract.texts import BETWEEN

FEWEST = 7
"""Digits of the shortest number that is whole."""
_PIECE = re.compile(rf"[+\d{BETWEEN}]+")
_WRITTEN = re.compile(r"\d{7,15}|(1[-. ])?(\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}")
"""A number in one piece that may be an id, too: digits alone, or as it is written in North America."""
_IN_NO_ID = re.compile(r"[^\d.-]")
_RUN = re.compile(rf"\d(?:[+{BETWEEN}]*\d){{6,}}")
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_AS_WRITTEN = re.compile(r"\d{4}[-/]\d\d?[-/]\d\d?|[0-3]?\d([./])[0-3]?\d\1(19|20)\d\d")
"""A day: 2026-11-17, and as people write it."""


def names_number(line: str) -> bool:
    """Whether a line has what may be a number, so that it may be in no address.

    Example:
        >>> names_number("(202) 555-0147 state:failed"), names_number("since:2026-11-17 until:2026-11-18")
        (True, False)
    """
    return "to:" in line.lower() or _RUN.search(_DAY.sub("x", line)) is not None


def is_number(text: str) -> bool:
    """Whether a word alone is a number, and no id.

    Example:
        >>> is_number("030/901820"), is_number("2025550147"), is_number("202.5550147")
        (True, True, False)
    """
    if _WRITTEN.fullmatch(text):
        return True
    written = _PIECE.fullmatch(text) is not None and len(digits(text)) >= FEWEST
    return written and _IN_NO_ID.search(text) is not None


def is_day(text: str) -> bool:
    """Whether a word alone is a day, as 2026-11-17 or 17.11.2026, and no part of a number."""
    return _AS_WRITTEN.fullmatch(text) is not None


def joined(words: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Words (minus, key, value) with those joined that are one number with spaces in it.

    Example:
        >>> list(joined([("", "", "+1"), ("", "", "202"), ("", "", "555-0147")]))
        [('', 'to', '+1 202 555-0147')]
    """
    waiting: list[tuple[str, str, str]] = []
    for minus, key, value in words:
        between = _PIECE.fullmatch(value) is not None and not is_day(value)
        is_piece = between and bool(digits(value))
        goes_on = bool(waiting) and not minus and not key and between
        if not goes_on:
            yield from _one(waiting)
            waiting = []
        begins = not key or (key.lower() == "to" and value[:1] in {"+", "("})
        if goes_on or (begins and is_piece):
            waiting.append((minus, key, value))
        else:
            yield minus, key, value
    yield from _one(waiting)


def whole(text: str) -> str | None:
    """The number that a text is with its country code; None if it is not whole."""
    return number_in(text) or number_in(f"+{text.lstrip('+')}")


def goes_to(number: str, asked: str) -> bool:
    """Whether a number is what was asked for: that after a plus or 00, or one that ends in the digits."""
    if exact := whole(asked) if "+" in asked else number_in(asked):
        return number == exact
    end = digits(asked)  # the 0 before a number that may be a whole one is dialled, and no part of it
    return digits(number).endswith(end.lstrip("0") if len(end) >= FEWEST else end)


def digits(text: str) -> str:
    """The digits of a text."""
    return "".join(letter for letter in text if letter.isdecimal() and letter.isascii())


def _one(words: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    text = " ".join(value for _, _, value in words)
    if len(words) > 1 and len(digits(text)) >= FEWEST:
        yield words[0][0], "to", text
    else:
        yield from words
