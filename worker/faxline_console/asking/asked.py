"""What a search asks for, in words: `No failed fax to …0147 pushed on Tuesday 17 November 2026`."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta

from faxline_archive.reasons import why_unknown
from faxline_console.asking.number_words import digits
from faxline_console.asking.parsing import FEWEST
from faxline_console.asking.query import STATES, Query, Term
from faxline_console.showing.formats import Times

Shown = Callable[[str], str]
WHOLE = "An ended fax is found by its whole number alone, with + and its country code."
_STATES = {"in_doubt": "doubtful", "partial": "partly delivered"}
_ID = re.compile(r"(?<!\w)id:", re.IGNORECASE)
_WITH = (("reason", "with the reason"), ("group", "of the group"), ("account", "of the account"))


def in_words(query: Query, times: Times) -> str:
    """What is asked for, as it follows "no".

    Example:
        >>> in_words(parse_query("state:failed,canceled id:a", UTC), times)
        'failed or canceled fax with the id a'
    """
    terms = query.terms
    parts = [
        _either(terms.get("state"), lambda value: _STATES.get(value, value)),
        "fax",
        _joined("to", terms.get("to"), lambda value: f"…{''.join(filter(str.isdecimal, value))[-4:]}"),
        _joined("with the id", terms.get("id")),
        _joined("with the jobId", terms.get("jobid")),
        *(_joined(words, terms.get(word)) for word, words in _WITH),
        *(_joined(f"with the {key}", term) for key, term in query.metadata.items()),
        _days(query, times),
    ]
    return " ".join(part for part in parts if part)


def misread(query: Query) -> str:
    """What the line says that its writer may not have meant; empty if there is nothing of the kind.

    That is a reason that no fax has, or what a word alone was read as, and how to write what else it may be.

    Example:
        >>> misread(parse_query("failed", UTC))
        'The word “failed” alone was read as an id. For faxes in that state write state:failed.'
    """
    reason = query.terms.get("reason")
    if reason and not reason.without and (unknown := [*filter(None, map(why_unknown, reason.values))]):
        return unknown[0]
    term = query.terms.get("id")
    if term is None or _ID.search(query.text):
        return ""
    word = term.values[0]
    if (state := word.lower()) in STATES:
        other = f"For faxes in that state write state:{state}."
    elif state in {"today", "yesterday"}:
        other = f"For faxes that were pushed since then write since:{state}."
    elif not word.strip("0123456789().-/"):
        end, job = digits(word), f"For a jobId write jobid:{word}." if word.isdecimal() else ""
        other = f"For the end of a number, of faxes on their way, write to:{end}. {WHOLE} {job}".rstrip()
        other = other if len(end) >= FEWEST else job
    else:
        other = f"For a group write group:{word}, for a member of the metadata meta.NAME:{word}."
    return f"The word “{word}” alone was read as an id. {other}"


def _joined(words: str, term: Term | None, shown: Shown = str) -> str:
    """The words and the values; with "not" where the values must not be."""
    if term is None:
        return ""
    return f"{'not ' if term.without else ''}{words} {_or([shown(value) for value in term.values])}"


def _either(term: Term | None, shown: Shown) -> str:
    if term is None:
        return ""
    return ("not " if term.without else "") + _or([shown(value) for value in term.values])


def _or(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _days(query: Query, times: Times) -> str:
    """The end of a search is the beginning of the day after."""
    first = times.day(query.since) if query.since else ""
    last = times.day(query.until - timedelta(seconds=1)) if query.until else ""
    if first and first == last:
        return f"pushed on {first}"
    return " ".join(
        filter(None, ["pushed" if first or last else "", first and f"from {first}", last and f"to {last}"])
    )
