"""Finds the leaves of a fax, and refuses when the database's columns say something else than the leaves."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, or_, select

from faxline.contract.events import EventName
from faxline_archive.faxes import fits
from faxline_archive.schema import EVENTS, entries
from faxline_archive.tree_heads import ArchiveAltered

_TOLD = {"pages": "pages", "transferred": "transferred", "jobId": "job_id", "receipt": "receipt"}
_NO_STATE = {EventName.DUPLICATE, EventName.CANCEL_REFUSED, EventName.RECEIVED, EventName.REJECTED}


def leaves_of(connection: Connection, fax: RowMapping) -> list[RowMapping]:
    """The rows of a fax's leaves, in their order.

    Between its first and its last leaf the bodies are searched, not only the column `job`.

    Args:
        connection: of either database.
        fax: the row of the fax.

    Raises:
        ArchiveAltered: a leaf's body is gone although the fax is not, or its columns say something else.
    """
    account, job = fax["account"], fax["job"]
    own = _rows(connection, account, entries.c.job == job)
    began = [number for number, row in enumerate(own) if row["kind"] == EventName.QUEUED]
    own = own[began[-1] :] if began and fax["reuse"] else own
    names = (fax["last_event"], f"{fax['last_event']}/2")
    last = _rows(connection, account, (entries.c.stream == EVENTS) & entries.c.entry_id.in_(names))
    if not own:
        return own
    places = [row["leaf"] for row in (*own, *last)]
    about = or_(entries.c.job == job, entries.c.body.contains(f'"job":"{job}"', autoescape=True))
    found = _rows(connection, account, entries.c.leaf.between(min(places), max(places)) & about)
    found = [row for row in found if row["job"] == job or _fields(row).get("job") == job]
    if not any(row["entry_id"] in names for row in found):
        raise _altered(fax, "its last entry is gone")
    for row in found:
        if row["body"] is None or row["job"] != job or _fields(row).get("job") != job:
            raise _altered(fax, f"entry {row['leaf']} is not as it was archived")
    return found


def check_fax(fax: RowMapping, rows: Sequence[RowMapping]) -> None:
    """Compare the row of a fax, from which its report is drawn, with what its leaves tell.

    Args:
        fax: the row of the fax.
        rows: the leaves, as `leaves_of` found them.

    Raises:
        ArchiveAltered: they differ.
    """
    told: dict[str, Any] = {}
    for row in rows:
        fields = _fields(row)
        data = json.loads(fields.get("data") or "{}") if row["stream"] == EVENTS else {}
        if data.get("state") and fields.get("event") not in _NO_STATE:
            told |= {"state": data["state"], "reason": fits("reason", data.get("reason"))}
            told |= {ours: data[name] for name, ours in _TOLD.items() if data.get(name) is not None}
    wrong = [name for name, value in told.items() if fax[name] != fits(name, value)]
    if wrong:
        raise _altered(fax, f"its {', '.join(wrong)} differ from what its entries tell")


def check_numbers(fax: RowMapping, private: Mapping[str, Any], told: Sequence[bytes | None]) -> None:
    """Compare the numbers of a fax with those to which its leaves commit.

    Raises:
        ArchiveAltered: they differ.
    """
    for text in told:
        known = json.loads(text) if text is not None else {}
        if private and any(known.get(name) not in {None, private.get(name)} for name in ("to", "from")):
            raise _altered(fax, "its numbers are not those of its entries")


def _rows(connection: Connection, account: str, where: Any) -> list[RowMapping]:
    asked = select(entries).where(entries.c.account == account, where).order_by(entries.c.leaf)
    return list(connection.execute(asked).mappings().all())


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
