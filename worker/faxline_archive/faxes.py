"""The row of a fax: what each event and the job's record change in it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import BigInteger

from faxline.contract.events import EventName
from faxline.contract.phone_numbers import number_in
from faxline.contract.states import FINAL_STATES, JobState
from faxline_archive.entries import Entry
from faxline_archive.leaves import canonical_json
from faxline_archive.members import member_text
from faxline_archive.privacy import NUMBER, Privacy, member
from faxline_archive.records import Record, load_json, plain
from faxline_archive.schema import JOB, REJECTED, faxes

Row = dict[str, Any]
"""The columns of a row."""
NO_CHANGE = frozenset({EventName.DUPLICATE, EventName.CANCEL_REFUSED, EventName.RECEIVED})
"""The events that leave a fax as it was."""
_CAUSE = ("reason", "code", "message", "stage")
_MEASURES = {
    "pages": "pages",
    "transferred": "transferred",
    "partial": "partial",
    "charged": "charged",
    "jobId": "job_id",
    "delivery": "deliveries",
    "send_at": "send_at",
    "receipt": "receipt",
    "call_started_at": "call_started_at",
    "call_ended_at": "call_ended_at",
}
"""Members of events that become columns as they are, where an event has them."""
_LONGEST = {column.name: getattr(column.type, "length", None) for column in faxes.columns}
_KINDS = {column.name: column.type.python_type for column in faxes.columns}
_INTEGERS = {column.name: 2**63 if isinstance(column.type, BigInteger) else 2**31 for column in faxes.columns}


def fits(column: str, value: Any) -> Any:
    """A value as the column can hold it: text is cut; what is of another kind or too large is left out."""
    if isinstance(value, str) and _KINDS[column] is str:
        return plain(value)[: _LONGEST[column]]
    if type(value) is not _KINDS[column]:
        return None
    return None if _KINDS[column] is int and abs(value) >= _INTEGERS[column] else value


def begins_anew(event: Entry, row: Row | None, record: Record | None, gap: Callable[[], bool]) -> bool:
    """Whether an event begins another fax, under an id that may have been used before.

    Where nothing shows that it is about the fax of the row, it begins another one, whose first events are
    missing: no fax may have what another one did.

    Args:
        event: the event.
        row: the last fax with its id, if there is one.
        record: the job's record, if it is there and not that of a later fax.
        gap: asks whether events are missing after the row's last one.
    """
    if event.kind in NO_CHANGE:
        return False
    if event.kind == EventName.REJECTED:  # while a fax has the id, an entry with it is rejected
        return row is None and record is None
    return row is None or row["state"] == REJECTED or _is_of_another(event, row, record, gap)


def _is_of_another(event: Entry, row: Row, record: Record | None, gap: Callable[[], bool]) -> bool:
    created_at = record.created_at if record is not None else None
    if event.kind == EventName.QUEUED or created_at == row["queued_at"]:
        return bool(created_at != row["queued_at"])
    if created_at is not None:  # Redis had lost the record of a fax under way, and made another one
        return row["state"] in FINAL_STATES or gap()
    if row["state"] in FINAL_STATES and row["state"] != JobState.UNCONFIRMED:
        return True
    return (row["job_id"] is None or event.data.get("jobId") != row["job_id"]) and gap()


def begin(event: Entry, before: Row | None, record: Record, privacy: Privacy) -> Row:
    """Make the row of a fax that is seen for the first time.

    Args:
        event: the event by which it is seen.
        before: the row of the fax that had the id before, if any.
        record: what the job's record tells; an empty one if it is gone.
        privacy: seals what the row has about people.
    """
    row: Row = dict.fromkeys(column.name for column in faxes.columns)
    row |= {"account": event.account, "job": event.job, "attempt": 0, "submissions": 0, "deliveries": 0}
    row |= {"queued_at": record.created_at or event.at, "send_at": record.send_at}
    row["reuse"] = before["reuse"] + 1 if before is not None else 0
    told = {
        "kind": record.kind,
        "resend_of": record.of,
        "group_name": record.group,
        "priority": record.priority,
        "documents": json.dumps(record.documents) if record.documents else None,
        "to_index": privacy.index(NUMBER, record.to) if record.to else None,
        "from_index": privacy.index(NUMBER, record.sender) if record.sender else None,
    }
    row |= {name: fits(name, value) for name, value in told.items()}
    keep(row, {"to": record.to, "from": record.sender, "metadata": dict(record.metadata)}, privacy)
    return row


def place(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the row's private text belongs: it opens for this fax only."""
    return ("fax", str(row["job"]), str(row["reuse"]))


