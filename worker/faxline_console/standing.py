"""Where the faxes of a group stand, by the indexes of Redis: no record is read."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faxline.contract.redis_keys import RedisKeys
from faxline.reading.account_reader import holders_of
from faxline.steps.commands import Command, Pipeline, Steps

LARGEST = 20_000
"""The most faxes of a group that are looked at."""
PIECE = 500
"""The most faxes that one command asks for: Redis does nothing else meanwhile."""
MOST_LINED = 2000
"""The most faxes that are looked at, of all groups, of those that wait for the line of their number."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the faxes of a group stand.

    Attributes:
        total: how many have been registered.
        members: their ids; none of a group that is larger than LARGEST.
        places: the ids of those that are queued, sending and in doubt, by the segment of a bar.
        submitted: those that iFax has, or keeps until their date.
    """

    total: int
    members: frozenset[str] = frozenset()
    places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    submitted: frozenset[str] = frozenset()

    @property
    def rest(self) -> frozenset[str]:
        """All others. They have ended, but for those that wait behind very many for a line."""
        return self.members - self.submitted.union(*self.places.values())


def read_standing(keys: RedisKeys, name: str) -> Steps[Standing]:
    """Read where the faxes of a group stand. A group that is not there has none.

    Redis is asked for PIECE faxes at a time, so that it serves others in between. The indexes come in the
    order of a fax's way: one that goes on meanwhile is found where it comes to.
    """
    group = keys.group(name)
    total: int = yield Command(lambda client: client.scard(group))
    if not 0 < total <= LARGEST:
        return Standing(total)
    found = yield Command(lambda client: client.smembers(group))
    members = sorted(_texts(found))
    pieces = [members[start : start + PIECE] for start in range(0, len(members), PIECE)]
    indexes = (keys.ready, keys.delayed, keys.submitted, keys.in_doubt)

    def queue_reads(pipe: Any) -> None:
        for key in indexes[:2]:
            for piece in pieces:
                pipe.zmscore(key, piece)
        pipe.zrange(keys.waiting, 0, MOST_LINED - 1)
        pipe.zrange(keys.permits, 0, -1)
        for key in indexes[2:]:
            for piece in pieces:
                pipe.zmscore(key, piece)

    replies = iter((yield Pipeline(queue_reads)))

    def have() -> frozenset[str]:
        scores = itertools.chain.from_iterable(itertools.islice(replies, len(pieces)))
        return frozenset(job for job, score in zip(members, scores, strict=True) if score is not None)

    queued = have() | have() | _texts(member.split(b"|", 2)[2] for member in next(replies))
    sending = _texts(holders_of(next(replies)))
    submitted, in_doubt = have(), have()
    submitted -= in_doubt
    sending = sending.intersection(members) - submitted - in_doubt
    queued = queued.intersection(members) - sending - submitted - in_doubt
    places = {"queued": queued, "sending": sending, "in-doubt": in_doubt}
    return Standing(len(members), frozenset(members), places, submitted)


def _texts(names: Iterable[bytes]) -> frozenset[str]:
    return frozenset(name.decode() for name in names)
