"""What to do for which account, and when: a thread-safe agenda of the dispatcher."""

import heapq
import threading
import time

Item = tuple[str, ...]
"""What is to be done, and for which account."""


class Agenda:
    """Items with a time each; the earliest time asked for an item counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, Item]] = []
        self._due: dict[Item, float] = {}
        self._changed = threading.Condition()
        self._closed = False

    def look(self, item: Item, seconds: float = 0.0) -> None:
        """Come to an item in so many seconds, or sooner if that was already wanted."""
        at = time.monotonic() + seconds
        with self._changed:
            if at < self._due.get(item, float("inf")):
                self._due[item] = at
                heapq.heappush(self._heap, (at, item))
                self._changed.notify()

    def next(self, longest: float) -> Item | None:
        """Wait until an item is due and take it off; None after so many seconds, or once it is closed."""
        until = time.monotonic() + longest
        with self._changed:
            while not self._closed:
                while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
                    heapq.heappop(self._heap)
                at, item = self._heap[0] if self._heap else (until, ())
                now = time.monotonic()
                if item and at <= now:
                    heapq.heappop(self._heap)
                    del self._due[item]
                    return item
                if now >= until:
                    return None
                self._changed.wait(min(at, until) - now)
            return None

    def close(self) -> None:
        """Let `next` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
