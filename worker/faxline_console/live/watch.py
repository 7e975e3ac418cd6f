"""Tells open pages when something has changed: one read of Redis for all viewers of a process."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from faxline import FaxlineError
from faxline_console.access.people import Person
from faxline_console.live.lines import Lines

BLOCK = 5.0
"""Seconds that a read waits at most."""
PAUSE = 1.0
"""Seconds between two reads at least, so that a busy account costs no more than a quiet one."""
RETRY = 5.0
"""Seconds after which Redis is asked again that did not answer."""


class Live:
    """Follows the events of all accounts while anybody looks.

    On a cluster the streams of accounts are on several nodes, where one read cannot wait for all: there the
    pages only change when they are loaded.

    Example:
        >>> async for queued in live.changes(person):
        ...     ...  # so many faxes are new since the last time

    Args:
        lines: to the accounts.
        followed: whether one read can wait for all accounts.
        pause: seconds between two reads at least.
        block: seconds that a read waits at most.
        read: called at each read of Redis.
    """

    def __init__(
        self,
        lines: Lines,
        *,
        followed: bool = True,
        pause: float = PAUSE,
        block: float = BLOCK,
        read: Callable[[], None] = lambda: None,
    ) -> None:
        self._lines = lines
        self._followed = followed
        self._pause = pause
        self._block = block
        self._counts = read
        self._viewers: dict[asyncio.Queue[int], Person] = {}
        self._reading: asyncio.Task[None] | None = None

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    async def changes(self, person: Person) -> AsyncGenerator[int]:
        """Yield whenever something has happened on an account of a person; many events yield once.

        What it yields is how many faxes are new. Somebody with a department is not told of others': 0.
        """
        told: asyncio.Queue[int] = asyncio.Queue()
        self._viewers[told] = person
        try:
            if self._followed and (self._reading is None or self._reading.done()):
                self._reading = asyncio.create_task(self._read())
            while True:
                queued = await told.get()
                while not told.empty():
                    queued += told.get_nowait()
                yield queued
        finally:
            del self._viewers[told]
            if not self._viewers and self._reading is not None:
                self._reading.cancel()
                self._reading = None  # whoever comes before it has ended begins another

    async def _read(self) -> None:
        after: dict[str, str] = {}
        while self._viewers:
            try:
                after = await self._turn(after)
            except FaxlineError:
                after = {}
                await asyncio.sleep(RETRY)
            await asyncio.sleep(self._pause)

    async def _turn(self, after: dict[str, str]) -> dict[str, str]:
        """One read. Returns the id of the last known event of each stream."""
        names = self._lines.accounts  # once: another thread may take one away
        if not names:
            return {}
        self._counts()
        accounts = {self._lines.of(name).keys.events: name for name in names}
        line = self._lines.of(names[0])
        fresh = await line.newest([key for key in accounts if key not in after])
        known = {key: (after | fresh)[key] for key in accounts}
        found = await line.next_of(known, self._block)
        for told, person in self._viewers.items():
            seen = [news for key, news in found.items() if person.sees_account(accounts[key])]
            if seen:
                told.put_nowait(0 if person.department else sum(news.queued for news in seen))
        return known | {key: news.newest for key, news in found.items()}
