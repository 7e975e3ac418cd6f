"""`python -m tests.benchmarks.drain`: many jobs from their push to their end, and what they leave in Redis.

`make bench-drain` calls it. The library pushes, a real dispatcher registers, runs the timers and forgets;
the calls to iFax are left out: processes of this benchmark admit, mark, settle and bring the receipts by the
worker's own scripts, for it is Redis that is looked at, whose memory and keys are sampled all the while.
"""

import argparse
import json
import multiprocessing
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
from rich.console import Console
from rich.table import Table

from faxline import Fax, FaxLine
from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.stack import DEFAULT, Local
from faxline_worker.config.settings import read_settings
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.benchmarks.curves import draw

RETENTION = 20.0
"""Seconds for which a record, a document, an entry of the audit are kept."""
SETTINGS = {
    "RETENTION": f"{RETENTION:g}",
    "AUDIT_RETENTION": f"{RETENTION:g}",
    "DOCUMENT_TTL": f"{RETENTION:g}",
    "DOCUMENT_GRACE": "5",
    "RECEIPT_DEADLINE": "20",
    "IN_DOUBT__WAIT": "5",
    "IN_DOUBT__THEN": "fail",
    "RETRIES__DELIVERY__BUSY": "1",
    "EVENTS_CAP": "1000",
    "LIMITS__WINDOW": "10",
    "LIMITS__REQUESTS": "1000000",
    "LIMITS__CONCURRENCY": "0",
    "LIMITS__BURST": "0",
    "SWEEP": "1",
    "CEILINGS__BYTES": "10000000000",
}
WARM = 1000
"""Jobs that go the whole way before the base line is taken: scripts are loaded, capped streams are full."""
PUSHED_AT_ONCE = 5000
ONE_DOCUMENT = 50
"""Faxes to a document."""
PATIENCE = 3600.0
LEFT = {
    *("intake", "status", "orders", "events", "audit", "doorbell", "account"),
    *("answers", "wakes", "reconcile-wake", "dead"),
}
"""What an account may keep when all its jobs are forgotten: empty or capped streams, fixed fields."""


@dataclass(frozen=True)
class Sample:
    """Redis at one moment: seconds since the begin, bytes, keys, jobs that have not ended."""

    at: float
    phase: str
    memory: int
    keys: int
    open: int


@dataclass
class Drain:
    """What was found."""

    jobs: int
    ends: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    base_memory: int = 0
    base_keys: int = 0
    end_memory: int = 0
    end_keys: int = 0
    left: list[str] = field(default_factory=list)
    """The names of the account's keys at the end."""
    backlog: dict[str, int] = field(default_factory=dict)
    """What is counted under the ceilings at the end."""
    curve: list[Sample] = field(default_factory=list)

    @property
    def peak(self) -> Sample:
        """The sample with the most memory."""
        return max(self.curve, key=lambda sample: sample.memory)


class _Sampler(threading.Thread):
    """Looks at Redis twice a second."""

    def __init__(self, url: str, drain: Drain) -> None:
        super().__init__(daemon=True)
        self.phase = "warm up"
        self._client = redis.Redis.from_url(url)
        self._drain = drain
        self._ended = threading.Event()

    def run(self) -> None:
        """Look until `stop`."""
        begin, keys = time.monotonic(), RedisKeys(DEFAULT)
        while not self._ended.wait(0.5):
            account: Any = self._client.hgetall(keys.account_state)
            ended = sum(int(n) for name, n in account.items() if name.startswith(b"done:"))
            self._drain.curve.append(
                Sample(
                    at=round(time.monotonic() - begin, 2),
                    phase=self.phase,
                    memory=memory_of(self._client),
                    keys=int(self._client.dbsize()),
                    open=int(account.get(b"taken", 0)) - ended,
                )
            )

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join()
        self._client.close()


def memory_of(client: redis.Redis) -> int:
    """Redis' used_memory."""
    facts: Any = client.info("memory")
    return int(facts["used_memory"])


