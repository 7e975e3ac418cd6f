"""When which process is killed or stalled, and when faxes are pushed: drawn from the seed alone."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

REDIS = "redis"

GAP = 1.5
"""Seconds between two hits, on average."""
WEIGHTS: Mapping[str, int] = {"worker": 5, "dispatcher": 2, "webhook": 2, REDIS: 2}
"""How often a role is hit, in proportion."""
DOWN: Mapping[str, tuple[float, float]] = {
    "worker": (0.0, 2.0),
    "dispatcher": (0.0, 3.0),
    "webhook": (0.0, 3.0),
    REDIS: (0.1, 3.0),
}
"""Least and most seconds until a killed process is started again."""
STALLED: Mapping[str, tuple[float, float]] = {
    "worker": (3.0, 12.0),
    "dispatcher": (3.0, 8.0),
    "webhook": (2.0, 6.0),
    REDIS: (2.0, 6.0),
}
"""Least and most seconds of a stall: shorter and longer than a lease, and than the Redis clients' timeout."""
STALLS = 5
"""One stall for so many kills."""
SETTLE = 4.0
"""Seconds that a process that works again is spared, so that most hits are on one that works."""


@dataclass(frozen=True)
class Hit:
    """One `kill -9`, one stall (SIGSTOP and SIGCONT), or one trouble of the world (`world.py`).

    Attributes:
        at: seconds from the start of the run.
        name: the process, such as `worker-3`; or `redis`; or the trouble.
        down: seconds until it is started again, or goes on, or the trouble is over.
        stall: whether it is only stalled.
    """

    at: float
    name: str
    down: float
    stall: bool

    @property
    def role(self) -> str:
        """What the process is for."""
        return self.name.partition("-")[0]


class Timetable:
    """The time by which hits and pushes are made: seconds since the start in which it did not stand still."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._stopped: float | None = None

    @property
    def now(self) -> float:
        """The time."""
        stopped = self._stopped
        return (time.monotonic() if stopped is None else stopped) - self._begun

    def due(self, at: float) -> bool:
        """Whether this time has come."""
        return self.now >= at

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The time stands still meanwhile."""
        self._stopped = time.monotonic()
        try:
            yield
        finally:
            self._begun += time.monotonic() - self._stopped
            self._stopped = None


def draw_hits(seed: int, kills: int, names: Sequence[str]) -> list[Hit]:
    """The hits of a run, in the order of time: so many kills, and the stalls that go with them.

    Args:
        seed: of everything random.
        kills: how many.
        names: the processes that may be hit; their roles are those of `WEIGHTS`.
    """
    chance = random.Random(f"hits:{seed}")
    count = kills + kills // STALLS
    stalls = set(chance.sample(range(count), kills // STALLS))
    size = Counter(name.partition("-")[0] for name in names)
    free_at = dict.fromkeys(names, 0.0)
    hits: list[Hit] = []
    at = 0.0
    for i in range(count):
        at += chance.uniform(0.2, 1.8) * GAP
        up = [name for name in names if free_at[name] <= at]
        if not up:  # all are down or just up: wait for the first
            at = min(free_at.values())
            up = [name for name in names if free_at[name] <= at]
        roles = [name.partition("-")[0] for name in up]
        name = chance.choices(up, [WEIGHTS[role] / size[role] for role in roles])[0]
        down = chance.uniform(*(STALLED if i in stalls else DOWN)[name.partition("-")[0]])
        free_at[name] = at + down + SETTLE
        hits.append(Hit(at, name, down, i in stalls))
    return hits


def push_times(seed: int, count: int, hits: Sequence[Hit]) -> list[float]:
    """When each fax is pushed: in bursts, spread over the time of the hits."""
    chance = random.Random(f"pushes:{seed}")
    length = hits[-1].at if hits else 1.0
    bursts = [chance.uniform(0, length) for _ in range(max(1, count // 20))]
    return sorted(chance.choice(bursts) for _ in range(count))
