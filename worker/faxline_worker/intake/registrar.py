"""Checks the entries of an account's intake stream, and registers or rejects them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import Any, TypeVar, TypeVarTuple

import redis
import structlog

from faxline.contract.entries import (
    CancelEntry,
)
from faxline.contract.errors import KeyMissing, PdfReaderUnavailable
from faxline.contract.texts import clean_actor
from faxline_worker.intake.documents import IntakeDocuments
from faxline_worker.intake.entry_items import EntryItems
from faxline_worker.intake.job_items import (
    job_of,
    who_of,
)
from faxline_worker.intake.pdfs import OpenLater, Pdfs
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.state.failure_counter import TRIES
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.results import Registration
from faxline_worker.state.store import Store

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


SET_ASIDE = "set_aside"
"""The reason in the metric for an entry that raised an exception or whose sealing key is missing."""
KEY_MISSING = "key_missing"
"""The reason on the entry: it, or one of its documents, is sealed with a key that is not on the keyring."""

AT_ONCE = 50
"""Jobs in one call of `register`, give or take one entry. Redis serves nobody else during a script."""
BYTES_AT_ONCE = 1_000_000
"""Bytes of entries in one call of `register`, for the same reason."""
SECONDS_AT_ONCE = 1.0
"""The longest that a checked entry waits to be registered while the documents of the next ones are opened."""


@dataclass(frozen=True)
class Intake:
    """Takes the entries of one account, in their order."""

    store: Store
    metrics: DispatcherMetrics
    log: structlog.typing.FilteringBoundLogger
    caller_id: str | None = None
    """The account's sender number, E.164."""
    schedule: str = "provider"
    """Who holds a fax until its send_at: `provider` (iFax) or `local` (Faxline)."""
    hosts: tuple[str, ...] = ()
    """The hosts that a fileUrl may name; empty allows any."""
    beat: Callable[[], None] = lambda: None
    """Called before each entry and document, to show that the thread is alive: hostile PDFs take long."""
    pdfs: Pdfs = field(default_factory=Pdfs)
    """Opens PDFs."""
    early: dict[str, CancelEntry] = field(default_factory=dict)
    """Cancellations by entry id, whose job may be in an older entry that another dispatcher still holds."""

    @cached_property
    def documents(self) -> IntakeDocuments:
        """The documents that the entries name."""
        return IntakeDocuments(self.store.documents, self.log)

    @cached_property
    def _items(self) -> EntryItems:
        return EntryItems(
            self.store, self.documents, self.pdfs, self.hosts, self.caller_id, self.schedule, self.beat
        )

    def again(self) -> None:
        """Try the early cancellations again.

        Raises:
            redis.RedisError: Redis is away or refuses the command.
        """
        for entry, asked in list(self.early.items()):
            self._guarded(entry, self._cancel, entry, asked)

    def take(self, entries: Sequence[tuple[str, Mapping[bytes, bytes]]]) -> None:
        """Register or reject each entry, in the order in which they came.

        An entry that raises an exception is tried a few times and then set aside. Those behind it go on.

        Args:
            entries: stream ids and fields.

        Raises:
            redis.RedisError: Redis is away or refuses the command. Entries that were not taken stay pending.
            PdfReaderUnavailable: no PDF can be opened. Entries that were not taken stay pending.
        """
        self.documents.begin()
        items: list[dict[str, Any]] = []
        jobs, size, until = 0, 0, monotonic() + SECONDS_AT_ONCE
        for entry, fields in entries:
            self.beat()
            if self.pdfs.waits(entry):
                continue
            item = self._guarded(entry, self._items.read, entry, fields)
            if item is None:
                continue
            if isinstance(item, dict):
                items.append(item)
                more = len(item.get("jobs", "1"))
                jobs += more
                size += more * len(next(iter(fields.values()), b""))  # each stores a request
                if jobs < AT_ONCE and size < BYTES_AT_ONCE and monotonic() < until:
                    continue
                self._register(items)
            else:
                self._register(items)
                self._guarded(entry, self._cancel, entry, item)
            items, jobs, size, until = [], 0, 0, monotonic() + SECONDS_AT_ONCE
        self._register(items)

    def _guarded(self, entry: str, work: Callable[[*_Args], _T], *args: *_Args) -> _T | None:
        """Run a step of an entry; None if the entry was set aside or is taken later."""
        for left in reversed(range(TRIES)):
            try:
                return work(*args)
            except OpenLater:
                self.pdfs.later(entry)
                return None
            except PdfReaderUnavailable:
                raise
            except KeyMissing as error:  # a configuration error: `dead redrive` puts it back
                self._set_aside(entry, KEY_MISSING)
                self.log.error("key missing", entry=entry, error=str(error))  # noqa: TRY400 - it says all
                return None
            except Exception as error:
                if unserved(error):
                    raise
                why = type(error).__name__
                self.log.error("entry raised an exception", entry=entry, error=why)  # noqa: TRY400 - may quote
                if not left:
                    self._set_aside(entry, why)
        return None

    def _set_aside(self, entry: str, why: str) -> None:
        if self.store.streams.set_aside("intake", entry, why):
            self.metrics.taken(self.store.account, 1)
            self.metrics.failure(self.store.account, "intake", None, SET_ASIDE)
            self.log.warning("entry set aside", entry=entry, reason=why)

    def _cancel(self, entry: str, asked: CancelEntry) -> None:
        by = clean_actor(asked.user, asked.by)
        result = self.store.intake.cancel(entry, asked.id, who_of(asked), asked.user or "", by)
        if result is Registration.EARLY:
            self.early[entry] = asked
            return
        self.early.pop(entry, None)
        self.metrics.taken(self.store.account, 1)
        if result is Registration.CANCELED:
            self.metrics.outcome(self.store.account, "canceled")
        self.log.info("cancel", job=asked.id, entry=entry, result=str(result))

    def _register(self, items: Sequence[dict[str, Any]]) -> None:
        if not items:
            return
        try:
            results = self.store.intake.register(items)
        except redis.ResponseError as error:
            if unserved(error):
                raise
            # One of them made the script raise. Register them one by one to find out which.
            for item in items:
                self._guarded(item["entry"], self._register_one, item)
            return
        self._log_results(items, results)

    def _register_one(self, item: dict[str, Any]) -> None:
        self._log_results([item], self.store.intake.register([item]))

    def _log_results(
        self, items: Sequence[dict[str, Any]], results: Sequence[tuple[Registration, str]]
    ) -> None:
        """Log and count what was taken: a line for each rejection, and for each entry at debug level only."""
        self.metrics.taken(self.store.account, len(items))
        for item, (result, reason) in zip(items, results, strict=True):
            if result is Registration.REJECTED:
                self._log_rejection(item, reason)
            else:
                self.log.debug("entry taken", job=job_of(item), entry=item["entry"], result=str(result))
        taken = Counter(result for result, _ in results)
        taken.pop(Registration.REJECTED, None)
        for name, count in taken.items():
            self.log.info("entries taken", result=str(name), count=count)

    def _log_rejection(self, item: dict[str, Any], reason: str) -> None:
        self.metrics.outcome(self.store.account, "rejected")
        self.metrics.failure(self.store.account, "intake", None, reason)
        line = {"job": job_of(item), "entry": item["entry"], "result": str(Registration.REJECTED)}
        member = item["reject"]["member"] if "reject" in item else None
        self.log.warning("entry rejected", **line, member=member, reason=reason)
