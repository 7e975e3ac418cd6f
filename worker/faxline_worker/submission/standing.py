"""Decides whether this process takes an account's calls.

A worker without a route to iFax, or with a wrong key, would close the account again and again while other
workers succeed. `settle` and `report` notice this and return `apart`. The process then steps back: it passes
the account's wake-ups on, is not ready, and tries one call after a wait that grows. If no other process's
calls are accepted either, the account is closed for all, and no process is at fault.

A process whose last call failed passes a wake-up on a few times, too, because another process may notice
sooner that iFax is back.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from faxline_worker.ifax import Answer, Decision

PASSES = 3
"""How often a process whose last call failed passes a wake-up on before it takes it."""
REST = 0.2
"""Seconds that a process that stepped back holds a wake-up before it passes it on. If no other process is
free, the wake-up comes back at once."""


@dataclass(frozen=True, slots=True)
class Away:
    """Why and when a process stepped back.

    Attributes:
        why: the message of the failed call.
        since: seconds since 1970.
    """

    why: str
    since: float


class Standing:
    """Whether one process takes the calls of one account. Thread-safe.

    Args:
        first: seconds until the first trial call.
        longest: the longest wait in seconds between two trial calls.
        on_change: called when the process steps back, with the reason, and when it takes calls again, with
            None.
    """

    def __init__(self, first: float, longest: float, on_change: Callable[[str | None], None]) -> None:
        self._first = first
        self._longest = longest
        self._on_change = on_change
        self._lock = threading.Lock()
        self._away: Away | None = None
        self._tries = 0
        self._next = 0.0
        self._trying = False
        self._failed = False
        self._turns = 0

    @property
    def away(self) -> Away | None:
        """Why the process has stepped back; None if it takes calls."""
        return self._away

    @property
    def turn(self) -> int:
        """A count of steps back and forward. A call that began in an earlier turn says nothing new."""
        return self._turns

    def takes(self, passed: int) -> bool:
        """Whether this process takes a wake-up; if not, pass it on.

        After a step back, True begins a trial of one call; `over` ends it.

        Args:
            passed: how often this process passed the wake-up on before.
        """
        with self._lock:
            if self._away is None:
                return not self._failed or passed >= PASSES
            if self._trying or time.monotonic() < self._next:
                return False
            self._trying = True
            return True

    def over(self) -> None:
        """End a trial call, if there was one, whatever its result."""
        with self._lock:
            if self._trying:
                self._trying = False
                self._next = max(self._next, time.monotonic() + self._first)

    def answered(self, answer: Answer, turn: int, *, apart: bool) -> None:
        """Take note of a call's answer.

        Args:
            answer: the call's answer.
            turn: the turn in which the call was admitted.
            apart: whether `settle` or `report` found that only this process's calls fail.
        """
        with self._lock:
            if turn != self._turns:
                return
            if apart:
                self._step_back(answer)
            elif answer.perhaps_ours:
                self._failed = True
                self._step_forward()  # the account is closed for all
            elif answer.decision is not Decision.IN_DOUBT:
                self._failed = False
                self._step_forward()

    def _step_back(self, answer: Answer) -> None:
        wait = min(self._longest, self._first * 2.0 ** min(self._tries, 30))
        self._tries += 1
        self._next, self._trying = time.monotonic() + wait, False
        if self._away is None:
            self._away = Away(answer.message, time.time())
            self._turns += 1
            self._on_change(answer.message)

    def _step_forward(self) -> None:
        if self._away is not None:
            self._away, self._tries, self._trying = None, 0, False
            self._turns += 1
            self._on_change(None)
