"""Orders out of the audit in Redis, whose entries are mostly calls to iFax: so many are read, and no more.

Of one fax its calls are found as well.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from faxline.operating.audit import CALLS, AuditEntry
from faxline.steps.commands import Command, Steps

PAGE = 1000
"""Entries of the audit that are read at a time."""
_CALLS = frozenset(call.encode() for call in CALLS)


class Orders(NamedTuple):
    """Orders of a time, the newest first, and how far back they were read.

    Attributes:
        entries: the orders.
        reached: from then on (ms since 1970) all that there is was read.
        cut: whether there may be more before it.
        trimmed: whether some of the time asked for may have been removed.
    """

    entries: Sequence[AuditEntry]
    reached: int
    cut: bool
    trimmed: bool = False


def read_orders(key: str, before: int, since: int, most: int, job: str = "") -> Steps[Orders]:
    """The orders of an audit between two times (ms), the newest first; with `job` all that is about that fax.

    Args:
        key: of the audit's stream.
        before: the end, not included.
        since: the beginning.
        most: how many entries are gone through, calls as well.
        job: the id of a fax: only what is about it is found, and its calls are, too.
    """
    about = job.encode()
    found: list[AuditEntry] = []
    last, reached = str(before - 1), before
    for _ in range(0, most, PAGE):
        page: Any = yield Command(partial(_page_before, key=key, last=last, since=str(since)))
        found += [
            AuditEntry.from_entry(entry, fields)
            for entry, fields in page
            if (
                about in {fields.get(b"job"), fields.get(b"about")}
                if job
                else fields.get(b"what") not in _CALLS
            )
        ]
        if page:
            last = f"({page[-1][0].decode()}"
            reached = _ms(page[-1][0])
        if len(page) < PAGE:
            first: Any = yield Command(lambda client: client.xrange(key, count=1))
            return Orders(found, reached, cut=False, trimmed=not first or _ms(first[0][0]) > since)
    whole = [
        entry for entry in found if _ms(entry.id.encode()) > reached
    ]  # of its last time some may be missing
    return Orders(whole, reached + 1, cut=True)


def _ms(entry: bytes) -> int:
    return int(entry.partition(b"-")[0])


def _page_before(client: Any, *, key: str, last: str, since: str) -> Any:
    return client.xrevrange(key, last, since, count=PAGE)
