"""What the archive has not read of an account's events yet."""

from dataclasses import dataclass
from typing import Any

from faxline.contract.redis_keys import RedisKeys
from faxline.steps.commands import Command, Pipeline, Steps

_MARK = ("archive", "archived_events")


@dataclass(frozen=True, slots=True)
class Unarchived:
    """What is unread.

    Attributes:
        mark: how far the archive has read the events, as Redis knows.
        jobs: those of the events since.
        most: how many faxes are on their way in one state.
    """

    mark: str
    jobs: tuple[str, ...]
    most: int


def read_unarchived(keys: RedisKeys, few: int, most: int) -> Steps[Unarchived | None]:
    """Read it, in two round trips.

    Args:
        keys: the account's.
        few: with no more faxes on their way than these, the answer is None.
        most: with more unread events than these, or without an archive, too.
    """

    def queue_reads(pipe: Any) -> None:
        pipe.hmget(keys.account_state, _MARK)
        for key in (keys.ready, keys.delayed, keys.waiting, keys.submitted, keys.in_doubt):
            pipe.zcard(key)

    (on, mark), *counts = yield Pipeline(queue_reads)
    if not on or sum(counts) <= few:
        return None
    text = (mark or b"").decode()
    events = yield Command(lambda client: client.xrange(keys.events, f"({after(text)}", "+", count=most + 1))
    if len(events) > most:
        return None
    jobs = dict.fromkeys(fields.get(b"job", b"").decode() for _, fields in events)
    *queued, submitted, in_doubt = counts
    return Unarchived(text, tuple(filter(None, jobs)), max(sum(queued), submitted, in_doubt))


def read_archived_until(keys: RedisKeys) -> Steps[int | None]:
    """When the oldest event was written that is unread (ms); 0 if none is, and None without an archive."""
    on, mark = yield Command(lambda client: client.hmget(keys.account_state, _MARK))
    if not on:
        return None
    after_mark = after((mark or b"").decode())
    unread: Any = yield Command(lambda client: client.xrange(keys.events, f"({after_mark}", "+", count=1))
    return int(unread[0][0].partition(b"-")[0]) if unread else 0


def after(mark: str) -> str:
    """The id of a mark, which has a number beside it (state/archive_marks.py)."""
    return mark.partition(" ")[0] or "0-0"
