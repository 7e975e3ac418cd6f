"""When to look at which account again: a thread-safe agenda of the dispatcher."""

import heapq
import threading
import time


class Agenda:
    """Names with a time each; the earliest time asked for a name counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._changed = threading.Condition()
        self._closed = False

    def look(self, name: str, seconds: float = 0.0) -> None:
        """Look at a name in so many seconds, or sooner if that was already wanted."""
        at = time.monotonic() + seconds
        with self._changed:
            if at < self._due.get(name, float("inf")):
                self._due[name] = at
                heapq.heappush(self._heap, (at, name))
                self._changed.notify()

    def next(self) -> str | None:
        """Wait until a name is due and take it off; None once the agenda is closed."""
        with self._changed:
            while not self._closed:
                while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
                    heapq.heappop(self._heap)
                if not self._heap:
                    self._changed.wait()
                    continue
                at, name = self._heap[0]
                left = at - time.monotonic()
                if left <= 0:
                    heapq.heappop(self._heap)
                    del self._due[name]
                    return name
                self._changed.wait(left)
            return None

    def close(self) -> None:
        """Let `next` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
