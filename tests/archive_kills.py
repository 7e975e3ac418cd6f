"""`python -m tests.archive_kills`: kills the archive, its database and Redis under load, and counts entries.

The load is events with their records. At the end the archive must hold each entry that Redis holds, once,
with leaves that have no hole between them.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import redis
from sqlalchemy import select

from faxline_archive.database import open_database
from faxline_archive.schema import entries
from faxline_local.processes import Part, free_port, wait_for
from faxline_local.redis_server import RedisServer
from tests.archives import Faxes, check_sums
from tests.postgres import PostgresServer

PAUSE = 0.4
"""Seconds between two kills, on average."""
CATCH_UP = 120.0
"""Seconds that the archive may take for the rest."""


class Course:
    """One course of kills.

    Args:
        folder: for the logs.
        server: the Redis server, which has no other user.
        url: the archive's database.
        database: the server of the database; None for SQLite.
        seed: chooses what is killed, and when.
    """

    def __init__(
        self, folder: Path, server: RedisServer, url: str, database: PostgresServer | None, seed: int
    ) -> None:
        self._server = server
        self._url = url
        self._database = database
        self._choice = random.Random(seed)
        self._over = threading.Event()
        self.killed: Counter[str] = Counter()
        self.pushed = 0
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}
        self._parts = [
            Part(
                f"archive-{number}",
                folder / f"archive-{number}.log",
                environment
                | {
                    "FAXLINE_REDIS_URL": server.url(0),
                    "FAXLINE_ACCOUNTS": "default,second",
                    "FAXLINE_ARCHIVE__URL": url,
                    "FAXLINE_ARCHIVE__POLL": "0.05",
                    "FAXLINE_REDIS_PATIENCE": "30",
                    "FAXLINE_METRICS__ARCHIVE_PORT": str(free_port()),
                },
                [sys.executable, "-m", "faxline_worker", "archive"],
            )
            for number in (1, 2)
        ]

    def run(self, kills: int) -> None:
        """Load and kill, and let the archive catch up.

        Raises:
            AssertionError: an entry is missing or is there twice, or the leaves have a hole.
        """
        pushing = threading.Thread(target=self._push)
        pushing.start()
        try:
            for _ in range(kills):
                self._over.wait(self._choice.expovariate(1 / PAUSE))
                name, kill = self._choice.choice(self._targets())
                kill()
                self.killed[name] += 1
        finally:
            self._over.set()
            pushing.join()
        try:
            caught_up = wait_for(lambda: self.missing() == 0, CATCH_UP, every=0.2)
            assert caught_up, f"{self.missing()} entries are missing after {CATCH_UP:g} s"
            self._check()
        finally:
            for part in self._parts:
                part.stop()

    def missing(self) -> int:
        """How many entries of Redis the archive does not have."""
        try:
            return sum(len(ids - set(stored)) for ids, stored in self._both())
        except Exception:  # noqa: BLE001 - one of the servers is still coming up
            return -1

    def _check(self) -> None:
        for ids, stored in self._both():
            assert Counter(stored) == Counter(ids), "an entry is there twice, or Redis never had it"
        engine = open_database(self._url)
        with engine.connect() as connection:
            leaves = connection.execute(select(entries.c.account, entries.c.leaf)).all()
        check_sums(engine)
        engine.dispose()
        for account in ("default", "second"):
            own = sorted(row.leaf for row in leaves if row.account == account)
            assert own == list(range(len(own))), f"the leaves of {account} have a hole"

    def _both(self) -> list[tuple[set[str], list[str]]]:
        """For each stream, the ids in Redis and those in the archive."""
        found = []
        with contextlib.ExitStack() as stack:
            engine = open_database(self._url)
            stack.callback(engine.dispose)  # also when a server is still coming up
            client = stack.enter_context(redis.Redis.from_url(self._server.url(0)))
            connection = stack.enter_context(engine.connect())
            for account in ("default", "second"):
                line = Faxes(client, account)
                for stream, key in (("events", line.keys.events), ("audit", line.keys.audit)):
                    asked = select(entries.c.entry_id).where(
                        entries.c.account == account, entries.c.stream == stream
                    )
                    ids = {entry.decode() for entry, _ in client.xrange(key)}
                    found.append((ids, list(connection.execute(asked).scalars())))
        return found

    def _targets(self) -> list[tuple[str, Callable[[], None]]]:
        found: list[tuple[str, Callable[[], None]]] = [
            ("archive", lambda: self._restart(self._parts[0])),
            ("archive", lambda: self._restart(self._parts[1])),
            ("redis", self._restart_redis),
        ]
        if self._database is not None:
            found.append(("postgresql", self._restart_database))
        return found

    def _restart(self, part: Part) -> None:
        part.kill()
        part.start()

    def _restart_redis(self) -> None:
        self._server.kill()
        self._server.restart()

    def _restart_database(self) -> None:
        assert self._database is not None
        self._database.kill()
        self._database.start()

    def _push(self) -> None:
        with redis.Redis.from_url(self._server.url(0)) as client:
            lines = [Faxes(client, "default"), Faxes(client, "second")]
            while not self._over.is_set():
                with contextlib.suppress(redis.RedisError):
                    line, job = lines[self.pushed % 2], f"fax-{self.pushed}"
                    self.pushed += 1
                    line.queue(job)
                    line.audit("fax-send", job=job, outcome="accepted")
                    line.deliver(job)
                time.sleep(0.001)  # the archive is to be tried, not the machine


def main() -> None:
    """Run one course on each database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    for kind in ("sqlite", "postgresql"):
        with (
            tempfile.TemporaryDirectory() as folder,
            RedisServer() as server,
            contextlib.ExitStack() as stack,
        ):
            database = stack.enter_context(PostgresServer()) if kind == "postgresql" else None
            url = database.url() if database is not None else f"sqlite:///{folder}/archive.db"
            course = Course(Path(folder), server, url, database, given.seed)
            began = time.monotonic()
            course.run(given.kills)
            killed = ", ".join(f"{name} {count}" for name, count in sorted(course.killed.items()))
            print(
                f"{kind}: {course.pushed} faxes, killed {killed}; nothing missing, nothing twice "
                f"(seed {given.seed}, {time.monotonic() - began:.0f} s)"
            )


if __name__ == "__main__":
    main()
