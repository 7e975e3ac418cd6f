"""The heartbeat of a process, by which the doctor, the dispatchers and the console know what is running.

A thread of its own writes it, so it goes on while the work is busy. What it says about the work comes from
the loops that do the work (pulse.py). `faxline.reading.processes` reads it.
"""

import json
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import redis
from structlog.typing import FilteringBoundLogger

from faxline.contract.connections.cluster_client import clock_of
from faxline.contract.redis_keys import PROCESSES, SERVING
from faxline.reading.processes import EVERY, EVERYBODY, NAMED, Process, ProcessState, heartbeats
from faxline.steps.drivers import run
from faxline.steps.redis_errors import trouble
from faxline_worker.observability.pulse import Loops
from faxline_worker.observability.systemd import notify

FORGOTTEN = 60.0
"""Seconds without a heartbeat after which a process is removed. Until then the doctor names it."""
PATIENCE = 5.0
"""Seconds that the end of a process waits for its last heartbeat."""
MOST = 1000
"""The most processes of a role that are read."""
LARGEST = 4096
"""The most bytes of a heartbeat, on average, that are read."""
MANY = 2000
"""The most characters of accounts' names that a heartbeat holds."""
STARTING = 0.25
"""Seconds between two heartbeats until the process is at work, which is so seen soon."""
UNWRITTEN = "no heartbeat can be written"


class Heartbeat:
    """Writes the heartbeat from `start` to `close`, and at the end that the process has ended.

    It also feeds systemd's watchdog, where there is one, unless a loop stands still.

    Args:
        client: of the state's database, with a short timeout.
        role: one of EVERYBODY.
        accounts: the names of the accounts that the process serves, read at each heartbeat.
        loops: the loops of the process.
        log: gets one warning when no heartbeat can be written.
        checks: what else the process needs to do its work, by name: True, or why not.
        more: further fields, a few hundred bytes in all.
        every: seconds between two heartbeats.
    """

    def __init__(  # noqa: PLR0917 - each is one
        self,
        client: redis.Redis,
        role: str,
        accounts: Iterable[str],
        loops: Loops,
        log: FilteringBoundLogger,
        checks: Callable[[], Mapping[str, bool | str]] = dict,
        *,
        more: Callable[[], Mapping[str, Any]] = dict,
        every: float = EVERY,
    ) -> None:
        host, pid = socket.gethostname(), os.getpid()
        self._accounts = accounts
        self.name = f"{host}:{pid}:{uuid4().hex[:8]}"
        """The process, as its heartbeat names it."""
        self._key, self._named_key = PROCESSES + role, SERVING + role
        self._client = client
        self._loops = loops
        self._checks = checks
        self._more = more
        self._log = log
        self._fields: dict[str, Any] = {"host": host, "pid": pid, "version": version("faxline")}
        self._every = every
        self._lost: dict[str, bool] = {}
        """Whether the last write of each key failed."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Write it from now on."""
        self._thread.start()

    def close(self) -> None:
        """Say that the process has ended, and write no more."""
        self._stop.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        begun = False
        while not self._stop.is_set():
            stalled = self._loops.stalled()
            if not stalled:
                notify("WATCHDOG=1")
            trouble = {
                part: found if isinstance(found, str) else "fails"
                for part, found in {**self._checks(), **self._loops.checks()}.items()
                if found is not True
            }
            state = ProcessState.NOT_READY if trouble else ProcessState.WORKING
            self._write(ProcessState.STALLED if stalled else state, trouble)
            begun = begun or not trouble
            self._stop.wait(self._every if begun else min(self._every, STARTING))
        self._write(ProcessState.ENDED, {})

    def _write(self, state: ProcessState, trouble: Mapping[str, str]) -> None:
        fields = self._fields | {"state": str(state)} | ({"trouble": trouble} if trouble else {})
        names = sorted(self._accounts)
        if len("".join(names)) <= MANY:
            fields["accounts"] = names
        fields |= self._more()
        named = {member: fields.pop(member) for member in NAMED if member in fields}
        with self._telling(self._key, UNWRITTEN):
            now = clock_of(self._client, self._key)
            self._fields.setdefault("since", now)
            self._put(self._key, {**fields, "since": self._fields["since"], "at": now})
        if self._lost[self._key]:
            return
        with self._telling(self._named_key, "no heartbeat says which accounts are served"):
            self._put(self._named_key, named)

    def _put(self, key: str, fields: Mapping[str, Any]) -> None:
        self._client.hset(key, self.name, json.dumps(fields, separators=(",", ":")))

    @contextmanager
    def _telling(self, key: str, what: str) -> Iterator[None]:
        """Log one warning when a key can no longer be written."""
        try:
            yield
        except redis.RedisError as error:
            if not isinstance(error, redis.exceptions.NoPermissionError):  # whichever of the writes it met
                key, what = self._key, UNWRITTEN
            if not self._lost.get(key):
                self._log.warning(what, error=self._why(error, key))
            self._lost[key] = True
        else:
            self._lost[key] = False

    def _why(self, error: redis.RedisError, key: str) -> str:
        if not isinstance(error, redis.exceptions.NoPermissionError):
            return trouble(error)
        role = self._key.removeprefix(PROCESSES)
        return (
            f"the Redis user may not HSET {key}, so this {role} is not seen at work, or not for whom: "
            f"give it its own user, {role!r} of ops/redis/users.acl, or load that file anew"
        )


def look_at_processes(client: redis.Redis) -> list[Process]:
    """All processes with a heartbeat. Those that ended, are long silent or make no sense are removed.

    A Redis user that may write one heartbeat may also write too many or too large ones. Then all of that role
    are removed, and the living processes write theirs again.

    Raises:
        redis.RedisError: Redis is away or refuses us.
    """
    _remove_too_many(client, PROCESSES)
    with suppress(redis.exceptions.NoPermissionError):  # users.acl is an older one: the heartbeat warns
        _remove_too_many(client, SERVING)
    found = run(client, heartbeats())
    old: defaultdict[str, list[bytes]] = defaultdict(list)
    for role, name, process in found:
        if process is None or process.state is ProcessState.ENDED or abs(process.silent) > FORGOTTEN:
            old[role].append(name)
    for role, names in old.items():
        client.hdel(PROCESSES + role, *names)
        with suppress(redis.exceptions.NoPermissionError):
            client.hdel(SERVING + role, *names)
    return [process for _, _, process in found if process and process.state is not ProcessState.ENDED]


def _remove_too_many(client: redis.Redis, prefix: str) -> None:
    keys = [prefix + role for role in EVERYBODY]
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hlen(key)
            pipe.memory_usage(key, samples=0)
        sizes = pipe.execute()
    for key, count, size in zip(keys, sizes[::2], sizes[1::2], strict=True):
        if count > MOST or (size or 0) > MOST * LARGEST:
            client.delete(key)
