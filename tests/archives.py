"""What the tests of the archive have in common: databases, and faxes that only Redis knows."""

import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import redis
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, make_url, select

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.seals import Seals
from faxline_archive.archiver import Archiver
from faxline_archive.database import migrate, open_database
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.reader import Reader
from faxline_archive.schema import entries, fax_metadata, faxes, member_sums, usage_sums
from faxline_archive.sums import MOST
from faxline_worker.observability.pulse import Loop

NUMBER, SENDER = "+12025550123", "+12025550100"


def new_archive(url: str) -> Engine:
    """An empty archive with its tables. On SQLite it is a copy: the migrations run once a process.

    Args:
        url: of an empty database.
    """
    engine, parsed = open_database(url, writes=True), make_url(url)
    if parsed.get_backend_name() == "sqlite":
        shutil.copy(_empty_archive(), parsed.database or "")
    else:
        migrate(engine)
    return engine


@cache
def _empty_archive() -> Path:
    file = Path(tempfile.mkdtemp()) / "archive.db"
    engine = open_database(f"sqlite:///{file}", writes=True)
    migrate(engine)
    engine.dispose()
    return file


class Faxes:
    """Writes records, events and audit entries of an account as the daemon does.

    Args:
        client: of the state's database.
        account: the account.
        keyring: seals receipts.
    """

    def __init__(self, client: redis.Redis, account: str = "default", keyring: Keyring | None = None) -> None:
        self.client = client
        self.account = account
        self.keys = RedisKeys(account)
        self._seals = Seals(keyring, account)
        self._at = 0

    def _now(self) -> int:
        """The time in milliseconds, another one each time."""
        self._at = max(self._at + 1, round(time.time() * 1000))
        return self._at

    def event(self, name: str, job: str, **data: Any) -> str:
        """Write an event. Returns its id."""
        at = self._now()
        data.setdefault("state", name.removeprefix("fax.").replace("retrying", "queued"))
        data.setdefault("attempt", 0 if name == "fax.queued" else 1)
        fields: dict[Any, Any] = {"event": name, "job": job, "at": at, "data": json.dumps(data)}
        found: bytes = self.client.xadd(self.keys.events, fields)  # type: ignore[assignment]
        return found.decode()

    def audit(self, what: str, **fields: Any) -> str:
        """Write an entry of the audit. Returns its id."""
        entry: dict[Any, Any] = {"at": self._now(), "who": "a:1", "what": what, **fields}
        found: bytes = self.client.xadd(self.keys.audit, entry)  # type: ignore[assignment]
        return found.decode()

    def queue(
        self, job: str, *, number: str = NUMBER, metadata: Mapping[str, Any] | None = None, **more: str
    ) -> None:
        """Register a job: its record and its event."""
        at = self._now()
        record: dict[Any, Any] = {
            "n": 1,
            "number": number,
            "sender": SENDER,
            "kind": "send",
            "created_at": at,
            **more,
        }
        if metadata:
            record["metadata"] = json.dumps(metadata)
        self.client.hset(self.keys.job(job), mapping=record)
        self.event("fax.queued", job, **({"metadata": metadata} if metadata else {}))

    def deliver(self, job: str, receipt: str = '{"jobId":7}', **data: Any) -> None:
        """Submit a job and deliver it, with a receipt."""
        self.event("fax.submitted", job, jobId=7)
        step = {"event": "fax.delivered", "jobId": 7}
        kept = {"n": 3, "h:3": json.dumps(step), "r:3": self._seals.receipt("7", receipt.encode())}
        self.client.hset(self.keys.job(job), mapping=kept)  # type: ignore[arg-type]
        digest = hashlib.sha256(receipt.encode()).hexdigest()
        data = {"reason": "success", "code": 0, "pages": 3, "transferred": 3, **data}
        self.event("fax.delivered", job, jobId=7, receipt=digest, **data)


