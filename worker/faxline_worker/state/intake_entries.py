"""Reads the intake stream: the next entries, and those that were read before and are unfinished."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from redis.exceptions import OutOfMemoryError

from faxline.contract.entry_members import ENTRY_BYTES
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.state.account_context import AccountContext

SCRIPTS = ("read_intake", "set_aside_unread")
Entry: TypeAlias = tuple[str, dict[bytes, bytes]]
"""A stream id, and the fields with their values."""
MOST_TIMES = 3
"""An entry that was delivered more often without being finished is not opened again."""
DEAD = 10_000
"""About how many entries that were set aside are kept, of each account."""
_NOTED = 86_400_000
"""Milliseconds for which Redis remembers that an entry was read alone."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An entry that was delivered to a dispatcher and is not finished.

    Attributes:
        entry: its stream id.
        consumer: the dispatcher.
        times: how often it was delivered.
    """

    entry: str
    consumer: str
    times: int


class Deliveries:
    """The deliveries of one account."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._client = context.client
        self._keys = context.keys

    def read(self, consumer: str, most: int, size: int) -> tuple[list[Entry], bool]:
        """The next entries: so many at the most, and few more once they bring so many bytes.

        Returns:
            They, and whether there may be more.
        """
        args = [INTAKE_GROUP, consumer, most, size]
        more, found = self._context.run("read_intake", [self._keys.intake], args)
        return [(entry.decode(), _fields(*fields)) for entry, fields in found], more == 1

    def pending(self, after: str, most: int, *, idle: int = 0, consumer: str | None = None) -> list[Delivery]:
        """Entries without an end behind one of them (or `-`), in their order; their content is not read.

        Args:
            after: where to go on.
            most: how many.
            idle: milliseconds since they were given out, at least.
            consumer: whose, or everybody's.
        """
        found: Any = self._client.xpending_range(
            *(self._keys.intake, INTAKE_GROUP, after, "+", most), consumername=consumer, idle=idle or None
        )
        return [
            Delivery(one["message_id"].decode(), one["consumer"].decode(), one["times_delivered"])
            for one in found
        ]

    def claim(self, consumer: str, entries: Sequence[str], *, idle: int, times: int) -> list[Entry]:
        """Take some entries over unless somebody else did, and set how often they were delivered."""
        ids: Any = list(entries)
        found: Any = self._client.xclaim(
            self._keys.intake, INTAKE_GROUP, consumer, min_idle_time=idle, message_ids=ids, retrycount=times
        )
        return [(entry.decode(), fields) for entry, fields in found]

    def claim_alone(self, consumer: str, entry: str, *, idle: int, times: int) -> list[Entry]:
        """Take over one entry that may be at fault, and store that somebody had it and how large it is."""
        self._note(entry, 0, nx=True)
        found = self.claim(consumer, [entry], idle=idle, times=times)
        for _, fields in found:
            self._note(entry, size_of(fields))
        return found

    def _note(self, entry: str, size: int, *, nx: bool = False) -> None:
        with suppress(OutOfMemoryError):  # what is inside goes on, and the entry is only given out once more
            self._client.set(self._keys.read_alone(entry), size, px=_NOTED, nx=nx)

    def set_aside_unread(self, entries: Sequence[str]) -> list[str]:
        """Those of them that were given out too often leave the stream unopened; which did."""
        k = self._keys
        keys = [k.intake, k.dead, k.events, k.read_alone("")]
        args = [INTAKE_GROUP, MOST_TIMES, ENTRY_BYTES, DEAD, self._context.options, *entries]
        reply = cast("list[bytes]", self._context.run("set_aside_unread", keys, args))
        return [entry.decode() for entry in reply]


def _fields(kind: bytes, text: bytes, *more: bytes) -> dict[bytes, bytes]:
    return {kind: text, **dict(zip(more[::2], more[1::2], strict=True))} if more else {kind: text}


def size_of(fields: Mapping[bytes, bytes]) -> int:
    """Bytes that an entry brings."""
    return sum(map(len, fields)) + sum(map(len, fields.values()))
