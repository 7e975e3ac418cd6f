"""The events stream: where it is now, what comes next, and what it says of a rejection."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from faxline.events import Event, position
from faxline.questions import Ask, Steps, Terms
from faxline.replies import entries_of, is_refusal

PAGE = 1000
"""Events in one read."""

Entry: TypeAlias = tuple[bytes, dict[bytes, bytes]]


def newest(terms: Terms) -> Steps[str]:
    """The id of the newest event, after which those to come are."""
    found = yield Ask(lambda client: client.xrevrange(terms.keys.events, count=1))
    return found[0][0].decode() if found else "0-0"


def page(terms: Terms, after: str, left: float) -> Steps[list[Entry]]:
    """The next events, awaited for so many seconds or as long as one read may block; perhaps none."""
    streams = {terms.keys.events: after}
    block = terms.block(left)
    return entries_of((yield Ask(lambda client: client.xread(streams, count=PAGE, block=block))))


def opening(
    terms: Terms, after: str, group: str | None, consumer: str, timeout: float | None
) -> Steps[Steps[None]]:
    """Fix where to begin, at this moment; the steps that follow the events from there."""
    until = time.monotonic() + timeout if timeout is not None else None
    if group is not None:
        yield from _make_group(terms, group)
        return _group_events(terms, group, consumer, until)
    return _tail(terms, (yield from newest(terms)) if after == "$" else after, until)


def _tail(terms: Terms, after: str, until: float | None) -> Steps[None]:
    while (left := _left(terms, until)) > 0:
        for entry, fields in (yield from page(terms, after, left)):
            after = entry.decode()
            yield Event.from_entry(entry, fields)


def _make_group(terms: Terms, group: str) -> Steps[None]:
    try:
        yield Ask(lambda client: client.xgroup_create(terms.keys.events, group, id="0", mkstream=True))
    except Exception as error:
        if not (is_refusal(error) and "BUSYGROUP" in str(error)):
            raise


def _group_events(terms: Terms, group: str, consumer: str, until: float | None) -> Steps[None]:
    since = "0"  # first what was delivered and not acknowledged
    while (left := _left(terms, until)) > 0:
        entries = yield from _group_page(terms, group, consumer, since, left)
        if not entries:  # the reply that brought some may have been lost on its way: look again what is ours
            since = ">" if since == "0" else "0"
        for entry, fields in entries:
            if fields:
                yield Event.from_entry(entry, fields)
            yield Ask(partial(_acknowledge, key=terms.keys.events, group=group, entry=entry))


def _group_page(terms: Terms, group: str, consumer: str, since: str, left: float) -> Steps[list[Entry]]:
    streams = {terms.keys.events: since}
    block = terms.block(left)
    return entries_of(
        (yield Ask(lambda client: client.xreadgroup(group, consumer, streams, count=PAGE, block=block)))
    )


def _acknowledge(client: Any, *, key: str, group: str, entry: bytes) -> Any:
    return client.xack(key, group, entry)


def _left(terms: Terms, until: float | None) -> float:
    return terms.longest if until is None else until - time.monotonic()


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


def _back(client: Any, *, key: str, before: str, since: str) -> Any:
    return client.xrevrange(key, before, since, count=PAGE)
