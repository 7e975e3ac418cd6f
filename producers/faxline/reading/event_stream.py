"""Read the events stream and the intake stream."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from faxline.contract.errors import EventsMissed
from faxline.contract.events import Event, position
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline.reading.consumer_groups import before_all, group_events, make_group
from faxline.steps.commands import Closing, Command, Context, Deadline, Steps, at_one_moment
from faxline.steps.redis_errors import Entry, entries_of, is_refusal

PAGE = 1000
"""Events in one read."""
FEW, LOOK_BACK = 50, 200
"""How many intake entries, which may be large, to take in one read, and how many reads at most."""


def read_newest_id(context: Context) -> Steps[str]:
    """Read the id of the newest event. Events to come follow it."""
    found = yield Command(lambda client: client.xrevrange(context.keys.events, count=1))
    return found[0][0].decode() if found else "0-0"


def read_next(context: Context, after: str, left: float) -> Steps[list[Entry]]:
    """Read the next events, waiting up to `left` seconds or as long as one read may block."""
    streams = {context.keys.events: after}
    block = context.block(left)
    read = Command(lambda client: client.xread(streams, count=PAGE, block=block), blocks=block / 1000)
    return entries_of((yield read))


def open_events(  # noqa: PLR0917 - the line's own, and what its method is given
    context: Context,
    after: str,
    group: str | None,
    consumer: str | None,
    claim_after: float,
    timeout: float | None,
) -> Steps[Steps[None]]:
    """Fix where to begin, now, and return the steps that follow the events from there."""
    until = time.monotonic() + timeout if timeout is not None else None
    yield Deadline(until)
    if group is not None:
        yield from make_group(context, group)
        return group_events(context, group, consumer, claim_after, until)
    return _tail(context, (yield from _now(context)) if after == "$" else after, until)


def _now(context: Context) -> Steps[str]:
    """Read the id that the events to come follow."""
    after = yield from read_newest_id(context)
    return (yield from before_all(context)) if after == "0-0" else after


def _tail(context: Context, after: str, until: float | None) -> Steps[None]:
    yield Deadline(until)
    with suppress(Closing):
        while (left := context.left(until)) > 0:
            oldest, entries = yield from _oldest_and_next(context, after)
            if entries and (missed := (yield from _missed(context, after, oldest))):
                yield missed
            for entry, fields in entries or (yield from read_next(context, after, left)):
                after = entry.decode()
                yield Event.from_entry(entry, fields)


def _oldest_and_next(context: Context, after: str) -> Steps[tuple[list[Entry], list[Entry]]]:
    """Read the oldest event and the next ones as of one moment, so that none is dropped in between."""
    key = context.keys.events

    def fill(pipe: Any) -> None:
        pipe.xrange(key, count=1)
        pipe.xread({key: after}, count=PAGE)

    oldest, found = yield from at_one_moment(fill)
    return oldest, entries_of(found)


def _missed(context: Context, after: str, oldest: Sequence[Entry]) -> Steps[EventsMissed | None]:
    """Find out whether the stream dropped events after an id."""
    first = oldest[0][0].decode()
    if position(after) == (0, 0) or position(first) <= position(after):
        return None
    try:
        stream = yield Command(lambda client: client.xinfo_stream(context.keys.events))
    except Exception as error:
        if not is_refusal(error):
            raise
        return EventsMissed(after, first)  # this user may not look, so assume that events were missed
    return EventsMissed(after, first) if stream["entries-added"] > stream["length"] else None


def is_in_intake(context: Context, entries: Iterable[str]) -> Steps[bool]:
    """Whether one of these entries, or one between them, is still on the intake stream.

    A Redis user who may not read what others push asks how far intake is. False for one who may not do that.
    """
    ordered = sorted(entries, key=position)
    first, last = ordered[0], ordered[-1]
    try:
        return bool((yield Command(lambda client: client.xrange(context.keys.intake, first, last, count=1))))
    except Exception as error:
        if not is_refusal(error):
            raise
    try:
        return (yield from _is_before_intake(context, first, last))
    except Exception as error:
        if not is_refusal(error):
            raise
        return False


def _is_before_intake(context: Context, first: str, last: str) -> Steps[bool]:
    """Whether intake has yet to read an entry, or is at work on one between these."""
    stream = context.keys.intake
    groups = yield Command(lambda client: client.xinfo_groups(stream))
    read = {group["name"].decode(): group["last-delivered-id"].decode() for group in groups}
    if position(read.get(INTAKE_GROUP, "0-0")) < position(last):
        return True
    return bool((yield Command(lambda client: client.xpending_range(stream, INTAKE_GROUP, first, last, 1))))


def find_intake_entry(context: Context, name: str) -> Steps[str | None]:
    """Find an entry of this job or group on the intake stream, and return its stream id, or None.

    Only the newest entries of a long backlog are searched.
    """
    wanted = re.compile(rb'"(id|group)"\s*:\s*"' + re.escape(name.encode()) + b'"')
    before = "+"
    for _ in range(LOOK_BACK):
        entries = yield Command(partial(_back, key=context.keys.intake, before=before, since="-", count=FEW))
        for entry, fields in entries:
            if any(wanted.search(value) for kind, value in fields.items() if kind != b"cancel"):
                found: str = entry.decode()
                return found
        if len(entries) < FEW:
            break
        before = "(" + entries[-1][0].decode()
    return None


def read_rejections(context: Context, since: str, see: Callable[[Event], object]) -> Steps[None]:
    """Read the rejections among the events that are kept, the newest first.

    Args:
        context: of the line.
        since: the stream id at which to stop: `-` for the oldest event, `(ID` for the one after ID.
        see: called with each `fax.rejected`. An error that it raises ends the search.
    """
    before = "+"
    while True:
        entries = yield Command(partial(_back, key=context.keys.events, before=before, since=since))
        for entry, fields in entries:
            if fields[b"event"] == b"fax.rejected":
                see(Event.from_entry(entry, fields))
        if len(entries) < PAGE:
            return
        before = "(" + entries[-1][0].decode()


def _back(client: Any, *, key: str, before: str, since: str, count: int = PAGE) -> Any:
    return client.xrevrange(key, before, since, count=count)