class Running:
    """An archive in a thread of its own."""

    def __init__(
        self,
        url: str,
        client: redis.Redis,
        names: tuple[str, ...] = ("default",),
        keyring: Keyring | None = None,
        batch: int = 1000,
    ) -> None:
        self.engine = open_database(url, writes=True)
        self.registry = CollectorRegistry()
        self._stopping = threading.Event()
        self.archiver = Archiver(
            self.engine,
            Reader(client, keyring, batch),
            lambda: names,
            ArchiveMetrics(self.registry, names),
            structlog.get_logger(),
            stopping=self._stopping,
            poll=0.02,
        )
        self._loop = Loop("archive", 60, 60)
        self._thread = threading.Thread(target=self.archiver.run, args=(self._loop,))
        self._thread.start()

    def value(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        self._thread.join()
        self.engine.dispose()


@contextmanager
def archiving(
    url: str, client: redis.Redis, *names: str, keyring: Keyring | None = None, batch: int = 1000
) -> Iterator[Running]:
    """Run an archive inside the block."""
    running = Running(url, client, names or ("default",), keyring, batch)
    try:
        yield running
    finally:
        running.stop()


def check_sums(engine: Engine) -> None:
    """The kept sums, and what the metadata has of its fax, are what the faxes say."""
    found, told = Counter[tuple[str, int, int, str]](), {}
    for row in rows(engine, faxes):
        told[row["account"], row["job"], row["reuse"]] = [
            row[name] for name in ("state", "reason", "transferred")
        ]
        if row["state"] != "rejected":
            ended = {state: row["state"] == state for state in ("delivered", "failed")}
            for name, count in {"faxes": 1, **ended, "pages": row["transferred"] or 0}.items():
                for minutes in (15, 1440):
                    found[row["account"], minutes, row["queued_at"] // (minutes * 60_000), name] += count
    kept = rows(engine, usage_sums)
    names = ("faxes", "delivered", "failed", "pages")
    place = ("account", "minutes", "number")
    assert {(*(one[part] for part in place), name): one[name] for one in kept for name in names} == found
    values: dict[tuple[str, str, int], dict[str, list[int]]] = {}
    for row in rows(engine, fax_metadata):
        fax_of = row["account"], row["job"], row["reuse"]
        assert [row[name] for name in ("state", "reason", "transferred")] == told[fax_of]
        if row["state"] != "rejected":
            day = values.setdefault((row["account"], row["key"], row["queued_at"] // 86_400_000), {})
            one = [1, row["state"] == "delivered", row["state"] == "failed", row["transferred"] or 0]
            day[row["value"]] = [sum(both) for both in zip(day.get(row["value"], [0] * 4), one, strict=True)]
    days = {(row["account"], row["key"], row["number"]): row["sums"] for row in rows(engine, member_sums)}
    summed = {day: json.loads(sums) for day, sums in days.items() if sums is not None}
    assert summed == {day: sums for day, sums in values.items() if days.get(day, "") is not None}
    assert all(len(sums) <= MOST for sums in summed.values())
    whole = {(one["account"], one["number"]) for one in kept if one["minutes"] == 1440}
    assert {(account, number) for account, _, number in days} <= whole  # nothing is left of an empty day


def rows(engine: Engine, table: Any = entries) -> list[dict[str, Any]]:
    """All rows of a table, in the order of its key; none while it is not made yet."""
    with suppress(Exception), engine.connect() as connection:
        asked = select(table).order_by(*table.primary_key)
        return [dict(row) for row in connection.execute(asked).mappings()]
    return []


def fax(engine: Engine, job: str) -> dict[str, Any]:
    """The newest row of a fax; empty if there is none."""
    return next((row for row in reversed(rows(engine, faxes)) if row["job"] == job), {})


def contents(url: str, postgres: Any) -> str:
    """All that a database has on its disk or in its dump, to look for marks in."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return "".join(file.read_bytes().decode("latin-1") for file in path.parent.glob(path.name + "*"))
    dump: str = postgres.dump(url)
    return dump
