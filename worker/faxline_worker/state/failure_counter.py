"""Entries that made our code raise: tried a few times, then set aside, so that they hold up nothing."""

import threading

TRIES = 3
MOST = 1000
"""Entries that are remembered; older ones are tried anew."""


class Stumbles:
    """Counts the tries of entries, in this process. Thread-safe."""

    def __init__(self) -> None:
        self._tries: dict[str, int] = {}
        self._lock = threading.Lock()

    def exhausted(self, entry: str) -> bool:
        """Count one more failed try; True when it was the last that an entry is given."""
        with self._lock:
            tries = self._tries.pop(entry, 0) + 1
            if tries >= TRIES:
                return True
            self._tries[entry] = tries
            if len(self._tries) > MOST:
                self._tries.pop(next(iter(self._tries)))
            return False

    def forget(self, entry: str) -> None:
        """It went well."""
        with self._lock:
            self._tries.pop(entry, None)
