"""Read events in a consumer group: new ones, this reader's unfinished ones, and those of dead readers."""

import os
import re
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faxline.contract.errors import EventsMissed
from faxline.contract.events import Event, position
from faxline.steps.commands import Closing, Command, Context, Deadline, Steps, at_one_moment
from faxline.steps.redis_errors import Entry, entries_of, is_refusal

CLAIM_AFTER = 300.0
"""Seconds after which another reader takes over unfinished events."""
LEAST, MOST = 10, 100
"""Events in one read: few at first, so that a slow reader keeps none from the others."""
QUICK = 1.0
"""If the events of one read take fewer seconds, the next read is larger."""
ACKNOWLEDGE = 1.0
"""Seconds after which handled events are acknowledged, even within one read."""
LOOK = 1.0
"""The fewest seconds between two searches for unfinished events of others."""
GONE = 3600.0
"""Seconds of silence after which a consumer without unfinished events is removed. A living one comes back."""
RIGHT = (
    "read events in a consumer group, which takes XAUTOCLAIM, XCLAIM, XPENDING, XINFO and XGROUP DELCONSUMER"
)
_BEFORE_ALL = "0-1"
"""An id before all events. Unlike 0, which means all events that are kept, it is the place of a reader that
began before the first event: whatever the stream drops is missed."""
_HELD = 1000
"""How many unfinished entries to search when a reader ends; it holds those of a few reads at most."""
_AT_ONCE = 2**40
"""The idle time, in milliseconds, noted for events that a reader gives back: the next search takes them."""


