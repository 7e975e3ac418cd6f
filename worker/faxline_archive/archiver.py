"""The archive at work: reads batches from Redis, writes them, and waits while either is away."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import redis
from alembic.util import CommandError
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from structlog.typing import FilteringBoundLogger

from faxline.steps.redis_errors import trouble
from faxline_archive.database import is_away, migrate, reason_of
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.orders import Orders
from faxline_archive.progress import DatabaseBehindError
from faxline_archive.reader import TOGETHER, Batch, Reader
from faxline_archive.schema import accounts, positions
from faxline_archive.writer import write
from faxline_archive.writer_lock import WriterLock
from faxline_worker.config.settings import PACE
from faxline_worker.observability.pulse import Loop, beating

FIRST, LONGEST = 0.25, 10.0
"""Seconds of the first and of the longest pause while the database or Redis is away."""
TURN = 5.0
"""Seconds that busy accounts may take before others have their turn."""
REMOVED = 60.0
"""Seconds between two looks for accounts that were removed."""
STANDBY = 1.0
"""Seconds between two tries to take over from the archive that works."""


def _in_words(error: Exception) -> str:
    if isinstance(error, redis.RedisError):
        return trouble(error)
    return f"the database is away or refuses: {reason_of(error)}"


class Archiver:
    """Archives all accounts until it is stopped. `run` has one thread.

    Args:
        engine: of `open_database` with `writes`.
        reader: reads Redis.
        names: the accounts that are served now.
        metrics, log: are told what happens.
        stopping: is set when the process ends.
        poll: seconds to pause after a look that found nothing.
    """

    def __init__(
        self,
        engine: Engine,
        reader: Reader,
        names: Callable[[], Sequence[str]],
        metrics: ArchiveMetrics,
        log: FilteringBoundLogger,
        *,
        stopping: threading.Event,
        poll: float,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._names = names
        self._metrics = metrics
        self._log = log
        self._stopping = stopping
        self._poll = poll
        self._lock = WriterLock(engine)
        self._orders = Orders(engine, reader)
        self._pause = 0.0
        self._broken: dict[str, str] = {}
        self._removed: list[str] = []
        self._look_for_removed = 0.0
        self.trouble = "has not begun"
        """Why nothing can be written, in words; empty if all is well."""
        self.works = threading.Event()
        """Set while this process is the one that writes."""
        self.newer = ""
        """Why the process ended: the schema is newer than it knows."""
        self.ended: Callable[[], None] = stopping.set
        """Is called if the archive ends by itself."""

    def run(self, loop: Loop) -> None:
        """Archive until the process is stopped."""
        try:
            while not self._stopping.is_set():
                pause = self._round(loop)
                self._stopping.wait(pause)
        except CommandError as error:  # another version is rolled out
            self.newer = f"FAXLINE_ARCHIVE__URL: {error}: run the newest version of Faxline"
            self.ended()
        finally:
            self.works.clear()
            self._lock.release()

    def _round(self, loop: Loop) -> float:
        """Look at all accounts once. Returns how long to wait then."""
        try:
            pause = self._look(loop)
        except DatabaseBehindError as error:  # it was restored while we worked
            self._log.warning("the database is behind Redis: the marks are compared again", error=str(error))
            self.works.clear()
            return 0.0
        except (DBAPIError, redis.RedisError, OSError) as error:
            if isinstance(error, DBAPIError):
                self._metrics.database_up.set(0)
            return self._failed(loop, error)
        self._metrics.database_up.set(1)
        if self._pause:
            self._log.info("the archive goes on")
        self._pause, self.trouble = 0.0, ""
        loop.well()
        return pause

    def _failed(self, loop: Loop, error: Exception) -> float:
        self.trouble = _in_words(error)
        if not self._pause:
            self._log.warning("the archive waits: nothing is lost up to the ceilings", error=self.trouble)
        if isinstance(error, DBAPIError) and not is_away(error):
            self._log.error("the database refused", error=type(error.orig).__name__)
        self._pause = min(LONGEST, self._pause * 2 or FIRST)
        if isinstance(error, DBAPIError):
            self.works.clear()  # what comes back may be an older copy
            self._look_on()
        loop.failed()
        return self._pause

    def _look(self, loop: Loop) -> float:
        if not self._lock.take():
            self._rest()
            return STANDBY
        if not self.works.is_set():  # with the lock held nobody writes by the schema that was
            with beating(loop):
                migrate(self._engine)
        names = self._with_removed(list(self._names()))
        self._reader.follow(names)
        if not self.works.is_set():
            if not self._pause:  # else `the archive goes on` will tell
                self._log.info("this archive works", count=len(names))
            self._reader.compare_again()
            self._orders.load()
            self.works.set()
            self._metrics.working.set(1)
        marks = self._begin() if self._reader.has_new else {}
        found = sum(
            self._archive(names[start : start + TOGETHER], marks, loop)
            for start in range(0, len(names), TOGETHER)
        )
        return 0.0 if found else max(self._poll, len(names) / PACE)

    def _with_removed(self, served: list[str]) -> list[str]:
        """The accounts with those that are served no more, of which Redis may still have what is owed."""
        if time.monotonic() >= self._look_for_removed:
            with self._engine.connect() as connection:
                known = set(connection.execute(select(accounts.c.account)).scalars())
            self._removed = self._reader.switched_on(sorted(known.difference(served)))
            self._look_for_removed = time.monotonic() + REMOVED
        return [*served, *(name for name in self._removed if name not in served)]

    def _archive(self, names: Sequence[str], marks: Mapping[tuple[str, str], str], loop: Loop) -> int:
        """Archive what some accounts have, for TURN seconds at most. Returns how many entries that was."""
        busy, found, until = names, 0, time.monotonic() + TURN
        while busy and not self._stopping.is_set():
            loop.beat()
            batch = self._reader.read(busy, marks, self._orders.accounts)
            self._measure(batch.unread, batch.oldest)
            self._write(batch)
            found += batch.size
            left = self._left(batch)
            busy = [name for name in busy if left.get(name)]
            if time.monotonic() > until:
                break  # the others' turn
        return found

    def _rest(self) -> None:
        if self.works.is_set():
            self._log.warning("another archive works now")
        self.works.clear()
        self._metrics.working.set(0)

    def _begin(self) -> dict[tuple[str, str], str]:
        """What the database has: the marks, and the number of entries for the metrics."""
        with self._engine.connect() as connection:
            for row in connection.execute(select(accounts.c.account, accounts.c.size)):
                self._metrics.labels.serve(row.account)
                self._metrics.size(row.account).set(row.size)
            return {(row.account, row.stream): row.mark for row in connection.execute(select(positions))}

    def _write(self, batch: Batch) -> None:
        for name, why in batch.broken.items():
            if self._broken.get(name) != why:
                self._log.error("an account cannot be archived", account=name, error=why)
        self._broken = dict(batch.broken)
        if not batch.reads:
            self._orders.carry_out(batch)
            return
        names = {read.account for read in batch.reads}
        written = write(self._engine, batch.reads, batch.records, self._reader.privacies(names))
        self._orders.carry_out(batch)
        self._orders.take(written.ordered)
        self._reader.committed(batch)
        for name, count in written.entries.items():
            self._metrics.written(name).inc(count)
            self._metrics.size(name).inc(count)
        for what, missing in (("records", written.records_missing), ("entries", written.lost)):
            for name, count in missing.items():
                self._missing(name, what, count)
        for name, count in written.unopened.items():
            self._log.error("faxes cannot be opened to add a receipt", account=name, count=count)

    def _missing(self, account: str, what: str, count: int) -> None:
        self._metrics.missing(account, what).inc(count)
        self._log.error("the archive has a gap", account=account, kind=what, count=count)

    def _left(self, batch: Batch) -> dict[str, int]:
        """How many entries of each account are still unread after a batch."""
        left = dict(batch.unread)
        for read in batch.reads:
            left[read.account] -= len(read.entries)
        self._measure(left, batch.oldest)
        return {name: count for name, count in left.items() if name not in batch.broken}

    def _measure(self, unread: Mapping[str, int], oldest: Mapping[str, int]) -> None:
        now = time.time() * 1000
        for name, count in unread.items():
            self._metrics.labels.serve(name)
            self._metrics.unread(name).set(max(0, count))
            age = max(0.0, now - oldest.get(name, now)) / 1000 if count > 0 else 0.0
            self._metrics.lag(name).set(age)

    def _look_on(self) -> None:
        """Go on to measure what waits while the database is away."""
        names = list(self._names())
        with suppress(redis.RedisError, OSError):
            self._reader.follow(names)
            for start in range(0, len(names), TOGETHER):
                self._measure(*self._reader.look(names[start : start + TOGETHER]))
