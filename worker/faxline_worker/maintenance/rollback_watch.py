"""Notices when Redis goes back to an older state: a lagging replica takes over, or a file is restored.

Without this watch, the faxes that were sent in the lost stretch would be sent again. So:

- Each new connection asks for the server's run id before any other command. If the run id is new to the
  process, it checks in (lua/check_in.lua), and each account waits until every process has had time to do so.
- Then each process compares its recent actions (state/recent_work.py) with the state. Missing actions are
  stored, and the account is paused (`state_rolled_back`) until an operator runs `recover`. If only an answer
  is missing, it is settled again. Missing receipts are put back on their stream.
- Every process raises a counter. If the counter falls, the server went back while it was running.

A process that has just started remembers nothing, so it finds nothing.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import redis
from structlog.typing import FilteringBoundLogger

from faxline.contract.connections.cluster_slots import SlotMap
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.maintenance.check_ins import ask, check_in_on, closed_if_it_fails
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state import scripts
from faxline_worker.state.lineage import CheckIn, Examined, Knowledge, check_in_arguments
from faxline_worker.state.recent_work import Action, Call, Evidence, Memory
from faxline_worker.state.redis_clients import state_client, unserved
from faxline_worker.state.store import Store

TIMEOUT = 1.0
"""How long one check may wait for Redis (s). The next check is soon."""
IDLE = 1.0
"""Seconds between two checks if accounts do not wait after a change of the server."""
AT_ONCE = 100
"""The most accounts in one round trip, and the most actions in one script call."""
LOGGED = 100
"""The most lost actions that get a log line each."""
_T = TypeVar("_T")
_RUN = re.compile(rb"^run_id:(\w+)", re.MULTILINE)


class RollbackGuard:
    """Watches the state's server for one process.

    Args:
        counted: the account whose counter this process raises.
        wait: how long (s) the accounts wait after a change of the server; 0 turns the wait off.
        log: the process's logger.
        clock: Lua text that gives the scripts the time, for tests (`scripts.source`).
    """

    def __init__(
        self,
        counted: str,
        wait: float,
        log: FilteringBoundLogger,
        *,
        clock: str | None = None,
    ) -> None:
        self._memories: dict[str, Memory] = {}
        self._wait = wait
        self._log = log
        self._text = scripts.source("check_in", clock)
        self.counted = counted
        self._run = ""
        self._due: dict[str, str] = {}
        self._tick: int | None = None
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = False
        self._refused = False
        self.stores: Mapping[str, Store] = {}
        """The stores of the accounts that the process remembers, set once they are made."""
        self._thread: threading.Thread | None = None

    def memory(self, account: str) -> Memory:
        """The recent actions of the process for an account, which it remembers from now on."""
        return self._memories.setdefault(account, Memory())

    def check_in(self, stores: Sequence[Store]) -> None:
        """Check in for accounts that the process did not serve when it connected.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        for some in _pieces(stores):
            some[0].client.ping()  # now `connected` knows the server
            if not self._run:
                return
            calls = [
                (store.keys, check_in_arguments(self._run, Knowledge.NOTHING, self._wait, store.steady))
                for store in some
            ]
            for store, reply in zip(some, some[0].scripts.each("check_in", calls), strict=True):
                if (checked := CheckIn.read(reply)) is not None:
                    store.memory.saw(checked.last)

    def forget(self, account: str) -> None:
        """Forget an account that was removed."""
        with self._lock:
            self._memories.pop(account, None)
            self._due.pop(account, None)

    def connected(self, connection: Any, slots: SlotMap | None = None) -> None:
        """Log in on a new connection, and check in if the server has changed.

        Pass it as `redis_connect_func` to every client that changes the state, so that it runs before any
        other command. Of a cluster it is told who owns which slots.
        """
        with closed_if_it_fails(connection):
            connection.on_connect_check_health(check_health=False)
            if (run := self._run_at(connection)) is not None:
                self._meet(connection, run, slots)

    def _meet(self, connection: Any, run: str, _slots: SlotMap | None) -> None:
        with self._lock:
            if run == self._run:
                return
            knows = Knowledge.SOMETHING if self._run else Knowledge.NOTHING
            found = self._check_in(connection, run, knows, list(self._memories))
            self._take(found, knows)
            self._run, self._tick = run, None
        if knows is not Knowledge.NOTHING:
            self._log.info("Redis is another server, or was restarted", count=len(found))
            self._woken.set()

    def _run_at(self, connection: Any) -> str | None:
        """The server's run id; None without the right to ask."""
        try:
            return _run_of(connection)
        except redis.exceptions.NoPermissionError:
            if not self._refused:
                self._log.warning("no right to INFO (users.acl): a Redis that goes back will be noticed late")
            self._refused = True
            return None

    def _check_in(
        self, connection: Any, run: str, knows: Knowledge, accounts: Sequence[str]
    ) -> dict[str, CheckIn]:
        """Check in for some accounts, on a new connection."""
        arguments = {
            name: check_in_arguments(run, knows, self._wait, _steady(self.stores.get(name)))
            for name in accounts
        }
        return check_in_on(connection, self._text, arguments)

    def _take(self, found: Mapping[str, CheckIn], knows: Knowledge) -> None:
        for name, checked in found.items():
            if knows is Knowledge.NOTHING:
                self.memory(name).saw(checked.last)
            else:
                self._due[name] = checked.base

    def start(self, url: str, role: str, loops: Loops) -> None:
        """Start the thread.

        Args:
            url: the URL of the state's database.
            role: the role of the process.
            loops: gets a loop, which beats at each check.
        """
        client = state_client(
            url,
            name=f"faxline-{role}-watch",
            socket_timeout=TIMEOUT,
            connected=self.connected,
            patient=False,
        )
        watch = threading.Thread(
            target=self._watch, args=(client, loops.add("rollback")), name="rollback", daemon=True
        )
        self._woken.set()
        self._thread = watch
        watch.start()

    def close(self) -> None:
        """Stop the thread."""
        self._stopping = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, client: redis.Redis, loop: Loop) -> None:
        pause = every = self._wait / 2 or IDLE
        while not self._stopping:
            self._woken.wait(pause)
            self._woken.clear()
            try:
                self.look(client)
            except Exception as error:  # noqa: BLE001 - the next check is soon
                loop.failed()
                if not unserved(error):
                    self._log.exception("the rollback watch goes on after an error")
                pause = every / 4
            else:
                loop.well()
                pause = every
        client.close()

    def look(self, client: redis.Redis) -> None:
        """Check once: raise the counter, and compare recent actions with a state that may have gone back.

        Raises:
            redis.RedisError: Redis is away or refuses the command. The next check does the rest.
        """
        self._count(client)
        while due := [
            (store, base)
            for name, base in list(self._due.items())
            if (store := self.stores.get(name)) is not None
        ]:
            for store, base in due:
                evidence = store.memory.after(base)
                _examine(self._log, store, evidence, evidence.actions)
                store.lineage.put_back(cast("Any", evidence.receipts))
                store.memory.put_back(evidence.receipts)
                with self._lock:
                    if self._due.get(store.account) == base:
                        del self._due[store.account]
        for store in list(self.stores.values()):
            store.memory.thin()
            if unplaced := store.memory.unplaced:
                _examine(self._log, store, Evidence(store.memory.seen), unplaced)

    def _count(self, client: redis.Redis) -> None:
        before, run = self._tick, self._run
        value = int(scripts.Scripts(client, RedisKeys(self.counted), ["tick"]).run("tick"))
        if before is not None and value <= before and run == self._run:
            self._log.error("Redis went back while it ran", count=before - value)
            found = {
                name: checked
                for name, store in list(self.stores.items())
                if (checked := store.lineage.check_in(run, Knowledge.BACK, self._wait, store.steady))
                is not None
            }
            with self._lock:
                self._take(found, Knowledge.BACK)
        with self._lock:
            if run == self._run:  # otherwise there is a new connection, which has checked in
                self._tick = value


