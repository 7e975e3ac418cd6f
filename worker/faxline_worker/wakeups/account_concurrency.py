"""Shares the worker's threads among the accounts, so that an account that hangs cannot take every thread."""

import threading
from collections import defaultdict, deque
from enum import Enum, auto


class Slot(Enum):
    """The result of `take`."""

    TAKEN = auto()
    WAITS = auto()
    """No slot is free. The wake-up waits here, without a thread."""
    CLOSED = auto()
    """The process is ending. The wake-up is for another process."""


class AccountConcurrency:
    """The slots of each account; one slot is one thread. Thread-safe.

    With several accounts, each may take half of the threads. A further wake-up waits here, without a thread,
    until a turn of the same account ends.

    Args:
        threads: the process's number of threads.
        accounts: the number of accounts.
    """

    def __init__(self, threads: int, accounts: int) -> None:
        self._threads = threads
        self.share(accounts)
        self._taken: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=self._most))
        self._closed = False
        self._lock = threading.Lock()

    def share(self, accounts: int) -> None:
        """Share the threads among so many accounts from now on."""
        self._most = self._threads if accounts <= 1 else max(1, self._threads // 2)

    def take(self, account: str, wake: str) -> Slot:
        """Take a slot, or let the wake-up wait for one. If too many wait, the oldest is dropped."""
        with self._lock:
            if self._closed:
                return Slot.CLOSED
            if self._taken[account] >= self._most:
                self._waiting[account].append(wake)
                return Slot.WAITS
            self._taken[account] += 1
            return Slot.TAKEN

    def leave(self, account: str) -> str | None:
        """Free a slot. If a wake-up waits for it, return that; the caller then keeps the slot."""
        with self._lock:
            if self._waiting[account]:
                return self._waiting[account].popleft()
            self._taken[account] -= 1
            return None

    @property
    def closed(self) -> bool:
        """Whether the process is ending."""
        return self._closed

    def close(self) -> list[tuple[str, str]]:
        """Begin no further turn, and return the accounts and tokens of the wake-ups that waited."""
        with self._lock:
            self._closed = True
            waited = [(account, wake) for account, wakes in self._waiting.items() for wake in wakes]
            self._waiting.clear()
            return waited
