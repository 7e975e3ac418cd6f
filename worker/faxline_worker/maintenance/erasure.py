"""Erases what is kept of a fax that has ended, or of all faxes to a number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.states import FINAL_STATES
from faxline.contract.texts import mask_number
from faxline_worker.maintenance.kept_entries import content_of, own_field
from faxline_worker.maintenance.outcome import Outcome
from faxline_worker.maintenance.set_aside_numbers import is_about, recipients
from faxline_worker.state.store import Store

_FINAL = {state.encode() for state in FINAL_STATES}


@dataclass(frozen=True)
class Erasure:
    """Carries out the orders to forget.

    Args:
        store: the state of the account.
        go_on: called between steps; it raises if the order is to stay.
    """

    store: Store
    go_on: Callable[[], None]

    def forget(self, job: str) -> Outcome:
        """Erase one fax; refused while it is on its way."""
        state = self.store.maintenance.field(job, "state")
        if state not in _FINAL:
            return "refused", {"job": job, "state": (state or b"").decode()}
        events = self._forget_events({job})
        result = self.store.maintenance.forget(job)
        if result not in {"done", "gone"}:
            return "refused", {"job": job, "state": result}
        aside = self._forget_dead(lambda fields: content_of(own_field(fields)[1]).get("id") == job)
        return "done", {"job": job, "forgotten": 1, "events": events, "set_aside": aside}

    def forget_number(self, number: str) -> Outcome:
        """Erase the faxes to a number that have ended, and its receipts."""
        ended, open_ = set[str](), set[str]()
        for job, (known, state) in self.store.maintenance.records("number", "state"):
            self.go_on()
            if known == number.encode():
                (ended if state in _FINAL else open_).add(job)
        unsent, again = self._unsent(number)
        ended -= again  # without it, such a resend could not be put back
        events, forgotten = self._forget_events(ended), 0
        for job in sorted(ended):
            self.go_on()
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
            self.go_on()
            kind, raw = own_field(fields)
            entry = content_of(_opened(self.store, kind, raw))
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
            self.go_on()
            if fields.get(b"job") in names:
                found.append(entry)
        self.store.maintenance.delete_entries(self.store.keys.events, found)
        return len(found)

    def _forget_dead(self, is_meant: Callable[[Mapping[bytes, bytes]], bool]) -> int:
        found = []
        for entry, fields in self.store.maintenance.entries(self.store.keys.dead):
            self.go_on()
            if is_meant(fields):
                found.append(entry)
        self.store.maintenance.delete_entries(self.store.keys.dead, found)
        return len(found)


def _opened(store: Store, kind: str, raw: bytes) -> str:
    """The content of a set-aside entry. If it cannot be unsealed, its clear part."""
    known = content_of(raw)
    try:
        return store.seals.open_entry(kind, str(known["id"]), str(known["sealed"]))
    except (KeyError, KeyMissing, SealBroken):
        return raw.decode("utf-8", "replace")
