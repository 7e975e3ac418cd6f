"""What the benchmarks of a cluster share: the CPU of all parts, pushes, and what became of the faxes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from json import dumps
from pathlib import Path
from typing import Any

import redis

from faxline import FaxLine
from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.stack import token_of, webhook_secret_of
from tests.benchmarks.pushes import fax
from tests.benchmarks.speed.usage import Usage
from tests.clusters import ClusterLocal

ROLES = ("dispatcher", "worker", "webhook")
PAGE = 500
SOON_AGAIN = ("--time-scale", "0.01")
"""The sandbox tries a webhook that failed again after 3 s, and not after 5 minutes."""


def write_folders(folders: Path, accounts: Iterable[str]) -> None:
    """A folder of `FAXLINE_ACCOUNTS_DIR` for each account, with what the sandbox knows."""
    for name in accounts:
        (folders / name).mkdir(parents=True)
        (folders / name / "token").write_text(token_of(name))
        (folders / name / "webhook_secrets").write_text(f'["{webhook_secret_of(name)}"]')


@contextmanager
def administrator(local: ClusterLocal) -> Iterator[redis.Redis]:
    """A client of the whole cluster."""
    with connect(local.redis_url) as client:
        yield client


def usage(local: ClusterLocal) -> Usage:
    """The CPU time of each role, the sandbox, the nodes and the broker's server from now on."""
    groups = {role: [local.part(name).process.pid for name in local.names(role)] for role in ROLES}
    groups = {role: leaders for role, leaders in groups.items() if leaders}
    groups["sandbox"] = [local.part("sandbox").process.pid]
    nodes = {f"node {place}": server.pid for place, server in enumerate(local.cluster.servers, 1)}
    return Usage(groups, nodes | {"broker": local.broker.pid})


def redis_together(cpu: dict[str, float]) -> dict[str, float]:
    """The same with all nodes as one part, `redis`."""
    nodes = {name: used for name, used in cpu.items() if name.startswith("node ")}
    rest = {name: used for name, used in cpu.items() if name not in nodes}
    return rest | {"redis": sum(nodes.values())}


def push(client: redis.Redis, faxes: Iterable[tuple[str, str]]) -> int:
    """Push faxes, each an account and an id, by XADD; how many."""
    count, rest = 0, iter(faxes)
    while page := list(islice(rest, PAGE)):
        with client.pipeline(transaction=False) as pipe:
            for account, name in page:
                pipe.xadd(RedisKeys(account).intake, {"send": dumps({"id": name, "fax": fax(name)})})
            pipe.execute()
        count += len(page)
    return count


def outcomes(client: redis.Redis, accounts: Sequence[str]) -> dict[str, int]:
    """How many faxes of these accounts ended, by how they ended."""
    found: dict[str, int] = {}
    for first in range(0, len(accounts), PAGE):
        with client.pipeline(transaction=False) as pipe:
            for name in accounts[first : first + PAGE]:
                pipe.hgetall(RedisKeys(name).account_state)
            replies: Any = pipe.execute()
        for state in replies:
            for field, value in state.items():
                if field.startswith(b"done:"):
                    outcome = field[len(b"done:") :].decode()
                    found[outcome] = found.get(outcome, 0) + int(value)
    return found


def await_delivered(
    client: redis.Redis, accounts: Sequence[str], count: int, patience: float, every: float = 1.0
) -> None:
    """Wait until so many faxes of these accounts are delivered.

    Raises:
        TimeoutError: they are not. It says how the others stand.
    """
    if not wait_for(lambda: outcomes(client, accounts).get("delivered", 0) >= count, patience, every=every):
        waiting: Counter[str] = Counter()
        for name in accounts:
            waiting.update(FaxLine(client, name).account_state().jobs)
        ended = outcomes(client, accounts)
        raise TimeoutError(f"{ended}, not {count} delivered, after {patience:g} s; open: {dict(waiting)}")