def work(environment: dict[str, str], ended: Any) -> None:
    """One process that plays worker and iFax: each call is answered at once, by the end of the id.

    Of a hundred faxes one is in doubt for good, two are refused, three are busy once, one's receipt comes
    before its answer, one is canceled by its producer; the others are delivered.
    """
    settings = read_settings(environment)
    client = redis.Redis.from_url(settings.redis_url)
    store = Store(client, settings, DEFAULT, who="benchmark")
    called = {"call": "fax-send", "outcome": "ok", "status": 200, "ms": 1}
    while not ended.is_set():
        admitted = store.submission.admit(uuid4().hex, "")
        if not isinstance(admitted, Admitted):
            ended.wait(0.05)
            continue
        store.submission.mark(admitted)
        kind, job_id = int(admitted.job.rpartition(".")[2]) % 100, str(int(uuid4().hex[:13], 16))
        if kind == 0:
            store.submission.settle(admitted, {"decision": "in_doubt", "reason": "timeout"} | called)
            continue
        if kind <= 2:
            store.submission.settle(
                admitted, {"decision": "refuse", "reason": "bad_number", "code": -1} | called
            )
            continue
        accepted = {"decision": "accepted", "job_id": job_id} | called
        if kind == 3:
            _receipt(client, store, job_id)
            store.submission.settle(admitted, accepted)
            continue
        store.submission.settle(admitted, accepted)
        busy = kind <= 6 and admitted.attempt == 1
        _receipt(client, store, job_id, **({"outcome": "failed", "again": "busy"} if busy else {}))


def _receipt(client: redis.Redis, store: Store, job_id: str, **more: str) -> None:
    entry: Any = client.xadd(store.keys.status, {"kind": "receipt", "body": b"{}"})
    receipt = {
        "job_id": job_id,
        "outcome": "delivered",
        "code": 0,
        "reason": "ok",
        "pages": 1,
        "transferred": 1,
    }
    store.receipts.apply([(entry.decode(), receipt | more)])


def faxes(count: int, group: str, first: int) -> Iterator[Fax]:
    """Faxes to numbers that are all different."""
    for i in range(first, first + count):
        document = (
            f"letter-{group}-{i // ONE_DOCUMENT}.txt",
            f"Letter {group} {i // ONE_DOCUMENT}.\n".encode() * 60,
        )
        yield Fax(
            to=f"+1202{2_000_000 + i}",
            files=[document],
            id=f"{group}.{i}",
            metadata={"invoice": i},
            group=group,
        )


@contextmanager
def _workers(environment: dict[str, str], count: int) -> Iterator[None]:
    processes = multiprocessing.get_context("spawn")
    ended = processes.Event()
    started = [processes.Process(target=work, args=(environment, ended)) for _ in range(count)]
    for process in started:
        process.start()
    try:
        yield
    finally:
        ended.set()
        for process in started:
            process.join()


