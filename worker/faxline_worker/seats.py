"""Which accounts' calls run in this process: an account that hangs must not take every thread."""

import threading
from collections import defaultdict, deque


class Seats:
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
        self._lock = threading.Lock()

    def take(self, account: str, wake: str) -> bool:
        """Take a seat; False: none is free and the wake-up waits (the oldest goes where too many do)."""
        with self._lock:
            if self._taken[account] >= self._most:
                self._waiting[account].append(wake)
                return False
            self._taken[account] += 1
            return True

    def leave(self, account: str) -> str | None:
        """Leave it; a wake-up that waited: the caller keeps the seat for it."""
        with self._lock:
            if self._waiting[account]:
                return self._waiting[account].popleft()
            self._taken[account] -= 1
            return None
