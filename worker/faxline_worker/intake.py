"""Intake: entries of an account's intake stream are checked and become what `register` takes."""

import base64
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from typing import Any, TypeVar

import redis
import structlog

from faxline.checks import REQUEST_BYTES, check_send
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

AT_ONCE = 100
"""Jobs that one call of `register` makes, and not many more: Redis serves nobody else meanwhile."""

_PYTHONS = logging.getLogger(__name__)
"""Knows whether the level is debug, which not every logger of structlog's can tell."""

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
# json.dumps would make an encoder for each text.

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
        with ExitStack() as stack:
            ahead = _Ahead(stack, self._register)
            items: list[dict[str, Any]] = []
            jobs = 0
            for entry, fields in entries:
                item = self._guarded(entry, partial(self._read, entry, fields))
                if isinstance(item, CancelEntry):
                    ahead.finish(items)
                    items, jobs = [], 0
                    self._guarded(entry, partial(self._cancel, entry, item.id))
                elif item is not None:
                    items.append(item)
                    jobs += len(item.get("jobs", "1"))
                    if jobs >= AT_ONCE:
                        ahead.begin(items)
                        items, jobs = [], 0
            ahead.finish(items)

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
        self._tell(items, answers)

    def _register_one(self, item: dict[str, Any]) -> None:
        self._tell([item], self.store.register([item]))

    def _tell(self, items: Sequence[dict[str, Any]], answers: Sequence[tuple[Registration, str]]) -> None:
        """A rejection has a line of its own; of what was taken each entry has one at the level debug only."""
        taken, each = Counter[str](), _PYTHONS.isEnabledFor(logging.DEBUG)
        for item, (result, reason) in zip(items, answers, strict=True):
            if result is Registration.REJECTED:
                self._tell_rejection(item, reason)
                continue
            taken[str(result)] += 1
            if each:
                self.log.debug("entry taken", job=_job_of(item), entry=item["entry"], result=str(result))
        for name, count in taken.items():
            self.log.info("entries taken", result=name, count=count)

    def _tell_rejection(self, item: dict[str, Any], reason: str) -> None:
        self.metrics.outcome(self.store.account, "rejected")
        self.metrics.failure(self.store.account, "intake", None, reason)
        line = {"job": _job_of(item), "entry": item["entry"], "result": str(Registration.REJECTED)}
        member = item["reject"]["member"] if "reject" in item else None
        self.log.warning("entry rejected", **line, member=member, reason=reason)

    def _read(self, entry: str, fields: Mapping[bytes, bytes]) -> "dict[str, Any] | CancelEntry":
        kind, raw = next(iter(fields.items()), (b"", b""))
        name = kind.decode("utf-8", "replace")
        parsed: Entry | None = None
        try:
            parsed = parse_entry(name if len(fields) == 1 else "several fields", raw)
            if isinstance(parsed, CancelEntry):
                return parsed
            written = len(raw)
            if isinstance(parsed, SealedEntry):
                parsed, written = open_entry(name, parsed, self.store.seals), REQUEST_BYTES
            jobs = self._resend(parsed) if isinstance(parsed, ResendEntry) else self._send(parsed, written)
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

    def _send(self, entry: SendEntry, written: int) -> list[dict[str, Any]]:
        found: dict[str, bytes] = {}

        def document(name: str) -> bytes | None:
            if name not in found:
                try:
                    data = self.store.documents.read(name)
                except SealBroken as error:
                    raise EntryRejected("fax.faxData", Rejection.BAD_DOCUMENT, str(error)) from None
                if data is None:
                    return None
                found[name] = data
            return found[name]

        pages = check_send(entry, document, self.hosts, written=written)
        whole = entry.model_dump(mode="json", exclude_none=True)
        content, fax = _digest(whole), whole["fax"]
        for file in fax["faxData"]:
            if "fileData" in file:  # stored once, as bytes
                data = base64.b64decode(file.pop("fileData"))
                file["document"] = digest(data)
                self.store.documents.keep(file["document"], data)
        send_at = entry.send_at
        if send_at and self.schedule == "local":
            del fax["send_at"]
        elif send_at:  # ifax-api, Request Parameters: UTC, as its sample has it
            utc = send_at.astimezone(UTC).isoformat(timespec="milliseconds")
            fax["send_at"] = utc.removesuffix("+00:00") + "Z"
        documents = [
            file["document"].removeprefix("sha256:") for file in fax["faxData"] if "document" in file
        ]
        several = isinstance(fax["faxNumber"], list)
        values = {
            "kind": "send",
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
            "cover": "1" if any(map(fax.get, COVER)) else None,
        }
        jobs = []
        for name, number in zip(
            _names(entry), fax["faxNumber"] if several else [fax["faxNumber"]], strict=True
        ):
            request = self.store.seals.request(name, _COMPACT(fax | {"faxNumber": number}))
            jobs.append(_job(name, content, entry, values | {"request": request, "number": number}))
        return jobs

    def _resend(self, entry: ResendEntry) -> list[dict[str, Any]]:
        values = {"kind": "resend", "number": entry.faxNumber, "of": entry.of}
        return [_job(entry.id, _digest_of(entry), entry, values) | {"of": entry.of}]


class _Ahead:
    """Has the next entries read while Redis registers those before them, in their order.

    Args:
        stack: ends the thread.
        register: registers some.
    """

    def __init__(self, stack: ExitStack, register: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._stack = stack
        self._register = register
        self._thread: ThreadPoolExecutor | None = None
        self._begun: Future[None] | None = None

    def begin(self, items: Sequence[dict[str, Any]]) -> None:
        """Register these once those before them are.

        Raises:
            redis.RedisError: those before them could not be.
        """
        self._wait()
        if self._thread is None:
            self._thread = self._stack.enter_context(ThreadPoolExecutor(1, "register"))
        self._begun = self._thread.submit(self._register, items)

    def finish(self, items: Sequence[dict[str, Any]]) -> None:
        """Register these too, here and now.

        Raises:
            redis.RedisError: they, or those before them, could not be.
        """
        self._wait()
        self._register(items)

    def _wait(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()


def _job_of(item: Mapping[str, Any]) -> str:
    rejected = item.get("reject")
    return str(rejected["job"] if rejected else item["jobs"][0]["id"])


def _job(
    name: str, content: str, entry: SendEntry | ResendEntry, values: Mapping[str, Any]
) -> dict[str, Any]:
    fields: dict[str, Any] = {"v": LAYOUT_TEXT, "priority": str(entry.priority), **values}
    if entry.metadata:
        fields["metadata"] = _COMPACT(entry.metadata)
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
    return _digest(entry.model_dump(mode="json", exclude_none=isinstance(entry, SendEntry)))


def _digest(content: Any) -> str:
    return hashlib.sha256(_SORTED(content).encode()).hexdigest()


def _id_of(raw: bytes) -> str:
    """The id that a rejected entry gave; a text that is none may be anything, so without phone numbers."""
    try:
        value = json.loads(raw)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    if not isinstance(value, str):
        return ""
    return value if IDENTIFIER.fullmatch(value) else clean_message(value)[:LONGEST_ID]
