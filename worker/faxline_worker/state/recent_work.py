"""What this process did with an account lately: held against the state when Redis may have gone back.

Redis may come back older than it was: a replica that lagged takes over, a file is restored. Only those who
did something know of it then. So each process keeps what it did in the last minutes (rollback.py). What wrote
an event has that event's id as its place; the newest of all tells how far the process saw the account.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from faxline.contract.events import position
from faxline_worker.state.results import Admitted

KEPT = 300.0
"""Seconds for which a deed is remembered."""
MOST = 20_000
"""Deeds of an account that are remembered, the newest ones."""
BYTES = 8_000_000
"""Bytes of an account's receipts that are remembered."""
NOWHERE = "0-0"
"""Before every event."""
_UNKNOWN_OUTCOMES = {"accepted", "in_doubt"}
_TOLD = {"settled", "repeated", "resolved", "duplicate"}


@dataclass(slots=True)
class Call:
    """A submission whose mark was written: from then on iFax may know of it.

    Attributes:
        admitted: what it was admitted as, without its content.
        at: the mark, milliseconds since 1970 by Redis' clock.
        answer: what `settle` got; None while the call is under way.
    """

    admitted: Admitted
    at: int
    answer: Mapping[str, Any] | None = None

    def item(self) -> dict[str, Any]:
        """As `examine` takes it."""
        answer = self.answer or {}
        known = {"decision": answer.get("decision"), "job_id": answer.get("job_id")}
        own = {"kind": "call", "token": self.admitted.permit, "job": self.admitted.job, "at": self.at}
        return own | {"attempt": self.admitted.attempt} | {k: v for k, v in known.items() if v is not None}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of intake that was carried out: a fax was pushed, or canceled before it was sent."""

    kind: str
    job: str
    entry: str

    def item(self) -> dict[str, Any]:
        """As `examine` takes it."""
        return {"kind": self.kind, "job": self.job, "entry": self.entry, "at": position(self.entry)[0]}


Deed = Call | Entry


@dataclass(frozen=True, slots=True)
class Evidence:
    """What to hold against a state.

    Attributes:
        seen: the last event that the process knows of.
        deeds: what it did after the state's end, and the calls that are under way.
        receipts: entries of the status stream that were taken off it after that.
        unknown: whether more was done than is remembered.
    """

    seen: str
    deeds: tuple[Deed, ...] = ()
    receipts: tuple[Mapping[bytes, bytes], ...] = ()
    unknown: bool = False


@dataclass
class Memory:
    """Of one account. Thread-safe.

    Args:
        clock: monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: tuple[int, int] = (0, 0)
    _forgotten: tuple[int, int] = (0, 0)
    _open: dict[str, Call] = field(default_factory=dict)
    _unplaced: dict[str, Call] = field(default_factory=dict)
    _done: "deque[tuple[tuple[int, int], float, Deed]]" = field(default_factory=deque)
    _receipts: "deque[tuple[int, float, Mapping[bytes, bytes]]]" = field(default_factory=deque)
    _size: int = 0

    def saw(self, event: str) -> None:
        """The account went to this event when the process began; of what was before it knows nothing."""
        with self._lock:
            self._forgotten = max(self._forgotten, position(event))
            self._seen = max(self._seen, self._forgotten)

    def marked(self, admitted: Admitted, at: int) -> None:
        """The mark of a submission was written."""
        with self._lock:
            self._open[admitted.permit] = Call(replace(admitted, request={}, sealed=""), at)

    def holds(self, permit: str) -> bool:
        """Whether this permit's call was marked and is not settled."""
        return permit in self._open

    def settled(self, permit: str, answer: Mapping[str, Any], result: str, event: str | None) -> None:
        """The answer of a call was settled.

        Args:
            permit: the call's.
            answer: as `settle` took it.
            result: what `settle` made of it.
            event: the last event that it wrote.
        """
        with self._lock:
            call = self._open.pop(permit, None)
            if call is None:
                return
            call.answer = answer
            if result not in _TOLD:
                if answer["decision"] in _UNKNOWN_OUTCOMES:
                    self._unplaced[permit] = call
            elif event is not None or result == "repeated":  # else it was put back: nothing was taken
                self._add(event or f"{call.at}-0", (call,))

    def pushed(self, entries: Iterable[tuple[str, str]], event: str | None) -> None:
        """Jobs were registered: each one's id and the entry that asked for it."""
        self._carried_out("push", entries, event)

    def canceled(self, job: str, entry: str, event: str | None) -> None:
        """A queued job was canceled."""
        self._carried_out("cancel", [(job, entry)], event)

    def _carried_out(self, kind: str, entries: Iterable[tuple[str, str]], event: str | None) -> None:
        if event is not None:
            with self._lock:
                self._add(event, (Entry(kind, job, entry) for job, entry in entries))

    def received(self, receipts: Iterable[Mapping[bytes, bytes]], at: int) -> None:
        """Entries of the status stream were taken off it, at this moment (ms, Redis' clock)."""
        with self._lock:
            now = self.clock()
            for fields in receipts:
                self._receipts.append((at, now, fields))
                self._size += _size(fields)
            while self._receipts and (self._size > BYTES or self._receipts[0][1] < now - KEPT):
                self._size -= _size(self._receipts.popleft()[2])

    def _add(self, event: str, deeds: Iterable[Deed]) -> None:
        place, now = position(event), self.clock()
        self._seen = max(self._seen, place)
        self._done.extend([(place, now, deed) for deed in deeds])
        self._thin(now)

    def _thin(self, now: float) -> None:
        while self._done and (len(self._done) > MOST or self._done[0][1] < now - KEPT):
            self._forgotten = max(self._forgotten, self._done.popleft()[0])

    def thin(self) -> None:
        """Forget what is too old, where nothing is done any more."""
        with self._lock:
            now = self.clock()
            self._thin(now)
            while self._receipts and self._receipts[0][1] < now - KEPT:
                self._size -= _size(self._receipts.popleft()[2])

    @property
    def seen(self) -> str:
        """The last event that the process knows of."""
        return "{}-{}".format(*self._seen)

    @property
    def unplaced(self) -> tuple[Deed, ...]:
        """Answered calls that the state did not know when they were settled."""
        return tuple(self._unplaced.values())

    def after(self, base: str) -> Evidence:
        """What to hold against a state that goes to this event."""
        with self._lock:
            end = position(base)
            deeds = [deed for place, _, deed in self._done if place > end]
            return Evidence(
                seen=self.seen,
                deeds=(*deeds, *self._open.values(), *self._unplaced.values()),
                receipts=tuple(fields for at, _, fields in self._receipts if at >= end[0]),
                unknown=self._forgotten > end,
            )

    def examined(self, deeds: Iterable[Deed]) -> None:
        """Forget what was compared with the state. Calls that are under way stay."""
        ids = {id(deed) for deed in deeds}
        with self._lock:
            self._unplaced = {k: call for k, call in self._unplaced.items() if id(call) not in ids}
            kept = [entry for entry in self._done if id(entry[2]) not in ids]
            self._done.clear()
            self._done.extend(kept)


def _size(fields: Mapping[bytes, bytes]) -> int:
    return sum(map(len, fields.values()))
