"""Intake: entries of an account's intake stream are checked and become what `register` takes."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from typing import Any, TypeVar

import redis
import structlog

from faxline.checks import check_send
from faxline.documents import digest
from faxline.entries import (
    IDENTIFIER,
    CancelEntry,
    Entry,
    Priority,
    ResendEntry,
    SealedEntry,
    SendEntry,
    open_entry,
    parse_entry,
)
from faxline.errors import EntryRejected, KeyMissing, Rejection, SealBroken
from faxline_worker.ifax.answers import clean_message
from faxline_worker.metrics import DispatcherMetrics
from faxline_worker.redis_clients import unserved
from faxline_worker.replies import Registration
from faxline_worker.scripts import LAYOUT
from faxline_worker.store import Store
from faxline_worker.stumbles import TRIES

_T = TypeVar("_T")

RANKS: Mapping[Priority, int] = {Priority.URGENT: 1, Priority.NORMAL: 2, Priority.BULK: 3}
"""A job's place is its rank, then its age; rank 0 stays free for calls that go ahead of all."""

LONGEST_ID = 128
LAYOUT_TEXT = "{}.{}".format(*LAYOUT)

SET_ASIDE = "set_aside"
"""The reason under which an entry that made our code raise, or whose key is missing, is counted."""
KEY_MISSING = "key_missing"
"""Why an entry is set aside whose content, or a document of which, is sealed by a key that is not here."""

COVER = ("templateId", "smartDocumentId", "subject", "from_name", "to_name", "message")
"""Members of a request that may add a cover page."""


