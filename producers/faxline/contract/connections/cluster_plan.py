"""How the commands of a pipeline are sent to a cluster: in which parts, to which nodes. Without I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import redis
from redis.exceptions import ResponseError

from faxline.contract.connections.cluster_slots import REFUSALS, SlotMap, slot_of

Queued: TypeAlias = tuple[Any, Any]
"""The words of a command and redis-py's options for its reply."""
ASKING: Queued = (("ASKING",), {})


@dataclass
class Part:
    """The commands that are sent to one node in one round trip.

    Attributes:
        slot: where they go; None if any node may answer.
        places: their places in the pipeline.
        commands: the commands.
        transaction: whether the client makes a transaction of them.
        whole: whether all are sent again where one is redirected, because what belongs together is in it.
    """

    slot: int | None
    places: list[int] = field(default_factory=list)
    commands: list[Queued] = field(default_factory=list)
    transaction: bool = False
    whole: bool = False

    def queue(self, *, asking: bool) -> list[Queued]:
        """What to send; with `asking` to a node to which the slot is on its way."""
        if not asking or self.transaction:  # a transaction is preceded by one on its connection
            return self.commands
        if self._is_multi:
            return [ASKING, *self.commands]
        return [each for command in self.commands for each in (ASKING, command)]

    def replies(self, replies: Sequence[Any], *, asking: bool) -> list[Any]:
        """The replies to the commands, of those to what `queue` gave.

        Raises:
            redis.ResponseError: something was redirected, and all must be sent again.
        """
        if asking and not self.transaction:
            replies = replies[1:] if self._is_multi else replies[1::2]
        if self.whole:
            for reply in replies:
                if is_followed(reply):
                    raise reply
        return list(replies)

    @property
    def _is_multi(self) -> bool:
        return bool(self.commands[0][0][0] == "MULTI")


def is_followed(reply: object) -> bool:
    """Whether a node answered that another one has the slot, or that this one will."""
    return isinstance(reply, REFUSALS)


class Plan:
    """A pipeline in parts, and its replies.

    A transaction, also one by MULTI and EXEC among the commands, is one part. If WAIT is among the commands
    each slot has a part, which ends with WAIT, and the reply is the smallest. Otherwise each node has a part.

    Raises:
        redis.ResponseError: a transaction is about several slots.
    """

    def __init__(self, commands: Sequence[Queued], slots: SlotMap, *, transaction: bool) -> None:
        self._commands = commands
        self._replies: list[Any] = [None] * len(commands)
        self.parts: list[Part] = []
        self.redirected: list[int] = []
        """The places of commands that are to be sent again, each by itself."""
        known = [slot_of(args) for args, _ in commands]
        touched = list(dict.fromkeys(slot for slot in known if slot is not None))
        if transaction or commands[0][0][0] == "MULTI":
            if len(touched) > 1:
                raise ResponseError("CROSSSLOT a transaction is about one slot")
            self._add(next(iter(touched), None), range(len(commands)), transaction=transaction, whole=True)
            return
        waits = [at for at, (args, _) in enumerate(commands) if args[0] == "WAIT"]
        places: dict[Any, list[int]] = {}
        current = next(iter(touched), None)
        slot_by_group: dict[Any, int | None] = {}
        for at, slot in enumerate(known):
            if at in waits:
                continue
            current = current if slot is None else slot
            group = current if waits else slots.find(current) or current  # nobody may own it for a moment
            slot_by_group.setdefault(group, current)
            places.setdefault(group, []).append(at)
        for group, some in places.items():
            self._add(slot_by_group[group], [*some, *waits], whole=bool(waits))

    def _add(
        self, slot: int | None, places: Sequence[int], *, transaction: bool = False, whole: bool = False
    ) -> None:
        commands = [self._commands[at] for at in places]
        self.parts.append(Part(slot, list(places), commands, transaction, whole))

    def replied(self, part: Part, replies: Sequence[Any]) -> None:
        """Take the replies to a part."""
        for at, reply in zip(part.places, replies, strict=True):
            if is_followed(reply):
                self.redirected.append(at)
            before = self._replies[at]
            if before is None or isinstance(reply, Exception):
                self._replies[at] = reply
            elif not isinstance(before, Exception):
                self._replies[at] = min(before, reply)  # WAIT

    def failed(self, part: Part, error: redis.RedisError) -> None:
        """A part could not be sent. If it is all there is, the error is raised as by every pipeline."""
        if len(self.parts) == 1:
            raise error
        for at in part.places:
            self._replies[at] = error

    def again(self, place: int, reply: Any) -> None:
        """Take the reply to a command that was sent again."""
        self._replies[place] = reply

    def raise_first_error(self, annotate: Callable[[Exception, int, Any], None]) -> None:
        """Raise the first error among the replies, also one of a node that is away.

        Args:
            annotate: redis-py's `annotate_exception`, for what a node answered.
        """
        for number, ((args, _), reply) in enumerate(zip(self._commands, self._replies, strict=True), 1):
            if isinstance(reply, ResponseError):
                annotate(reply, number, args)
            if isinstance(reply, Exception):
                raise reply

    @property
    def replies(self) -> list[Any]:
        """The replies, in the order of the commands."""
        return self._replies
