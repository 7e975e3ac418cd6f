"""What happens to the world around Faxline: iFax out of reach, a firewall in between, a clock that steps.

Each is drawn from the seed alone and carried out as a hit beside the kills (`killing.py`): it begins, and
ends after its time.
"""

import random
from collections.abc import Mapping, Sequence

from faxline_chaos.clock import SteppingClock
from faxline_chaos.relay import Relay
from faxline_chaos.schedule import Hit

OUTAGE, FIREWALL, CLOCK = "outage", "firewall", "clock"
LENGTHS: Mapping[str, tuple[float, float]] = {
    OUTAGE: (1.0, 6.0),
    FIREWALL: (1.0, 6.0),
    CLOCK: (1.0, 5.0),
}
"""Least and most seconds of each."""
KILLS_FOR_EACH = 10
"""One of each for so many kills, one at the least."""
BEHIND = 600
"""Seconds that Redis' clock is behind while it is wrong."""


def draw_world(seed: int, hits: Sequence[Hit], kinds: Sequence[str]) -> list[Hit]:
    """What happens to the world during a run with these hits, in the order of time.

    Two of a kind do not overlap.

    Args:
        seed: of everything random.
        hits: the kills and stalls, whose length is the run's.
        kinds: of `LENGTHS`.
    """
    length = hits[-1].at if hits else 10.0
    each = max(1, sum(not hit.stall for hit in hits) // KILLS_FOR_EACH)
    drawn = []
    for kind in kinds:
        chance = random.Random(f"world:{kind}:{seed}")  # noqa: S311 - no secret
        slot = length / each
        for i in range(each):
            down = min(chance.uniform(*LENGTHS[kind]), slot * 0.8)
            drawn.append(Hit(i * slot + chance.uniform(0.0, slot - down), kind, down, stall=False))
    return sorted(drawn, key=lambda hit: hit.at)


class Outage:
    """iFax is out of reach: nothing listens there."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def begin(self) -> None:
        """Begin it."""
        self._relay.close_port()

    def end(self) -> None:
        """End it."""
        self._relay.open_port()


class Firewall:
    """Somebody between us and iFax refuses every request with a page of its own."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def begin(self) -> None:
        """Begin it."""
        self._relay.refuse()

    def end(self) -> None:
        """End it."""
        self._relay.open_port()


class Clock:
    """Redis' clock is set back, and right again."""

    def __init__(self, clock: SteppingClock) -> None:
        self._clock = clock

    def begin(self) -> None:
        """Set it back."""
        self._clock.step(-BEHIND)

    def end(self) -> None:
        """Set it right again."""
        self._clock.step(0)
