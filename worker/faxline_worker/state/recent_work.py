"""Remembers what this process did lately for an account, to compare it with a Redis that may have gone back.

Redis may return to an older state: a lagging replica takes over, or a file is restored. Then only the
processes that acted know what is missing. So each process keeps its actions of the last minutes
(maintenance/rollback_watch.py). An action that wrote an event is placed by the id of that event, and the
newest id shows how far the process has seen the account. An action without a place is compared with every
state, and so is what a state lacked: that state may go back again before anybody has put it in order.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from faxline.contract.events import position
from faxline_worker.state.results import Admitted

KEPT = 300.0
"""How long an action is remembered (s)."""
MOST = 20_000
"""The most actions that are remembered for an account. The oldest are forgotten first."""
BYTES = 8_000_000
"""The most bytes of receipts that are remembered for an account."""
_UNKNOWN_OUTCOMES = {"accepted", "in_doubt"}
_SETTLED = {"settled", "repeated", "resolved", "duplicate", "forgotten"}


@dataclass(slots=True)
class Call:
    """A submission whose mark was written. From the mark on, iFax may have the fax.

    Attributes:
        admitted: the admitted job, without its content.
        at: when the mark was written, milliseconds since 1970 by Redis' clock.
        answer: the answer that was settled; None while the call is under way.
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
    """An intake entry that was carried out: a fax was registered, or canceled before it was sent."""

    kind: str
    job: str
    entry: str

    def item(self) -> dict[str, Any]:
        """As `examine` takes it."""
        return {"kind": self.kind, "job": self.job, "entry": self.entry, "at": position(self.entry)[0]}


