"""Reading events in a consumer group: what is new, what this reader did not finish, what a dead one left."""

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
"""Seconds after which another reader takes over what one has not finished."""
LEAST, MOST = 10, 100
"""Events in one read: few until they prove quick, so that a slow reader keeps none from the others."""
QUICK = 1.0
"""Seconds for the events of one read, below which the next read is larger."""
ACKNOWLEDGE = 1.0
"""Seconds after which what is done is acknowledged in the midst of a read's events."""
LOOK = 1.0
"""Seconds between two looks at what others have not finished, at least."""
GONE = 3600.0
"""Seconds without a word after which a consumer with nothing left to do is removed: a living one reads on."""
RIGHT = (
    "read events in a consumer group, which takes XAUTOCLAIM, XCLAIM, XPENDING, XINFO and XGROUP DELCONSUMER"
)
_BEFORE_ALL = "0-1"
"""Behind it is every event, and no event has it. Unlike 0, which stands for all that is kept, it is the place
of who began when there had never been one: whatever is dropped is missed."""
_HELD = 1000
"""Entries that are looked through when a reader ends; it holds those of one read, or of a few."""
_AT_ONCE = 2**40
"""Milliseconds of idle time that are noted for what a reader gives back: whoever looks next takes it."""


def consumer_name() -> str:
    """A name that no other reader has: host, process, and a random part."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
    return f"{host}:{os.getpid()}:{secrets.token_hex(4)}"


def make_group(context: Context, group: str) -> Steps[None]:
    """Make the group, from the oldest event on that is kept, unless there is one."""
    first = yield from before_all(context)
    try:
        yield Command(
            lambda client: client.xgroup_create(context.keys.events, group, id=first, mkstream=True)
        )
    except Exception as error:
        if not (is_refusal(error) and "BUSYGROUP" in str(error)):
            raise


def before_all(context: Context) -> Steps[str]:
    """The place before all events; another where there never was one, as far as this user may ask."""
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
    """Follow the events of a group. A reader that ends gives back what it did not finish.

    Args:
        context: of the line.
        group: the group's name.
        consumer: this reader's name; by default one that nobody else has.
        claim_after: seconds after which it takes over what another has not finished.
        until: when to end, by the monotonic clock; None never.
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
        own_name: nobody else has its name.
        unfinished: it may have something that it did not finish.
        cursor: how far it has looked at what others have not finished.
        claim_at: when to look again.
        count: events in the next read.
        page_left: entries of the last read that are not done.
        done: entries that are, and not acknowledged.
        acknowledged: when it acknowledged last.
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
        """The next entries for this reader: its own, those that another left, or new ones; perhaps none."""
        if self.unfinished:
            if entries := (yield from self._own()):
                return entries
            self.unfinished = False
        while time.monotonic() >= self.claim_at:
            if entries := (yield from self._claimed()):
                return entries
        return (yield from self._new(left))

    def work(self, entries: Sequence[Entry]) -> Steps[None]:
        """Tell the events one by one; each is done when the next one is asked for."""
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
            if now - began > self.claim_after / 2:  # the others are about to take it for dead
                self.unfinished = True  # to read its own again renews them
                break
        yield from self._acknowledge()
        if entries:
            quick = time.monotonic() - began < QUICK
            self.count = min(2 * self.count, MOST) if quick else LEAST
        if dropped:
            yield from self._tell_dropped(dropped)

    def leave(self) -> Steps[None]:
        """Give back what is not finished, so that the next reader has it at once."""
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
        """What others have not finished for too long, and what of it the stream has dropped meanwhile."""
        claim = (self._key, self.group, self.consumer, round(self.claim_after * 1000), self.cursor)
        cursor, entries, *dropped = yield Command(lambda client: client.xautoclaim(*claim, count=self.count))
        self.cursor = cursor.decode()
        if self.cursor == "0-0":
            self.claim_at = time.monotonic() + max(self.claim_after / 2, LOOK)
            yield from self._remove_the_gone()
        if dropped and dropped[0]:
            yield from self._tell_dropped(dropped[0])
        found: list[Entry] = entries
        return found

    def _new(self, left: float) -> Steps[list[Entry]]:
        """New entries; where there are none they are awaited.

        What the stream dropped before the group read it shows at the moment of the read only.
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
        block = self.context.block(left)
        if not (yield Command(lambda client: client.xread(news, count=1, block=block), blocks=block / 1000)):
            self.unfinished = True  # the reply that brought some may have been lost on its way
        return []

    def _acknowledge(self) -> Steps[None]:
        self.acknowledged = time.monotonic()
        if self.done:
            entries, self.done = self.done, []
            yield Command(lambda client: client.xack(self._key, self.group, *entries))

    def _tell_dropped(self, dropped: Sequence[bytes]) -> Steps[None]:
        """Tell which of its entries the stream dropped by its cap; one that was erased is not missed."""
        oldest = yield Command(lambda client: client.xrange(self._key, count=1))
        last = max(map(position, (entry.decode() for entry in dropped)))
        if not oldest or last < position(oldest[0][0].decode()):
            yield EventsMissed(dropped[0].decode(), dropped[-1].decode())

    def _remove_the_gone(self) -> Steps[None]:
        """Remove consumers that ended and left nothing; one that lives all the same is made anew."""
        for consumer in (yield Command(lambda client: client.xinfo_consumers(self._key, self.group))):
            if not consumer["pending"] and consumer["idle"] > GONE * 1000:
                yield from self._remove(consumer["name"])

    def _remove(self, consumer: str | bytes) -> Steps[None]:
        yield Command(lambda client: client.xgroup_delconsumer(self._key, self.group, consumer))


def group_of(groups: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """What XINFO GROUPS says of one."""
    return next(group for group in groups if group["name"] == name.encode())


def missed_by(group: Mapping[str, Any], stream: Mapping[str, Any]) -> EventsMissed | None:
    """What was dropped before the group read it, by XINFO GROUPS and XINFO STREAM of one moment."""
    last, first = group["last-delivered-id"].decode(), stream["first-entry"]
    if first is None or position(last) == (0, 0):  # made when there were some: it begins with what there is
        return None
    oldest = first[0].decode()
    dropped, read = stream["entries-added"] - stream["length"], group["entries-read"] or 0
    if position(oldest) <= position(last) or dropped <= read:
        return None
    return EventsMissed(last, oldest)
