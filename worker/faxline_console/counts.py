"""How much needs attention, for the rail of every page: cheap, because all viewers of a process share it."""

import asyncio
from time import monotonic

from starlette.requests import Request

from faxline import FaxlineError
from faxline_console.guard import person_of
from faxline_console.lines import Lines
from faxline_console.people import Person, Right

FRESH = 2.0
"""Seconds that a count is used at least."""
SHARE = 20
"""A count is used at least this many times as long as it took, so many accounts cost no more."""
PATIENCE = 0.5
"""Seconds that a page waits for a new count. After that it shows the old one."""
AT_ONCE = 50
"""Accounts that are asked at one time."""


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
        self._found: dict[str, int] | None = None
        self._until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def of(self, person: Person) -> int | None:
        """How much waits for a person; None if that is not known now.

        The count is of whole accounts, so there is none for a person with a department.
        """
        if not person.may(Right.SETTLE) or person.department is not None:
            return None
        if monotonic() >= self._until and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None and not self._asking.done():
            await asyncio.wait({self._asking}, timeout=PATIENCE)
        if self._found is None:
            return None
        return sum(self._found.get(name, 0) for name in self._lines.accounts_of(person))

    async def prepare(self, request: Request) -> None:
        """Give a request's pages the count."""
        request.state.attention = await self.of(person_of(request))

    def forget(self) -> None:
        """Count anew at the next page: somebody has just acted."""
        self._until = 0.0

    async def _ask(self) -> None:
        began, names = monotonic(), self._lines.accounts
        try:
            found: dict[str, int] = {}
            for start in range(0, len(names), AT_ONCE):
                some = names[start : start + AT_ONCE]
                found |= zip(some, await asyncio.gather(*map(self._one, some)), strict=True)
            self._found = found
        except FaxlineError:
            self._found = None
        self._until = monotonic() + max(FRESH, SHARE * (monotonic() - began))

    async def _one(self, account: str) -> int:
        state = await self._lines.of(account).account_state()
        return bool(state.paused) + state.held_doubts + state.dead
