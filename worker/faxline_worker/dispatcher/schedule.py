"""What a dispatcher has to do for which account, and when."""

import heapq
import threading
import time
from enum import StrEnum


class Task(StrEnum):
    """What is done for an account when its time comes."""

    RUN_TIMERS = "run_timers"
    PLAN_WAKEUPS = "plan_wakeups"
    WAKE = "wake"
    """Send one wake-up that was planned."""
    GATHER_RECEIPTS = "gather_receipts"
    """Receipts came: have them reconciled."""
    CHECK_RECEIPTS = "check_receipts"
    """Receipts may wait although nobody works on them."""
    ORDERS = "orders"
    POLL = "poll"
    TIDY = "tidy"
    CHECK_STREAMS = "check_streams"


Item = tuple[str, ...]
"""A task, its account, and for a wake-up its token."""


class Schedule:
    """Items, each with a time. If an item is added twice, the earlier time counts. Thread-safe."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, Item]] = []
        self._due: dict[Item, float] = {}
        self._changed = threading.Condition()
        self._closed = False

    def add(self, item: Item, seconds: float = 0.0) -> None:
        """Have an item done in this many seconds, or sooner if it is due sooner already."""
        at = time.monotonic() + seconds
        with self._changed:
            if at < self._due.get(item, float("inf")):
                self._due[item] = at
                heapq.heappush(self._heap, (at, item))
                self._changed.notify()

    def next(self, longest: float) -> Item | None:
        """Wait for the next item that is due and remove it.

        Args:
            longest: seconds to wait at most.

        Returns:
            The item; None after `longest` seconds or once the schedule is closed.
        """
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
        """Make `next` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
