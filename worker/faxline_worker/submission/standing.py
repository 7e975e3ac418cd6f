"""Whether this process takes an account's calls.

A worker without a route to iFax, or with a wrong key, would close the account again and again while others
beside it succeed. `settle` and `report` tell it so (`apart`): it steps back, passes the account's wake-ups
on, is not ready, and tries one call now and then, after a wait that grows. Where nobody else's calls are
accepted either, the account is closed for all, and no process is at fault.

A process whose last call failed so passes a wake-up on a few times as well, for another may find out sooner
that it is over.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from faxline_worker.ifax import Answer, Decision

PASSES = 3
"""How often a process whose last call failed passes one wake-up on before it takes it after all."""
REST = 0.2
"""Seconds for which a wake-up is kept before it is passed on by a process that stepped back: if nobody else
is free it comes again at once."""


@dataclass(frozen=True, slots=True)
class Away:
    """That a process has stepped back.

    Attributes:
        why: what its calls met.
        since: when it did, seconds since 1970.
    """

    why: str
    since: float


class Standing:
    """Of one process with one account. Thread-safe.

    Args:
        first: seconds after which the first call is tried.
        longest: seconds after which further ones are, at most.
        told: called with each change: what was met, or None where the process takes its part again.
    """

    def __init__(self, first: float, longest: float, told: Callable[[str | None], None]) -> None:
        self._first = first
        self._longest = longest
        self._told = told
        self._lock = threading.Lock()
        self._away: Away | None = None
        self._tries = 0
        self._next = 0.0
        self._trying = False
        self._failed = False
        self._turns = 0

    @property
    def away(self) -> Away | None:
        """Why the process has stepped back; None where it takes its part."""
        return self._away

    @property
    def turn(self) -> int:
        """Changes with each step back and forward: a call that began in another turn tells nothing new."""
        return self._turns

    def takes(self, passed: int) -> bool:
        """Whether a wake-up is taken here, that was passed on from here so often; else it is for another.

        After a step back this is one call's trial; `over` ends it.
        """
        with self._lock:
            if self._away is None:
                return not self._failed or passed >= PASSES
            if self._trying or time.monotonic() < self._next:
                return False
            self._trying = True
            return True

    def over(self) -> None:
        """A trial that may have been is over, whatever came of it."""
        with self._lock:
            if self._trying:
                self._trying = False
                self._next = max(self._next, time.monotonic() + self._first)

    def answered(self, answer: Answer, turn: int, *, apart: bool) -> None:
        """A call has come back.

        Args:
            answer: what it came to.
            turn: in which it was admitted.
            apart: whether `settle` or `report` found that this process is at fault.
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
            self._told(answer.message)

    def _step_forward(self) -> None:
        if self._away is not None:
            self._away, self._tries, self._trying = None, 0, False
            self._turns += 1
            self._told(None)