def keep(row: Row, private: Mapping[str, Any], privacy: Privacy) -> None:
    """Seal the private part into a row: `to`, `from`, `metadata`, and `receipts` by their SHA-256."""
    told = {name: value for name, value in private.items() if value}
    row["private"] = privacy.seal(canonical_json(told), *place(row)) if told else None
    row["key_id"] = privacy.key_id if told else None


def kept(row: Row, privacy: Privacy) -> dict[str, Any]:
    """Open the private part of a row.

    Raises:
        KeyMissing: it is sealed with a key that is not on the keyring.
        SealBroken: it was changed.
    """
    if row["private"] is None:
        return {}
    found: dict[str, Any] = json.loads(privacy.open(row["private"], row["key_id"], *place(row)))
    return found


def index_again(row: Row, privacy: Privacy) -> Mapping[str, Any]:
    """Have the current key find the numbers of a row that it sealed again. Returns the metadata.

    Raises:
        KeyMissing, SealBroken: as `kept`.
    """
    private = kept(row, privacy)
    for column, name in (("to_index", "to"), ("from_index", "from")):
        row[column] = privacy.index(NUMBER, private[name]) if name in private else None
    metadata: Mapping[str, Any] = private.get("metadata", {})
    return metadata


def advance(row: Row, event: Entry, receipt: str | None, privacy: Privacy) -> None:
    """Apply an event to the row.

    Args:
        row: is changed.
        event: what happened.
        receipt: the receipt that it names, if the record had it.
        privacy: seals the receipt.
    """
    name, at, data = event.kind, event.at, event.data
    fresh = row["state"] is None
    row["last_event"], row["updated_at"] = event.name, at
    state = fits("state", data.get("state"))
    if fresh or (state and name not in NO_CHANGE | {EventName.REJECTED}):
        row["state"] = state or REJECTED
        row["attempt"] = fits("attempt", data.get("attempt")) or row["attempt"]
        row |= {column: fits(column, data[column]) if column in data else None for column in _CAUSE}
        row["ended_at"] = at if row["state"] in {*FINAL_STATES, REJECTED} else None
        measures = {_MEASURES[name]: value for name, value in data.items() if name in _MEASURES}
        row |= {
            column: found for column, value in measures.items() if (found := fits(column, value)) is not None
        }
    if name == EventName.SUBMITTED:
        row["submissions"] += 1
        row["submitted_at"] = at
    if documents := data.get("documents"):
        row["documents"] = json.dumps(documents)
    if receipt is not None and event.receipt is not None:
        private = kept(row, privacy)
        private["receipts"] = {**private.get("receipts", {}), event.receipt: receipt}
        if "from" not in private and (sender := _sender_in(receipt)):
            private["from"], row["from_index"] = sender, privacy.index(NUMBER, sender)
        keep(row, private, privacy)


def _sender_in(receipt: str) -> str | None:
    """The number that iFax sent the fax from, where the request named none."""
    try:
        found = load_json(receipt)
    except ValueError:
        return None
    data = found.get("data", found) if isinstance(found, dict) else {}
    number = data.get("fromNumber") if isinstance(data, dict) else None
    return number_in(f"+{number.lstrip('+')}") if isinstance(number, str) else None


def metadata_rows(row: Row, metadata: Mapping[str, Any], privacy: Privacy) -> list[Row]:
    """The rows by which a fax is found by its metadata: one for each text, number and truth value."""
    found: dict[str, Row] = {}
    for key, value in metadata.items():
        if (text := member_text(value)) is not None:
            name = plain(key)[:JOB]
            found[name] = {
                "account": row["account"],
                "job": row["job"],
                "reuse": row["reuse"],
                "key": name,
                "value": privacy.index(member(name), text),
                "queued_at": row["queued_at"],
                "state": row["state"],
                "reason": row["reason"],
                "transferred": row["transferred"],
            }
    return list(found.values())
