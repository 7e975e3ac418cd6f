"""Counts faxes by the values of a member of the metadata: whole days from their sums, the rest by fax."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, and_, select

from faxline_archive.leaves import canonical_json
from faxline_archive.privacy import Privacy
from faxline_archive.schema import DIGEST, fax_metadata, faxes
from faxline_archive.search import fax_of, key_of
from faxline_archive.sums import COUNTS, DAY, MINUTE, Piece
from faxline_archive.usage_rows import ChosenFaxes, sums_of

Counts = tuple[int, int, int, int]
_DAY = DAY * MINUTE


def by_member(
    connection: Connection, chosen: ChosenFaxes, key: str, privacy_of: Callable[[str], Privacy]
) -> list[tuple[str, Counts]]:
    """Count by the values of a member; the faxes without it have the key ""."""
    values: dict[tuple[str, str], list[int]] = {}
    for piece in chosen.pieces([DAY]):
        of_piece = _of_days if piece.minutes else _by_fax
        for account, value, counts in of_piece(connection, chosen, key_of(key), piece):
            so_far = values.get((account, value), [0] * len(COUNTS))
            values[account, value] = [sum(both) for both in zip(so_far, counts, strict=True)]
    total = integers(connection.execute(select(*sums_of(chosen.sums()))).one())
    have = [sum(counts) for counts in zip(*values.values(), strict=True)] or [0] * len(COUNTS)
    without = integers(count - other for count, other in zip(total, have, strict=True))
    found = [
        (_text_of(connection, account, key, value, privacy_of(account)), integers(counts))
        for (account, value), counts in values.items()
    ]
    return [*found, ("", without)] if without[0] else found


def integers(counts: Iterable[Any]) -> Counts:
    """COUNTS as the database gave them, null where there was nothing to add up."""
    faxes_, delivered, failed, pages = (int(count or 0) for count in counts)
    return faxes_, delivered, failed, pages


def _of_days(
    connection: Connection, chosen: ChosenFaxes, key: str, piece: Piece
) -> Iterator[tuple[str, str, Iterable[int]]]:
    """Account, value and counts. Days on which an account has no sums are counted by fax, in runs."""
    rows = connection.execute(chosen.by_value_of_days(key, piece)).all()
    many = {row.number for row in rows if row.sums is None}
    for row in rows:
        if row.number not in many:
            yield from ((row.account, value, counts) for value, counts in json.loads(row.sums).items())
    for by_fax, run in groupby((row.number for row in rows), many.__contains__):
        if by_fax:
            days = list(run)
            yield from _by_fax(connection, chosen, key, Piece(0, days[0] * _DAY, (days[-1] + 1) * _DAY))


def _by_fax(
    connection: Connection, chosen: ChosenFaxes, key: str, piece: Piece
) -> Iterator[tuple[str, str, Iterable[int]]]:
    for value, state, account, count, pages in connection.execute(chosen.by_value(key, piece)):
        yield account, value, (count, count * (state == "delivered"), count * (state == "failed"), pages or 0)


def _text_of(connection: Connection, account: str, key: str, stored: str, privacy: Privacy) -> str:
    """What a stored value says. Of one that is stored as a hash (privacy.py), a fax that has it tells."""
    if len(stored) != DIGEST and not stored.startswith("sha256:"):
        return stored
    same = and_(*(fax_metadata.c[name] == faxes.c[name] for name in ("account", "job", "reuse")))
    place = {"account": account, "key": key_of(key), "value": stored}
    has_it = and_(*(fax_metadata.c[name] == value for name, value in place.items()))
    row = connection.execute(select(faxes).join(fax_metadata, same).where(has_it).limit(1)).mappings().first()
    told = fax_of(row, privacy).metadata.get(key, stored) if row is not None else stored
    return told if isinstance(told, str) else canonical_json(told)
