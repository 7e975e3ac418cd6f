"""Long-running orders that a dispatcher has seen; the accounts take turns."""

import threading
import time
from collections import deque


class LongOrderQueue:
    """Orders to be carried out, by account and entry. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: dict[str, deque[str]] = {}
        self._known: set[tuple[str, str]] = set()
        self._rests: dict[str, float] = {}

    def add(self, account: str, entry: str) -> None:
        """Add an order unless it is known."""
        with self._changed:
            if (account, entry) not in self._known:
                self._known.add((account, entry))
                self._entries.setdefault(account, deque()).append(entry)
                self._changed.notify()

    def take(self, timeout: float) -> tuple[str, str] | None:
        """Take the next order; None after `timeout` seconds. Call `done` or `later` for it afterwards."""
        give_up = time.monotonic() + timeout
        with self._changed:
            while True:
                now = time.monotonic()
                for account in self._entries:
                    if self._rests.get(account, 0.0) <= now:
                        entries = self._entries.pop(account)
                        entry = entries.popleft()
                        if entries:
                            self._entries[account] = entries  # behind the others
                        return account, entry
                if now >= give_up:
                    return None
                rests = [until for account, until in self._rests.items() if account in self._entries]
                self._changed.wait(min([give_up, *rests]) - now)

    def done(self, account: str, entry: str) -> None:
        """Forget an order that was carried out or is gone."""
        with self._changed:
            self._known.discard((account, entry))

    def later(self, account: str, entry: str, seconds: float) -> None:
        """Have an order tried again in this many seconds, and no other of its account before."""
        with self._changed:
            self._rests[account] = time.monotonic() + seconds
            self._entries.setdefault(account, deque()).appendleft(entry)
