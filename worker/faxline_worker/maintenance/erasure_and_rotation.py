"""Carries out long-running orders in small steps: erasure, key rotation, recovery.

At the end, the reply is stored and the order leaves its stream. If the dispatcher dies before, another one
begins the order again and finds less to do.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.orders import Order
from faxline.contract.sealing.seals import SEALED_KINDS, key_of_document, key_of_request
from faxline.contract.states import FINAL_STATES
from faxline.contract.texts import clean_actor, mask_number
from faxline.reading.account_state import OPERATOR, ROLLED_BACK
from faxline_worker.maintenance.set_aside_numbers import is_about, recipients
from faxline_worker.state.lineage import Reopened
from faxline_worker.state.store import Store

LONG_ORDERS = frozenset({Order.FORGET, Order.ROTATE, Order.KEYS, Order.RECOVER})
"""The orders that are carried out in a thread of their own."""
PIECE = 50
"""The most lost calls and faxes that one script call recovers."""
LEASE = 30.0
"""Seconds after which an unrenewed lock on the maintenance of an account runs out."""
_WEIGHT = {"": 0, "done": 0, "known": 1, "ended": 2}
"""If a job has several results, the one with the greatest weight counts; of equals, the latest."""
_FINAL = {state.encode() for state in FINAL_STATES}
Outcome = tuple[str, dict[str, Any]]


class MaintenanceBusyError(Exception):
    """Another dispatcher has the lock on the maintenance of this account."""


@dataclass
class Maintenance:
    """Carries out the long-running orders of one account.

    Args:
        store: the state of the account.
        log: gets the progress.
        who: this dispatcher, unique among those that run.
        stopping: whether the dispatcher is to stop; the order then stays for the next one.
        beat: called between steps.
    """

    store: Store
    log: structlog.typing.FilteringBoundLogger
    who: str
    stopping: Callable[[], bool] = lambda: False
    beat: Callable[[], None] = lambda: None
    _said: float = field(default=0.0, init=False)

    def carry_out(self, entry: str, order: Mapping[str, str]) -> str:
        """Carry out one order. Returns its result, or gone.

        Raises:
            MaintenanceBusyError: another dispatcher has the lock, a process has not yet compared its actions
                with the state, or this dispatcher is to stop. The order stays.
            redis.RedisError: Redis is away or refuses the command. The order stays.
        """
        self._said = 0.0
        self._go_on()
        match order.get("order"):
            case Order.FORGET if order.get("number"):
                result, reply = self._forget_number(order["number"])
            case Order.FORGET:
                result, reply = self._forget(order.get("job", ""))
            case Order.ROTATE:
                result, reply = self._rotate()
            case Order.RECOVER:
                result, reply = self._recover(clean_actor(order.get("user"), order.get("by")))
            case _:
                result, reply = "done", {"sealed": self.sealed()}
        return self.store.maintenance.complete_order(entry, order, result, reply, self.who)

    def _go_on(self) -> None:
        """Renew the lock now and then, and stop if the dispatcher is to stop."""
        self.beat()
        if self.stopping():
            raise MaintenanceBusyError
        if time.monotonic() - self._said > LEASE / 6:
            if not self.store.maintenance.lock(self.who, LEASE):
                raise MaintenanceBusyError
            self._said = time.monotonic()

    def _forget(self, job: str) -> Outcome:
        state = self.store.maintenance.field(job, "state")
        if state not in _FINAL:
            return "refused", {"job": job, "state": (state or b"").decode()}
        events = self._forget_events({job})
        result = self.store.maintenance.forget(job)
        if result not in {"done", "gone"}:
            return "refused", {"job": job, "state": result}
        aside = self._forget_dead(lambda fields: _content(_own(fields)[1]).get("id") == job)
        return "done", {"job": job, "forgotten": 1, "events": events, "set_aside": aside}

    def _forget_number(self, number: str) -> Outcome:
        ended, open_ = set[str](), set[str]()
        for job, (known, state) in self.store.maintenance.records("number", "state"):
            self._go_on()
            if known == number.encode():
                (ended if state in _FINAL else open_).add(job)
        unsent, again = self._unsent(number)
        ended -= again  # without it, such a resend could not be put back
        events, forgotten = self._forget_events(ended), 0
        for job in sorted(ended):
            self._go_on()
            forgotten += self.store.maintenance.forget(job) == "done"
        reply = {"about": mask_number(number), "forgotten": forgotten, "open": len(open_), "events": events}
        if not open_:  # an open job may still need its unmatched receipt
            self.store.maintenance.forget_number(number)
            reply["set_aside"] = self._forget_dead(lambda fields: is_about(fields.get(b"body", b""), number))
        return "done", reply | ({"unsent": unsent} if unsent else {})

    def _unsent(self, number: str) -> tuple[int, set[str]]:
        """How many faxes to a number were set aside before they were sent, and which jobs those repeat."""
        count, again = 0, set[str]()
        for _, fields in self.store.maintenance.entries(self.store.keys.dead):
            self._go_on()
            kind, raw = _own(fields)
            entry = _content(_opened(self.store, kind, raw))
            of = entry.get("of") if kind == "resend" else None
            known = self.store.maintenance.field(of, "number") if isinstance(of, str) else None
            if number in recipients(entry, (known or b"").decode()):
                count += 1
                again |= {of} if isinstance(of, str) else set()
        return count, again

    def _forget_events(self, jobs: set[str]) -> int:
        found = []
        names = {job.encode() for job in jobs}
        for entry, fields in self.store.maintenance.entries(self.store.keys.events) if jobs else ():
            self._go_on()
            if fields.get(b"job") in names:
                found.append(entry)
        self.store.maintenance.delete_entries(self.store.keys.events, found)
        return len(found)

    def _forget_dead(self, is_meant: Callable[[Mapping[bytes, bytes]], bool]) -> int:
        found = []
        for entry, fields in self.store.maintenance.entries(self.store.keys.dead):
            self._go_on()
            if is_meant(fields):
                found.append(entry)
        self.store.maintenance.delete_entries(self.store.keys.dead, found)
        return len(found)

    def _rotate(self) -> Outcome:
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
            name, raw = _own(fields)
            if name in SEALED_KINDS and not seals.is_current(_key_of_entry(raw)):
                self._reseal(count, "set_aside", partial(_reseal_dead, self.store, entry, name, raw))
            if entry == last:  # resealed entries come after it
                break

    def _recover(self, by: str) -> Outcome:
        lineage = self.store.lineage
        if self.store.state().paused != ROLLED_BACK and not lineage.recovered():
            return "refused", {}
        opened = Reopened.LEFT
        while opened is Reopened.LEFT:  # a process may report more in the meantime
            fields = list(lineage.lost().items())
            for start in range(0, len(fields), PIECE):
                self._go_on()
                if lineage.recover(dict(fields[start : start + PIECE]), by) is None:
                    raise MaintenanceBusyError
            opened = lineage.reopen()
        reply = _jobs_by_result(lineage.recovered())  # also of a dispatcher that stopped before it told them
        self.log.warning(
            "recovered after Redis went back",
            result=", ".join(f"{len(jobs)} {what}" for what, jobs in reply.items()),
        )
        paused = self.store.state().paused
        return "done", reply | {"paused": OPERATOR if paused == OPERATOR else ""}

    def _reseal(self, count: Counter[str], what: str, seal: Callable[[], bool]) -> None:
        self._go_on()
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
                _key_of_entry(raw) or ""
                for _, fields in self._each(self.store.maintenance.entries(stream))
                for kind, raw in [_own(fields)]
                if kind in SEALED_KINDS
            )
        return {what: dict(count) for what, count in counts.items() if count or what != "receipts"}

    def _each(self, found: Iterable[Any]) -> Iterable[Any]:
        for one in found:
            self._go_on()
            yield one


def _jobs_by_result(recovered: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    became: dict[str, str] = {}
    for what, job in recovered:
        if _WEIGHT.get(what, 3) >= _WEIGHT.get(became.get(job, ""), 3):
            became[job] = what
    return {
        what: sorted(job for job, end in became.items() if end == what)
        for what in sorted({*became.values()} - {"done"})
    }


def _reseal_document(store: Store, name: str) -> bool:
    stored = store.documents.stored(name)
    return stored is not None and store.documents.reseal(name, stored)


def _reseal_dead(store: Store, entry: str, kind: str, raw: bytes) -> bool:
    known = _content(raw)
    text = raw.decode("utf-8", "replace")
    if "sealed" in known:
        text = store.seals.open_entry(kind, str(known.get("id", "")), str(known["sealed"]))
    payload = {"id": known.get("id", "")}
    return store.maintenance.reseal_dead(entry, store.seals.entry(kind, payload, text))


def _opened(store: Store, kind: str, raw: bytes) -> str:
    """The content of a set-aside entry. If it cannot be unsealed, its clear part."""
    known = _content(raw)
    try:
        return store.seals.open_entry(kind, str(known["id"]), str(known["sealed"]))
    except (KeyError, KeyMissing, SealBroken):
        return raw.decode("utf-8", "replace")


def _own(fields: Mapping[bytes, bytes]) -> tuple[str, bytes]:
    """The original field of an entry. In a set-aside entry it follows the notes about the failure."""
    kind, raw = list(fields.items())[-1]
    return kind.decode("utf-8", "replace"), raw


def _content(raw: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _key_of_entry(raw: bytes) -> str | None:
    sealed = _content(raw).get("sealed")
    return sealed.partition(":")[0] if isinstance(sealed, str) else None
