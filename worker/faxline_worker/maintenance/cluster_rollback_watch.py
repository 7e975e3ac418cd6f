"""Notices when a node of a cluster goes back to an older state; see rollback_watch.py.

Each node has a run id of its own. When a process makes a connection to a node, it checks in for the accounts
that are there and for which it checked in elsewhere before: after a failover, a restart, or a move of their
slots. After a failover connections are new, because the clients of nodes that own no slots are dropped. A
node that gets more slots keeps its connections, so each look at the state asks every node, too.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import redis

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_slots import FOLLOWED, SlotMap, slot_of
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.maintenance.check_ins import closed_if_it_fails
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.state import scripts
from faxline_worker.state.lineage import CheckIn, Knowledge, check_in_arguments
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.store import Store


class ClusterRollbackGuard(RollbackGuard):
    """Watches the nodes of a cluster for one process. The arguments are those of `RollbackGuard`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._runs: dict[str, str] = {}
        """Of which server (run id) each account's state was when the process checked in."""
        self._ticks: dict[str, int] = {}
        self._changes = 0
        """How often an account was checked in for, or forgotten."""
        self._met: dict[Any, tuple[Any, ...]] = {}
        """How things were when a node had no account to check in for: as long as they are so, it has none.

        A dispatcher with ten thousand accounts makes as many connections, and each would look at all of them.
        """

    def check_in(self, stores: Sequence[Store]) -> None:
        """Check in for accounts that the process did not serve when it connected, as `RollbackGuard`."""
        by_node: defaultdict[Any, list[Store]] = defaultdict(list)
        for store in stores:
            by_node[_cluster(store).look_at_slots().owner(_slot(store.account))].append(store)
        for node, some in by_node.items():
            server: Any = _cluster(some[0]).topology.node(node).info("server")
            run = str(server["run_id"])
            calls = [
                (store.keys, check_in_arguments(run, Knowledge.NOTHING, self._wait, store.steady))
                for store in some
            ]
            for store, reply in zip(some, some[0].scripts.each("check_in", calls), strict=True):
                if (checked := CheckIn.read(reply)) is not None:
                    store.memory.saw(checked.last)
                    with self._lock:
                        self._runs[store.account] = run
                        self._changes += 1

    def forget(self, account: str) -> None:
        """Remember nothing more of an account that was removed."""
        super().forget(account)
        with self._lock:
            self._runs.pop(account, None)
            self._ticks.pop(account, None)
            self._changes += 1

    def _meet(self, connection: Any, run: str, slots: SlotMap | None) -> None:
        """Check in for the accounts of a node for which the process has not done so there."""
        if slots is None:
            return
        node, due = (connection.host, connection.port), 0
        with self._lock:
            now = (run, slots, slots.changes, len(self._memories), self._changes)
            if self._met.get(node) == now:
                return
            new = [
                name
                for name in list(self._memories)  # accounts may be added meanwhile
                if self._runs.get(name) != run and slots.is_owner(_slot(name), node)
            ]
            self._met.pop(node, None)
            if slots.known and not new:
                self._met[node] = now
            self._changes += bool(new)
            known = [name for name in new if name in self._runs]
            unknown = [name for name in new if name not in self._runs]
            for knows, names in ((Knowledge.NOTHING, unknown), (Knowledge.SOMETHING, known)):
                if names:
                    found = self._check_in(connection, run, knows, names)
                    self._take(found, knows)
                    self._runs |= dict.fromkeys(found, run)
                    due += len(found) if knows is Knowledge.SOMETHING else 0
                    for name in names:
                        self._ticks.pop(name, None)
        if due:
            self._log.info("accounts are on another Redis server, or it was restarted", count=due)
            self._woken.set()

    def _look_at_nodes(self, client: redis.Redis) -> None:
        """Check in for accounts that came to a node to which there was a connection already."""
        if not isinstance(client, ClusterClient):
            return
        client.topology.refresh()
        slots = client.look_at_slots()
        for node in slots.primaries:
            with suppress(*FOLLOWED):  # at the next look, perhaps
                pool = client.topology.node(node).connection_pool
                connection = pool.get_connection()
                try:
                    with closed_if_it_fails(connection):
                        if (run := self._run_at(connection)) is not None:
                            self._meet(connection, run, slots)
                finally:
                    pool.release(connection)

    def _count(self, client: redis.Redis) -> None:
        self._look_at_nodes(client)
        with self._lock:
            first = {run: name for name, run in reversed(self._runs.items())}
        errors = list[redis.RedisError]()
        for run, name in first.items():
            try:
                self._count_on(client, run, name)
            except redis.RedisError as error:
                if not unserved(error):
                    raise
                errors.append(error)
        if errors and len(errors) == len(first):
            raise errors[-1]

    def _count_on(self, client: redis.Redis, run: str, name: str) -> None:
        """Raise the counter of one account for all that are on the same server."""
        before = self._ticks.get(name)
        value = int(scripts.Scripts(client, RedisKeys(name), ["tick"]).run("tick"))
        with self._lock:
            if self._runs.get(name) != run:
                return  # there is a new connection, which has checked in
            self._ticks[name] = value
            names = [each for each, its_run in self._runs.items() if its_run == run]
        if before is not None and value <= before:
            self._log.error("Redis went back while it ran", count=before - value)
            found = self._check_in_again(run, names)
            with self._lock:
                self._take(found, Knowledge.BACK)

    def _check_in_again(self, run: str, names: Sequence[str]) -> dict[str, CheckIn]:
        stores = [store for name in names if (store := self.stores.get(name)) is not None]
        checked = {
            store.account: store.lineage.check_in(run, Knowledge.BACK, self._wait, store.steady)
            for store in stores
        }
        return {name: found for name, found in checked.items() if found is not None}


def _cluster(store: Store) -> ClusterClient:
    if not isinstance(store.client, ClusterClient):
        raise TypeError("this is for the stores of a cluster")
    return store.client


@cache
def _slot(account: str) -> int | None:
    """The slot of an account. Only configured accounts come here, so the cache stays small."""
    return slot_of(("HGETALL", RedisKeys(account).account_state))
