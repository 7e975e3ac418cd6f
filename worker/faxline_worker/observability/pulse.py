"""Detects stalled loops: each loop of a process beats in every round, and a silent one is reported.

A thread that answers a probe proves nothing about the threads that do the work. So each loop that must not
stop has its own `Loop`. A beat says that the loop runs; `well` also says that it did its work, and `failed`
that it could not. While Redis is away a process is not ready but healthy, because a restart would not help.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

STALL = 60.0
"""Seconds without a beat after which a loop stands still (FAXLINE_STALL). A call to Redis takes 35 s at the
most (redis_clients.py)."""
READY = 10.0
"""Seconds without a beat after which a loop is not ready. A read blocks for 2 s at the most."""
BEAT = 1.0
"""Seconds between two beats for a loop that waits."""
FORGIVEN = 60.0
"""Seconds after which the failure of a pool's thread is forgotten if no thread was busy since."""
Clock = Callable[[], float]


class Loop:
    """One loop. One thread beats; any thread may read.

    Args:
        name: its name in answers to probes, in metrics and in the log.
        bound: seconds without a beat after which it stands still: above the longest that one round may take.
        ready: seconds without a beat after which it is not ready.
        clock: monotonic seconds.
    """

    def __init__(self, name: str, bound: float, ready: float, clock: Clock = time.monotonic) -> None:
        self.name = name
        self.bound = bound
        self._ready = min(ready, bound)
        self._clock = clock
        self._beat = clock()
        self._trouble = "has not begun"

    def beat(self) -> None:
        """Record a round."""
        self._beat = self._clock()

    def well(self) -> None:
        """Record a round that did its work."""
        self._beat = self._clock()
        self._trouble = ""

    def failed(self) -> None:
        """Record a round that could not do its work."""
        self._beat = self._clock()
        self._trouble = "fails"

    @property
    def age(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._beat

    @property
    def trouble(self) -> str:
        """Why it does not do its work, in words; empty if it does."""
        return f"stands still for {age:.0f} s" if (age := self.age) > self._ready else self._trouble


@contextmanager
def beating(loop: Loop) -> Iterator[None]:
    """Beat for a loop while it waits for one call that may take long and cannot beat itself."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT):
            loop.beat()

    thread = threading.Thread(target=beat, name=f"{loop.name} beats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Pool(Loop):
    """The threads of a pool as one loop: its age is that of the busy thread that has been silent longest.

    A pool without a busy thread is well.
    """

    def __init__(self, name: str, bound: float, clock: Clock = time.monotonic) -> None:
        super().__init__(name, bound, bound, clock)
        self._beats: dict[int, float] = {}
        self._trouble = ""
        self._failed_at = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count this thread as busy."""
        thread = threading.get_ident()
        self._beats[thread] = self._clock()
        try:
            yield
        finally:
            del self._beats[thread]

    def beat(self) -> None:
        """Record that this busy thread goes on."""
        thread = threading.get_ident()
        if thread in self._beats:
            self._beats[thread] = self._clock()

    def failed(self) -> None:
        """Record that a thread could not do its work."""
        self._failed_at = self._clock()
        self._trouble = "fails"

    @property
    def age(self) -> float:
        """Seconds since the last beat of the busy thread that has been silent longest; 0 if none is busy."""
        now = self._clock()
        return now - min(self._beats.copy().values(), default=now)

    @property
    def trouble(self) -> str:
        """As of a loop. Idle threads prove nothing, so a failure is forgotten after a time."""
        if self._clock() - self._failed_at > FORGIVEN:
            self._trouble = ""
        return super().trouble


class Loops:
    """The loops of a process. Thread-safe.

    Args:
        bound: seconds without a beat after which a loop stands still (FAXLINE_STALL).
        clock: monotonic seconds.
    """

    def __init__(self, bound: float = STALL, clock: Clock = time.monotonic) -> None:
        self._bound = bound
        self._clock = clock
        self._loops: dict[str, Loop] = {}

    def add(self, name: str, longest: float = 0.0) -> Loop:
        """Add a loop that must run from now on.

        Args:
            name: its name.
            longest: seconds that it may wait on purpose, in addition.
        """
        loop = self._loops[name] = Loop(name, self._bound + longest, READY + longest, self._clock)
        return loop

    def pool(self, name: str, longest: float) -> Pool:
        """Add a pool of threads.

        Args:
            name: its name.
            longest: seconds that a thread may be silent, in addition.
        """
        pool = self._loops[name] = Pool(name, self._bound + longest, self._clock)
        return pool

    def drop(self, name: str) -> None:
        """Remove a loop that has ended as it should."""
        self._loops.pop(name, None)

    def stalled(self) -> Mapping[str, float]:
        """The loops that stand still, each with the seconds since its last beat."""
        ages = [(loop, loop.age) for loop in self._loops.copy().values()]
        return {loop.name: round(age, 1) for loop, age in ages if age > loop.bound}

    def checks(self) -> Mapping[str, bool | str]:
        """Each loop: True where it does its work, else why it does not, in words."""
        return {name: loop.trouble or True for name, loop in self._loops.copy().items()}

    def ages(self) -> Mapping[str, float]:
        """Seconds since the last beat of each loop."""
        return {name: loop.age for name, loop in self._loops.copy().items()}
