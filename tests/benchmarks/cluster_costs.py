"""What a fax costs each part on a cluster, with one to three primaries and one to four workers.

python -m tests.benchmarks.cluster_costs --primaries 1 2 3 --workers 1 2 4
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import redis

from tests.benchmarks.cluster_rig import (
    SOON_AGAIN,
    administrator,
    await_delivered,
    push,
    redis_together,
    usage,
)
from tests.benchmarks.speed.fleet import WIDE
from tests.benchmarks.speed.ways import ENDLESS, SOON
from tests.clusters import ClusterLocal

ACCOUNTS = 60
RATE = 20.0
"""Faxes a second, of all accounts in turn."""
WARM, IDLE, BUSY = 8.0, 15.0, 45.0
"""Seconds of faxes that are not counted, without any, and of faxes that are."""
TICK = 0.05
PATIENCE = 240.0
THREADS = 20


def run_cluster(primaries: int, workers: int, logs: Path) -> dict[str, float]:
    """CPU milliseconds a fax of each part, less what it uses without any, and what that is a second."""
    accounts = [f"a{place:02}" for place in range(ACCOUNTS)]
    with (
        ClusterLocal(
            logs,
            cluster={"primaries": primaries, "replicas": 0},
            workers=workers,
            threads=THREADS,
            accounts=accounts,
            settings=WIDE,
            sandbox=(*ENDLESS, *SOON, *SOON_AGAIN),
        ) as local,
        administrator(local) as client,
    ):
        warm = _push_evenly(client, accounts, "warm", WARM)
        await_delivered(client, accounts, warm, PATIENCE)
        idle = _idle(local)
        used, began = usage(local), time.monotonic()
        count = _push_evenly(client, accounts, "counted", BUSY)
        await_delivered(client, accounts, warm + count, PATIENCE)
        cpu, seconds = redis_together(used.seconds()), time.monotonic() - began
    found = {f"{part}: CPU ms a fax": 1000 * (cpu[part] - idle[part] * seconds) / count for part in cpu}
    found |= {f"{part}: CPU ms a second, idle": 1000 * share for part, share in idle.items()}
    return found | {"faxes": count, "seconds": seconds}


def _idle(local: ClusterLocal) -> dict[str, float]:
    """The share of a core that each part uses without faxes."""
    used, began = usage(local), time.monotonic()
    time.sleep(IDLE)
    cpu, seconds = redis_together(used.seconds()), time.monotonic() - began
    return {part: spent / seconds for part, spent in cpu.items()}


def _push_evenly(client: redis.Redis, accounts: Sequence[str], mark: str, seconds: float) -> int:
    """Push for so long at the rate, to one account after the other; how many."""
    count, pushed, began = round(RATE * seconds), 0, time.monotonic()
    while pushed < count:
        time.sleep(TICK)
        due = min(count, int((time.monotonic() - began) * RATE))
        push(client, ((accounts[i % len(accounts)], f"{mark}-{i}") for i in range(pushed, due)))
        pushed = due
    return count


def main() -> None:
    """Measure, and print a line of JSON for each pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--primaries", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    for primaries, workers in product(options.primaries, options.workers):
        logs = Path(".bench/logs/cluster") / f"{primaries}-{workers}"
        shutil.rmtree(logs, ignore_errors=True)
        found = run_cluster(primaries, workers, logs)
        rounded = {name: round(value, 3) for name, value in found.items()}
        json.dump({"primaries": primaries, "workers": workers, **rounded}, sys.stdout)
        print(flush=True)


if __name__ == "__main__":
    main()
