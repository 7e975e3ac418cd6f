"""Carries out the kills of a run and starts what was killed again."""

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count

from faxline_chaos.schedule import REDIS, Kill
from faxline_worker.local import Local

WATCH = 0.25
"""Seconds between two looks at who ended without being killed."""


class _Victims:
    """The processes and the Redis server, and which of them are down."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._down: set[str] = set()
        self.exits: list[str] = []

    def kill(self, name: str) -> None:
        """End it at once."""
        self._down.add(name)
        if name == REDIS:
            self._local.server.kill()
        else:
            self._local.part(name).kill()

    def start(self, name: str) -> None:
        """Start it again, on its port and its data."""
        if name == REDIS:
            self._local.server.restart()
        else:
            self._local.part(name).start()
        self._down.discard(name)

    def watch(self) -> None:
        """Note who ended by itself, and start it again."""
        for part in self._local.parts:
            code = part.process.poll()
            if code is not None and part.name not in self._down:
                self.exits.append(f"{part.name} with exit code {code}")
                part.kill()
                part.start()


def run_kills(local: Local, kills: Sequence[Kill]) -> list[str]:
    """Kill and start again by the schedule; what ended by itself meanwhile.

    Returns when everything that was killed has been started again.
    """
    victims, order = _Victims(local), count()
    agenda: list[tuple[float, int, Callable[[str], None], str]] = []
    for kill in kills:
        agenda.append((kill.at, next(order), victims.kill, kill.name))
        agenda.append((kill.at + kill.down, next(order), victims.start, kill.name))
    heapq.heapify(agenda)
    pause, begun = threading.Event(), time.monotonic()
    while agenda:
        at, _, act, name = agenda[0]
        left = begun + at - time.monotonic()
        if left > 0:
            pause.wait(min(left, WATCH))
            victims.watch()
        else:
            heapq.heappop(agenda)
            act(name)
    victims.watch()
    return victims.exits
