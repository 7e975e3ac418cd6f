"""A search line as searches of the archive: one for each combination of its alternatives."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, not_, or_, select

from faxline.reading.archived import Wanted
from faxline_archive.privacy import NUMBER, Privacy, member
from faxline_archive.schema import fax_metadata, faxes
from faxline_console.access.people import Person
from faxline_console.asking.number_words import whole
from faxline_console.asking.parsing import QueryInvalid
from faxline_console.asking.query import Query, Term

MOST = 32
"""The most combinations of alternatives that a line may have."""
_WHOLE = faxes.c.partial.is_not(True)
State: TypeAlias = tuple[str | None, Sequence[ColumnElement[bool]]]
"""A state in the archive, and what else must hold."""
_STATES: dict[str, tuple[State, ...]] = {
    "delivered": (("delivered", (_WHOLE,)),),
    "partial": (("delivered", (faxes.c.partial.is_(True),)),),
    "failed": (("failed", ()), ("rejected", ())),
    "unconfirmed": (("unconfirmed", ()),),
    "canceled": (("canceled", ()),),
}
"""What the line's states are in the archive. The others are of faxes on their way."""
MOST_NAMED = 1000
"""The most faxes that a line names by id or jobId."""
ENDED = ("delivered", "failed", "rejected", "canceled", "unconfirmed")


@dataclass(frozen=True, slots=True)
class Search:
    """One search: what must hold, and further conditions on the table."""

    wanted: Wanted
    also: tuple[ColumnElement[bool], ...]


def whole_numbers(term: Term | None) -> list[str]:
    """The numbers of a `to:` that are whole; the archive finds no others."""
    found = [whole(value) for value in (term.values if term else ())]
    return [number for number in found if number is not None]


def searches(query: Query, person: Person, privacy: Privacy) -> Iterator[Search]:
    """The searches of one account, which together find what the line asks for, and what the person may see.

    Raises:
        QueryInvalid: the line has too many alternatives.
    """
    to = query.terms.get("to")
    if to is not None and len(whole_numbers(to)) < (len(to.values) if to.without else 1):
        return  # what it cannot leave out, it must not find
    metadata = {key: term.values for key, term in query.metadata.items() if not term.without}
    if person.department is not None:
        key, value = person.department
        if key in metadata and value not in metadata[key]:
            return
        metadata[key] = (value,)
    numbers = whole_numbers(to) if to is not None and not to.without else [None]
    reasons, groups = _values(query.terms.get("reason")), _values(query.terms.get("group"))
    alternatives: list[Sequence[Any]] = [numbers, reasons, groups, *metadata.values()]
    named = sum(values[0] is not None for values in alternatives)
    alone = named <= 1 and not ({"to", "reason", "id", "jobid"} & query.terms.keys())
    count = math.prod(map(len, alternatives))
    states = _states(query.terms.get("state"), each=alone and count == 1)
    count *= len(states)
    if count > MOST:
        raise QueryInvalid(f"The line has {count} combinations of alternatives; at most {MOST} are searched.")
    further = tuple(_further(query, privacy))
    for (state, also), number, reason, group, *members in itertools.product(states, *alternatives):
        yield Search(
            Wanted(
                to=number,
                since=query.since,
                until=query.until,
                state=state,
                reason=reason,
                group=group,
                metadata=dict(zip(metadata, members, strict=True)),
            ),
            (*also, *further),
        )


def _states(term: Term | None, *, each: bool) -> list[State]:
    """The states that are asked for, as alternatives.

    Args:
        term: what the line says.
        each: whether an index has each state with the rest. Else any state, or not some, is one condition.
    """
    words = [word for word in _STATES if term is None or term.matches(word)]
    found: list[State] = [one for word in words for one in _STATES[word]]
    if len(words) == len(_STATES):
        found = [(state, ()) for state in ENDED]
    if each or not found or (term is not None and not term.without):
        return found
    return [(None, (or_(*(and_(faxes.c.state == state, *also) for state, also in found)),))]


def _values(term: Term | None) -> Sequence[str | None]:
    return term.values if term is not None and not term.without else (None,)


def _further(query: Query, privacy: Privacy) -> Iterator[ColumnElement[bool]]:
    """Ids and jobIds, and all that must not hold."""
    for word, term in query.terms.items():
        if word in {"id", "jobid"}:
            yield not_(_is_one_of(word, term)) if term.without else _is_one_of(word, term)
        elif not term.without:
            continue
        elif word == "to":
            found = [index for number in whole_numbers(term) for index in privacy.lookups(NUMBER, number)]
            yield or_(faxes.c.to_index.is_(None), faxes.c.to_index.not_in(found))
        elif word in {"reason", "group"}:
            column = faxes.c["group_name" if word == "group" else word]
            yield or_(column.is_(None), column.not_in(term.values))
    for key, term in query.metadata.items():
        if term.without:
            values = [index for value in term.values for index in privacy.lookups(member(key), value)]
            same = [fax_metadata.c[name] == faxes.c[name] for name in ("account", "job", "reuse")]
            yield ~exists().where(*same, fax_metadata.c.key == key, fax_metadata.c.value.in_(values))


def named(connection: Connection, account: str, query: Query) -> ColumnElement[bool] | None:
    """When the faxes were pushed that the line names by id or jobId; None if it names none.

    The order of a list has an index of its own, which a database goes through for the few that are named.
    So they are looked up first, by the index of their names, and then the list's index begins at each. A
    column that no index has keeps SQLite from going through a whole index that has all of what is asked.
    """
    looked = looked_up(account, query)
    if looked is None:
        return None
    return faxes.c.queued_at.in_({row.queued_at for row in connection.execute(looked)})


def looked_up(account: str, query: Query) -> Select[Any] | None:
    """The statement that looks up the faxes that a line names; None if it names none."""
    terms = [(word, term) for word in ("id", "jobid") if (term := query.terms.get(word)) and not term.without]
    if not terms:
        return None
    those = [_is_one_of(word, term) for word, term in terms]
    return (
        select(faxes.c.queued_at, faxes.c.updated_at)
        .where(faxes.c.account == account, *those)
        .limit(MOST_NAMED)
    )


def naming(query: Query) -> ColumnElement[bool] | None:
    """What holds for the faxes that a line names by id, jobId, group or reason, whichever comes first."""
    for word in ("id", "jobid", "group", "reason"):
        if (term := query.terms.get(word)) and not term.without:
            return _is_one_of(word, term)
    return None


def _is_one_of(word: str, term: Term) -> ColumnElement[bool]:
    if word == "id":
        return faxes.c.job.in_(term.values)
    if word in {"group", "reason"}:
        return faxes.c["group_name" if word == "group" else word].in_(term.values)
    numbers = [int(value) for value in term.values if value.isdecimal() and len(value) < 19]  # noqa: PLR2004
    return and_(faxes.c.job_id.is_not(None), faxes.c.job_id.in_(numbers))