@dataclass(frozen=True)
class Intake:
    """Takes the entries of one account."""

    store: Store
    metrics: DispatcherMetrics
    log: structlog.stdlib.BoundLogger
    caller_id: str | None = None
    """The account's own."""
    schedule: str = "provider"
    """Who keeps a fax until its send_at: provider (iFax) or local (we)."""
    hosts: tuple[str, ...] = ()
    """Those that a fileUrl may name; none is any."""
    early: dict[str, str] = field(default_factory=dict)
    """Cancellations, by their entries, of jobs that an older entry in other hands may make known."""

    def again(self) -> None:
        """Try the early cancellations once more.

        Raises:
            redis.RedisError: Redis is away or refuses us.
        """
        for entry, job in list(self.early.items()):
            self._guarded(entry, partial(self._cancel, entry, job))

    def take(self, entries: Sequence[tuple[str, Mapping[bytes, bytes]]]) -> None:
        """Register or reject each entry, in the order in which they came.

        An entry that makes our code raise is tried a few times and then set aside; those behind it go on.

        Raises:
            redis.RedisError: Redis is away or refuses us; what was not taken stays pending.
        """
        items: list[dict[str, Any]] = []
        for entry, fields in entries:
            item = self._guarded(entry, partial(self._read, entry, fields))
            if isinstance(item, CancelEntry):
                self._register(items)
                items = []
                self._guarded(entry, partial(self._cancel, entry, item.id))
            elif item is not None:
                items.append(item)
        self._register(items)

    def _guarded(self, entry: str, work: Callable[[], _T]) -> _T | None:
        """What the work gives; None once the entry was set aside."""
        for left in reversed(range(TRIES)):
            try:
                return work()
            except KeyMissing as error:  # an operator's fault, which can be mended: nothing is lost
                self._set_aside(entry, KEY_MISSING)
                self.log.error("key missing", entry=entry, error=str(error))  # noqa: TRY400 - it says all
                return None
            except Exception as error:
                if unserved(error):
                    raise
                why = type(error).__name__
                self.log.error("entry made our code raise", entry=entry, error=why)  # noqa: TRY400 - may quote
                if not left:
                    self._set_aside(entry, why)
        return None

    def _set_aside(self, entry: str, why: str) -> None:
        if self.store.set_aside("intake", entry, why):
            self.metrics.failure(self.store.account, "intake", None, SET_ASIDE)
            self.log.warning("entry set aside", entry=entry, reason=why)

    def _cancel(self, entry: str, job: str) -> None:
        result = self.store.cancel(entry, job)
        if result is Registration.EARLY:
            self.early[entry] = job
            return
        self.early.pop(entry, None)
        if result is Registration.CANCELED:
            self.metrics.outcome(self.store.account, "canceled")
        self.log.info("cancel", job=job, entry=entry, result=str(result))

    def _register(self, items: Sequence[dict[str, Any]]) -> None:
        if not items:
            return
        try:
            answers = self.store.register(items)
        except redis.ResponseError as error:
            if unserved(error):
                raise
            # One of them is at fault: find out which.
            for item in items:
                self._guarded(item["entry"], partial(self._register_one, item))
            return
        for item, (result, reason) in zip(items, answers, strict=True):
            self._tell(item, result, reason)

    def _register_one(self, item: dict[str, Any]) -> None:
        self._tell(item, *self.store.register([item])[0])

    def _tell(self, item: dict[str, Any], result: Registration, reason: str) -> None:
        rejected = item.get("reject")
        job = rejected["job"] if rejected else item["jobs"][0]["id"]
        line = {"job": job, "entry": item["entry"], "result": str(result)}
        if result is Registration.REJECTED:
            self.metrics.outcome(self.store.account, "rejected")
            self.metrics.failure(self.store.account, "intake", None, reason)
            member = rejected["member"] if rejected else None
            self.log.warning("entry rejected", **line, member=member, reason=reason)
        else:
            self.log.info("entry taken", **line)

    def _read(self, entry: str, fields: Mapping[bytes, bytes]) -> "dict[str, Any] | CancelEntry":
        kind, raw = next(iter(fields.items()), (b"", b""))
        name = kind.decode("utf-8", "replace")
        parsed: Entry | None = None
        try:
            parsed = parse_entry(name if len(fields) == 1 else "several fields", raw)
            if isinstance(parsed, CancelEntry):
                return parsed
            if isinstance(parsed, SealedEntry):
                parsed = open_entry(name, parsed, self.store.seals)
            jobs = self._resend(parsed) if isinstance(parsed, ResendEntry) else self._send(parsed)
        except EntryRejected as error:
            reject = {
                "job": _id_of(raw),
                "member": error.member,
                "reason": str(error.reason),
                "message": error.message,
            }
            item: dict[str, Any] = {"entry": entry, "reject": reject}
            if error.reason is Rejection.DOCUMENT_MISSING and isinstance(parsed, SendEntry):
                content = _digest_of(parsed)  # a repeat's document may have gone with its job
                item["unless"] = [{"id": job, "digest": content} for job in _names(parsed)]
            return item
        return {"entry": entry, "name": parsed.id, "jobs": jobs}

    def _send(self, entry: SendEntry) -> list[dict[str, Any]]:
        found: dict[str, bytes] = {}

        def document(name: str) -> bytes | None:
            if name not in found:
                try:
                    data = self.store.document(name)
                except SealBroken as error:
                    raise EntryRejected("fax.faxData", Rejection.BAD_DOCUMENT, str(error)) from None
                if data is None:
                    return None
                found[name] = data
            return found[name]

        pages = check_send(entry, document, self.hosts)
        fax = entry.fax.model_dump(mode="json", exclude_none=True)
        for file in fax["faxData"]:
            if "fileData" in file:  # stored once, as bytes
                data = base64.b64decode(file.pop("fileData"))
                file["document"] = digest(data)
                self.store.keep_document(file["document"], data)
        content = _digest_of(entry)
        send_at = entry.send_at
        if send_at and self.schedule == "local":
            del fax["send_at"]
        elif send_at:  # ifax-api, Request Parameters: UTC, as its sample has it
            utc = send_at.astimezone(UTC).isoformat(timespec="milliseconds")
            fax["send_at"] = utc.removesuffix("+00:00") + "Z"
        documents = [
            file["document"].removeprefix("sha256:") for file in fax["faxData"] if "document" in file
        ]
        numbers = fax["faxNumber"] if isinstance(fax["faxNumber"], list) else [fax["faxNumber"]]
        several = isinstance(fax["faxNumber"], list)
        jobs = []
        for name, number in zip(_names(entry), numbers, strict=True):
            values = {
                "kind": "send",
                "request": self.store.seals.request(
                    name, json.dumps(fax | {"faxNumber": number}, ensure_ascii=False)
                ),
                "number": number,
                "group": entry.id if several else entry.group,
                "expires_at": round(entry.expires.timestamp() * 1000) if entry.expires else None,
                "in_doubt": str(entry.in_doubt) if entry.in_doubt else None,
                "attempts": entry.attempts,
                "send_at": round(send_at.timestamp() * 1000) if send_at else None,
                "schedule": self.schedule if send_at else None,
                "documents": ",".join(dict.fromkeys(documents)) or None,
                # What a receipt without a known jobId is held against, should the job come in doubt.
                "sender": fax.get("callerId") or self.caller_id,
                "known_pages": None if any("fileUrl" in file for file in fax["faxData"]) else pages,
                "cover": "1" if any(fax.get(member) for member in COVER) else None,
            }
            jobs.append(_job(name, content, entry, values))
        return jobs

    def _resend(self, entry: ResendEntry) -> list[dict[str, Any]]:
        values = {"kind": "resend", "number": entry.faxNumber, "of": entry.of}
        return [_job(entry.id, _digest_of(entry), entry, values) | {"of": entry.of}]


def _job(
    name: str, content: str, entry: SendEntry | ResendEntry, values: Mapping[str, Any]
) -> dict[str, Any]:
    fields: dict[str, Any] = {"v": LAYOUT_TEXT, "priority": str(entry.priority), **values}
    if entry.metadata:
        fields["metadata"] = json.dumps(entry.metadata, ensure_ascii=False, separators=(",", ":"))
    kept = {key: str(value) for key, value in fields.items() if value is not None}
    return {"id": name, "digest": content, "rank": RANKS[entry.priority], "fields": kept}


def _names(entry: SendEntry) -> list[str]:
    """The ids of an entry's jobs."""
    numbers = entry.fax.faxNumber
    if not isinstance(numbers, list):
        return [entry.id]
    return [f"{entry.id}.{i}" for i in range(1, len(numbers) + 1)]


def _digest_of(entry: SendEntry | ResendEntry) -> str:
    """What tells a repeat from an id that is used again: the same for a sealed entry and one in clear."""
    content = entry.model_dump(mode="json", exclude_none=isinstance(entry, SendEntry))
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _id_of(raw: bytes) -> str:
    """The id that a rejected entry gave; a text that is none may be anything, so without phone numbers."""
    try:
        value = json.loads(raw)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    if not isinstance(value, str):
        return ""
    return value if IDENTIFIER.fullmatch(value) else clean_message(value)[:LONGEST_ID]
