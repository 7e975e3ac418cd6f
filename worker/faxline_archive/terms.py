"""The terms of a fax: what it is found by where several things must hold at once, on PostgreSQL.

A term is a number that stands for one thing, such as a member of the metadata with its value: the first eight
bytes of a SHA-256. An inverted index (GIN) has for each term the faxes that have it, and intersects these
lists. So a search by two things
that many faxes have, and hardly any has both, reads no fax in vain (intersection.py).

Two things have the same term once in 2^64 pairs.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

MEMBER = "member"
COLUMNS = ("to_index", "from_index", "group_name", "state", "reason")
"""The columns of `faxes` that have a term each."""


def term(account: str, what: str, value: str, key: str = "") -> int:
    """The term of one thing.

    Args:
        account: whose faxes.
        what: one of COLUMNS, or MEMBER.
        value: as the database has it, without a line end.
        key: of a member of the metadata.

    Example:
        >>> term("default", "state", "failed")
        -2607098346091951681
    """
    text = f"{account}\n{what}\n{key}\n{value}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)


def lasting_terms(row: Mapping[str, Any], members: Iterable[Mapping[str, Any]]) -> list[int]:
    """The terms of a fax that no event changes: those of its metadata.

    Args:
        row: of the table `faxes`.
        members: its rows of `fax_metadata`.
    """
    return [term(row["account"], MEMBER, member["value"], member["key"]) for member in members]


def with_terms(row: Mapping[str, Any], *, has_terms: bool) -> dict[str, Any]:
    """A row as it is stored: the terms of its columns beside the lasting ones, if the database has any."""
    return {**row, "terms": [*(row["terms"] or ()), *_column_terms(row)] if has_terms else None}


def without_column_terms(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored row before its columns change: with the lasting terms alone."""
    old = set(_column_terms(row))
    return {**row, "terms": [found for found in row["terms"] or () if found not in old]}


def _column_terms(row: Mapping[str, Any]) -> list[int]:
    return [term(row["account"], name, row[name]) for name in COLUMNS if row[name] is not None]
