"""Search lines that name a number: kept by a short key, so that no address, log or history has the number."""

import secrets
from collections.abc import Callable
from time import time

from sqlalchemy import BigInteger, Column, Engine, ForeignKey, String, Table, Text, delete, insert, select

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.sealing.keyring import Keyring
from faxline_archive.database import reading
from faxline_console.tables import metadata

searches = Table(
    "searches",
    metadata,
    Column("key", String(16), primary_key=True),
    Column("token", String(64), ForeignKey("sessions.token", ondelete="CASCADE"), nullable=False, index=True),
    Column("line", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
LONGEST = 8 * 3600
"""Seconds that a line is kept."""
PLACE = "console search"


class KeptLines:
    """Keeps lines for the sessions that asked; no other session gets them.

    Example:
        >>> kept.line(session.token, kept.keep(session.token, "to:+12025550147"))
        'to:+12025550147'

    Args:
        engine: of the console's own database.
        keyring: seals the lines; None without keys.
        now: the clock, in seconds since 1970.
    """

    def __init__(self, engine: Engine, keyring: Keyring | None, now: Callable[[], float] = time) -> None:
        self._engine = engine
        self._keyring = keyring
        self._now = now

    def keep(self, token: str, line: str) -> str:
        """Keep a line for a session, and return its key."""
        key, now = secrets.token_urlsafe(9), round(self._now())
        text = self._keyring.seal(line, PLACE) if self._keyring else line
        with self._engine.begin() as database:
            database.execute(insert(searches).values(key=key, token=token, line=text, at=now))
        return key

    def purge(self) -> None:
        """Erase what was kept long enough."""
        with self._engine.begin() as database:
            database.execute(delete(searches).where(searches.c.at < self._now() - LONGEST))

    def line(self, token: str, key: str) -> str | None:
        """The line of a key; None if this session keeps none, or no longer."""
        with reading(self._engine).begin() as database:
            mine = (searches.c.key == key) & (searches.c.token == token)
            where = mine & (searches.c.at >= self._now() - LONGEST)
            text = database.execute(select(searches.c.line).where(where)).scalar()
        if text is None or self._keyring is None:
            return text
        try:
            return self._keyring.open(text, PLACE)
        except (KeyMissing, SealBroken):
            return None
