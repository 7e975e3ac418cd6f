"""Thousands of accounts, one dispatcher, one worker: start, memory, scrape, a fax through the last account.

python -m tests.benchmarks.many_accounts 10000
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import redis

from faxline_local.processes import wait_for
from faxline_local.stack import Local
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.processes import memory_of

PATIENCE = 120.0
ROLES = ("dispatcher", "worker")


def run_many_accounts(count: int, logs: Path) -> dict[str, float]:
    """Start the processes one after the other, and send a fax through the last account."""
    accounts = [f"a{i:05}" for i in range(count)]
    last = accounts[-1]
    settings = {f"ACCOUNTS__{name.upper()}__TOKEN": f"token-{name}" for name in accounts[:-1]}
    found: dict[str, float] = {}
    with _Alone(logs, last, settings) as local, redis.Redis.from_url(local.redis_url) as client:
        for role in ROLES:
            began = time.perf_counter()
            local.begin(role)
            if not wait_for(lambda role=role: local.ready(f"{role}-1"), PATIENCE):  # type: ignore[misc]
                raise TimeoutError(f"the {role} was not ready: see {logs}")
            found[f"{role}: seconds until ready"] = time.perf_counter() - began
        began = time.perf_counter()
        push_entries(client, last, ["one"])
        if not wait_for(lambda: len(local.ledger()) == 1, PATIENCE):
            raise TimeoutError("no fax went out through the last account")
        found["seconds until a fax through the last account is with iFax"] = time.perf_counter() - began
        for role in ROLES:
            found |= _look_at(local, role)
    return found


def _look_at(local: "_Alone", role: str) -> dict[str, float]:
    """The memory of a process, and what a scrape costs."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{local.metrics[f'{role}-1']}/metrics") as page:
        text = page.read()
    took = time.perf_counter() - began
    memory = memory_of(local.part(f"{role}-1").process.pid)
    return {
        f"{role}: seconds of a scrape": took,
        f"{role}: MB of a scrape": len(text) / 1e6,
        f"{role}: MB resident": memory.resident / 1e6,
    }


class _Alone(Local):
    """A server and the sandbox; the processes are started one by one."""

    def __init__(self, logs: Path, last: str, settings: dict[str, str]) -> None:
        super().__init__(logs, workers=0, dispatchers=0, webhooks=0, accounts=[last], settings=settings)

    def begin(self, role: str) -> None:
        """Start a process of this role."""
        self._add(f"{role}-1", role)


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs:
        found = run_many_accounts(options.accounts, Path(logs))
    json.dump({name: round(value, 3) for name, value in found.items()}, sys.stdout, indent=1)
    print()  # noqa: T201


if __name__ == "__main__":
    main()
