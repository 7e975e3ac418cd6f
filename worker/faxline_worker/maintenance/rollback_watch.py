"""Watches whether Redis goes back: a replica that lagged takes over, a file is restored, all is gone.

What was sent in the stretch that Redis lost would be sent again, in silence. So:

- A connection asks for the server's run id before anything else is done on it. Where the process does not
  know that one, it checks in (lua/check_in.lua): each account waits for a moment, until every process has.
- Then each holds what it did lately (memory.py) against the state. What the state does not know is written
  down, and the account is paused (`state_rolled_back`) until an operator has looked and `recover` has put it
  in order. An answer that alone is missing is told again, and so are receipts.
- A server that goes back while it runs is seen by a counter that every process counts up.

A process that has just begun knows nothing; what nobody remembers cannot be seen.
"""

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import redis
import structlog

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state import scripts
from faxline_worker.state.lineage import CheckIn, Knows, check_in_words
from faxline_worker.state.recent_work import Call, Deed, Evidence, Memory
from faxline_worker.state.redis_clients import state_client, unserved
from faxline_worker.state.store import Store

TIMEOUT = 1.0
"""Seconds in which Redis must answer a look; the next one is soon."""
IDLE = 1.0
"""Seconds between two looks where accounts do not wait for one."""
AT_ONCE = 100
"""Accounts in one round trip, and deeds in one script."""
TOLD = 100
"""Lost calls that have a line in the log each."""
_T = TypeVar("_T")
_RUN = re.compile(rb"^run_id:(\w+)", re.MULTILINE)


