"""One archive works at a time: the one that holds the lock of the database.

The lock goes with the process that holds it, however it ends. It saves double work and no more: two that both
believe they work do no harm (writer.py).
"""

import fcntl
import os
import zlib
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

_LOCK = zlib.crc32(b"faxline archive writer")
"""PostgreSQL's advisory lock of the archive that works."""


class WriterLock:
    """The lock. Use it from one thread.

    Args:
        engine: of the archive's database.

    Example:
        >>> lock = WriterLock(engine)
        >>> lock.take()
        True
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._file: int | None = None
        self._connection: Any = None

    def take(self) -> bool:
        """Take the lock, or make sure that it is still held. False while another process has it.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away or refuses.
        """
        return self._take_file() if self._engine.dialect.name == "sqlite" else self._take_session()

    def release(self) -> None:
        """Let another process work."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()  # the session has the lock, so it is not to go back to the pool
            connection.close()

    def _take_file(self) -> bool:
        if self._file is not None:
            return True
        path = Path(f"{self._engine.url.database}.lock")
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            return False
        self._file = opened
        return True

    def _take_session(self) -> bool:
        try:
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            elif self._connection.execute(text("SELECT 1")).scalar() == 1:
                return True
            taken = self._connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK})
            if taken.scalar():
                return True
        except DBAPIError:
            self.release()
            raise
        self.release()
        return False
