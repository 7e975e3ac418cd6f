"""How much of a number a search asks for: the last four digits, which every page shows, or more."""

from dataclasses import replace

from faxline_console.access.people import Person, Right
from faxline_console.asking.number_words import digits, whole
from faxline_console.asking.query import Query, Term

SHOWN = 4
"""The digits of a number that pages show."""


def asks_for_more(query: Query) -> bool:
    """Whether a search for numbers tells more of one than pages show.

    Example:
        >>> asks_for_more(parse_query("to:0147", UTC)), asks_for_more(parse_query("to:50147", UTC))
        (False, True)
    """
    return any(len(digits(value)) > SHOWN for value in query.terms["to"].values)


def is_by_an_end(query: Query, person: Person) -> bool:
    """Whether a search for numbers leaves out the ended faxes, which are found by a whole number alone."""
    to = query.terms.get("to")
    if to is None or not person.may(Right.REVEAL):
        return to is not None
    return not (all if to.without else any)(map(whole, to.values))


def by_last_four(query: Query) -> Query:
    """The same, with no more of its numbers than pages show."""
    term = query.terms["to"]
    return _with(query, Term(tuple(digits(value)[-SHOWN:] for value in term.values), term.without))


def turned(query: Query) -> Query:
    """The search for the numbers that this one leaves out."""
    return _with(query, Term(query.terms["to"].values))


def _with(query: Query, term: Term) -> Query:
    return replace(query, terms={**query.terms, "to": term})
