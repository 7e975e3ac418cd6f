"""Where the faxes of a group stand, by the indexes of Redis: no record is read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faxline.contract.redis_keys import RedisKeys
from faxline.reading.account_reader import holders_of
from faxline.steps.commands import Command, Steps, at_one_moment

LARGEST = 100_000
"""The most faxes of a group that are looked at: Redis does nothing else meanwhile."""
MOST_LINED = 2000
"""The most faxes that are looked at, of all groups, of those that wait for the line of their number."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the faxes of a group stand, as of one moment.

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
    """Read where the faxes of a group stand. A group that is not there has none."""
    group = keys.group(name)
    total: int = yield Command(lambda client: client.scard(group))
    if not 0 < total <= LARGEST:
        return Standing(total)

    def queue_reads(pipe: Any) -> None:
        pipe.smembers(group)
        for key in (keys.ready, keys.delayed, keys.in_doubt, keys.submitted):
            pipe.zinter([group, key])
        pipe.zrange(keys.waiting, 0, MOST_LINED - 1)
        pipe.zrange(keys.permits, 0, -1)

    found, ready, delayed, in_doubt, submitted, waiting, permits = yield from at_one_moment(queue_reads)
    members = _texts(found)
    lined = [member.split(b"|", 2)[2] for member in waiting]
    places = {
        "queued": _texts([*ready, *delayed, *lined]) & members,
        "sending": _texts(holders_of(permits)) & members,
        "in-doubt": _texts(in_doubt),
    }
    return Standing(len(members), members, places, _texts(submitted))


def _texts(names: Iterable[bytes]) -> frozenset[str]:
    return frozenset(name.decode() for name in names)
