"""The search line: `to:0147 state:failed,unconfirmed since:2026-11-17 meta.department:radiology`."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from faxline_console.asking.number_words import digits, is_day, is_number, joined, whole
from faxline_console.asking.query import STATES, WORDS, Query, Term

FEWEST = 4
"""The fewest digits of the end of a number: fewer find too much, and are shown by nobody."""
LONGEST = 1000
"""The most characters of a line."""
_PART = re.compile(r'(-?)(?:([A-Za-z]+(?:\.[^\s:"]+)?):)?("[^"]*"|\S+)')


class QueryInvalid(ValueError):
    """The line makes no sense. The message says which part, and what would."""


def parse_query(line: str, zone: tzinfo, now: datetime | None = None) -> Query:
    """Read a search line.

    A comma means "or", a minus before a word "not". A word without a colon is an id, or
    with a plus a number. Days are the viewer's.

    Example:
        >>> parse_query("state:failed since:today", UTC).terms["state"].values
        ('failed',)

    Args:
        line: what was typed.
        zone: whose days are meant.
        now: the present.

    Raises:
        QueryInvalid: a word, a state or a date is not known, or the line is too long.
    """
    if len(line) > LONGEST:
        raise QueryInvalid(f"The line is longer than {LONGEST} characters.")
    terms: dict[str, Term] = {}
    metadata: dict[str, Term] = {}
    bounds: dict[str, datetime] = {}
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    for minus, key, value in joined(_PART.findall(line)):
        text = value.strip('"')
        prefix, dot, member = key.partition(".")
        word = prefix.lower() + dot + member or ("to" if is_number(text) else "id")
        values = tuple(filter(None, (part.strip() for part in text.split(","))))
        if not values or (not key and text.endswith(":")):
            raise QueryInvalid(f"{word if not values else text.rstrip(':')}: has no value.")
        if not key and is_day(text):
            day = _day(text) or "2026-11-17"
            raise QueryInvalid(
                f"“{text}” is a day: for one day write since:{day} until:{day}. For an id write id:{text}."
            )
        if word in {*terms, *bounds, *(f"meta.{name}" for name in metadata)}:
            raise QueryInvalid(_twice(word, text if not key else "", terms))
        if prefix.lower() == "meta" and member:
            metadata[member] = Term(values, bool(minus))
        elif word in {"since", "until"}:
            if minus:
                raise QueryInvalid(f"{word}: takes no minus.")
            bounds[word] = _moment(word, text, zone, today)
        elif word in WORDS:
            terms[word] = Term(_checked(word, values), bool(minus))
        else:
            raise QueryInvalid(f"{key}: is not known. Known are {', '.join(WORDS)} and meta.NAME.")
    return Query(line.strip(), terms, metadata, bounds.get("since"), bounds.get("until"))


def with_state(line: str, state: str) -> str:
    """The line with another state; empty: any."""
    rest = [part.group() for part in _PART.finditer(line) if (part.group(2) or "").lower() != "state"]
    return " ".join([*rest, *([f"state:{state}"] if state else [])])


def without_days(line: str) -> str:
    """The line for any time."""
    parts = _PART.finditer(line)
    return " ".join(part.group() for part in parts if (part.group(2) or "").lower() not in {"since", "until"})


def line_of(form: Mapping[str, str]) -> str:
    """The line that the form's fields say.

    Example:
        >>> line_of({"to": "+1 202 555 0147", "state": "failed"})
        'to:"+1 202 555 0147" state:failed'
    """
    parts = [(word, form.get(word, "").strip().replace('"', "")) for word in WORDS]
    key, _, value = form.get("meta", "").replace('"', "").partition("=")
    if key.strip() and value.strip():
        parts.append((f"meta.{key.strip()}", value.strip()))
    return " ".join(
        f'{word}:"{value}"' if " " in value else f"{word}:{value}" for word, value in parts if value
    )


def _twice(word: str, bare: str, terms: Mapping[str, Term]) -> str:
    if word != "id" or not bare:
        return f"{word}: is there twice. Join what it may be by a comma."
    first = ",".join(terms["id"].values)
    return (
        f"“{first}” and “{bare}” were both read as ids: that is what a word alone is. For either id write "
        f"id:{first},{bare}. Before other words goes what they are, such as state:failed or "
        'meta.subject:"two words".'
    )


def _checked(word: str, values: tuple[str, ...]) -> tuple[str, ...]:
    if word == "state":
        for value in values:
            if value not in STATES:
                raise QueryInvalid(f"state:{value} is not known. Known are {', '.join(STATES)}.")
    if word == "to":
        for value in values:
            if len(digits(value)) < FEWEST:
                raise QueryInvalid(f"to:{value} has fewer than four digits. Give a number, or its end.")
            if "+" in value and whole(value) is None:
                raise QueryInvalid(f"to:{value} is no whole number. Give the end of a number without a plus.")
    return values


def _moment(word: str, text: str, zone: tzinfo, today: date) -> datetime:
    """The beginning of a day, or for `until` its end."""
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    if day := named.get(text) or _day(text):
        with suppress(OverflowError):
            return datetime.combine(day + timedelta(days=word == "until"), time(), zone)
    raise QueryInvalid(f"{word}:{text} is no day. Write it as 2026-11-17, or today or yesterday.")


def _day(text: str) -> date | None:
    """2026-11-17, or 17.11.2026; days with slashes are another one on each side of the Atlantic."""
    for form in ("%Y-%m-%d", "%d.%m.%Y"):
        with suppress(ValueError):
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone
    return None
