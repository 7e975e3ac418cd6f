"""Carries out the hits of a run, and has what was hit work again."""

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count

from faxline_chaos.schedule import REDIS, Hit
from faxline_worker.local import Local, Part
from faxline_worker.redis_server import RedisServer

WATCH = 0.25
"""Seconds between two looks at who ended without being killed."""


class _Victims:
    """The processes and the Redis server, and which of them are down."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._down: set[str] = set()
        self.exits: list[str] = []

    def hit(self, hit: Hit) -> None:
        """Kill or stall it."""
        self._down.add(hit.name)
        victim = self._victim(hit.name)
        if hit.stall:
            victim.pause()
        else:
            victim.kill()

    def mend(self, hit: Hit) -> None:
        """Start it again on its port and data, or let it go on."""
        victim = self._victim(hit.name)
        if hit.stall:
            victim.resume()
        elif isinstance(victim, Part):
            victim.start()
        else:
            victim.restart()
        self._down.discard(hit.name)

    def _victim(self, name: str) -> Part | RedisServer:
        return self._local.server if name == REDIS else self._local.part(name)

    def watch(self) -> None:
        """Note who ended by itself, and start it again."""
        for part in self._local.parts:
            code = part.process.poll()
            if code is not None and part.name not in self._down:
                self.exits.append(f"{part.name} with exit code {code}")
                part.kill()
                part.start()


def run_hits(local: Local, hits: Sequence[Hit]) -> list[str]:
    """Kill and stall by the schedule; returns what ended by itself, once all that was hit works again."""
    victims, order = _Victims(local), count()
    agenda: list[tuple[float, int, Callable[[Hit], None], Hit]] = []
    for hit in hits:
        agenda.append((hit.at, next(order), victims.hit, hit))
        agenda.append((hit.at + hit.down, next(order), victims.mend, hit))
    heapq.heapify(agenda)
    pause, begun = threading.Event(), time.monotonic()
    while agenda:
        at, _, act, hit = agenda[0]
        left = begun + at - time.monotonic()
        if left > 0:
            pause.wait(min(left, WATCH))
            victims.watch()
        else:
            heapq.heappop(agenda)
            act(hit)
    victims.watch()
    return victims.exits
