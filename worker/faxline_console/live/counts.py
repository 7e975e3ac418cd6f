"""What pages show of whole accounts: what needs attention, is on its way, and how far the archive is behind.

It is cheap, because all viewers of a process share it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from starlette.requests import Request

from faxline import FaxlineError
from faxline.reading.account_state import AccountState
from faxline_console.access.guard import person_of
from faxline_console.access.people import Person, Right
from faxline_console.live.lines import Lines

FRESH = 2.0
"""Seconds that a count is used at least."""
SHARE = 20
"""A count is used at least this many times as long as it took, so many accounts cost no more."""
PATIENCE = 0.5
"""Seconds that a page waits for a new count. After that it shows the old one."""
BEHIND = 60.0
"""Seconds from which on a page says that the archive is behind."""
AT_ONCE = 50
"""Accounts that are asked at one time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An account, as it was a moment ago.

    Attributes:
        state: its limits and counts.
        unread: when the oldest event was written that the archive has not read (ms); 0: all are read.
    """

    state: AccountState
    unread: int | None

    @property
    def attention(self) -> int:
        """How much waits for a person: a pause, doubts that are held, entries that were set aside."""
        return bool(self.state.paused) + self.state.held_doubts + self.state.dead

    @property
    def behind(self) -> float:
        """Seconds that the archive is behind."""
        return max(0.0, self.state.now / 1e6 - self.unread / 1e3) if self.unread else 0.0


class Counts:
    """Counts paused accounts, doubts that wait for an operator, and entries that were set aside.

    Example:
        >>> await counts.of(person)
        9

    Args:
        lines: to the accounts.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._found: dict[str, Seen] | None = None
        self._until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def of(self, person: Person) -> int | None:
        """How much waits for a person; None if that is not known now.

        The count is of whole accounts, so there is none for a person with a department.
        """
        if not person.may(Right.SETTLE) or person.department is not None:
            return None
        found = await self._now()
        if found is None:
            return None
        return sum(found[name].attention for name in self._lines.accounts_of(person) if name in found)

    async def live(self, accounts: Iterable[str]) -> Counter[str] | None:
        """How many faxes of these accounts are queued, sending and in doubt; None if it is not known."""
        found = await self._now()
        if found is None:
            return None
        counts = Counter[str]()
        for jobs in (found[name].state.jobs for name in accounts if name in found):
            counts["queued"] += jobs["queued"]
            counts["sending"] += jobs["submitting"] + jobs["submitted"]
            counts["in_doubt"] += jobs["in_doubt"]
        return counts

    async def state(self, account: str) -> AccountState | None:
        """An account's limits and counts, as they were a moment ago; None if they are not known."""
        found = (await self._now() or {}).get(account)
        return found.state if found else None

    async def archived_until(self, accounts: Iterable[str]) -> datetime | None:
        """Since when the archive of these accounts lacks events; None if it is not behind."""
        found = await self._now() or {}
        late = [found[name].unread for name in accounts if name in found and found[name].behind >= BEHIND]
        return datetime.fromtimestamp(min(at for at in late if at) / 1000, UTC) if late else None

    async def _now(self) -> dict[str, Seen] | None:
        if monotonic() >= self._until and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None and not self._asking.done():
            await asyncio.wait({self._asking}, timeout=PATIENCE)
        return self._found

    async def prepare(self, request: Request) -> None:
        """Give a request's pages the count."""
        request.state.attention = await self.of(person_of(request))

    def forget(self) -> None:
        """Count anew at the next page: somebody has just acted."""
        self._until = 0.0

    async def _ask(self) -> None:
        began, names = monotonic(), self._lines.accounts
        try:
            found: dict[str, Seen] = {}
            for start in range(0, len(names), AT_ONCE):
                some = names[start : start + AT_ONCE]
                found |= zip(some, await asyncio.gather(*map(self._one, some)), strict=True)
            self._found = found
        except FaxlineError:
            self._found = None
        self._until = monotonic() + max(FRESH, SHARE * (monotonic() - began))

    async def _one(self, account: str) -> Seen:
        line = self._lines.of(account)
        return Seen(*await asyncio.gather(line.account_state(), line.archived_until()))
