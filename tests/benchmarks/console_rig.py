"""A console over a large archive and a large queue, as a process of its own, for measuring its pages."""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.parse import urlencode

import httpx
import redis
from argon2 import PasswordHasher
from sqlalchemy import create_engine, text

from faxline.contract.redis_keys import RedisKeys
from faxline_archive.database import open_database
from faxline_archive.schema import EVENTS, positions
from faxline_console.access.guard import COOKIE
from faxline_console.access.people import Person, Role
from faxline_console.access.store import ConsoleStore
from faxline_local.processes import Part, free_port
from faxline_local.redis_access import Access
from faxline_local.redis_server import RedisServer
from tests.benchmarks.archive_faxes import ACCOUNT, PLAIN, STEP, fill
from tests.benchmarks.speed.jobs import ACCEPTED, Maker
from tests.benchmarks.speed.ways import FREE
from tests.postgres import PostgresServer

ACCOUNTS = (ACCOUNT, *(f"account-{number}" for number in range(4)))
"""The first has the queue and nine of ten archived faxes."""
DEPARTMENTS = 40
MAILING = "reminders"
DOUBTS, DEAD, SUBMITTED = 20, 20, 200
BUFFERS = {"shared_buffers": "2GB", "max_wal_size": "8GB"}
ACL = Path("ops/redis/users.acl")
STORY = """
INSERT INTO entries (account, leaf, stream, entry_id, at, kind, job, leaf_hash, body)
SELECT account, job_id * 3 + k, 'events', queued_at + k * 1000 || '-0', queued_at + k * 1000, e, job,
  sha256((job_id * 3 + k)::text::bytea),
  json_build_object('fields', json_build_object('event', e, 'job', job, 'data', '{"attempt": 1}'))::text
FROM faxes CROSS JOIN (VALUES (0, 'fax.queued'), (1, 'fax.submitted'), (2, 'fax.delivered')) AS told (k, e)
WHERE job_id % :every = 0
"""
LIVE = """
INSERT INTO faxes (account, job, reuse, kind, group_name, priority, state, attempt, submissions, deliveries,
  queued_at, updated_at, last_event, private, terms)
SELECT 'default', job, 0, 'send', group_name, 'normal', state, 0, 0, 0, :at - n, :at - n, :at - n || '-0',
  '{"metadata":{"department":"' || department || '"}}', array_remove(ARRAY[
    pg_temp.term('default', 'state', state), pg_temp.term('default', 'group_name', group_name),
    pg_temp.term('default', 'member', department, 'department')], NULL)
FROM (
  SELECT 'taken-' || n AS job, NULL AS group_name, CASE WHEN n < :doubts THEN 'in_doubt' ELSE 'submitted' END
    AS state, NULL AS department, n FROM generate_series(0, :taken - 1) AS n
  UNION ALL SELECT 'reminders.' || n, 'reminders', 'queued', NULL, n FROM generate_series(0, :mailed - 1) AS n
  UNION ALL SELECT 'letter-' || d || '-' || n, NULL, 'queued', 'department' || d, n
    FROM generate_series(0, :departments - 1) AS d, generate_series(0, :share - 1) AS n
) AS live
"""
MEMBERS = """
INSERT INTO fax_metadata (account, job, reuse, key, value, queued_at, state)
SELECT account, job, 0, 'department', 'department' || split_part(job, '-', 2), queued_at, state
FROM faxes WHERE account = 'default' AND job LIKE 'letter-%'
"""
"""The faxes that wait in Redis, as the archive has read of them."""
EVERY = 50
"""One fax in so many has its events in the archive: those whose pages are measured."""


def role_name(role: Role, *, department: bool = False) -> str:
    """The user of a role here."""
    return f"{role}-of-a-department" if department else str(role)


@dataclass(slots=True)
class Somebody:
    """A browser in which somebody has signed in."""

    client: httpx.Client
    form_token: str

    def act(self, path: str, **fields: str) -> httpx.Response:
        """Send a form."""
        return self.client.post(path, data={"form_token": self.form_token, **fields})


class Rig:
    """The archive, Redis and the console; all of it ends with the context.

    Args:
        archived: faxes in the archive.
        queued: faxes that wait in Redis.
        archive: the URL of an archive that was filled before; it stays. Empty: one is filled.
    """

    def __init__(self, archived: int, queued: int, archive: str = "") -> None:
        self.archived, self.queued, self.archive = archived, queued, archive
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            access = Access.of(ACL.read_text(encoding="utf-8"))
            self.server = stack.enter_context(RedisServer(access=access, options={"appendonly": "no"}))
            self.redis = stack.enter_context(redis.Redis.from_url(self.server.url(0)))
            _queue(self.redis, self.queued)
            if not self.archive:
                self.archive = stack.enter_context(PostgresServer(**BUFFERS)).url()
                fill_archive(self.archive, self.archived, self.queued)
            _mark(self.archive, self.redis)
            database = f"sqlite:///{folder / 'console.db'}"
            self.store = ConsoleStore(
                open_database(database, writes=True),
                hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
            )
            for role in Role:
                self.store.add_user(Person(role_name(role), role))
                bound = Person(
                    role_name(role, department=True), role, department=("department", "department7")
                )
                self.store.add_user(bound)
            self.url, self._pid = stack.enter_context(_console(self.server, self.archive, database, folder))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def person(self, name: str) -> Iterator[Somebody]:
        """A browser of a user."""
        token = self.store.begin_session(name)
        session = self.store.session(token)
        assert session is not None
        with httpx.Client(base_url=self.url, cookies={COOKIE: token}, timeout=120, trust_env=False) as client:
            yield Somebody(client, session.form_token)

    def cpu(self) -> float:
        """Seconds of CPU that the console's process has used."""
        stat = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def commands(self) -> int:
        """Commands that Redis has carried out, but for those of the benchmark itself (XADD, INFO)."""
        stats: Any = self.redis.info("commandstats")
        own = ("cmdstat_xadd", "cmdstat_info")
        return sum(found["calls"] for name, found in stats.items() if name not in own)


