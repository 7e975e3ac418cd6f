"""The console's own database: local users and sessions.

It is apart from the archive, where the console only reads. Passwords are kept as argon2id hashes and session
tokens as SHA-256 hashes, so a copy of the database signs nobody in.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import time
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    delete,
    event,
    insert,
    not_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from faxline_archive.database import reading
from faxline_console.access.passwords import Passwords, UserInvalid
from faxline_console.access.people import Person, to_person, to_row
from faxline_console.access.sessions import Lifetimes, Session
from faxline_console.access.tries import Tries
from faxline_console.tables import links, migrate, sessions, users

MOST_SESSIONS = 50
"""Sessions of a user at most; the one that was longest unused makes room."""
SEEN_EVERY = 30
"""Seconds after which a use of a session is noted again."""


class ConsoleStore:
    """Users and sessions.

    Example:
        >>> store = ConsoleStore(open_database("sqlite:///faxline-console.db", writes=True))
        >>> store.add_user(Person("ada", Role.CLERK), "correct horse battery")
        >>> store.sign_in("ada", "correct horse battery", "192.0.2.7")
        'Uo9…'

    Args:
        engine: of `faxline_archive.database.open_database` with `writes`.
        lifetimes: of sessions.
        now: the clock, in seconds since 1970.
        hasher: of passwords; by default as RFC 9106 advises.
    """

    def __init__(
        self,
        engine: Engine,
        lifetimes: Lifetimes | None = None,
        now: Callable[[], float] = time,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.engine = engine
        """Of the database, which has the list of mailings too."""
        self._lifetimes = lifetimes or Lifetimes()
        self._now = now
        self._passwords = Passwords(hasher or PasswordHasher())
        self._tries = Tries(engine, self._ms, round(self._lifetimes.window * 1000), self._lifetimes.attempts)
        if engine.dialect.name == "sqlite":  # what a session leaves ends with it
            event.listen(
                engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON")
            )
        migrate(engine)
        self._reads = reading(engine)

    def add_user(self, person: Person, password: str | None = None) -> None:
        """Add a user. Without a password only a trusted proxy signs the user in.

        Raises:
            UserInvalid: the name is taken or the password too short or too long.
        """
        hashed = None if password is None else self._passwords.hash(password)
        row = to_row(person) | {"password": hashed}
        try:
            with self.engine.begin() as database:
                database.execute(insert(users).values(row))
        except IntegrityError:
            raise UserInvalid(f"there is already a user {person.name!r}") from None

    def change_user(self, name: str, changes: Mapping[str, Any], password: str | None = None) -> None:
        """Change a user, and end the user's sessions. What is not given stays as it is.

        Example:
            >>> store.change_user("ada", {"role": Role.VIEWER})

        Args:
            name: whose.
            changes: attributes of `Person`.
            password: None keeps it.

        Raises:
            UserInvalid: there is no such user, or the password is too short or too long.
        """
        own = {} if password is None else {"password": self._passwords.hash(password)}
        with self.engine.begin() as database:
            row = database.execute(select(users).where(users.c.name == name)).mappings().first()
            if row is None:
                raise UserInvalid(f"there is no user {name!r}")
            changed = to_row(replace(to_person(row), **changes)) | own
            database.execute(update(users).where(users.c.name == name).values(changed))
            _end(database, name)

    def remove_user(self, name: str) -> None:
        """Remove a user and the user's sessions.

        Raises:
            UserInvalid: there is no such user.
        """
        with self.engine.begin() as database:
            _end(database, name)
            if not database.execute(delete(users).where(users.c.name == name)).rowcount:
                raise UserInvalid(f"there is no user {name!r}")

    def end_sessions(self, name: str) -> int:
        """Sign a user out everywhere, end unused links, and return how many sessions ended."""
        with self.engine.begin() as database:
            return _end(database, name)

    def answers(self) -> bool:
        """Whether the database answers."""
        try:
            with self._reads.begin() as database:
                database.execute(select(users.c.name).limit(1))
        except SQLAlchemyError:
            return False
        return True

    def people(self) -> list[Person]:
        """All users, by name."""
        with self._reads.begin() as database:
            return [
                to_person(row) for row in database.execute(select(users).order_by(users.c.name)).mappings()
            ]

    def person(self, name: str) -> Person | None:
        """A user by name; None if there is none."""
        with self._reads.begin() as database:
            row = database.execute(select(users).where(users.c.name == name)).mappings().first()
        return None if row is None else to_person(row)

    def sign_in(self, name: str, password: str, address: str) -> str | None:
        """Check a password and begin a session.

        A name that is unknown takes as long as a wrong password.

        Returns:
            The value of the session's cookie, or None if name and password do not match.

        Raises:
            TooManyTries: the password is not looked at.
        """
        name = name.replace("\0", "")  # as PostgreSQL compares it: it has no tries of its own
        one = self._tries.begin(_digest(name), address)
        with self._reads.begin() as database:
            hashed = database.execute(select(users.c.password).where(users.c.name == name)).scalar()
        if not self._passwords.match(hashed, password):
            return None
        self._tries.succeeded(one)
        return self.begin_session(name)

    def begin_session(self, name: str) -> str:
        """Begin a session of a user, and return the value of its cookie.

        Raises:
            UserInvalid: there is no such user.
        """
        token, now = secrets.token_urlsafe(32), self._ms()
        with self.engine.begin() as database:
            if database.execute(select(users.c.name).where(users.c.name == name)).first() is None:
                raise UserInvalid(f"there is no user {name!r}")
            database.execute(delete(sessions).where(self._lifetimes.over(now)))
            own = select(sessions.c.token).where(sessions.c.name == name).order_by(sessions.c.seen.desc())
            most = own.offset(MOST_SESSIONS - 1)
            database.execute(delete(sessions).where(sessions.c.token.in_(database.scalars(most).all())))
            database.execute(
                insert(sessions).values(
                    token=_digest(token), name=name, form_token=secrets.token_urlsafe(32), began=now, seen=now
                )
            )
        return token

    def session(self, token: str, *, use: bool = True) -> Session | None:
        """The session of a cookie; None if it has ended.

        Args:
            token: the cookie's value.
            use: whether its use is noted, so that it goes on. What a page does by itself is none.
        """
        now, digest = self._ms(), _digest(token)
        row = self._row(digest)
        if row is None:
            return None
        seen = row["seen"]
        if use and seen < now - SEEN_EVERY * 1000:
            seen = now
            with self.engine.begin() as database:
                database.execute(update(sessions).where(sessions.c.token == digest).values(seen=now))
        left = self._lifetimes.left(now, seen, row["began"])
        return Session(to_person(row), row["form_token"], digest, *left)

    def goes_on(self, session: Session) -> bool:
        """Whether a session has not ended since, and its person is the same with the same bounds."""
        row = self._row(session.token)
        return row is not None and to_person(row) == session.person

    def _row(self, digest: str) -> RowMapping | None:
        goes_on = not_(self._lifetimes.over(self._ms()))
        query = select(sessions, users).join(users, users.c.name == sessions.c.name)
        with self._reads.begin() as database:
            return database.execute(query.where(sessions.c.token == digest, goes_on)).mappings().first()

    def purge(self) -> None:
        """Erase the sessions that have ended, with what they leave, and links that count no more."""
        now = self._ms()
        with self.engine.begin() as database:
            database.execute(delete(sessions).where(self._lifetimes.over(now)))
            database.execute(delete(links).where(links.c.until < now // 1000))

    def sign_out(self, session: Session) -> None:
        """End a session."""
        with self.engine.begin() as database:
            database.execute(delete(sessions).where(sessions.c.token == session.token))

    def _ms(self) -> int:
        return round(self._now() * 1000)


def _end(database: Connection, name: str) -> int:
    """End a user's sessions, and the links that would begin one. Returns how many sessions ended."""
    database.execute(delete(links).where(links.c.name == name))
    return database.execute(delete(sessions).where(sessions.c.name == name)).rowcount


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
