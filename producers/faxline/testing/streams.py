"""One stream in memory, with its consumer groups."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

Entry = tuple[bytes, dict[bytes, bytes]]
Position = tuple[int, int]
_LAST: Position = (2**63, 2**63)


@dataclass(slots=True)
class Held:
    """An entry that is not acknowledged: who has it, and since when by the monotonic clock."""

    consumer: str
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Readers:
    """A consumer group: up to where entries were delivered, those that are not acknowledged, who reads."""

    last: Position = (0, 0)
    pending: dict[Position, Held] = field(default_factory=dict)
    consumers: dict[str, float] = field(default_factory=dict)

    def seen(self, consumer: str) -> None:
        """This consumer says something."""
        self.consumers[consumer] = time.monotonic()

    def of(self, consumer: str) -> list[Position]:
        """What a consumer has not acknowledged."""
        return sorted(at for at, held in self.pending.items() if held.consumer == consumer)


@dataclass(slots=True)
class Stream:
    """Entries in the order of their ids."""

    entries: dict[Position, dict[bytes, bytes]] = field(default_factory=dict)
    last: Position = (0, 0)
    added: int = 0
    groups: dict[str, Readers] = field(default_factory=dict)

    def add(self, fields: dict[bytes, bytes]) -> bytes:
        """Add one; its id."""
        now = time.time_ns() // 1_000_000
        self.last = (now, 0) if now > self.last[0] else (self.last[0], self.last[1] + 1)
        self.entries[self.last] = fields
        self.added += 1
        return name_of(self.last)

    def remove(self, *ids: str) -> int:
        """Remove some; how many there were."""
        return sum(self.entries.pop(position_of(i), None) is not None for i in ids)

    def trim(self, keep: int) -> int:
        """Drop all but the newest; how many there were."""
        dropped = list(self.entries)[: max(0, len(self.entries) - keep)]
        return self.remove(*(name_of(at).decode() for at in dropped))

    def between(self, low: str, high: str) -> Iterator[Entry]:
        """Those from one id to another; `-` and `+` are the ends, `(` leaves the id itself out."""
        first, last = _bound(low, 0), _bound(high, 2**63)
        for at, fields in self.entries.items():
            if first <= at <= last and name_of(at) not in {_left_out(low), _left_out(high)}:
                yield name_of(at), dict(fields)

    def after(self, position: Position, count: int | None) -> list[Entry]:
        """Those that follow."""
        found = [(name_of(at), dict(fields)) for at, fields in self.entries.items() if at > position]
        return found[:count]

    def deliver(self, group: str, consumer: str, since: str, count: int | None) -> list[Entry]:
        """The new ones (`>`) for this consumer, or those that it has not acknowledged."""
        readers = self.groups[group]
        readers.seen(consumer)
        if since == ">":
            found = self.after(readers.last, count)
            for name, _ in found:
                readers.last = position_of(name.decode())
                readers.pending[readers.last] = Held(consumer)
            return found
        own = [at for at in readers.of(consumer) if at > position_of(since)][:count]
        readers.pending.update((at, Held(consumer)) for at in own)
        return [(name_of(at), dict(self.entries.get(at, {}))) for at in own]

    def claim(self, group: str, consumer: str, idle: float, count: int) -> tuple[list[Entry], list[bytes]]:
        """Give this consumer what was not acknowledged for so many seconds; and those that were removed."""
        readers = self.groups[group]
        readers.seen(consumer)
        old = time.monotonic() - idle
        found = [at for at, held in sorted(readers.pending.items()) if held.since <= old][:count]
        kept = [at for at in found if at in self.entries]
        readers.pending.update((at, Held(consumer)) for at in kept)
        for at in set(found) - set(kept):
            del readers.pending[at]
        entries = [(name_of(at), dict(self.entries[at])) for at in kept]
        return entries, [name_of(at) for at in found if at not in self.entries]


def position_of(entry: str) -> Position:
    """A stream id as a place that can be compared."""
    at, _, number = entry.partition("-")
    return int(at), int(number or 0)


def name_of(position: Position) -> bytes:
    """The id of a place."""
    return f"{position[0]}-{position[1]}".encode()


def _bound(text: str, number: int) -> Position:
    if text in {"-", "+"}:
        return (0, 0) if text == "-" else _LAST
    at, dash, rest = text.removeprefix("(").partition("-")
    return int(at), int(rest) if dash else number


def _left_out(text: str) -> bytes:
    return text.removeprefix("(").encode() if text.startswith("(") else b""
