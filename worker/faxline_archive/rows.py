"""Stores many rows at once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Table, Text, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

SLICE = 500
"""The most keys in one SELECT."""
Key = TypeVar("Key")


def store(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    present: Literal["refuse", "keep", "replace", "add"] = "refuse",
) -> None:
    """Insert rows.

    PostgreSQL gets them as one JSON text: one statement, which is planned once, instead of one for each row.

    Args:
        connection: of either database.
        table: the table.
        rows: with the same columns each.
        present: what becomes of a row that is there already: the statement fails, it stays as it is, the
            new one replaces it, or the new one's numbers are added to it.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.

    Example:
        >>> store(connection, positions, [{"account": "a", "stream": "audit", "mark": "", "missing": 0}])
    """
    if not rows:
        return
    names, key = list(rows[0]), [column.name for column in table.primary_key]
    on_postgresql = connection.dialect.name == "postgresql"
    statement: Any = postgresql.insert(table) if on_postgresql else sqlite.insert(table)
    if on_postgresql:
        like: Any = literal_column(f"NULL::{table.name}")
        given = cast(bindparam("rows", type_=Text), postgresql.JSON)
        found = func.json_populate_recordset(like, given).table_valued(*names)
        statement = statement.from_select(names, select(*(found.c[name] for name in names)))
    if present == "replace":
        changed = {name: statement.excluded[name] for name in names if name not in key}
        statement = statement.on_conflict_do_update(index_elements=key, set_=changed)
    elif present == "add":
        changed = {name: table.c[name] + statement.excluded[name] for name in names if name not in key}
        statement = statement.on_conflict_do_update(index_elements=key, set_=changed)
    elif present == "keep":
        statement = statement.on_conflict_do_nothing(index_elements=key)
    if on_postgresql:
        connection.execute(statement, {"rows": json.dumps(rows, default=_as_bytea)})
    else:
        connection.execute(statement, rows)


def slices(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Cut keys into as many as one SELECT takes."""
    return (keys[start : start + SLICE] for start in range(0, len(keys), SLICE))


def _as_bytea(value: bytes) -> str:
    return f"\\x{value.hex()}"
