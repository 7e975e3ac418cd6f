"""Seals what is stored with the newest key, and counts what each key seals."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.seals import SEALED_KINDS, key_of_document, key_of_request
from faxline_worker.maintenance.kept_entries import content_of, key_of_entry, own_field
from faxline_worker.maintenance.outcome import Outcome
from faxline_worker.state.store import Store


@dataclass(frozen=True)
class Rotation:
    """Carries out the orders about sealing keys.

    Args:
        store: the state of the account.
        log: gets the progress, and what could not be resealed.
        go_on: called between steps; it raises if the order is to stay.
    """

    store: Store
    log: structlog.typing.FilteringBoundLogger
    go_on: Callable[[], None]

    def rotate(self) -> Outcome:
        """Seal anew what an older key seals."""
        seals, count = self.store.seals, Counter[str]()
        if not seals.on:
            return "refused", {"why": "the dispatcher has no FAXLINE_SEALING_KEYS"}
        for name, head in self.store.documents.heads():
            if head and not seals.is_current(key_of_document(head)):
                self._reseal(count, "documents", partial(_reseal_document, self.store, name))
        for job, (kept, kind) in self.store.maintenance.records("request", "kind"):
            text = (kept or b"").decode("utf-8", "replace")
            if text and kind == b"send" and not seals.is_current(key_of_request(text)):
                self._reseal(count, "requests", partial(self.store.maintenance.reseal_request, job, text))
        for receipt in self.store.maintenance.receipts():
            if not seals.is_current(key_of_request(receipt.kept)):
                self._reseal(count, "receipts", partial(self.store.maintenance.reseal_receipt, receipt))
        self._rotate_set_aside(count)
        return "done", {"resealed": dict(count), "sealed": self.sealed()}

    def _rotate_set_aside(self, count: Counter[str]) -> None:
        seals, last = self.store.seals, ""
        for entry, fields in self.store.maintenance.entries(self.store.keys.dead):
            last = last or self.store.maintenance.newest(self.store.keys.dead)
            name, raw = own_field(fields)
            if name in SEALED_KINDS and not seals.is_current(key_of_entry(raw)):
                self._reseal(count, "set_aside", partial(_reseal_dead, self.store, entry, name, raw))
            if entry == last:  # resealed entries come after it
                break

    def _reseal(self, count: Counter[str], what: str, seal: Callable[[], bool]) -> None:
        self.go_on()
        try:
            done = seal()
        except (KeyMissing, SealBroken) as error:
            count["failed"] += 1
            self.log.warning("could not be resealed", kind=what, error=str(error))
        else:
            count[what] += done
        if sum(count.values()) % 1000 == 1:
            self.log.info("resealing", **count)

    def sealed(self) -> dict[str, dict[str, int]]:
        """Count the values of each kind by the id of their sealing key; "" counts those in clear."""
        documents = Counter(
            key_of_document(head) or "" for _, head in self._each(self.store.documents.heads())
        )
        requests = Counter(
            key_of_request(kept.decode("utf-8", "replace")) or ""
            for _, (kept, kind) in self._each(self.store.maintenance.records("request", "kind"))
            if kept and kind == b"send"
        )
        uploads = Counter(key_of_document(head) or "" for head in self._each(self.store.documents.uploaded()))
        streams = {"entries": self.store.keys.intake, "set_aside": self.store.keys.dead}
        kept = self._each(self.store.maintenance.receipts())  # only where an archive is on, or was
        receipts = Counter(key_of_request(one.kept) or "" for one in kept)
        counts = {"documents": documents, "uploads": uploads, "requests": requests, "receipts": receipts}
        for what, stream in streams.items():
            counts[what] = Counter(
                key_of_entry(raw) or ""
                for _, fields in self._each(self.store.maintenance.entries(stream))
                for kind, raw in [own_field(fields)]
                if kind in SEALED_KINDS
            )
        return {what: dict(count) for what, count in counts.items() if count or what != "receipts"}

    def _each(self, found: Iterable[Any]) -> Iterable[Any]:
        for one in found:
            self.go_on()
            yield one


def _reseal_document(store: Store, name: str) -> bool:
    stored = store.documents.stored(name)
    return stored is not None and store.documents.reseal(name, stored)


def _reseal_dead(store: Store, entry: str, kind: str, raw: bytes) -> bool:
    known = content_of(raw)
    text = raw.decode("utf-8", "replace")
    if "sealed" in known:
        text = store.seals.open_entry(kind, str(known.get("id", "")), str(known["sealed"]))
    payload = {"id": known.get("id", "")}
    return store.maintenance.reseal_dead(entry, store.seals.entry(kind, payload, text))
