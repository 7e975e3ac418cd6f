"""Which node of a cluster owns which slot, the slot of a command, and what to do after a node refused.

Nothing here does I/O: the clients with and without asyncio share it.
"""

import time
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    MovedError,
    TryAgainError,
)

from faxline.contract.connections.cluster_url import Address
from faxline.contract.connections.deadlines import within

REFUSALS: tuple[type[Exception], ...] = (AskError, TryAgainError, ClusterDownError)
"""What a node answers if another one has the slot, or if it has to wait. MovedError is an AskError."""
FOLLOWED: tuple[type[Exception], ...] = (redis.ConnectionError, redis.TimeoutError, *REFUSALS)
"""The errors after which a command is sent again, perhaps to another node."""
_FINAL = (AuthenticationError, AuthorizationError)
"""Those of them that no other node would spare us."""
NO_NAME = "?"
"""The host of a node without a name, where names are preferred (`cluster-preferred-endpoint-type`)."""
PATIENCE = 2.0
"""Seconds for which a command is sent again after its first failure, if it has no deadline."""
PAUSE = 0.05
"""Seconds between two tries, except after a redirection."""
LONGEST_PAUSE = 0.4
"""The pauses double up to this while a node cannot be reached: each try of each thread makes a connection."""
REDIRECTIONS = 5
"""Redirections that are followed without a pause. More mean that the nodes disagree at the moment."""
_NO_KEY, _STREAMS, _SCRIPT, _MATCH = 0, -1, -2, -3
_PLACES = {"EVAL": _SCRIPT, "EVALSHA": _SCRIPT, "XREAD": _STREAMS, "XREADGROUP": _STREAMS, "SCAN": _MATCH}
_KEYLESS = {
    *(
        "ACL",
        "AUTH",
        "CLIENT",
        "CLUSTER",
        "COMMAND",
        "CONFIG",
        "DBSIZE",
        "ECHO",
        "FLUSHALL",
        "FLUSHDB",
        "INFO",
    ),
    *("LATENCY", "PING", "ROLE", "SCRIPT", "SLOWLOG", "TIME"),
    *("ASKING", "DISCARD", "EXEC", "MULTI", "WAIT"),
}


@cache
def _place(name: str) -> int:
    """Where a command has its first key: an index, or one of the constants above."""
    words = name.upper().split()
    if words[0] in _KEYLESS:
        return _NO_KEY
    return _PLACES.get(words[0], 1)


def slot_of(command: Sequence[Any]) -> int | None:
    """The slot of a command's first key; None if it has no key, so that any node may answer.

    Args:
        command: its words, as a client of redis-py's gives them. SCAN counts as a command on its pattern.
    """
    place = _place(command[0])
    if place == _NO_KEY:
        return None
    if place == _SCRIPT:
        if int(command[2]) == 0:
            return None
        place = 3
    elif place == _STREAMS:
        place = next(at for at, word in enumerate(command) if word in {"STREAMS", b"STREAMS"}) + 1
    elif place == _MATCH:
        place = next(at for at, word in enumerate(command) if word in {"MATCH", b"MATCH"}) + 1
    if place >= len(command):  # such as SAVE, which is about a node
        return None
    key = command[place]
    slot: int = key_slot(key if isinstance(key, bytes) else str(key).encode())
    return slot


