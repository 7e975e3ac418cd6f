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


def as_dialled(query: Query, home: str | None) -> list[str]:
    """The whole numbers that may be meant by those without a country code.

    Example:
        >>> as_dialled(parse_query("(202) 555-0147", UTC), None)
        ['+12025550147']
        >>> as_dialled(parse_query("030 / 901820", UTC), "DE")
        ['+4930901820']

    Args:
        query: with numbers.
        home: the country of the viewer, by its two letters.
    """
    to = query.terms.get("to")
    values = () if to is None or to.without else [value for value in to.values if not number_in(value)]
    found = [number for value in values for number in (_in_north_america(value), _at_home(value, home))]
    return list(dict.fromkeys(filter(None, found)))


def by_last_four(query: Query) -> Query:
    """The same, with no more of its numbers than pages show."""
    term = query.terms["to"]
    return _with(query, Term(tuple(digits(value)[-SHOWN:] for value in term.values), term.without))


def turned(query: Query) -> Query:
    """The search for the numbers that this one leaves out."""
    return _with(query, Term(query.terms["to"].values))


def _in_north_america(text: str) -> str | None:
    return number_in(f"+1{digits(text)}") if len(digits(text)) == NATIONAL else None


def _at_home(text: str, home: str | None) -> str | None:
    import phonenumbers  # noqa: PLC0415 - its tables are large

    number = number_in(text, home) if home else None
    return number if number and phonenumbers.is_valid_number(phonenumbers.parse(number)) else None


def _with(query: Query, term: Term) -> Query:
    return replace(query, terms={**query.terms, "to": term})
