"""Many accounts at a part of their quota on a cluster, with results: all delivered, none twice, limits kept.

python -m tests.benchmarks.cluster_quota 2000 --part 20 --seconds 120

iFax's own limits hold, here and in the sandbox. Half of the faxes come one by one, to one account after the
other; half come as mailings that are larger than the burst, each to one account.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count as counted
from pathlib import Path
from shutil import rmtree
from typing import Any

import redis

from tests.benchmarks.cluster_rig import (
    SOON_AGAIN,
    administrator,
    await_delivered,
    push,
    redis_together,
    usage,
    write_folders,
)
from tests.benchmarks.speed.size import QUOTA
from tests.benchmarks.speed.steady import SOON
from tests.clusters import ClusterLocal

BURST, CONCURRENCY, REQUESTS = 50, 20, 1000
"""iFax's limits."""
MAILING = BURST + 10
THREADS = 40
TICK = 0.1
PATIENCE = 900.0


def run_quota(count: int, part: int, seconds: float, logs: Path) -> dict[str, Any]:
    """Push for so long at a part of the quota of so many accounts, and see each fax to its end.

    Raises:
        AssertionError: a fax was sent twice or not at all, or a limit was exceeded.
    """
    accounts = [f"a{place:05}" for place in range(count)]
    write_folders(logs / "accounts", accounts)
    with (
        ClusterLocal(
            logs,
            cluster={"replicas": 0},
            workers=2,
            threads=THREADS,
            accounts=(),
            settings={"ACCOUNTS_DIR": str(logs / "accounts")},
            sandbox=(*SOON, *SOON_AGAIN, *(word for name in accounts for word in ("--account", name))),
        ) as local,
        administrator(local) as client,
    ):
        used, began = usage(local), time.monotonic()
        pushed = _push(client, accounts, count * QUOTA / part, seconds)
        await_delivered(client, accounts, len(pushed), PATIENCE, every=5.0)
        took, cpu = time.monotonic() - began, redis_together(used.seconds())
        sent = Counter((fax["account"], fax["subject"]) for fax in local.ledger())
        stats = [of for name, of in local.stats().items() if name in set(accounts)]
    assert sent == Counter(pushed), "a fax was sent twice, or not at all"
    refused = sum(sum(of["rate_limited"].values()) for of in stats)
    assert refused == 0, f"{refused} requests were refused for a limit"
    most = {name: max(of[name] for of in stats) for name in ("max_concurrent", "max_in_window")}
    assert most["max_concurrent"] <= CONCURRENCY
    assert most["max_in_window"] <= REQUESTS
    return {
        "accounts": count,
        "faxes": len(pushed),
        "seconds of pushes": seconds,
        "seconds until all were delivered": took,
        "sent twice": 0,
        "refused for a limit": refused,
        **most,
        **{f"{name}: CPU ms a second": 1000 * spent / took for name, spent in cpu.items()},
    }


def _push(client: redis.Redis, accounts: Sequence[str], rate: float, seconds: float) -> list[tuple[str, str]]:
    """Push for so long at a rate; the faxes, each an account and an id."""
    faxes: list[tuple[str, str]] = []
    coming, began = _faxes(accounts), time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        due: list[tuple[str, str]] = []
        while len(faxes) + len(due) < rate * passed:
            due += next(coming)
        push(client, due)
        faxes += due
        time.sleep(TICK)
    return faxes


def _faxes(accounts: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """One fax for each of many accounts in turn, then a mailing to one of them."""
    for turn in counted():
        for place in range(MAILING):
            yield [(accounts[(turn * MAILING + place) % len(accounts)], f"one-{turn}-{place}")]
        account = accounts[turn * 7 % len(accounts)]
        yield [(account, f"mailing-{turn}-{place}") for place in range(MAILING)]


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=2000)
    parser.add_argument("--part", type=int, default=20, help="of the quota: one in so many")
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    logs = Path(".bench/logs/quota").resolve()
    rmtree(logs, ignore_errors=True)
    found = run_quota(options.accounts, options.part, options.seconds, logs)
    json.dump({k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
