"""Opens the archive's database, and brings its schema up to date."""

import logging
import os
import sqlite3
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

BUSY = 10.0
"""Seconds that SQLite waits for another process' transaction, and who reads PostgreSQL for a lock."""
_NO_LONGER = f"-c lock_timeout={BUSY:g}s"
"""A migration or an operator may hold a table for minutes: a page says so, and does not wait with it."""
_EMPTYING = 100
"""Milliseconds to wait for readers until the log can be emptied: writers wait as well, meanwhile."""
POSTGRESQL_PORT = 5432
CONNECT = 5
"""Seconds to wait for a connection to PostgreSQL."""
_LOCK = zlib.crc32(b"faxline archive schema")
"""PostgreSQL's advisory lock under which the schema changes."""


def open_database(url: str, *, writes: bool = False) -> Engine:
    """Make an engine. It connects at its first use.

    Args:
        url: `sqlite:///PATH` or `postgresql+psycopg://…`, as FAXLINE_ARCHIVE__URL.
        writes: whether transactions write. SQLite then takes the lock at their beginning, because a
            transaction that has read may not wait for it later. Those of `reading` do not.

    Example:
        >>> engine = open_database("sqlite:///faxline-archive.db")
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": BUSY})
        if writes and parsed.database:
            event.listen(engine, "do_connect", lambda *_: _make_private(Path(parsed.database or "")))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", partial(_begin, writes=writes))
        return engine
    engine = create_engine(
        parsed,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT,
            "application_name": "faxline-archive",
            # Its compiling takes longer than any statement of ours.
            "options": f"-c jit=off {'' if writes else _NO_LONGER}",
        },
    )
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def reading(engine: Engine) -> Engine:
    """The same database for transactions that only read: on SQLite they wait for no writer."""
    return engine.execution_options(faxline_reads=True)


def migrate(engine: Engine) -> None:
    """Make the tables, or bring them up to date. Two processes may do it at once: one waits for the other.

    Args:
        engine: of `open_database` with `writes`.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
        alembic.util.CommandError: the schema is newer than this version of Faxline knows.
    """
    from alembic import command  # noqa: PLC0415 - takes a quarter of a second
    from alembic.config import Config  # noqa: PLC0415 - as above

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def version_of(connection: Connection) -> str | None:
    """The version of the schema in a database that has one."""
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def empty_log(engine: Engine) -> bool:
    """Empty SQLite's write-ahead log, which has what was erased until then. PostgreSQL needs nothing.

    Args:
        engine: of `open_database` with `writes`.

    Returns:
        False if somebody reads or writes right now: try again soon.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    if engine.dialect.name != "sqlite":
        return True
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")  # not in a transaction
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_EMPTYING}")
        try:
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(BUSY * 1000)}")
        return not busy


def in_words(error: DBAPIError, engine: Engine) -> str:
    """Say which database failed, and why as far as that quotes nothing that is stored.

    Example:
        >>> print(in_words(error, engine))
        the archive's database archive at db.example:5432 is away or refuses: Connection refused
    """
    url = engine.url
    if type(error.orig).__name__ == "InsufficientPrivilege":
        return f"the database's user {url.username} lacks a right in the archive: see docs/archive.md"
    place = f" at {url.host}:{url.port or POSTGRESQL_PORT}" if url.host else ""
    return f"the archive's database {url.database}{place} is away or refuses: {reason_of(error)}"


def reason_of(error: Exception) -> str:
    """Say why a database failed, as far as that quotes nothing that is stored.

    Example:
        >>> print(reason_of(error))
        FATAL:  sorry, too many clients already
    """
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    said = str(error.orig).strip().partition("\n")[0]
    if isinstance(error.orig, sqlite3.OperationalError):
        return said
    # A statement's error may quote what was stored; one without a statement is about the connection.
    return said.rpartition("failed: ")[2] if error.statement is None else type(error.orig).__name__


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be reached or is busy, so that the same may succeed later."""
    return isinstance(error, (OperationalError, InterfaceError, NoConnection)) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _begin(connection: Connection, *, writes: bool) -> None:
    reads = connection.get_execution_options().get("faxline_reads", not writes)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _make_private(path: Path) -> None:
    """Make the file for its owner alone, before SQLite makes it for everybody. Its side files follow it."""
    with suppress(OSError):  # SQLite says it as an error of the database
        # Never one that is there: to close it would end the locks of this process' other connections to it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare_postgresql(connection: Any, _: object) -> None:
    """Have it take every text: what somebody looks for may have a NUL in it."""
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415 - not there without PostgreSQL

    class PlainText(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", ""))

    connection.adapters.register_dumper(str, PlainText)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the engine begins transactions, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
