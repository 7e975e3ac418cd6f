"""What the archive does beside writing: checkpoints, retention, key rotation, and an empty log of SQLite."""

import time
from collections.abc import Callable, Sequence

import redis
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from structlog.typing import FilteringBoundLogger

from faxline.contract.errors import FaxlineError
from faxline.contract.sealing.keyring import Keyring
from faxline.steps.redis_errors import trouble
from faxline_archive.database import empty_log, reason_of
from faxline_archive.forgetting import expire
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.privacy import Privacy
from faxline_archive.rotation import Rotation
from faxline_archive.schema import accounts
from faxline_worker.config.archive import Archive
from faxline_worker.observability.pulse import Loop

EXPIRY = 3600.0
"""Seconds between two looks for what is past its retention."""


class Upkeep:
    """Does what is due. It has one thread, and works only while the archive does.

    Args:
        engine: of `open_database` with `writes`.
        settings: the archive's.
        keyring: the sealing keys; None without any.
        metrics, log: are told what happens.
        sign: signs the checkpoints that are due at a time (ms), and returns whether all could be signed; None
            signs none.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Archive,
        keyring: Keyring | None,
        metrics: ArchiveMetrics,
        log: FilteringBoundLogger,
        *,
        sign: Callable[[int], bool] | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._keyring = keyring
        self._metrics = metrics
        self._log = log
        self._sign = sign
        self._signed, self._expired = -settings.checkpoint.total_seconds(), -EXPIRY
        self._unopened: set[str] = set()

    def step(self, loop: Loop, stopping: Callable[[], bool]) -> None:
        """Do what is due now.

        Args:
            loop: beats between pieces.
            stopping: whether to stop in between.
        """
        try:
            self._rotate(loop, stopping)
            now = time.monotonic()
            if self._sign is not None and now - self._signed >= self._settings.checkpoint.total_seconds():
                self._signed = now
                if self._sign(round(time.time() * 1000)):
                    self._metrics.checkpoint.set(time.time())
            if now - self._expired >= EXPIRY:
                self._expire(loop, stopping)
                self._expired = now
            empty_log(self._engine)  # while somebody reads, the next step does it
        except (DBAPIError, redis.RedisError) as error:
            cause = trouble(error) if isinstance(error, redis.RedisError) else reason_of(error)
            self._log.warning("the archive's upkeep waits", error=cause)
            loop.failed()
        else:
            loop.well()

    def _names(self) -> Sequence[str]:
        """All accounts of the archive, also those that are served no more."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(accounts.c.account)).scalars())

    def _rotate(self, loop: Loop, stopping: Callable[[], bool]) -> None:
        for name in self._sealed_by_others():
            rotation = Rotation(self._engine, name, Privacy(self._keyring, name))
            try:
                if rotation.needed():
                    self._log.info("sealing the archive with the current key", account=name)
                    while rotation.step():
                        loop.beat()
                        if stopping():
                            return
            except FaxlineError as error:
                self._log.error(
                    "the archive cannot be sealed with the current key", account=name, error=str(error)
                )
                self._unopened.add(name)

    def _sealed_by_others(self) -> Sequence[str]:
        """The accounts of which another key may seal something: one that has it may have written again."""
        if self._keyring is None:
            return ()
        others = accounts.c.sealed_by.is_distinct_from(self._keyring.current)
        with self._engine.connect() as connection:
            found = connection.execute(select(accounts.c.account).where(others)).scalars().all()
        return [name for name in found if name not in self._unopened]

    def _expire(self, loop: Loop, stopping: Callable[[], bool]) -> None:
        before = round((time.time() - self._settings.retention.total_seconds()) * 1000)
        for name in self._names():
            while not stopping() and expire(self._engine, name, before):
                loop.beat()