Action = Call | Entry


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a process knows that an older state may lack.

    Attributes:
        seen: the last event that the process knows.
        actions: the process's actions after the state's last event, and its calls under way.
        receipts: status entries that were applied after the state's last event.
        unknown: whether the process has forgotten actions after that event.
    """

    seen: str
    actions: tuple[Action, ...] = ()
    receipts: tuple[Mapping[bytes, bytes], ...] = ()
    unknown: bool = False


@dataclass
class Memory:
    """The recent actions of this process for one account. Thread-safe.

    Args:
        clock: returns monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: tuple[int, int] = (0, 0)
    _forgotten: tuple[int, int] = (0, 0)
    _open: dict[str, tuple[float, Call]] = field(default_factory=dict)
    _unplaced: dict[str, Call] = field(default_factory=dict)
    _done: "deque[tuple[tuple[int, int], float, Action]]" = field(default_factory=deque)
    _always: "deque[tuple[tuple[int, int], float, Action]]" = field(default_factory=deque)
    _receipts: "deque[tuple[int, float, Mapping[bytes, bytes]]]" = field(default_factory=deque)
    _size: int = 0

    def saw(self, event: str) -> None:
        """Note the account's last event at the start of the process. Earlier actions are unknown."""
        with self._lock:
            self._forgotten = max(self._forgotten, position(event))
            self._seen = max(self._seen, self._forgotten)

    def marked(self, admitted: Admitted, at: int, lives: float) -> None:
        """Note that the mark of a submission was written.

        Args:
            admitted: the call.
            at: when, in milliseconds since 1970 by Redis' clock.
            lives: how long (s) its answer may be settled. One that never is counts as done then.
        """
        with self._lock:
            call = Call(replace(admitted, request={}, sealed=""), at)
            self._open[admitted.permit] = self.clock() + lives, call

    def holds(self, permit: str) -> bool:
        """Whether the call with this permit was marked and is not settled yet."""
        return permit in self._open

    def began(self, permit: str) -> int | None:
        """When (ms, Redis' clock) the call with this permit was marked; None if unknown."""
        _, call = self._open.get(permit, (0.0, None))
        return call.at if call else None

    def settled(self, permit: str, answer: Mapping[str, Any], result: str, event: str | None) -> None:
        """Note that the answer of a call was settled.

        Args:
            permit: the call's permit.
            answer: the answer, as `settle` took it.
            result: the result that `settle` returned.
            event: the last event that `settle` wrote; None if it wrote none.
        """
        with self._lock:
            _, call = self._open.pop(permit, (0.0, None))
            if call is None:
                return
            call.answer = answer
            if result in _SETTLED and event is not None:
                self._add(event, (call,))
            elif answer["decision"] in _UNKNOWN_OUTCOMES:
                self._keep_always([call])
                if result not in _SETTLED:
                    self._unplaced[permit] = call
            # otherwise the job was put back: iFax took nothing

    def pushed(self, entries: Iterable[tuple[str, str]], event: str | None) -> None:
        """Note that jobs were registered: the id of each, and its intake entry."""
        self._carried_out("push", entries, event)

    def canceled(self, job: str, entry: str, event: str | None) -> None:
        """Note that a queued job was canceled."""
        self._carried_out("cancel", [(job, entry)], event)

    def _carried_out(self, kind: str, entries: Iterable[tuple[str, str]], event: str | None) -> None:
        if event is not None:
            with self._lock:
                self._add(event, (Entry(kind, job, entry) for job, entry in entries))

    def received(self, receipts: Iterable[Mapping[bytes, bytes]], at: int) -> None:
        """Note that status entries were applied at this moment (ms, Redis' clock)."""
        with self._lock:
            now = self.clock()
            for fields in receipts:
                self._receipts.append((at, now, fields))
                self._size += _size(fields)
            while self._receipts and (self._size > BYTES or self._receipts[0][1] < now - KEPT):
                self._size -= _size(self._receipts.popleft()[2])

    def _add(self, event: str, actions: Iterable[Action]) -> None:
        place, now = position(event), self.clock()
        self._seen = max(self._seen, place)
        self._done.extend([(place, now, action) for action in actions])
        self._thin(now)

    def _keep_always(self, calls: Iterable[Call]) -> None:
        now = self.clock()
        self._always.extend([((call.at, 0), now, call) for call in calls])
        self._thin(now)

    def _thin(self, now: float) -> None:
        for kept in (self._done, self._always):
            while kept and (len(kept) > MOST or kept[0][1] < now - KEPT):
                self._forgotten = max(self._forgotten, kept.popleft()[0])

    def thin(self) -> None:
        """Forget what is too old. Call it regularly, because an idle account adds nothing."""
        with self._lock:
            now = self.clock()
            over = [permit for permit, (end, _) in self._open.items() if end < now]
            self._keep_always([self._open.pop(permit)[1] for permit in over])
            while self._receipts and self._receipts[0][1] < now - KEPT:
                self._size -= _size(self._receipts.popleft()[2])

    @property
    def seen(self) -> str:
        """The last event that the process knows."""
        return "{}-{}".format(*self._seen)

    @property
    def unplaced(self) -> tuple[Action, ...]:
        """Calls with an answer that the state did not know when they were settled."""
        return tuple(self._unplaced.values())

    def after(self, base: str) -> Evidence:
        """What a state whose last event is `base` may lack."""
        with self._lock:
            end = position(base)
            actions = [action for place, _, action in self._done if place > end]
            return Evidence(
                seen=self.seen,
                actions=(
                    *actions,
                    *(call for _, call in self._open.values()),
                    *(action for _, _, action in self._always),
                ),
                receipts=tuple(fields for at, _, fields in self._receipts if at >= end[0]),
                unknown=self._forgotten > end,
            )

    def examined(self, actions: Iterable[Action], lacking: Iterable[Action]) -> None:
        """Note that actions were compared with the state.

        Args:
            actions: all of them.
            lacking: those that the state lacked, or whose answer it lacked. It may go back once more,
                behind events that others wrote since: so they are compared with every state from now on.
        """
        seen, again = {id(action) for action in actions}, {id(action) for action in lacking}
        with self._lock:
            self._unplaced = {k: call for k, call in self._unplaced.items() if id(call) not in seen}
            now, done = self.clock(), list(self._done)
            self._always.extend((place, now, one) for place, _, one in done if id(one) in again)
            self._done = deque(entry for entry in done if id(entry[2]) not in again)

    def put_back(self, receipts: Sequence[Mapping[bytes, bytes]]) -> None:
        """Note that these receipts were put back. They are put back after every step back from now on."""
        ids = {id(fields) for fields in receipts}
        with self._lock:
            self._receipts = deque(
                (sys.maxsize if id(fields) in ids else at, noted, fields)
                for at, noted, fields in self._receipts
            )


def _size(fields: Mapping[bytes, bytes]) -> int:
    return sum(map(len, fields.values()))