def _queue(client: redis.Redis, count: int) -> None:
    """Let so many faxes wait, of all departments and one mailing, and some need attention."""
    maker = Maker(client, ACCOUNT, FREE)
    for name in ACCOUNTS[1:]:
        Maker(client, name, FREE)
    maker.register([f"taken-{number}" for number in range(DOUBTS + SUBMITTED)])
    for _ in range(DOUBTS):
        admitted, _ = maker.admit()
        maker.store.submission.mark(admitted)
        answer = {**ACCEPTED, "decision": "in_doubt", "reason": "read_timeout", "outcome": "unclear"}
        maker.store.submission.settle(admitted, answer)
        client.zadd(maker.store.keys.in_doubt, {admitted.job: math.inf})  # its wait is over
    maker.submit(SUBMITTED, 10**12)
    entries = [{"entry": "0-1", "stream": "intake", "error": "bad_json", "raw": "{"} for _ in range(DEAD)]
    for entry in entries:
        client.xadd(maker.store.keys.dead, entry)  # type: ignore[arg-type]
    mailing, share = _sizes(count)
    maker.register([f"{MAILING}.{number}" for number in range(mailing)], group=MAILING, group_size=mailing)
    for number in range(DEPARTMENTS):
        told = {"department": f"department{number}"}
        maker.register([f"letter-{number}-{one}" for one in range(share)], metadata=told)


def _sizes(count: int) -> tuple[int, int]:
    """How many of the faxes that wait are of the mailing, and of each department."""
    mailing = count // 100 + 1
    return mailing, (count - mailing) // DEPARTMENTS + 1


def _mark(url: str, client: redis.Redis) -> None:
    """Say, as an archive does that has read all events until now, how far it has read."""
    keys, engine = RedisKeys(ACCOUNT), create_engine(url)
    newest: Any = client.xrevrange(keys.events, count=1)
    mark, place = f"{newest[0][0].decode()} 1", {"account": ACCOUNT, "stream": EVENTS}
    client.hset(keys.account_state, mapping={"archive": "1", "archived_events": mark})
    with engine.begin() as connection:
        connection.execute(positions.delete().filter_by(**place))
        connection.execute(positions.insert().values(**place, mark=mark, missing=0))
    engine.dispose()


def fill_archive(url: str, count: int, queued: int) -> None:
    """Fill an empty archive; its last fax was queued just now."""
    engine, now = create_engine(url), round(time.time() * 1000)
    mailed, share = _sizes(queued)
    live = {
        "at": now,
        "doubts": DOUBTS,
        "taken": DOUBTS + SUBMITTED,
        "mailed": mailed,
        "departments": DEPARTMENTS,
    }
    further = {LIVE: {**live, "share": share}, MEMBERS: {}}
    fill(engine, count, begin=now - count * STEP, texts=PLAIN, further=further)
    with engine.begin() as connection:
        connection.execute(text(STORY), {"every": EVERY})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE entries"))
    engine.dispose()


@contextmanager
def _console(server: RedisServer, archive: str, database: str, folder: Path) -> Iterator[tuple[str, int]]:
    """The console's process, with its own Redis user. Yields its address and its id."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "console.log"
    environment = {
        "FAXLINE_REDIS_URL": server.url(0, "console"),
        "FAXLINE_ACCOUNTS": ",".join(ACCOUNTS),
        "FAXLINE_ARCHIVE__URL": archive,
        "FAXLINE_CONSOLE__DATABASE": database,
        "FAXLINE_CONSOLE__PORT": str(port),
        "FAXLINE_METRICS__CONSOLE_PORT": str(free_port()),
    }
    part = Part("console", log, environment, [sys.executable, "-m", "faxline_worker", "console"])
    try:
        part.await_start(lambda: _answers(f"{url}/readyz"))
        yield url, part.process.pid
    finally:
        part.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def search(line: str, **more: str) -> str:
    """The address of a search."""
    return "/faxes?" + urlencode({"q": line, **more})


def event(name: str) -> dict[str, str]:
    """An event as Redis has it."""
    return {"event": name, "job": "letter-0-0", "at": str(round(time.time() * 1000)), "data": json.dumps({})}
