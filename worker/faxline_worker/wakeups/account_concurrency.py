"""Which accounts' calls run in this process: an account that hangs must not take every thread."""

import threading
from collections import defaultdict, deque
from enum import Enum, auto


class Slot(Enum):
    """What `take` answers."""

    TAKEN = auto()
    WAITS = auto()
    """None is free: the wake-up waits here, without a thread."""
    CLOSED = auto()
    """The process ends: the wake-up is for another one."""


class AccountConcurrency:
    """A thread's worth of work each. Thread-safe.

    With several accounts, one may take half of the threads. A wake-up beyond that waits here, without a
    thread, and follows when a call of the same account ends.

    Args:
        threads: of the process.
        accounts: how many accounts there are.
    """

    def __init__(self, threads: int, accounts: int) -> None:
        self._most = threads if accounts <= 1 else max(1, threads // 2)
        self._taken: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=self._most))
        self._closed = False
        self._lock = threading.Lock()

    def take(self, account: str, wake: str) -> Slot:
        """Take a slot, or let the wake-up wait for one (the oldest goes where too many do)."""
        with self._lock:
            if self._closed:
                return Slot.CLOSED
            if self._taken[account] >= self._most:
                self._waiting[account].append(wake)
                return Slot.WAITS
            self._taken[account] += 1
            return Slot.TAKEN

    def leave(self, account: str) -> str | None:
        """Leave it; a wake-up that waited: the caller keeps the slot for it."""
        with self._lock:
            if self._waiting[account]:
                return self._waiting[account].popleft()
            self._taken[account] -= 1
            return None

    @property
    def closed(self) -> bool:
        """Whether the process ends."""
        return self._closed

    def close(self) -> list[tuple[str, str]]:
        """Let no turn begin from now on; the accounts and wake-ups that waited for a slot."""
        with self._lock:
            self._closed = True
            waited = [(account, wake) for account, wakes in self._waiting.items() for wake in wakes]
            self._waiting.clear()
            return waited
