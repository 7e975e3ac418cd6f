"""Carries out the hits of a run, and has what was hit work again."""

import heapq
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Protocol

from faxline_chaos.schedule import REDIS, Hit, Timetable
from faxline_local.processes import Part, wait_for
from faxline_local.redis_server import RedisServer
from faxline_local.stack import Local

WATCH = 0.25
"""Seconds between two looks at who ended without being killed."""
POSTPONE = 0.5
"""Seconds until a hit is tried again that would leave a role with nobody who is ready: a slow machine takes
many seconds to start a process, and an outage for a doubt's whole wait is not what a run is about."""
PATIENCE = 60.0
"""Seconds for which one hit is put off at most."""


class Trouble(Protocol):
    """What happens to the world: it begins, and it ends."""

    def begin(self) -> None:
        """Begin it."""

    def end(self) -> None:
        """End it."""


class Interlude(Protocol):
    """What happens alone: it begins when all processes are at work, and meanwhile nothing else is hit."""

    def play(self, seconds: float) -> None:
        """Carry it out."""


class _Victims:
    """The processes and the Redis server, the world around them, and which of them are down."""

    def __init__(self, local: Local, world: Mapping[str, Trouble]) -> None:
        self._local = local
        self._world = world
        self._began: set[str] = set()
        """The processes that were ready once since they were started."""
        self.down: set[str] = set()
        self.exits: list[str] = []

    def spared(self, hit: Hit) -> bool:
        """Whether the victim is down already, or the last of several of its role that is at work."""
        if hit.name in self.down:
            return True
        others = [name for name in self._local.names(hit.role) if name != hit.name]
        return bool(others) and not any(self._works(name) for name in others if name not in self.down)

    def _works(self, name: str) -> bool:
        """Whether a process is at work. It is, too, while it is not ready because Redis is away."""
        if name not in self._began and self._local.ready(name):
            self._began.add(name)
        return name in self._began

    def hit(self, hit: Hit) -> None:
        """Kill or stall it."""
        self.down.add(hit.name)
        victim = None if hit.name in self._world else self._victim(hit.name)
        if victim is None:
            self._world[hit.name].begin()
        elif hit.stall:
            victim.pause()
        else:
            victim.kill()
            self._began.discard(hit.name)

    def mend(self, hit: Hit) -> None:
        """Start it again on its port and data, or let it go on."""
        victim = None if hit.name in self._world else self._victim(hit.name)
        if victim is None:
            self._world[hit.name].end()
        elif hit.stall:
            victim.resume()
        elif isinstance(victim, Part):
            victim.start()
        else:
            victim.restart()
        self.down.discard(hit.name)

    def _victim(self, name: str) -> Part | RedisServer:
        return self._local.server if name == REDIS else self._local.part(name)

    def missing(self) -> set[str]:
        """What is down, or not ready yet."""
        self.watch()
        return self.down | {name for name in self._local.metrics if not self._local.ready(name)}

    def watch(self) -> None:
        """Note who ended by itself, and start it again."""
        for part in self._local.parts:
            code = part.process.poll()
            if code is not None and part.name not in self.down:
                self.exits.append(f"{part.name} with exit code {code}")
                part.kill()
                self._began.discard(part.name)
                part.start()


def run_hits(
    local: Local,
    hits: Sequence[Hit],
    timetable: Timetable,
    world: Mapping[str, Trouble] | None = None,
    interludes: Mapping[str, Interlude] | None = None,
) -> list[str]:
    """Kill and stall by the schedule; returns what ended by itself, once all that was hit works again.

    Args:
        local: the processes.
        hits: the schedule.
        timetable: its time; it stands still during an interlude, and while one waits for its turn.
        world: what may happen to the world, by the name that its hits have.
        interludes: what happens alone, likewise.
    """
    alone = interludes or {}
    victims, order = _Victims(local, world or {}), count()
    agenda = [(hit.at, next(order), hit.at, hit) for hit in hits]
    mends: list[tuple[float, int, Hit]] = []
    heapq.heapify(agenda)
    while agenda or mends:
        now = timetable.now
        if _mend(victims, mends):
            continue
        if agenda and agenda[0][0] <= now:
            _, number, planned, hit = heapq.heappop(agenda)
            if hit.name in alone:
                with timetable.standing_still():
                    _await_calm(victims, mends)
                    alone[hit.name].play(hit.down)
            elif victims.spared(hit) and (hit.name in victims.down or now - planned < PATIENCE):
                heapq.heappush(agenda, (now + POSTPONE, number, planned, hit))
            else:
                victims.hit(hit)
                heapq.heappush(mends, (time.monotonic() + hit.down, number, hit))
        else:
            threading.Event().wait(WATCH)
            victims.watch()
    victims.watch()
    return victims.exits


def _mend(victims: _Victims, mends: list[tuple[float, int, Hit]]) -> bool:
    """Mend what was down for long enough; whether there was any."""
    if not mends or mends[0][0] > time.monotonic():
        return False
    victims.mend(heapq.heappop(mends)[2])
    return True


def _await_calm(victims: _Victims, mends: list[tuple[float, int, Hit]]) -> None:
    """Wait until all that was hit works again."""

    def calm() -> bool:
        while _mend(victims, mends):
            pass
        return not victims.missing()

    if not wait_for(calm, PATIENCE):
        victims.exits.append("not ready again within a minute: " + ", ".join(sorted(victims.missing())))
