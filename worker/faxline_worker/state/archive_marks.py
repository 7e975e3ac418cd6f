"""How far an archive has come in an account's events and audit: reading on from a mark, and moving it.

The mark is in Redis, beside the streams, so that both go back together if Redis returns to an older state.
What the archive has is in its database. So an entry may be read twice, and is stored once:

1. `switch_on` once for each account; this keeps the entries from then on, up to their ceilings.
2. `read` the next page of a stream. A page may hold entries that the database has already, after a crash
   between steps 3 and 4, or because Redis went back. The same id with other content is another entry: Redis'
   clock stepped back, too.
3. Commit the page's entries, and count what it has `lost`.
4. `archived` moves the mark. False means that another archive was faster, or that Redis went back: read
   again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, cast

import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.state.scripts import Argument, Scripts

SCRIPTS = ("switch_archive", "read_archive", "archived")
"""The archive's scripts. No store has them: an archive runs on its own."""
Stream: TypeAlias = Literal["events", "audit"]
STREAMS: tuple[Stream, ...] = ("events", "audit")
"""The streams that an archive reads."""
MOST = 1000
"""Entries in one page."""


@dataclass(frozen=True, slots=True)
class Page:
    """The next entries of a stream, the oldest first.

    Attributes:
        stream: events or audit.
        before: the mark from which they were read, as Redis has it.
        after: the mark once they are in the database.
        entries: the id and the fields of each.
        lost: how many entries were dropped before an archive read them, just before these. Count them.
        exact: False if `lost` may be wrong by the number of entries that an operator erased.
        restarted: the stream is not the one that was marked, so it is read from its beginning. What else was
            lost is unknown.
        unread: how many entries are left to read, these included.
    """

    stream: Stream
    before: str
    after: str
    entries: tuple[tuple[str, dict[str, str]], ...]
    lost: int
    exact: bool
    restarted: bool
    unread: int

    @property
    def moves(self) -> bool:
        """Whether there is anything to commit and to mark."""
        return self.before != self.after

    @classmethod
    def parse(cls, stream: Stream, reply: Sequence[Any]) -> Self | None:
        """Read the reply of `read_archive`; None if no archive is on."""
        if reply[0] == b"off":
            return None
        _, before, after, lost, exact, restarted, unread, entries = reply
        return cls(
            stream=stream,
            before=before.decode(),
            after=after.decode(),
            entries=tuple((entry.decode(), _fields(flat)) for entry, flat in entries),
            lost=lost,
            exact=exact == 1,
            restarted=restarted == 1,
            unread=unread,
        )


class ArchiveMarks:
    """The archive's place in one account.

    Args:
        client: a client of the state's database (bytes replies).
        account: the account's name.
        clock: Lua text that gives the scripts the time, for tests (`scripts.source`).

    Example:
        >>> marks = ArchiveMarks(client, "default")
        >>> marks.switch_on()
        True
        >>> page = marks.read("events")
        >>> page is not None and marks.archived(page)
        True
    """

    def __init__(self, client: redis.Redis, account: str, clock: str | None = None) -> None:
        self.account = account
        self.keys = RedisKeys(account)
        self._scripts = Scripts(client, self.keys, SCRIPTS, clock)

    def switch_on(self) -> bool:
        """Let the account keep its events and audit for an archive, from the oldest that are left.

        Returns:
            False if an archive was on already. Its marks stay.

        Raises:
            redis.RedisError: Redis is away or refuses, or a newer layout is stored.
        """
        return bool(self._scripts.run("switch_archive", "on") == b"done")

    def switch_off(self) -> bool:
        """Keep nothing for an archive any more. What none has read yet is soon dropped.

        Returns:
            False if no archive was on.

        Raises:
            redis.RedisError: Redis is away or refuses, or a newer layout is stored.
        """
        return bool(self._scripts.run("switch_archive", "off") == b"done")

    def read(self, stream: Stream, most: int = MOST) -> Page | None:
        """Read the next entries of a stream. None if no archive is on (also if Redis lost that): `switch_on`.

        Args:
            stream: events or audit.
            most: how many entries at most.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        return Page.parse(stream, self._scripts.run("read_archive", stream, most))

    def archived(self, page: Page) -> bool:
        """Move the mark behind a page that is committed. Safe to repeat after a lost reply.

        Returns:
            False if the mark is elsewhere, or no archive is on: read again.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        return bool(self._scripts.run("archived", page.stream, page.before, page.after) == b"done")


def read_pages(marks: Sequence[ArchiveMarks], most: int = MOST) -> list[Page | None]:
    """Read the next entries of both streams of several accounts, in one round trip.

    Args:
        marks: the accounts, all on one client.
        most: how many entries of each stream at most.

    Returns:
        For each account its events, then its audit; None where no archive is on.

    Raises:
        redis.RedisError: Redis is away or refuses.
    """
    asked = [(one, stream) for one in marks for stream in STREAMS]
    calls = [(one.keys, cast("list[Argument]", [stream, most])) for one, stream in asked]
    replies = marks[0]._scripts.each("read_archive", calls) if asked else []  # noqa: SLF001 - of this module
    return [Page.parse(stream, reply) for (_, stream), reply in zip(asked, replies, strict=True)]


def _fields(flat: Sequence[bytes]) -> dict[str, str]:
    """The fields of an entry. A user's name in the audit may be cut within a character."""
    texts = [part.decode("utf-8", "replace") for part in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
