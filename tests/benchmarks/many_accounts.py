"""Thousands of accounts of a directory, one process of each role: start, memory, scrape, a fax of the last.

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
from faxline_local.stack import Local, token_of, webhook_secret_of
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.processes import memory_of
from tests.benchmarks.speed.usage import cpu_of, cpu_of_group

PATIENCE = 120.0
SETTLED, IDLE = 60.0, 30.0
"""Seconds until the first timers of all accounts have run, and in which the idle processes are watched."""
ROLES = ("dispatcher", "worker", "webhook")


def run_many_accounts(count: int, logs: Path) -> dict[str, float]:
    """Start the processes one after the other, and send a fax through the last account."""
    accounts = [f"a{i:05}" for i in range(count)]
    last, folders = accounts[-1], logs / "accounts"
    for name in accounts:
        (folders / name).mkdir(parents=True)
        (folders / name / "token").write_text(token_of(name))
        (folders / name / "webhook_secrets").write_text(f'["{webhook_secret_of(name)}"]')
    found: dict[str, float] = {}
    with _Alone(logs, last, folders) as local, redis.Redis.from_url(local.redis_url) as client:
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
        found |= _idle(local)
    return found


def _idle(local: "_Alone") -> dict[str, float]:
    """What the processes use while there is nothing to do, once the timers of the start have run."""
    time.sleep(SETTLED)
    leaders = {role: local.part(f"{role}-1").process.pid for role in ROLES}
    before = {name: cpu_of_group(pid) for name, pid in leaders.items()}
    redis_before = cpu_of(local.server.pid)
    time.sleep(IDLE)
    used = {name: cpu_of_group(pid) - before[name] for name, pid in leaders.items()}
    used["redis"] = cpu_of(local.server.pid) - redis_before
    return {f"{name}: CPU ms a second, idle": 1000 * seconds / IDLE for name, seconds in used.items()}


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
    """A server and the sandbox; the processes are started one by one, with the accounts of a directory."""

    def __init__(self, logs: Path, last: str, folders: Path) -> None:
        settings = {"ACCOUNTS_DIR": str(folders)}
        super().__init__(
            logs, workers=0, dispatchers=0, webhooks=0, settings=settings, sandbox=("--account", last)
        )

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