class SlotMap:
    """The owners of the slots, as the nodes have reported them.

    Args:
        seeds: the nodes that the URL names.
    """

    def __init__(self, seeds: Sequence[Address]) -> None:
        self.seeds = tuple(seeds)
        self._owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._turns = count()
        self.primaries: tuple[Address, ...] = ()
        """The nodes that own slots, in order."""
        self.replicas: tuple[Address, ...] = ()
        """The nodes that copy them."""
        self.importing: frozenset[Address] = frozenset()
        """The nodes to which slots are on their way. They may own none yet."""
        self.known = False
        """Whether a node has reported the owners."""
        self.doubted = False
        """Whether a command was given up at a node that may have lost its slots, and nobody asked since."""
        self.changes = 0
        """How often a slot was found to have moved."""
        self.given_up: dict[Address, Exception] | None = None
        """Where `wait_once` holds: the nodes at which commands were given up, with their errors."""

    def owner(self, slot: int | None) -> Address:
        """Where a command of this slot goes.

        Raises:
            redis.exceptions.ClusterDownError: no node owns the slot.
        """
        if slot is None:
            primaries = self.primaries or self.seeds
            return primaries[next(self._turns) % len(primaries)]
        if (found := self.find(slot)) is None:
            raise ClusterDownError("CLUSTERDOWN no node serves the slot")
        return found

    def find(self, slot: int | None) -> Address | None:
        """The node that owns a slot; None if nobody does, or without a slot."""
        return self._owners[slot] if slot is not None else None

    def is_owner(self, slot: int | None, node: Address) -> bool:
        """Whether a node owns a slot."""
        return slot is not None and self._owners[slot] == node

    def to_ask(self) -> list[Address]:
        """All nodes in the order in which to ask them: each time another one first, the seeds last.

        A node that was cut off from the others answers what held before.
        """
        nodes = [*self.primaries, *self.replicas]
        first = next(self._turns) % len(nodes) if nodes else 0
        return list(dict.fromkeys([*nodes[first:], *nodes[:first], *self.seeds]))

    def refuse_lost(self, slot: int | None) -> None:
        """Let no command wait for a node for which another one waited in vain, where `wait_once` holds.

        Raises:
            redis.RedisError: what the other command met.
        """
        found = self.find(slot) if self.given_up else None
        error = self.given_up.get(found) if self.given_up and found else None
        if isinstance(error, redis.ConnectionError | redis.TimeoutError):
            raise error

    def moved(self, slot: int, owner: Address) -> None:
        """A node said that this slot is another's."""
        self.changes += self._owners[slot] != owner
        self._owners[slot] = owner
        if owner not in self.primaries:
            self.primaries = tuple(sorted({*self.primaries, owner}))

    @property
    def unserved(self) -> int:
        """How many slots nobody owns."""
        return self._owners.count(None)

    def learn(self, reply: Iterable[Sequence[Any]], asked: Address) -> None:
        """Take the raw answer to CLUSTER SLOTS of the node at this address."""
        owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        replicas: set[Address] = set()
        for first, last, primary, *others in reply:
            owners[first : last + 1] = [_address(primary, asked)] * (last + 1 - first)
            replicas |= {_address(other, asked) for other in others}
        if owners != self._owners:
            self.changes += self.known
            self.importing = frozenset()  # one that still does is named again by the next ASK
        self._owners, self.known, self.doubted = owners, True, False
        self.primaries = tuple(sorted({owner for owner in owners if owner is not None}))
        self.replicas = tuple(sorted(replicas))


class Course:
    """The way of one command after it failed: where it goes next, and when it is given up.

    Args:
        slots: who owns what.
        slot: the command's; None if any node may answer.
        patience: seconds from the first failure on. Less if the command's deadline is sooner.
    """

    def __init__(self, slots: SlotMap, slot: int | None, patience: float) -> None:
        self._slots = slots
        self._slot = slot
        lasts = slot is None or not slots.given_up  # without a slot, another node may be tried
        self._until = time.monotonic() + ((within(patience) or 0.0) if lasts else 0.0)
        self._redirections = 0
        self._lost = 0
        self._ask: Address | None = None
        self._moved: tuple[int, Address] | None = None
        self.lost = False
        """Whether the last node may have lost its slots, so that it is time to ask who owns them."""

    def after(self, error: Exception, there: Address) -> float:
        """Take in what happened at a node; seconds to wait before the next try.

        Raises:
            redis.RedisError: the same error, as the time is over or nothing helps.
        """
        error.node = f"{there[0]}:{there[1]}"  # type: ignore[attr-defined]  # for whoever tells of it
        if isinstance(error, _FINAL):
            raise error
        self._ask = self._moved = None
        self.lost = isinstance(error, MovedError) or not isinstance(error, AskError | TryAgainError)
        if isinstance(error, AskError) and (named := named_by(error, there)) is not None:
            if isinstance(error, MovedError):
                self._moved = error.slot_id, named
            else:
                self._ask = named
                self._slots.importing |= {named}
            self._redirections += 1
            if self._redirections <= REDIRECTIONS:
                return 0.0
        pause = PAUSE
        if isinstance(error, redis.ConnectionError | redis.TimeoutError):
            pause = min(LONGEST_PAUSE, PAUSE * 2**self._lost)
            self._lost += 1
        if time.monotonic() + pause > self._until:
            self._slots.doubted |= self.lost
            if self.lost and self._slots.given_up is not None:
                self._slots.given_up[there] = error
            raise error
        return pause

    def next(self) -> tuple[Address, bool]:
        """The node of the next try, and whether ASKING must be sent to it first.

        It goes where MOVED said, also if another node has meanwhile answered what held before.
        """
        if self._moved is not None:
            self._slots.moved(*self._moved)
        return (self._ask, True) if self._ask is not None else (self._slots.owner(self._slot), False)


def named_by(error: AskError, there: Address) -> Address | None:
    """Where MOVED or ASK of a node leads to; None if the node that they mean has no name, and so nowhere."""
    return None if error.host == NO_NAME else (error.host or there[0], error.port)


def _address(node: Sequence[Any], asked: Address) -> Address:
    """A node's address. Without a host it is that of the asked one, and of a node without a name its own."""
    host = _text(node[0]) or asked[0]
    if host == NO_NAME:
        about = [_text(each) for each in node[3]] if len(node) > 3 else []  # noqa: PLR2004 - after the id
        host = dict(zip(about[::2], about[1::2], strict=False)).get("ip") or asked[0]
    return host, int(node[1])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
