"""Finds the leaves of a fax, and refuses when the database's columns say something else than the leaves.

The row of a fax, from which its report is drawn, is what its leaves made of it. So it is made once more from
them, by the writer's own functions, and compared.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, RowMapping, or_, select

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.events import EventName
from faxline_archive.entries import Entry, read_entry
from faxline_archive.faxes import NO_CHANGE, Row, advance, begin
from faxline_archive.leaves import text_hash
from faxline_archive.privacy import NUMBER, Privacy
from faxline_archive.records import Record
from faxline_archive.schema import EVENTS, REJECTED, entries, faxes
from faxline_archive.tree_heads import ArchiveAltered

_OUTCOME = frozenset({"state", "stage", "reason", "code", "message", "ended_at"})
_NOT_COMPARED = frozenset({"account", "job", "reuse", "private", "key_id", "terms", "to_index", "from_index"})


def leaves_of(connection: Connection, fax: RowMapping, privacy: Privacy) -> list[RowMapping]:
    """The rows of a fax's leaves, in their order: of the last fax with its id.

    Between its first and its last leaf the bodies are searched, not only the column `job`.

    Args:
        connection: of either database.
        fax: the row of the fax.
        privacy: the account's.

    Raises:
        ArchiveAltered: a leaf's body is gone although the fax is not, or its columns say something else.
    """
    account, job = fax["account"], fax["job"]
    named = _rows(connection, account, entries.c.job == job)
    first = _beginning(named, fax, privacy)
    own = [row for row in named if _is_own(row, fax, first)]
    names = (fax["last_event"], f"{fax['last_event']}/2")
    last = _rows(connection, account, (entries.c.stream == EVENTS) & entries.c.entry_id.in_(names))
    if not own:
        return own
    places = [row["leaf"] for row in (*own, *last)]
    about = or_(entries.c.job == job, entries.c.body.contains(f'"job":"{job}"', autoescape=True))
    found = _rows(connection, account, entries.c.leaf.between(min(places), max(places)) & about)
    found = [row for row in found if row["job"] == job or _fields(row).get("job") == job]
    found = [row for row in found if _is_own(row, fax, first)]
    if not any(row["entry_id"] in names for row in found):
        raise _altered(fax, "its last entry is gone")
    for row in found:
        if row["body"] is None or row["job"] != job or _fields(row).get("job") != job:
            raise _altered(fax, f"entry {row['leaf']} is not as it was archived")
    return found


def events_of(connection: Connection, fax: RowMapping, privacy: Privacy) -> list[RowMapping]:
    """The rows of a fax's events, to be shown: of the last fax with its id, by the column `job` alone.

    Raises:
        ArchiveAltered: the private part of one is not the one to which its leaf commits.
    """
    named = _rows(connection, fax["account"], (entries.c.job == fax["job"]) & (entries.c.stream == EVENTS))
    first = _beginning(named, fax, privacy)
    return [row for row in named if _is_own(row, fax, first) and row["body"] is not None]


def _beginning(named: list[RowMapping], fax: RowMapping, privacy: Privacy) -> int:
    """The leaf by which the last fax with an id began, among the leaves of that id: it says so."""
    events = [row for row in named if _is_event(row)]
    if fax["reuse"]:
        events = [row for row in events if row["at"] >= fax["queued_at"]]
    for row in reversed(events):
        if row["body"] and "fax" in json.loads(private_of(row, privacy) or "{}"):
            return int(row["leaf"])
    # The leaf is past its retention or sealed with a key that is not there.
    if not fax["reuse"]:
        return 0
    return int(events[0]["leaf"]) if events else sys.maxsize


def _is_own(row: RowMapping, fax: RowMapping, first: int) -> bool:
    """Whether a leaf with an id is of the last fax with it, which began with the leaf `first`.

    The archive may read the audit ahead of the events, so what the audit has goes by its time: but for the
    first fax with an id nothing that came later is another one's, wherever Redis' clock went.
    """
    later = bool(row["leaf"] >= first)
    if _is_event(row):
        return later
    return bool(row["at"] >= fax["queued_at"]) or (later and not fax["reuse"])


def private_of(row: RowMapping, privacy: Privacy) -> str | None:
    """The private part of a leaf; None if it has none, or if the key is missing.

    Raises:
        ArchiveAltered: it is not the one to which the leaf commits.
    """
    told = json.loads(row["body"] or "{}").get("private")
    text: str | None = None
    try:
        if row["private"] is not None:
            place = ("entry", row["stream"], row["entry_id"])
            text = privacy.open(row["private"], row["key_id"], *place)
    except KeyMissing:
        return None
    except SealBroken:
        text = None
    if told != (None if text is None else text_hash(text)):
        raise ArchiveAltered(
            f"what entry {row['leaf']} of account {row['account']} commits to was changed in the database. "
            "Restore it from a backup, and compare their checkpoints"
        )
    return text


def check_fax(
    fax: RowMapping, rows: Sequence[RowMapping], private: Mapping[str, Any], privacy: Privacy
) -> None:
    """Compare the row of a fax, from which its report is drawn, with what its leaves made of it.

    Where the leaf by which it began is past its retention, or cannot be opened, what the others tell is
    compared.

    Args:
        fax: the row of the fax.
        rows: the leaves, as `leaves_of` found them.
        private: the private part of the fax, as far as it can be opened.
        privacy: the account's.

    Raises:
        ArchiveAltered: they differ.
    """
    events = [(_entry(row), json.loads(private_of(row, privacy) or "{}")) for row in rows if _is_event(row)]
    begins = [number for number, (_, told) in enumerate(events) if "fax" in told]
    if begins:
        made = _made_of(events[begins[-1] :])
        wrong = [name for name, value in made.items() if name not in _NOT_COMPARED and fax[name] != value]
        wrong += _wrong_private(fax, json.loads(made["private"] or "{}"), private, privacy)
    else:
        made = _told_by([entry for entry, _ in events], rejected=fax["state"] == REJECTED)
        wrong = [name for name, value in made.items() if fax[name] != value]
    if wrong:
        raise _altered(fax, f"its {', '.join(sorted(wrong))} differ from what its entries tell")


def _made_of(events: Sequence[tuple[Entry, Mapping[str, Any]]]) -> Row:
    """The row that the leaves of a fax make, from the first one on, with nothing sealed."""
    plain = Privacy(None, events[0][0].account)
    row = begin(events[0][0], None, Record.of_private(events[0][1]), plain)
    for entry, told in events:
        advance(row, entry, told.get("receipt"), plain)
    return row


def _told_by(events: Sequence[Entry], *, rejected: bool) -> Row:
    """What leaves tell of a fax whose first ones are gone: its last outcome, and what they add up to."""
    row: Row = dict.fromkeys(column.name for column in faxes.columns)
    row |= {"attempt": 0, "submissions": 0, "deliveries": 0}
    for entry in events:
        if row["state"] is not None or rejected or entry.kind not in NO_CHANGE | {EventName.REJECTED}:
            advance(row, entry, None, Privacy(None, entry.account))
        else:
            row |= {"last_event": entry.name, "updated_at": entry.at}
    del row["submissions"]
    known = _OUTCOME if row["state"] is not None else frozenset()
    return {name: value for name, value in row.items() if value or name in known}


def _wrong_private(
    fax: RowMapping, made: Mapping[str, Any], private: Mapping[str, Any], privacy: Privacy
) -> list[str]:
    """What differs in the private part of a row, or in the columns by which its numbers are found."""
    if not private:
        return []  # it was sealed with a key that is not there
    wrong = [name for name in ("to", "from", "metadata") if private.get(name) not in (None, made.get(name))]
    if not private.get("receipts", {}).items() <= made.get("receipts", {}).items():
        wrong.append("receipts")
    for column, name in (("to_index", "to"), ("from_index", "from")):
        if private.get(name) and fax[column] not in privacy.lookups(NUMBER, private[name]):
            wrong.append(column)
    return wrong


def _rows(connection: Connection, account: str, where: Any) -> list[RowMapping]:
    asked = select(entries).where(entries.c.account == account, where).order_by(entries.c.leaf)
    return list(connection.execute(asked).mappings().all())


def _is_event(row: RowMapping) -> bool:
    return bool(row["stream"] == EVENTS)


def _entry(row: RowMapping) -> Entry:
    entry, _, nth = row["entry_id"].partition("/")
    return replace(read_entry(row["account"], EVENTS, entry, _fields(row)), nth=int(nth or 1))


def _fields(row: RowMapping) -> dict[str, Any]:
    try:
        found = json.loads(row["body"] or "{}").get("fields")
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _altered(fax: RowMapping, what: str) -> ArchiveAltered:
    return ArchiveAltered(
        f"fax {fax['job']} of account {fax['account']} was changed in the database: {what}. Restore it from "
        "a backup, and compare their checkpoints"
    )
