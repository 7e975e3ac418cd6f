"""One stream in memory, with its consumer groups."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

Entry = tuple[bytes, dict[bytes, bytes]]
Position = tuple[int, int]
_LAST: Position = (2**63, 2**63)


@dataclass(slots=True)
class Readers:
    """A consumer group: up to where entries were delivered, and to whom those that are not acknowledged."""

    last: Position = (0, 0)
    pending: dict[Position, str] = field(default_factory=dict)
    consumers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Stream:
    """Entries in the order of their ids."""

    entries: dict[Position, dict[bytes, bytes]] = field(default_factory=dict)
    last: Position = (0, 0)
    groups: dict[str, Readers] = field(default_factory=dict)

    def add(self, fields: dict[bytes, bytes]) -> bytes:
        """Add one; its id."""
        now = time.time_ns() // 1_000_000
        self.last = (now, 0) if now > self.last[0] else (self.last[0], self.last[1] + 1)
        self.entries[self.last] = fields
        return name_of(self.last)

    def remove(self, *ids: str) -> int:
        """Remove some; how many there were."""
        return sum(self.entries.pop(position_of(i), None) is not None for i in ids)

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
        readers.consumers.add(consumer)
        if since == ">":
            found = self.after(readers.last, count)
            for name, _ in found:
                readers.last = position_of(name.decode())
                readers.pending[readers.last] = consumer
            return found
        own = sorted(at for at, who in readers.pending.items() if who == consumer and at > position_of(since))
        return [(name_of(at), dict(self.entries.get(at, {}))) for at in own[:count]]


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
