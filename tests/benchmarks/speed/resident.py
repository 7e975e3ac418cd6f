"""The memory of a worker: after many faxes at full speed, and with large documents on their way."""

from contextlib import closing
from pathlib import Path

import redis

from faxline_local.processes import wait_for
from faxline_local.stack import Local
from tests.benchmarks import memory
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.processes import group_of, memory_of
from tests.benchmarks.speed.endpoint import Stub
from tests.benchmarks.speed.rounds import account_names, shares
from tests.benchmarks.speed.sheet import Section, Wanted
from tests.benchmarks.speed.size import SHORT, Size
from tests.benchmarks.speed.usage import resident
from tests.benchmarks.speed.ways import FREE

THREADS = 20
PATIENCE = 600.0
MEGABYTE = 1_000_000


def run_resident(size: Size, logs: Path) -> Section:
    """Watch a worker send faxes as fast as it can; then the benchmark of the documents."""
    section = Section("memory")
    accounts = account_names(size.accounts)
    with (
        closing(Stub(logs)) as stub,
        Local(
            logs, webhooks=0, threads=THREADS, accounts=accounts, settings={**FREE, "IFAX_URL": stub.url}
        ) as local,
        redis.Redis.from_url(local.redis_url) as client,
    ):
        worker = local.part(local.names("worker")[0])
        caller = max(group_of(worker.process.pid), key=lambda pid: memory_of(pid).threads)
        idle = resident(caller)
        seen: list[tuple[int, int]] = []
        for account, names in shares(accounts, size.flat, "flat").items():
            push_entries(client, account, names)

        def over() -> bool:
            seen.append((stub.count(), resident(caller)))
            return seen[-1][0] >= size.flat

        if not wait_for(over, PATIENCE, every=0.1):
            raise TimeoutError(f"{seen[-1][0]} of {size.flat} faxes are sent after {PATIENCE:g} s")
    first = [size_now for count, size_now in seen if count <= size.flat / 3]
    last = [size_now for count, size_now in seen if count >= size.flat * 2 / 3]
    growth = (sum(last) / len(last) - sum(first[1:] or first) / len(first[1:] or first)) / MEGABYTE
    section.add(
        f"a worker of 20 threads after {size.flat:,} faxes",
        seen[-1][1] / MEGABYTE,
        "MB",
        wanted=Wanted(120, most=True),
    )
    section.add("… with nothing to do", idle / MEGABYTE, "MB")
    section.add("… its growth from the first third of them to the last", growth, "MB")
    section.details["faxes and MB"] = [
        (count, round(now / MEGABYTE, 2)) for count, now in seen[:: max(1, len(seen) // 30)]
    ]
    found = memory.run_memory(memory.SHORT if size is SHORT else memory.FULL, logs / "documents")
    section.add(
        f"{found.at_once} documents of {found.size / MEGABYTE:.0f} MB at once, at the most",
        found.peak / MEGABYTE,
        "MB",
        baseline=found.whole_peak / MEGABYTE,
        beside="whole bodies",
        wanted=Wanted(250, most=True),
    )
    return section
