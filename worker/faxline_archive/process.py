"""The archive process."""

import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack

import redis
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from faxline.steps.redis_errors import trouble
from faxline_archive.archiver import Archiver
from faxline_archive.database import in_words, migrate, open_database, version_of
from faxline_archive.kept_checkpoints import KeptCheckpoints
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.reader import Reader
from faxline_archive.schema import VERSION
from faxline_archive.signer import signer
from faxline_archive.upkeep import Upkeep
from faxline_archive.writer_lock import WriterLock
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.families import new_registry, watch_folders, watch_loops
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.processes.common import (
    follow_accounts,
    give_up,
    load,
    monitor,
    probe_client,
    stop_on_signals,
)
from faxline_worker.processes.draining import account_list, drain_by_redis, find_drained
from faxline_worker.processes.redis_at_start import require_layout, require_redis
from faxline_worker.state.redis_clients import check_writes, state_client

PIECE = 60.0
"""Seconds that one piece of the upkeep may take, in addition to FAXLINE_STALL."""
UPKEEP = 1.0
"""Seconds between two looks for what is due."""


def upgrade() -> None:
    """Bring the archive's schema up to date, and end. The archive does it at its start as well."""
    settings = load("archive")[0].settings
    engine = open_database(settings.archive.url, writes=True)
    lock = WriterLock(engine)
    try:
        if lock.take():
            migrate(engine)
        else:
            _require_current(engine)
    except DBAPIError as error:
        give_up(f"FAXLINE_ARCHIVE__URL: {in_words(error, engine)}")
    except CommandError as error:
        give_up(f"FAXLINE_ARCHIVE__URL: {error}: run the newest version of Faxline")
    finally:
        lock.release()
        engine.dispose()


def _require_current(engine: Engine) -> None:
    """Leave the schema alone while an archive works, which brought it to its own version."""
    with engine.connect() as connection:
        if version_of(connection) != VERSION:
            give_up(
                "FAXLINE_ARCHIVE__URL: an archive of another version works with this database: stop it first"
            )


def accept() -> None:
    """Have the trees of all accounts signed as they are now, and print the checkpoints that Redis kept."""
    settings = load("archive")[0].settings
    client = state_client(settings.redis_url, name="faxline-archive")
    kept = KeptCheckpoints(client)
    try:
        for account in settings.accounts:
            if (note := kept.note(account)) is not None:
                sys.stdout.write(f"{note}\n")
                kept.drop(account)
    except redis.RedisError as error:
        give_up(f"FAXLINE_REDIS_URL: {trouble(error)}")
    finally:
        client.close()


def archive() -> None:
    """Run an archive until SIGTERM, SIGINT or SIGHUP."""
    live, secrets = load("archive")
    settings = live.settings
    require_redis(settings, "archive")
    log, stopping = get_logger("faxline_archive"), threading.Event()
    client = state_client(settings.redis_url, name="faxline-archive")
    probe = probe_client(settings, "archive")
    drain_by_redis(live, probe, log)
    find_drained(live, account_list(live, probe, log), log)
    require_layout(client, settings)
    registry, loops = new_registry(), Loops(settings.stall.total_seconds())
    watch_loops(registry, loops.ages, loops.stalled)
    watch_folders(registry, lambda: len(live.broken))
    metrics = ArchiveMetrics(registry, settings.accounts)
    follow_accounts(metrics.labels, live)
    engine = open_database(settings.archive.url, writes=True)

    def names() -> list[str]:
        return list(live.settings.accounts)

    archiver = Archiver(
        engine,
        Reader(client, settings.keyring, settings.archive.batch),
        names,
        metrics,
        log,
        stopping=stopping,
        poll=settings.archive.poll.total_seconds(),
    )
    sign = signer(engine, settings.archive, KeptCheckpoints(client), names, metrics=metrics, log=log)
    upkeep = Upkeep(engine, settings.archive, settings.keyring, metrics, log, sign=sign)
    writing, keeping = loops.add("archive"), loops.add("upkeep", PIECE)
    threads = [
        threading.Thread(target=archiver.run, args=(writing,), name="archive"),
        threading.Thread(target=_keep_up, args=(upkeep, archiver, keeping, stopping), name="upkeep"),
    ]

    def ready() -> Mapping[str, bool | str]:
        return {"redis": check_writes(probe), "database": archiver.trouble or True}

    heartbeat = Heartbeat(probe, "archive", live, loops, log, lambda: {"database": archiver.trouble or True})
    with ExitStack() as stack:  # what is opened first is closed last
        stack.callback(engine.dispose)
        for part in (client, probe):
            stack.callback(part.close)
        stack.enter_context(monitor(registry, settings, "archive", loops, ready))
        stop = stop_on_signals()
        archiver.ended = stop.set
        secrets.start(loops)
        stack.callback(secrets.close)
        heartbeat.start()
        stack.callback(heartbeat.close)
        for thread in threads:
            thread.start()
        log.info("archive ready", count=len(settings.accounts))
        stop.wait()
        stopping.set()
        for thread in threads:
            thread.join()
    log.info("archive stopped")
    if archiver.newer:
        give_up(archiver.newer)


def _keep_up(upkeep: Upkeep, archiver: Archiver, loop: Loop, stopping: threading.Event) -> None:
    """Do what is due while the archive works, until the process is stopped."""
    while not stopping.wait(UPKEEP):
        if archiver.works.is_set():
            upkeep.step(loop, stopping.is_set)
        else:
            loop.well()
