"""List, redrive and drop the entries and receipts that were set aside."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from faxline.contract.errors import (
    EntryNotFound,
)
from faxline.contract.orders import MOST_DIGITS, Order
from faxline.operating.orders import issue_order
from faxline.steps.commands import Command, Context, Steps

_PAGE = 10
"""How many entries to take in one read. They come with their content, which may have megabytes."""
_ABOUT = 3
"""The number of fields about the entry (stream, entry, why). The fields of the entry itself follow."""
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_KINDS = frozenset({b"send", b"cancel", b"resend"})
_WORD = re.compile(r"[A-Za-z][A-Za-z _-]{0,31}")
"""A faxStatus that may be shown: no number, and no control characters for a terminal."""


@dataclass(frozen=True, slots=True)
class DeadEntry:
    """An entry that was set aside: what is known about it, but not its content.

    Example:
        >>> for entry in line.dead():
        ...     line.redrive(entry.id, by="alice")

    Attributes:
        id: its id among the entries set aside, for `redrive` and `drop`.
        stream: the stream that it came from: intake, or status for a receipt.
        entry: its id on that stream.
        why: malformed, unknown_status, or the name of the error that our code raised.
        at: when it was set aside.
        size: bytes of its content.
        kind: send, cancel, resend, receipt or malformed; other if unknown.
        job: the id of the job that an intake entry names.
        job_id: iFax's jobId that a receipt names.
        word: the faxStatus of a receipt, if it is a plain word.
    """

    id: str
    stream: str
    entry: str
    why: str
    at: datetime
    size: int
    kind: str = "other"
    job: str | None = None
    job_id: int | None = None
    word: str | None = None

    @classmethod
    def from_entry(cls, entry: bytes, fields: dict[bytes, bytes]) -> "DeadEntry":
        """Read what the daemon keeps."""
        stream, origin, why = (value.decode("utf-8", "replace") for value in list(fields.values())[:_ABOUT])
        own = dict(list(fields.items())[_ABOUT:])
        return cls(
            id=entry.decode(),
            stream=stream,
            entry=origin,
            why=why,
            at=datetime.fromtimestamp(int(entry.partition(b"-")[0]) / 1000, tz=UTC),
            size=sum(len(name) + len(value) for name, value in own.items()),
            **(_describe_receipt(own) if stream == "status" else _describe_entry(own)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline dead --json`."""
        return {
            "id": self.id,
            "stream": self.stream,
            "entry": self.entry,
            "why": self.why,
            "at": self.at.isoformat(),
            "size": self.size,
            "kind": self.kind,
            "job": self.job,
            "jobId": self.job_id,
            "word": self.word,
        }


def _describe_entry(own: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Describe an intake entry: its kind and the id of its job."""
    kind, raw = next(iter(own.items()), (b"", b""))
    job = _json(raw).get("id")
    return {
        "kind": kind.decode() if kind in _KINDS else "other",
        "job": job if isinstance(job, str) and _ID.fullmatch(job) else None,
    }


def _describe_receipt(own: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Describe a webhook: its kind, jobId and faxStatus."""
    body = _json(own.get(b"body", b""))
    fax = body["data"] if isinstance(body.get("data"), dict) else body
    job_id, word = str(fax.get("jobId")), fax.get("faxStatus")
    is_one = job_id.isascii() and job_id.isdigit() and len(job_id) <= MOST_DIGITS
    kind = own.get(b"kind", b"")
    return {
        "kind": kind.decode() if kind in {b"receipt", b"malformed"} else "other",
        "job_id": int(job_id) if is_one else None,
        "word": word if isinstance(word, str) and _WORD.fullmatch(word) else None,
    }


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_dead_entries(context: Context, limit: int) -> Steps[list[DeadEntry]]:
    """Read the entries that were set aside, the newest first."""
    if limit < 1:
        raise ValueError("the limit is 1 or more")
    found: list[DeadEntry] = []
    before = "+"
    while len(found) < limit:
        count = min(_PAGE, limit - len(found))
        entries = yield Command(partial(_dead_page, key=context.keys.dead, before=before, count=count))
        if not entries:
            break
        found += [DeadEntry.from_entry(entry, fields) for entry, fields in entries]
        before = "(" + found[-1].id
    return found


def _dead_page(client: Any, *, key: str, before: str, count: int) -> Any:
    return client.xrevrange(key, before, "-", count=count)


def drop(context: Context, entry: str, by: str, timeout: float) -> Steps[None]:
    """Delete an entry."""
    if (yield from issue_order(context, Order.DROP, by, timeout, entry=entry))["result"] == "refused":
        raise EntryNotFound(f"no entry {entry!r} is set aside on account {context.account!r}")


def redrive(context: Context, entry: str, by: str, timeout: float) -> Steps[None]:
    """Put an entry back on its stream."""
    if (yield from issue_order(context, Order.REDRIVE, by, timeout, entry=entry))["result"] == "refused":
        raise EntryNotFound(f"no entry {entry!r} is set aside on account {context.account!r}")