def _steady(store: Store | None) -> int | str:
    return store.steady if store is not None else ""


def _examine(log: FilteringBoundLogger, store: Store, evidence: Evidence, actions: Sequence[Action]) -> None:
    lost: list[Action] = []
    told_again: list[Action] = []
    for some in _pieces(actions) or ([()] if evidence.unknown else []):
        for action, how in zip(some, store.lineage.examine(evidence, some), strict=True):
            if how is Examined.LOST:
                lost.append(action)
            elif how is Examined.ANSWER and isinstance(action, Call) and action.answer is not None:
                told_again.append(action)
                result = store.submission.settle(action.admitted, action.answer).result
                log.info(
                    "answer settled again", account=store.account, job=action.admitted.job, result=result
                )
    store.memory.examined(actions, [*lost, *told_again])
    if lost or evidence.unknown:
        _warn(log, store.account, lost)


def _warn(log: FilteringBoundLogger, account: str, lost: Sequence[Action]) -> None:
    log = log.bind(account=account)
    log.error(
        "Redis went back and lacks what this process did: the account is paused until an operator acts",
        count=len(lost),
        reason="state_rolled_back",
    )
    for action in lost[:LOGGED]:
        item = action.item()
        line = {name: item[name] for name in ("kind", "job", "attempt", "decision", "entry") if name in item}
        log.warning("lost by Redis", **line, jobId=item.get("job_id"))


def _pieces(whole: Sequence[_T]) -> list[Sequence[_T]]:
    return [whole[at : at + AT_ONCE] for at in range(0, len(whole), AT_ONCE)]


def _run_of(connection: Any) -> str:
    found = _RUN.search(ask(connection, "INFO", "server"))
    return found[1].decode() if found else "unknown"
