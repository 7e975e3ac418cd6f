"""Who works for which accounts, where many processes share many accounts.

An account belongs to one of 64 units, and each unit to the two processes that rank highest for it (rendezvous
hashing). Every process computes this from the heartbeats alone. Two processes that both work for an account
do no harm, so nobody has to agree with anybody.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias

from faxline.reading.processes import UNITS, Process

MANY = 100
"""With more accounts than this, workers share them, and wake-ups go to a list for each unit."""
ALL = frozenset(range(UNITS))
OWNERS = 2
"""The processes that a unit belongs to. If no more than these are there, each owns everything."""
DIGEST = 4
"""Hexadecimal digits that tell the accounts of a unit."""
Agree: TypeAlias = Callable[[str, int], bool]
"""Whether a process, by its name, has the same accounts in a unit as this one."""
KEPT = 5.0
"""Seconds for which a unit that went to another process is kept. That one may not know of it yet."""


@lru_cache(maxsize=100_000)
def unit_of(account: str) -> int:
    """The unit of an account."""
    return int.from_bytes(_sha1(account)[:8]) % UNITS


def owners_of(unit: int, processes: Iterable[str]) -> list[str]:
    """The processes that own a unit, of those that are at work."""
    return sorted(processes, key=lambda name: _sha1(f"{unit}|{name}"), reverse=True)[:OWNERS]


def units_of(process: str, processes: Iterable[str], agree: Agree = lambda *_: True) -> frozenset[int]:
    """The units that a process owns.

    Args:
        process: its name.
        processes: the names of those that are at work; it counts itself among them.
        agree: whether another one has the same accounts in a unit. To one that has not, the unit is not left.
    """
    others = {*processes} - {process}
    if len(others) < OWNERS:
        return ALL
    return frozenset(
        unit
        for unit in ALL
        if process in owners_of(unit, [process, *(name for name in others if agree(name, unit))])
    )


def digests_of(accounts: Iterable[str]) -> str:
    """What tells whether two processes have the same accounts in a unit: DIGEST characters for each."""
    found: list[list[str]] = [[] for _ in ALL]
    for name in sorted(accounts):
        found[unit_of(name)].append(name)
    return "".join(_sha1(" ".join(names)).hex()[:DIGEST] for names in found)


def digest_of(unit: int, digests: str) -> str:
    """The part of `digests_of` that is about a unit."""
    return digests[unit * DIGEST : (unit + 1) * DIGEST]


class OwnUnits:
    """The units of one process. It keeps those that it loses for a while.

    Args:
        process: its name, as in its heartbeat.
        clock: monotonic seconds.
    """

    def __init__(self, process: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._process = process
        self._clock = clock
        self._until = dict.fromkeys(ALL, clock() + KEPT)

    def saw(self, processes: Iterable[str], agree: Agree = lambda *_: True) -> frozenset[int]:
        """Take note of who is at work, and return the units of this process, as `units_of`."""
        now = self._clock()
        self._until |= dict.fromkeys(units_of(self._process, processes, agree), now + KEPT)
        self._until = {unit: until for unit, until in self._until.items() if until >= now}
        return frozenset(self._until)


def share_lists(workers: Iterable[Process]) -> bool:
    """Whether these workers take wake-ups from the lists of units. Older ones know the one list only."""
    return all([bool(worker.units) for worker in workers] or [False])


def _sha1(text: str) -> bytes:
    return hashlib.sha1(text.encode()).digest()  # noqa: S324 - no secret
