"""Tells the thread that reads intake which accounts have entries, if another thread listens to them."""

import threading


class IntakeBell:
    """Rung by the listener, awaited by the reader. Thread-safe."""

    def __init__(self) -> None:
        self.retired = False
        """Whether nobody rings any more: the reader listens itself."""
        self._changed = threading.Condition()
        self._rung: set[str] = set()
        self._taken: dict[str, bytes] = {}

    def ring(self, account: str) -> None:
        """An account has entries, or may have some."""
        with self._changed:
            self._rung.add(account)
            self._changed.notify()

    def wait(self, seconds: float) -> set[str]:
        """The accounts that were rung for since the last call; waits for one for at most this long."""
        with self._changed:
            self._changed.wait_for(lambda: self._rung, seconds)
            rung, self._rung = self._rung, set()
        return rung

    def took(self, account: str, last: str) -> None:
        """The reader took entries of an account, up to this one."""
        self._taken[account] = last.encode()

    def taken(self, account: str) -> bytes:
        """The last entry that the reader took."""
        return self._taken.get(account, b"0-0")
