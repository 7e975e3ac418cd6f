"""Thousands of accounts of a directory, one process of each role: start, memory, scrape, a fax of the last.

python -m tests.benchmarks.many_accounts 10000 [--primaries 3]
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from faxline.contract.connections.redis_url import connect
from faxline_local.processes import wait_for
from faxline_local.stack import Local
from tests.benchmarks.cluster_rig import ROLES, write_folders
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.processes import memory_of
from tests.benchmarks.speed.usage import cpu_of, cpu_of_group
from tests.clusters import ClusterLocal

PATIENCE = 120.0
SETTLED, IDLE = 60.0, 30.0
"""Seconds until the first timers of all accounts have run, and in which the idle processes are watched."""


def run_many_accounts(count: int, primaries: int, logs: Path) -> dict[str, float]:
    """Start the processes one after the other, and send a fax through the last account.

    Args:
        count: how many accounts.
        primaries: of a cluster; with 0, one server.
        logs: the folder of the logs.
    """
    accounts = [f"a{i:05}" for i in range(count)]
    last, folders = accounts[-1], logs / "accounts"
    write_folders(folders, accounts)
    options: dict[str, Any] = {
        **dict.fromkeys(("workers", "dispatchers", "webhooks"), 0),
        "settings": {"ACCOUNTS_DIR": str(folders)},
        "sandbox": ("--account", last),
    }
    cluster = {"primaries": primaries, "replicas": 0}
    alone = _OnCluster(logs, cluster=cluster, **options) if primaries else _Alone(logs, **options)
    found: dict[str, float] = {}
    with alone as local, connect(local.redis_url) as client:
        for role in ROLES:
            began, used = time.perf_counter(), _redis_cpu(local)
            local.begin(role)
            if not wait_for(lambda role=role: local.ready(f"{role}-1"), PATIENCE):  # type: ignore[misc]
                raise TimeoutError(f"the {role} was not ready: see {logs}")
            found[f"{role}: seconds until ready"] = time.perf_counter() - began
            pid = local.part(f"{role}-1").process.pid
            found[f"{role}: CPU seconds until ready"] = cpu_of_group(pid)
            found[f"{role}: CPU seconds of Redis until ready"] = _redis_cpu(local) - used
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
    redis_before = _redis_cpu(local)
    time.sleep(IDLE)
    used = {name: cpu_of_group(pid) - before[name] for name, pid in leaders.items()}
    used["redis"] = _redis_cpu(local) - redis_before
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


def _redis_cpu(local: "_Alone") -> float:
    """CPU seconds of the server, or of all nodes and the broker's server."""
    nodes = local.cluster.servers if isinstance(local, ClusterLocal) else []
    return sum(cpu_of(server.pid) for server in [local.server, *nodes])


class _Alone(Local):
    """A server and the sandbox; the processes are started one by one."""

    def begin(self, role: str) -> None:
        """Start a process of this role."""
        self._add(f"{role}-1", role)


class _OnCluster(_Alone, ClusterLocal):
    """The same on a cluster."""


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=10_000)
    parser.add_argument("--primaries", type=int, default=0, help="of a cluster; without it, one server")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs:
        found = run_many_accounts(options.accounts, options.primaries, Path(logs))
    json.dump({name: round(value, 3) for name, value in found.items()}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
