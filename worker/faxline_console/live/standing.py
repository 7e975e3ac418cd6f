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
MOST_READ = 2000
"""The most faxes of an index that are read whole, those of other groups among them."""


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

    A small index is read whole. Of a large one Redis is asked for PIECE faxes at a time, so that it serves
    others in between. The indexes come in the order of a fax's way: one that goes on meanwhile is found where
    it comes to.
    """
    group, indexes = keys.group(name), (keys.ready, keys.delayed, keys.submitted, keys.in_doubt)

    def queue_counts(pipe: Any) -> None:
        pipe.scard(group)
        for key in indexes:
            pipe.zcard(key)

    total, *sizes = yield Pipeline(queue_counts)
    if not 0 < total <= LARGEST:
        return Standing(total)
    found = yield Command(lambda client: client.smembers(group))
    members = sorted(_texts(found))
    pieces = [members[start : start + PIECE] for start in range(0, len(members), PIECE)]
    small = {key for key, size in zip(indexes, sizes, strict=True) if size < MOST_READ}

    def ask(pipe: Any, key: str) -> None:
        if key in small:
            pipe.zrange(key, 0, MOST_READ - 1)
        else:
            for piece in pieces:
                pipe.zmscore(key, piece)

    def queue_reads(pipe: Any) -> None:
        ask(pipe, keys.ready)
        ask(pipe, keys.delayed)
        pipe.zrange(keys.waiting, 0, MOST_READ - 1)
        pipe.zrange(keys.permits, 0, -1)
        ask(pipe, keys.submitted)
        ask(pipe, keys.in_doubt)

    replies = iter((yield Pipeline(queue_reads)))

    def have(key: str) -> frozenset[str]:
        if key in small:
            return _texts(next(replies)).intersection(members)
        scores = itertools.chain.from_iterable(itertools.islice(replies, len(pieces)))
        return frozenset(job for job, score in zip(members, scores, strict=True) if score is not None)

    queued = have(keys.ready) | have(keys.delayed)
    queued |= _texts(member.split(b"|", 2)[2] for member in next(replies))
    sending = _texts(holders_of(next(replies)))
    submitted, in_doubt = have(keys.submitted), have(keys.in_doubt)
    submitted -= in_doubt
    sending = sending.intersection(members) - submitted - in_doubt
    queued = queued.intersection(members) - sending - submitted - in_doubt
    places = {"queued": queued, "sending": sending, "in-doubt": in_doubt}
    return Standing(len(members), frozenset(members), places, submitted)


def _texts(names: Iterable[bytes]) -> frozenset[str]:
    return frozenset(name.decode() for name in names)
