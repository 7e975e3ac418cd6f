"""How much of a number a search asks for: the last four digits, which every page shows, or more."""

from dataclasses import replace

from faxline.contract.phone_numbers import number_in
from faxline_console.access.people import Person, Right
from faxline_console.asking.number_words import digits
from faxline_console.asking.query import Query, Term

SHOWN = 4
"""The digits of a number that pages show."""
NATIONAL = 10
"""The digits of a number in North America."""


def asks_for_more(query: Query) -> bool:
    """Whether a search for numbers tells more of one than pages show.

    Example:
        >>> asks_for_more(parse_query("to:0147", UTC)), asks_for_more(parse_query("to:50147", UTC))
        (False, True)
    """
    return any(len(digits(value)) > SHOWN for value in query.terms["to"].values)


def is_by_an_end(query: Query, person: Person) -> bool:
    """Whether a search for numbers leaves out ended faxes, which are found by a whole number alone.

    Digits without a plus may be whole, and of another country than was meant: 2025550147 is +20 as well.
    """
    to = query.terms.get("to")
    if to is None or not person.may(Right.REVEAL):
        return to is not None
    return not all(map(number_in, to.values))


def in_north_america(query: Query) -> list[str]:
    """The whole numbers that are meant by those which are written as they are dialled in North America.

    Example:
        >>> in_north_america(parse_query("(202) 555-0147", UTC))
        ['+12025550147']
    """
    to = query.terms.get("to")
    return [] if to is None or to.without else [number for value in to.values if (number := _dialled(value))]


def by_last_four(query: Query) -> Query:
    """The same, with no more of its numbers than pages show."""
    term = query.terms["to"]
    return _with(query, Term(tuple(digits(value)[-SHOWN:] for value in term.values), term.without))


def turned(query: Query) -> Query:
    """The search for the numbers that this one leaves out."""
    return _with(query, Term(query.terms["to"].values))


def _dialled(text: str) -> str | None:
    """With the country code +1, unless it is written with one."""
    return None if number_in(text) or len(digits(text)) != NATIONAL else number_in(f"+1{digits(text)}")


def _with(query: Query, term: Term) -> Query:
    return replace(query, terms={**query.terms, "to": term})
