"""What `register` takes: a job as the entry describes it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from faxline.contract.entries import (
    CancelEntry,
    Entry,
    Priority,
    ResendEntry,
    SendEntry,
)
from faxline.contract.entry_members import milliseconds
from faxline_worker.state.scripts import LAYOUT

RANKS: Mapping[Priority, int] = {Priority.URGENT: 1, Priority.NORMAL: 2, Priority.BULK: 3}
"""A job's place is its rank, then its age; rank 0 stays free for calls that go ahead of all."""
UNNAMED = "unnamed"
"""Who gave an order that names nobody."""
LAYOUT_TEXT = "{}.{}".format(*LAYOUT)
# json.dumps would make an encoder for each text.
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
COVER = ("templateId", "smartDocumentId", "subject", "from_name", "to_name", "message")
"""Members of a request that may add a cover page."""


def job_of(item: Mapping[str, Any]) -> str:
    """The id of the job that an item is about."""
    rejected = item.get("reject")
    return str(rejected["job"] if rejected else item["jobs"][0]["id"])


def fields_of(entry: SendEntry | ResendEntry, values: Mapping[str, Any]) -> dict[str, str]:
    """What a job's record has of its entry: texts, and only what is given."""
    fields = {name: str(value) for name, value in values.items() if value is not None}
    fields["v"], fields["priority"] = LAYOUT_TEXT, str(entry.priority)
    if entry.metadata:
        fields["metadata"] = COMPACT(entry.metadata)
    return fields


def job_item(
    name: str, content: str, entry: SendEntry | ResendEntry, fields: Mapping[str, str]
) -> dict[str, Any]:
    """One job of an item."""
    return {"id": name, "digest": content, "rank": RANKS[entry.priority], "fields": fields}


def who_of(entry: CancelEntry | ResendEntry) -> str:
    """Who gave an order, for the audit."""
    return entry.by or entry.user or UNNAMED


def milliseconds_of(moment: datetime | None) -> int | None:
    """Milliseconds since 1970; None where there is no moment."""
    return milliseconds(moment) if moment else None


def group_of(entry: Entry | None, named: str | None = None) -> dict[str, Any]:
    """The group of an entry and its size; of one that could not be read, the one that it named."""
    if not isinstance(entry, SendEntry):
        return {"group": named} if named else {}
    told = {"group": entry.group, "size": entry.group_size if entry.group else None}
    return {name: value for name, value in told.items() if value is not None}