def consumer_name() -> str:
    """A unique name for a reader: host, process, and a random part."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
    return f"{host}:{os.getpid()}:{secrets.token_hex(4)}"


def make_group(context: Context, group: str) -> Steps[None]:
    """Create the group, from the oldest event that is kept, unless it exists."""
    first = yield from before_all(context)
    try:
        yield Command(
            lambda client: client.xgroup_create(context.keys.events, group, id=first, mkstream=True)
        )
    except Exception as error:
        if not (is_refusal(error) and "BUSYGROUP" in str(error)):
            raise


def before_all(context: Context) -> Steps[str]:
    """The id before all events; another one if there never was an event, as far as this user may look."""
    try:
        stream = yield Command(lambda client: client.xinfo_stream(context.keys.events))
    except Exception as error:
        if not is_refusal(error):
            raise
        return _BEFORE_ALL if "no such key" in str(error) else "0-0"
    return "0-0" if stream["entries-added"] else _BEFORE_ALL


def group_events(
    context: Context, group: str, consumer: str | None, claim_after: float, until: float | None
) -> Steps[None]:
    """Follow the events of a group. A reader that ends gives its unfinished events back.

    Args:
        context: of the line.
        group: the name of the group.
        consumer: the name of this reader. Default: a unique name.
        claim_after: seconds after which it takes over unfinished events of others.
        until: when to end, by the monotonic clock; None means never.
    """
    reader = _Reader(context, group, consumer or consumer_name(), claim_after, own_name=consumer is None)
    yield Deadline(until)
    try:
        while (left := context.left(until)) > 0:
            yield from reader.work((yield from reader.page(left)))
    except Closing:
        pass
    yield from reader.leave()


@dataclass(slots=True)
class _Reader:
    """One reader of a group.

    Attributes:
        own_name: whether its name is a unique one.
        unfinished: whether it may have unfinished events.
        cursor: how far it has searched for unfinished events of others.
        claim_at: when to search again.
        count: how many events to take in the next read.
        page_left: the entries of the last read that are not handled yet.
        done: the entries that are handled and not acknowledged yet.
        acknowledged: when it last acknowledged.
    """

    context: Context
    group: str
    consumer: str
    claim_after: float
    own_name: bool
    unfinished: bool = True
    cursor: str = "0-0"
    claim_at: float = 0.0
    count: int = LEAST
    page_left: list[bytes] = field(default_factory=list)
    done: list[bytes] = field(default_factory=list)
    acknowledged: float = field(default_factory=time.monotonic)

    @property
    def _key(self) -> str:
        return self.context.keys.events

    def page(self, left: float) -> Steps[list[Entry]]:
        """Read the next entries for this reader: its own unfinished ones, those of others, or new ones."""
        if self.unfinished:
            if entries := (yield from self._own()):
                return entries
            self.unfinished = False
        while time.monotonic() >= self.claim_at:
            if entries := (yield from self._claimed()):
                return entries
        return (yield from self._new(left))

    def work(self, entries: Sequence[Entry]) -> Steps[None]:
        """Yield the events one by one. Each is handled when the next one is asked for."""
        began = time.monotonic()
        self.page_left = [entry for entry, _ in entries]
        dropped: list[bytes] = []
        for entry, fields in entries:
            if fields:
                yield Event.from_entry(entry, fields)
            else:
                dropped.append(entry)
            self.done.append(self.page_left.pop(0))
            now = time.monotonic()
            if now - self.acknowledged >= ACKNOWLEDGE:
                yield from self._acknowledge()
            if now - began > self.claim_after / 2:  # soon others would take over its entries
                self.unfinished = True  # reading its own entries again renews them
                break
        yield from self._acknowledge()
        if entries:
            quick = time.monotonic() - began < QUICK
            self.count = min(2 * self.count, MOST) if quick else LEAST
        if dropped:
            yield from self._report_dropped(dropped)

    def leave(self) -> Steps[None]:
        """Give unfinished events back, so that the next reader gets them at once."""
        yield from self._acknowledge()
        held = yield Command(
            lambda client: client.xpending_range(self._key, self.group, "-", "+", _HELD, self.consumer)
        )
        left = [each["message_id"] for each in held if self.own_name or each["message_id"] in self.page_left]
        if left:
            claim = {"min_idle_time": 0, "message_ids": left, "idle": _AT_ONCE, "justid": True}
            yield Command(lambda client: client.xclaim(self._key, self.group, self.consumer, **claim))
        elif self.own_name:
            yield from self._remove(self.consumer)

    def _own(self) -> Steps[list[Entry]]:
        own = {self._key: "0"}
        read = Command(lambda client: client.xreadgroup(self.group, self.consumer, own, count=self.count))
        return entries_of((yield read))

    def _claimed(self) -> Steps[list[Entry]]:
        """Read events that others left unfinished for too long, and which of them the stream dropped."""
        claim = (self._key, self.group, self.consumer, round(self.claim_after * 1000), self.cursor)
        cursor, entries, *dropped = yield Command(lambda client: client.xautoclaim(*claim, count=self.count))
        self.cursor = cursor.decode()
        if self.cursor == "0-0":
            self.claim_at = time.monotonic() + max(self.claim_after / 2, LOOK)
            yield from self._remove_the_gone()
        if dropped and dropped[0]:
            yield from self._report_dropped(dropped[0])
        found: list[Entry] = entries
        return found

    def _new(self, left: float) -> Steps[list[Entry]]:
        """Read new entries, and wait for some if there are none.

        Only at the moment of the read can it be seen which events the stream dropped unread.
        """

        def fill(pipe: Any) -> None:
            pipe.xinfo_stream(self._key)
            pipe.xinfo_groups(self._key)
            pipe.xreadgroup(self.group, self.consumer, {self._key: ">"}, count=self.count)

        stream, groups, reply = yield from at_one_moment(fill)
        if entries := entries_of(reply):
            self.page_left = [entry for entry, _ in entries]
            if missed := missed_by(group_of(groups, self.group), stream):
                yield missed
            return entries
        news = {self._key: stream["last-generated-id"].decode()}
        block = self.context.block(min(left, self.claim_at - time.monotonic()))
        if not (yield Command(lambda client: client.xread(news, count=1, block=block), blocks=block / 1000)):
            self.unfinished = True  # the reply that brought some may have been lost on its way
        return []

    def _acknowledge(self) -> Steps[None]:
        self.acknowledged = time.monotonic()
        if self.done:
            entries, self.done = self.done, []
            yield Command(lambda client: client.xack(self._key, self.group, *entries))

    def _report_dropped(self, dropped: Sequence[bytes]) -> Steps[None]:
        """Find its entries that the stream dropped because of its cap. Erased ones do not count."""
        oldest = yield Command(lambda client: client.xrange(self._key, count=1))
        last = max(map(position, (entry.decode() for entry in dropped)))
        if not oldest or last < position(oldest[0][0].decode()):
            yield EventsMissed(dropped[0].decode(), dropped[-1].decode())

    def _remove_the_gone(self) -> Steps[None]:
        """Remove consumers that ended and left nothing. One that is alive after all is created again."""
        for consumer in (yield Command(lambda client: client.xinfo_consumers(self._key, self.group))):
            if not consumer["pending"] and consumer["idle"] > GONE * 1000:
                yield from self._remove(consumer["name"])

    def _remove(self, consumer: str | bytes) -> Steps[None]:
        yield Command(lambda client: client.xgroup_delconsumer(self._key, self.group, consumer))


def group_of(groups: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """What XINFO GROUPS says about one group."""
    return next(group for group in groups if group["name"] == name.encode())


def missed_by(group: Mapping[str, Any], stream: Mapping[str, Any]) -> EventsMissed | None:
    """Find out what was dropped unread, from XINFO GROUPS and XINFO STREAM of one moment."""
    last, first = group["last-delivered-id"].decode(), stream["first-entry"]
    if first is None or position(last) == (
        0,
        0,
    ):  # created when there were events: it begins with the oldest one
        return None
    oldest = first[0].decode()
    dropped, read = stream["entries-added"] - stream["length"], group["entries-read"] or 0
    if position(oldest) <= position(last) or dropped <= read:
        return None
    return EventsMissed(last, oldest)
