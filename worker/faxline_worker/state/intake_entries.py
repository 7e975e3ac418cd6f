"""Read the intake stream: new entries, and entries that a dispatcher read but did not finish."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias, TypedDict, cast

from redis.exceptions import OutOfMemoryError

from faxline.contract.entry_members import ENTRY_BYTES
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.scan import as_entries

SCRIPTS = ("read_intake", "set_aside_unread")
Entry: TypeAlias = tuple[str, dict[bytes, bytes]]
"""A stream id, and the fields with their values."""
MOST_TIMES = 3
"""An entry that was delivered more often than this and is still unfinished is not opened again."""
DEAD = 10_000
"""The approximate number of set-aside entries that are kept for each account."""
_NOTED = 86_400_000
"""How long Redis keeps the note that an entry was read alone (ms)."""


class _Pending(TypedDict):
    """An entry of XPENDING, as redis-py returns it."""

    message_id: bytes
    consumer: bytes
    times_delivered: int


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that was delivered to a dispatcher and is not finished.

    Attributes:
        entry: its stream id.
        consumer: the dispatcher that has it.
        times: how often the entry was delivered.
    """

    entry: str
    consumer: str
    times: int


class IntakeEntries:
    """The entries on the intake stream of one account."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._client = context.client
        self._keys = context.keys

    def read(self, consumer: str, most: int, size: int) -> tuple[list[Entry], bool]:
        """Read the next entries for a consumer.

        Args:
            consumer: the dispatcher that reads.
            most: the greatest number of entries.
            size: stop soon after the entries hold this many bytes.

        Returns:
            The entries, and whether there may be more.
        """
        more, found = self._context.run("read_intake", INTAKE_GROUP, consumer, most, size)
        return [(entry.decode(), _fields(*fields)) for entry, fields in found], more == 1

    def pending(
        self, after: str, most: int, *, idle: int = 0, consumer: str | None = None
    ) -> list[PendingEntry]:
        """List pending entries in stream order, without their content.

        Args:
            after: the start of the range: `-`, an id, or `(` and an id to leave that one out.
            most: the greatest number of entries.
            idle: only entries that were delivered at least this long ago (ms).
            consumer: only entries of this dispatcher; None for all dispatchers.
        """
        found = self._client.xpending_range(
            *(self._keys.intake, INTAKE_GROUP, after, "+", most), consumername=consumer, idle=idle or None
        )
        return [
            PendingEntry(one["message_id"].decode(), one["consumer"].decode(), one["times_delivered"])
            for one in cast("list[_Pending]", found)
        ]

    def claim(self, consumer: str, entries: Sequence[str], *, idle: int, times: int) -> list[Entry]:
        """Take over entries that no one else took in the meantime, and set their delivery count."""
        found = self._client.xclaim(
            *(self._keys.intake, INTAKE_GROUP, consumer, idle), message_ids=[*entries], retrycount=times
        )
        return [(entry.decode(), fields) for entry, fields in as_entries(found)]

    def claim_alone(self, consumer: str, entry: str, *, idle: int, times: int) -> list[Entry]:
        """Take over one entry that may have killed a dispatcher, and note that it was read."""
        self._note(entry, 0, nx=True)
        found = self.claim(consumer, [entry], idle=idle, times=times)
        for _, fields in found:
            self._note(entry, size_of(fields))
        return found

    def _note(self, entry: str, size: int, *, nx: bool = False) -> None:
        with suppress(
            OutOfMemoryError
        ):  # Redis is full: without the note, the entry is delivered once more at worst
            self._client.set(self._keys.read_alone(entry), size, px=_NOTED, nx=nx)

    def set_aside_unread(self, entries: Sequence[str]) -> list[str]:
        """Set aside, unopened, the entries that were delivered too often. Returns their ids."""
        reply: list[bytes] = self._context.run(
            "set_aside_unread",
            INTAKE_GROUP,
            MOST_TIMES,
            ENTRY_BYTES,
            DEAD,
            self._context.options,
            *entries,
        )
        return [entry.decode() for entry in reply]


def _fields(kind: bytes, text: bytes, *more: bytes) -> dict[bytes, bytes]:
    return {kind: text, **dict(zip(more[::2], more[1::2], strict=True))} if more else {kind: text}


def size_of(fields: Mapping[bytes, bytes]) -> int:
    """The size of an entry (bytes)."""
    return sum(map(len, fields)) + sum(map(len, fields.values()))
