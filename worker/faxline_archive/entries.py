"""The entries of the streams, as the archive takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faxline.contract.events import EventName
from faxline_archive.leaves import canonical_json, leaf_body, leaf_hash, private_part
from faxline_archive.privacy import Privacy
from faxline_archive.records import Record, load_json, plain
from faxline_archive.schema import AUDIT, EVENTS, JOB, STREAMS
from faxline_worker.state.archive_marks import Page

FORGET = "forget"
"""The order that the audit tells when a job or a number is to be erased."""
_KIND = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a stream.

    Attributes:
        account: whose it is.
        stream: events or audit.
        id: its id in the stream.
        at: its time in milliseconds.
        kind: the event's name, or what the audit tells.
        job: the id of the job; empty if it is about none.
        fields: its fields in Redis; an event's `data` without the metadata.
        data: what an event tells.
        metadata: the metadata that an event echoes.
        nth: how often Redis gave its id, with this entry: more than once where Redis and its clock went back.
    """

    account: str
    stream: str
    id: str
    at: int
    kind: str
    job: str
    fields: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    nth: int = 1

    @property
    def name(self) -> str:
        """The id under which it is stored, which no other entry of its stream has: ID, ID/2, and so on."""
        return self.id if self.nth == 1 else f"{self.id}/{self.nth}"

    @property
    def is_event(self) -> bool:
        """Whether it is an event, and not an entry of the audit."""
        return self.stream == EVENTS

    @property
    def forgets(self) -> bool:
        """Whether it tells that an operator ordered to erase a job or a number."""
        return self.stream == AUDIT and self.kind == FORGET

    @property
    def receipt(self) -> str | None:
        """The SHA-256 of the receipt that an event was caused by."""
        found = self.data.get("receipt")
        return found if isinstance(found, str) else None


def read_entries(account: str, page: Page) -> list[Entry]:
    """The entries of a page. An event whose data makes no sense keeps it as it is."""
    return [read_entry(account, page.stream, entry, fields) for entry, fields in page.entries]


def read_entry(account: str, stream: str, entry: str, fields: Mapping[str, str]) -> Entry:
    """An entry from its id and its fields, as Redis has them or as a leaf does."""
    kind = plain(fields.get("event" if stream == EVENTS else "what", ""))[:_KIND]
    at = int(fields["at"]) if fields.get("at", "").isdecimal() else int(entry.partition("-")[0])
    job = plain(fields.get("job", ""))[:JOB]
    if stream not in STREAMS or stream == AUDIT:
        return Entry(account, stream, entry, at, kind, job, fields)
    try:
        data = load_json(fields.get("data", ""))
    except ValueError:
        data = None
    if not isinstance(data, dict):
        return Entry(account, stream, entry, at, kind, job, fields)
    metadata = data.pop("metadata", None)
    return Entry(
        *(account, stream, entry, at, kind, job),
        fields={**fields, "data": canonical_json(data)},
        data=data,
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def leaf_row(
    entry: Entry, number: int, told: Record | None, receipt: str | None, privacy: Privacy
) -> dict[str, Any]:
    """The row of an entry in the table `entries`.

    Args:
        entry: the entry.
        number: the number of its leaf.
        told: what the leaf commits to besides, where the entry begins a fax; else None.
        receipt: the receipt that the event names, if it is known.
        privacy: seals the private part.
    """
    private = None
    if entry.job:
        about: dict[str, Any] = {}
        if told is not None:
            about = {"to": told.to, "from": told.sender, "metadata": dict(told.metadata)}
            about["fax"] = told.facts()
        about["receipt"] = receipt
        private = private_part({key: value for key, value in about.items() if value})
    body = leaf_body(entry.account, entry.stream, entry.name, entry.fields, private)
    return {
        "account": entry.account,
        "leaf": number,
        "stream": entry.stream,
        "entry_id": entry.name,
        "at": entry.at,
        "kind": entry.kind,
        "job": entry.job or None,
        "leaf_hash": leaf_hash(body),
        "body": body,
        "private": privacy.seal(private, "entry", entry.stream, entry.name) if private is not None else None,
        "key_id": privacy.key_id if private is not None else None,
    }


def says_the_same(entry: Entry, body: str | None) -> bool:
    """Whether a stored leaf is about this entry. Of an erased one nobody knows, so it counts as the same."""
    if body is None:
        return True
    fields: Any = load_json(body)["fields"]
    return bool(fields == dict(entry.fields))


NO_RECORD = frozenset({EventName.REJECTED, EventName.RECEIVED, EventName.CANCEL_REFUSED})
"""Events that may be about no job's record."""
