"""Links that sign somebody in once: for the playground, and for who has forgotten a password."""

import hashlib
import secrets
from collections.abc import Callable
from time import time

from sqlalchemy import delete, insert, select

from faxline_console.access.passwords import UserInvalid
from faxline_console.access.store import ConsoleStore
from faxline_console.tables import links, users

LASTS = 900
"""Seconds that a link counts."""


class Links:
    """Makes links and uses them. The database has only the hash of a link's token.

    Example:
        >>> links = Links(store)
        >>> links.use(links.make("ada"))
        'Uo9…'

    Args:
        store: the users and sessions.
        now: the clock, in seconds since 1970.
    """

    def __init__(self, store: ConsoleStore, now: Callable[[], float] = time) -> None:
        self._store = store
        self._now = now

    def make(self, name: str) -> str:
        """Make the token of a link that signs a user in once within 15 minutes.

        Raises:
            UserInvalid: there is no such user.
        """
        token = secrets.token_urlsafe(32)
        with self._store.engine.begin() as database:
            database.execute(delete(links).where(links.c.until < self._now()))
            if database.execute(select(users.c.name).where(users.c.name == name)).first() is None:
                raise UserInvalid(f"there is no user {name!r}")
            until = round(self._now()) + LASTS
            database.execute(insert(links).values(token=_digest(token), name=name, until=until))
        return token

    def use(self, token: str) -> str | None:
        """Begin the session of a link, and return its cookie's value; None if the link counts no more."""
        digest = _digest(token)
        with self._store.engine.begin() as database:
            row = database.execute(select(links).where(links.c.token == digest)).mappings().first()
            used = database.execute(delete(links).where(links.c.token == digest)).rowcount
        if row is None or not used or row["until"] < self._now():
            return None
        return self._store.begin_session(row["name"])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