class _Run:
    def __init__(self, local: Local, drain: Drain, workers: int) -> None:
        self._local, self._drain, self._workers = local, drain, workers
        self._client = redis.Redis.from_url(local.redis_url)
        self._keys = RedisKeys(DEFAULT)
        self._sampler = _Sampler(local.redis_url, drain)

    def through(self, jobs: int) -> None:
        """A few jobs first, for the base line; then all of them, phase by phase."""
        self._sampler.start()
        try:
            self._whole_way(WARM, "warm-up")
            self._drain.base_memory, self._drain.base_keys = memory_of(self._client), self._client.dbsize()
            self._drain.seconds.clear()
            before = self._ends()
            self._whole_way(jobs, "mailing")
            self._drain.ends = dict(self._ends() - before)
            self._drain.end_memory, self._drain.end_keys = memory_of(self._client), self._client.dbsize()
        finally:
            self._sampler.stop()
        left: Any = self._client.scan_iter(count=1000)
        self._drain.left = sorted(key.decode().removeprefix(self._keys.prefix) for key in left)
        with FaxLine(self._local.redis_url) as line:
            state = line.account_state()
        self._drain.backlog = {name: part.used for name, part in state.backlog.items()}
        self._client.close()

    def _whole_way(self, jobs: int, group: str) -> None:
        open_jobs = self._ends().total() + jobs
        with self._phase("push"), FaxLine(self._local.redis_url, document_ttl=PATIENCE) as line:
            for first in range(0, jobs, PUSHED_AT_ONCE):
                line.send_many(faxes(min(PUSHED_AT_ONCE, jobs - first), group, first))
            for i in range(7, jobs, 100):
                line.cancel(f"{group}.{i}")
        with self._phase("take"):
            self._await(lambda: self._client.xlen(self._keys.intake) == 0)
        with self._phase("drain"), _workers(self._local.environment(), self._workers):
            self._await(lambda: self._ends().total() >= open_jobs)
        with self._phase("forget"):
            self._await(lambda: not self._remembered())

    def _remembered(self) -> list[bytes]:
        """Some keys that are still to go."""
        found: list[bytes] = []
        for key in self._client.scan_iter(count=1000):
            name = key.decode()
            if name.startswith(self._keys.prefix) and name.removeprefix(self._keys.prefix) not in LEFT:
                found.append(key)
                break
        return found or ([b"answers"] if self._client.exists(self._keys.answers) else [])

    def _ends(self) -> Counter[str]:
        account: Any = self._client.hgetall(self._keys.account_state)
        return Counter(
            {name.decode()[5:]: int(n) for name, n in account.items() if name.startswith(b"done:")}
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._sampler.phase, begin = name, time.monotonic()
        yield
        self._drain.seconds[name] = round(time.monotonic() - begin, 1)

    @staticmethod
    def _await(condition: Any) -> None:
        if not wait_for(condition, PATIENCE, every=0.5):
            raise TimeoutError(f"not so after {PATIENCE:g} s")


def run_drain(jobs: int, directory: Path, workers: int = 2) -> Drain:
    """Push so many jobs, see them to their ends, and wait until they are forgotten."""
    drain = Drain(jobs)
    with Local(directory, workers=0, webhooks=0, settings=SETTINGS) as local:
        _Run(local, drain, workers).through(jobs)
    return drain


def show(drain: Drain, console: Console) -> None:
    """Print the table."""
    table = Table(title=f"{drain.jobs} jobs", title_justify="left")
    for i, column in enumerate(("", "Redis' memory", "keys", "jobs open")):
        table.add_column(column, justify="right" if i else "left")

    def row(name: str, memory: int, keys: int, open_jobs: int) -> None:
        table.add_row(name, f"{memory / 1e6:.1f} MB", f"{keys:,}", f"{open_jobs:,}")

    row("before", drain.base_memory, drain.base_keys, 0)
    row("at the most", drain.peak.memory, drain.peak.keys, drain.peak.open)
    row("after", drain.end_memory, drain.end_keys, sum(drain.backlog.values()))
    console.print(table)
    console.print("seconds: " + ", ".join(f"{name} {spent:g}" for name, spent in drain.seconds.items()))
    console.print("ends: " + ", ".join(f"{name} {n}" for name, n in sorted(drain.ends.items())))
    console.print("left: " + " ".join(drain.left))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, print and write what was found."""
    parser = argparse.ArgumentParser(prog="make bench-drain", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(".bench/drain.json"), help="the JSON file")
    parser.add_argument("--svg", type=Path, help="the curve of Redis' memory, drawn")
    options = parser.parse_args(arguments)
    logs = options.out.parent / "logs" / "drain"
    shutil.rmtree(logs, ignore_errors=True)
    drain = run_drain(options.jobs, logs, options.workers)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(asdict(drain), indent=1) + "\n")
    if options.svg:
        points = [(sample.at, sample.memory / 1e6) for sample in drain.curve]
        phases = [(sample.at, sample.phase) for sample in drain.curve]
        options.svg.write_text(
            draw(points, phases, f"Redis' memory (MB) with {drain.jobs:,} jobs, by seconds")
        )
    console = Console()
    show(drain, console)
    console.print(f"written to {options.out}")


if __name__ == "__main__":
    main()
