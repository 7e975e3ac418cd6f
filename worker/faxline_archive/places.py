"""The order of faxes, the last one queued first, and the place in it behind which a page begins.

Faxes of the same millisecond are in the order of their ids by code points, as Python sorts them: what comes
out of the archive is merged with what Redis has. PostgreSQL sorts by the words of its own language otherwise,
and its indexes do. They give the order of time, and it sorts each millisecond.
"""

from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, FromClause, Text, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

Place: TypeAlias = tuple[int, str]
"""Where a page ended: queued_at and job of its last fax."""


class _ByCodePoints(FunctionElement[str]):
    """A text that is compared by code points."""

    inherit_cache = True
    type = Text()


@compiles(_ByCodePoints)
def _as_it_is(element: _ByCodePoints, compiler: Any, **options: Any) -> str:
    (text,) = element.clauses
    return str(compiler.process(text, **options))


@compiles(_ByCodePoints, "postgresql")
def _collated(element: _ByCodePoints, compiler: Any, **options: Any) -> str:
    return f'{_as_it_is(element, compiler, **options)} COLLATE "C"'


def latest_first(table: FromClause) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """What a table with `queued_at` and `job` is sorted by."""
    return table.c.queued_at.desc(), _ByCodePoints(table.c.job).desc()


def latest_of_all(table: FromClause) -> tuple[ColumnElement[Any], ...]:
    """What a table with faxes of several accounts is sorted by: those of a millisecond by account."""
    pushed, job = latest_first(table)
    return pushed, _ByCodePoints(table.c.account), job


def behind(table: FromClause, place: Place) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The conditions for the faxes that follow a place."""
    # The first says nothing new; with it PostgreSQL sees the bounds of the index at once.
    both: ColumnElement[bool] = tuple_(table.c.queued_at, _ByCodePoints(table.c.job)) < tuple_(*place)
    return table.c.queued_at <= place[0], both
