"""When which process is killed and started again, and when faxes are pushed: drawn from the seed alone."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REDIS = "redis"

GAP = 1.5
"""Seconds between two kills, on average."""
WEIGHTS: Mapping[str, int] = {"worker": 5, "dispatcher": 2, "webhook": 2, REDIS: 2}
"""How often a role is hit, in proportion."""
DOWN: Mapping[str, tuple[float, float]] = {
    "worker": (0.0, 2.0),
    "dispatcher": (0.0, 3.0),
    "webhook": (0.0, 3.0),
    REDIS: (0.1, 3.0),
}
"""Least and most seconds until a killed process is started again."""
SETTLE = 3.0
"""Seconds that a process started again is spared, so that most kills hit one that works."""


@dataclass(frozen=True)
class Kill:
    """One `kill -9`.

    Attributes:
        at: seconds from the start of the run.
        name: the process, such as `worker-3`, or `redis`.
        down: seconds until it is started again.
    """

    at: float
    name: str
    down: float

    @property
    def role(self) -> str:
        """What the process is for."""
        return self.name.partition("-")[0]


def draw_kills(seed: int, count: int, names: Sequence[str]) -> list[Kill]:
    """The kills of a run, in the order of time.

    Args:
        seed: of everything random.
        count: how many.
        names: the processes that may be hit; their roles are those of `WEIGHTS`.
    """
    chance = random.Random(f"kills:{seed}")  # noqa: S311 - no secret
    size = Counter(name.partition("-")[0] for name in names)
    free_at = dict.fromkeys(names, 0.0)
    kills: list[Kill] = []
    at = 0.0
    for _ in range(count):
        at += chance.uniform(0.2, 1.8) * GAP
        up = [name for name in names if free_at[name] <= at]
        if not up:  # all are down or just up: wait for the first
            at = min(free_at.values())
            up = [name for name in names if free_at[name] <= at]
        roles = [name.partition("-")[0] for name in up]
        weights = [WEIGHTS[role] / size[role] for role in roles]
        name = chance.choices(up, weights)[0]
        down = chance.uniform(*DOWN[name.partition("-")[0]])
        free_at[name] = at + down + SETTLE
        kills.append(Kill(at, name, down))
    return kills


def push_times(seed: int, count: int, kills: Sequence[Kill]) -> list[float]:
    """When each fax is pushed: in bursts, spread over the time of the kills."""
    chance = random.Random(f"pushes:{seed}")  # noqa: S311 - no secret
    length = kills[-1].at if kills else 1.0
    bursts = [chance.uniform(0, length) for _ in range(max(1, count // 20))]
    return sorted(chance.choice(bursts) for _ in range(count))
