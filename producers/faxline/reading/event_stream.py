"""The events stream: where it is now, what comes next, and what it says of a rejection."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from faxline.contract.errors import EventsMissed
from faxline.contract.events import Event, position
from faxline.reading.consumer_groups import before_all, group_events, make_group
from faxline.steps.commands import Ask, Closing, Steps, Terms, Until, at_one_moment
from faxline.steps.redis_errors import Entry, entries_of, is_refusal

PAGE = 1000
"""Events in one read."""
FEW, LOOK_BACK = 50, 200
"""Entries of intake in one read, which may be large, and reads at the most."""


def newest(terms: Terms) -> Steps[str]:
    """The id of the newest event, after which those to come are."""
    found = yield Ask(lambda client: client.xrevrange(terms.keys.events, count=1))
    return found[0][0].decode() if found else "0-0"


def page(terms: Terms, after: str, left: float) -> Steps[list[Entry]]:
    """The next events, awaited for so many seconds or as long as one read may block; perhaps none."""
    streams = {terms.keys.events: after}
    block = terms.block(left)
    read = Ask(lambda client: client.xread(streams, count=PAGE, block=block), blocks=block / 1000)
    return entries_of((yield read))


def opening(  # noqa: PLR0917 - the line's own, and what its method is given
    terms: Terms,
    after: str,
    group: str | None,
    consumer: str | None,
    claim_after: float,
    timeout: float | None,
) -> Steps[Steps[None]]:
    """Fix where to begin, at this moment; the steps that follow the events from there."""
    until = time.monotonic() + timeout if timeout is not None else None
    yield Until(until)
    if group is not None:
        yield from make_group(terms, group)
        return group_events(terms, group, consumer, claim_after, until)
    return _tail(terms, (yield from _now(terms)) if after == "$" else after, until)


def _now(terms: Terms) -> Steps[str]:
    """The id after which the events to come are."""
    after = yield from newest(terms)
    return (yield from before_all(terms)) if after == "0-0" else after


def _tail(terms: Terms, after: str, until: float | None) -> Steps[None]:
    yield Until(until)
    with suppress(Closing):
        while (left := terms.left(until)) > 0:
            oldest, entries = yield from _oldest_and_next(terms, after)
            if entries and (missed := (yield from _missed(terms, after, oldest))):
                yield missed
            for entry, fields in entries or (yield from page(terms, after, left)):
                after = entry.decode()
                yield Event.from_entry(entry, fields)


def _oldest_and_next(terms: Terms, after: str) -> Steps[tuple[list[Entry], list[Entry]]]:
    """At one moment, so that nothing is dropped in between."""
    key = terms.keys.events

    def fill(pipe: Any) -> None:
        pipe.xrange(key, count=1)
        pipe.xread({key: after}, count=PAGE)

    oldest, found = yield from at_one_moment(fill)
    return oldest, entries_of(found)


def _missed(terms: Terms, after: str, oldest: Sequence[Entry]) -> Steps[EventsMissed | None]:
    """What the stream may have dropped behind an id, the oldest that it keeps being another."""
    first = oldest[0][0].decode()
    if position(after) == (0, 0) or position(first) <= position(after):
        return None
    try:
        stream = yield Ask(lambda client: client.xinfo_stream(terms.keys.events))
    except Exception as error:
        if not is_refusal(error):
            raise
        return EventsMissed(after, first)  # a user who may not ask is told what may be
    return EventsMissed(after, first) if stream["entries-added"] > stream["length"] else None


def in_intake(terms: Terms, entries: Iterable[str]) -> Steps[bool]:
    """Whether intake has yet to take one of these entries, or one between them.

    A user who may not read the intake stream is told no.
    """
    ordered = sorted(entries, key=position)
    try:
        waiting = yield Ask(lambda client: client.xrange(terms.keys.intake, ordered[0], ordered[-1], count=1))
    except Exception as error:
        if not is_refusal(error):
            raise
        return False
    return bool(waiting)


def entry_in_intake(terms: Terms, name: str) -> Steps[str | None]:
    """The stream id of an entry of this id, or group, that intake has yet to take; None where there is none.

    Of a long backlog the newest entries are looked through.
    """
    wanted = re.compile(rb'"(id|group)"\s*:\s*"' + re.escape(name.encode()) + b'"')
    before = "+"
    for _ in range(LOOK_BACK):
        entries = yield Ask(partial(_back, key=terms.keys.intake, before=before, since="-", count=FEW))
        for entry, fields in entries:
            if any(wanted.search(value) for kind, value in fields.items() if kind != b"cancel"):
                found: str = entry.decode()
                return found
        if len(entries) < FEW:
            break
        before = "(" + entries[-1][0].decode()
    return None


def rejections(terms: Terms, since: str, see: Callable[[Event], object]) -> Steps[None]:
    """Look back through the kept events for rejections, the newest first.

    Args:
        terms: the line's.
        since: the stream id at which to stop; `-` for the oldest that is kept, `(ID` for what follows it.
        see: is given each `fax.rejected`; what it raises ends the look.
    """
    before = "+"
    while True:
        entries = yield Ask(partial(_back, key=terms.keys.events, before=before, since=since))
        for entry, fields in entries:
            if fields[b"event"] == b"fax.rejected":
                see(Event.from_entry(entry, fields))
        if len(entries) < PAGE:
            return
        before = "(" + entries[-1][0].decode()


def _back(client: Any, *, key: str, before: str, since: str, count: int = PAGE) -> Any:
    return client.xrevrange(key, before, since, count=count)