class RollbackGuard:
    """Watches the state's server for one process.

    Args:
        accounts: the names of those that the process serves.
        wait: seconds that the accounts wait after a change of the server; 0: none does.
        log: tells what was seen.
        clock: Lua text that tells the scripts the time, for tests (scripts.source).
    """

    def __init__(
        self,
        accounts: Iterable[str],
        wait: float,
        log: structlog.stdlib.BoundLogger,
        *,
        clock: str | None = None,
    ) -> None:
        self._memories = {name: Memory() for name in accounts}
        self._wait = wait
        self._log = log
        self._text = scripts.source("check_in", clock)
        self._first = min(self._memories)
        """The account on which this process counts."""
        self._run = ""
        self._due: dict[str, str] = {}
        self._tick: int | None = None
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = False
        self._refused = False
        self.stores: Mapping[str, Store] = {}
        """Of all accounts, once they are made."""
        self._thread: threading.Thread | None = None

    def memory(self, account: str) -> Memory:
        """What the process remembers of an account."""
        return self._memories[account]

    def connected(self, connection: Any) -> None:
        """A connection has been made: log in, and check in where the server is another one.

        For `redis_connect_func` of every connection that changes the state: nothing is done on it before.
        """
        connection.on_connect_check_health(check_health=False)
        try:
            run = _run_of(connection)
        except redis.exceptions.NoPermissionError:
            if not self._refused:
                self._log.warning(
                    "this user may not see INFO: a Redis that goes back is seen late (users.acl)"
                )
            self._refused = True
            return
        with self._lock:
            if run == self._run:
                return
            knows = Knows.SOMETHING if self._run else Knows.NOTHING
            found = self._check_in(connection, run, knows)
            self._take(found, knows)
            self._run, self._tick = run, None
        if knows is not Knows.NOTHING:
            self._log.info("Redis is another server, or was started anew", count=len(found))
            self._woken.set()

    def _check_in(self, connection: Any, run: str, knows: Knows) -> dict[str, CheckIn]:
        """Check in for all accounts, on a connection on which nothing else is done yet."""
        sha = _ask(connection, "SCRIPT", "LOAD", self._text).decode()
        found: dict[str, CheckIn] = {}
        for names in _pieces(list(self._memories)):
            words = [
                check_in_words(RedisKeys(name), run, knows, self._wait, self._steady(name)) for name in names
            ]
            commands = [("EVALSHA", sha, len(keys), *keys, *args) for keys, args in words]
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            replies = [connection.read_response() for _ in commands]
            for name, reply in zip(names, replies, strict=True):
                if (checked := CheckIn.read(reply)) is not None:
                    found[name] = checked
        return found

    def _steady(self, account: str) -> int | str:
        store = self.stores.get(account)
        return store.steady if store is not None else ""

    def _take(self, found: Mapping[str, CheckIn], knows: Knows) -> None:
        for name, checked in found.items():
            if knows is Knows.NOTHING:
                self._memories[name].saw(checked.last)
            else:
                self._due[name] = checked.base

    def start(self, url: str, role: str, loops: Loops) -> None:
        """Watch from now on.

        Args:
            url: of the state's database.
            role: the process's.
            loops: gets a loop that beats with each look.
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
        """Watch no more."""
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
            except Exception as error:  # noqa: BLE001 - the next look is soon
                loop.failed()
                if not unserved(error):
                    self._log.exception("the watch for a Redis that goes back goes on after an error")
                pause = every / 4
            else:
                loop.well()
                pause = every
        client.close()

    def look(self, client: redis.Redis) -> None:
        """Look once: count up, and hold what was done against a state that may have gone back.

        Raises:
            redis.RedisError: Redis is away or refuses us; what is left is for the next look.
        """
        self._count(client)
        while True:
            with self._lock:
                name, base = next(iter(self._due.items()), ("", ""))
            if not name:
                break
            evidence = self._memories[name].after(base)
            self._examine(self.stores[name], evidence, evidence.deeds)
            self.stores[name].lineage.put_back(cast("Any", evidence.receipts))
            with self._lock:
                if self._due.get(name) == base:
                    del self._due[name]
        for name, memory in self._memories.items():
            memory.thin()
            if unplaced := memory.unplaced:
                self._examine(self.stores[name], Evidence(memory.seen), unplaced)

    def _count(self, client: redis.Redis) -> None:
        before, run = self._tick, self._run
        value = int(scripts.register(client, "tick")(keys=[RedisKeys(self._first).account_state], args=[]))
        if before is not None and value <= before and run == self._run:
            self._log.error("Redis went back while it ran", count=before - value)
            found = {
                name: checked
                for name, store in self.stores.items()
                if (checked := store.lineage.check_in(run, Knows.BACK, self._wait, store.steady)) is not None
            }
            with self._lock:
                self._take(found, Knows.BACK)
        with self._lock:
            if run == self._run:  # else the connection was made anew, and we have checked in
                self._tick = value

    def _examine(self, store: Store, evidence: Evidence, deeds: Sequence[Deed]) -> None:
        lost: list[Deed] = []
        for some in _pieces(deeds) or ([()] if evidence.unknown else []):
            for deed, how in zip(some, store.lineage.examine(evidence, some), strict=True):
                if how == "lost":
                    lost.append(deed)
                elif how == "answer" and isinstance(deed, Call) and deed.answer is not None:
                    result = store.submission.settle(deed.admitted, deed.answer).result
                    self._log.info(
                        "answer told again", account=store.account, job=deed.admitted.job, result=result
                    )
        store.memory.examined(deeds)
        if lost or evidence.unknown:
            _warn(self._log, store.account, lost)


def _warn(log: structlog.stdlib.BoundLogger, account: str, lost: Sequence[Deed]) -> None:
    log = log.bind(account=account)
    log.error(
        "Redis went back: it does not know what was done here, so the account is paused for an operator",
        count=len(lost),
        reason="state_rolled_back",
    )
    for deed in lost[:TOLD]:
        item = deed.item()
        line = {name: item[name] for name in ("kind", "job", "attempt", "decision", "entry") if name in item}
        log.warning("lost by Redis", **line, jobId=item.get("job_id"))


def _pieces(whole: Sequence[_T]) -> list[Sequence[_T]]:
    return [whole[at : at + AT_ONCE] for at in range(0, len(whole), AT_ONCE)]


def _run_of(connection: Any) -> str:
    found = _RUN.search(_ask(connection, "INFO", "server"))
    return found[1].decode() if found else "unknown"


def _ask(connection: Any, *command: str) -> bytes:
    connection.send_command(*command, check_health=False)
    reply: bytes = connection.read_response()
    return reply
