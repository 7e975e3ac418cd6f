"""The items of the script `register`: jobs as their entries describe them."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from faxline.contract.choices import Priority
from faxline.contract.entries import CancelEntry, Entry, ResendEntry, SendEntry
from faxline.contract.entry_members import milliseconds
from faxline.contract.texts import clean_actor
from faxline_worker.state.scripts import LAYOUT

RANKS: Mapping[Priority, int] = {Priority.URGENT: 1, Priority.NORMAL: 2, Priority.BULK: 3}
"""Jobs are ordered by rank, then by age. Rank 0 is reserved for calls that go ahead of every fax."""
UNNAMED = "unnamed"
"""The actor in the audit if an order names nobody."""
LAYOUT_TEXT = "{}.{}".format(*LAYOUT)
# json.dumps would build an encoder for each call.
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
COVER = ("templateId", "smartDocumentId", "subject", "from_name", "to_name", "message")
"""Members of a request that may add a cover page."""


def job_of(item: Mapping[str, Any]) -> str:
    """The id of an item's first job."""
    rejected = item.get("reject")
    return str(rejected["job"] if rejected else item["jobs"][0]["id"])


def fields_of(entry: SendEntry | ResendEntry, values: Mapping[str, Any]) -> dict[str, str]:
    """The fields that a job's record takes from its entry, as texts. Members without a value are left out."""
    fields = {name: str(value) for name, value in values.items() if value is not None}
    fields["v"], fields["priority"] = LAYOUT_TEXT, str(entry.priority)
    if entry.metadata:
        fields["metadata"] = COMPACT(entry.metadata)
    return fields


def job_item(
    name: str, content: str, entry: SendEntry | ResendEntry, fields: Mapping[str, str]
) -> dict[str, Any]:
    """Build one job of an item.

    Args:
        name: the job's id.
        content: the digest of the entry's content, by which a repeat is recognised.
        entry: the entry.
        fields: the fields of the job's record.
    """
    return {"id": name, "digest": content, "rank": RANKS[entry.priority], "fields": fields}


def who_of(entry: CancelEntry | ResendEntry) -> str:
    """The name of whoever gave an order, for the audit."""
    return entry.by or entry.user or UNNAMED


def order_of(entry: SendEntry | ResendEntry) -> dict[str, Any]:
    """The member of an item that says whose order it is. Only a resend is one."""
    if isinstance(entry, SendEntry):
        return {}
    by = clean_actor(entry.user, entry.by)
    return {"order": {"who": who_of(entry), "user": entry.user or "", **({"by": by} if by else {})}}


def milliseconds_of(moment: datetime | None) -> int | None:
    """Milliseconds since 1970; None if there is no moment."""
    return milliseconds(moment) if moment else None


def group_of(entry: Entry | None, named: str | None = None) -> dict[str, Any]:
    """The group of an entry, and its size.

    Args:
        entry: the entry; None if it could not be parsed.
        named: the group that an unparsed entry names, if any.
    """
    if not isinstance(entry, SendEntry):
        return {"group": named} if named else {}
    members = {"group": entry.group, "size": entry.group_size if entry.group else None}
    return {name: value for name, value in members.items() if value is not None}
