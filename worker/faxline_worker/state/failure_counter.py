"""Counts how often an entry raised an exception. After a few tries it is set aside and holds up nothing."""

import threading

TRIES = 3
MOST = 1000
"""Entries that are remembered. The oldest are forgotten and get all their tries again."""


class FailureCounter:
    """Counts failed tries of entries in this process. Thread-safe."""

    def __init__(self) -> None:
        self._tries: dict[str, int] = {}
        self._lock = threading.Lock()

    def exhausted(self, entry: str) -> bool:
        """Count one more failed try of an entry; True if it was the last."""
        with self._lock:
            tries = self._tries.pop(entry, 0) + 1
            if tries >= TRIES:
                return True
            self._tries[entry] = tries
            if len(self._tries) > MOST:
                self._tries.pop(next(iter(self._tries)))
            return False

    def forget(self, entry: str) -> None:
        """Forget the tries of an entry that succeeded."""
        with self._lock:
            self._tries.pop(entry, None)
