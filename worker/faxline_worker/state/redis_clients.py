"""Makes the Redis clients, with Faxline's own timeouts and retries, and checks the server at start-up.

**Retries.** After a lost connection, a timeout or LOADING, a command is tried twice more, after short random
pauses. If a reply is lost, redis-py cannot know whether the server ran the command. So every command that
goes through these clients must be safe to run twice: a script gives the same answer when it is called again
(ARCHITECTURE.md), entries that XREADGROUP returned stay pending, and a Dramatiq message is only a hint. An
error that the server *answers* (a script's error, NOPERM, OOM) is raised at once. There are two exceptions:
redis-py counts a refused password as a connection error, and after READONLY or NOREPLICAS another server is
asked (`faxline.contract.connections.primary_connections`).

**How long a call may take.** redis-py's defaults (5 s, ten retries, and retries inside retries) can hold a
caller for minutes. With the values here a call raises `redis.ConnectionError` or `redis.TimeoutError`

- after about 1 s if the server refuses connections,
- after about 30 s if the server accepts a connection and never answers: five waits of SOCKET_TIMEOUT,
- after about 35 s if packets get lost: one wait of SOCKET_TIMEOUT and twelve of CONNECT_TIMEOUT.

It takes a few seconds more if the host's name has several addresses. `longest_block` lengthens each wait for
an answer. A lease must be longer than all of these.

**Protocol.** RESP2, because it needs no HELLO (which a restricted ACL user may not run) and no maintenance
notifications, and Redis and Valkey answer it alike. Replies are bytes.

Options in a URL (`?socket_timeout=2`) override all of this.
"""

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
from redis.retry import Retry

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.redis_url import address, connect, connect_async
from faxline.steps.redis_errors import cause_of, is_lasting

CONNECT_TIMEOUT = 2.0
"""Seconds to wait for a connection."""
SOCKET_TIMEOUT = 5.0
"""Seconds to wait for an answer, in addition to the time that a command may block."""
RETRIES = 2
"""The number of tries after the first."""
HEALTH_CHECK_INTERVAL = 30
"""A connection that was idle for longer than this (s) is tested with PING."""

_PAUSE_CAP = 0.4
_PAUSE_BASE = 0.05
_LOOK_EVERY = 0.25

_NOTHING = "#!lua flags=allow-oom\nreturn 1"
_WRITES_NOTHING = ("EVAL", _NOTHING, 0)
"""A script that changes nothing. A server that refuses writes refuses it like any other script."""

_REFUSALS = (
    *(ReadOnlyError, OutOfMemoryError, NoPermissionError, ClusterDownError, TryAgainError),
    NoScriptError,  # a node took slots over just after a script was loaded on all others
)
_REFUSED = (
    *("MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY ", "UNKILLABLE", "NEWERLAYOUT"),
    *("The user executing the script can't", "ACL failure in script"),  # Redis 7.0; newer ones and Valkey
)
"""The beginnings of error replies for which redis-py has no class."""


class TooFewReplicasError(redis.RedisError):
    """The server has a write, but too few replicas do (FAXLINE_REDIS_REPLICAS). The text has the numbers."""


def unserved(error: BaseException) -> bool:
    """Whether the server is the cause of an error, and not the command. If so, try again later.

    The server cannot be reached, is read-only after a failover, is full, cannot write its file, has too few
    replicas, does not know a script yet, or its ACL refuses the command; or a newer version of Faxline must
    handle the record (state/schema.py). Any other error is about the command itself.
    """
    return isinstance(
        error, (redis.ConnectionError, redis.TimeoutError, TooFewReplicasError, *_REFUSALS)
    ) or (isinstance(error, redis.ResponseError) and _answer(error).startswith(_REFUSED))


def _answer(error: redis.ResponseError) -> str:
    """The server's error reply. In a pipeline's error, redis-py puts the command in front of it."""
    return str(error).rpartition("caused error: ")[2]


class RedisUnreachable(Exception):
    """The server did not answer in time, or refused the login. The message names it, without the password."""


class ThreadsRedis(redis.Redis):
    """A client for many threads, in which each thread keeps its own connection.

    With a shared pool, each command takes a connection and checks it, which costs half as much as the command
    itself. A lost connection is made again, with the same retries. Pipelines take a connection from the pool.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._own = threading.local()
        self._clients: WeakSet[redis.Redis] = (
            WeakSet()
        )  # weak: the client of a thread that has ended disappears
        self._adding = threading.Lock()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command on this thread's connection."""
        client: redis.Redis | None = getattr(self._own, "client", None)
        if client is None:
            client = redis.Redis(connection_pool=self.connection_pool, single_connection_client=True)
            self._own.client = client
            with self._adding:
                self._clients.add(client)
        return client.execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def check_writes(self) -> None:
        """Run `check_writes` on a pooled connection and on the connection of each thread."""
        with self._adding:
            clients = list(self._clients)
        super().execute_command(*_WRITES_NOTHING)  # type: ignore[no-untyped-call]
        for client in clients:  # each has a lock, so this waits for a busy thread
            client.execute_command(*_WRITES_NOTHING)  # type: ignore[no-untyped-call]


def state_client(
    url: str,
    *,
    name: str = "faxline",
    socket_timeout: float = SOCKET_TIMEOUT,
    longest_block: float = 0.0,
    threads: bool = False,
    connected: Callable[[Any], None] | None = None,
    patient: bool = True,
) -> redis.Redis:
    """Make a client of the state's database. It is thread-safe; close it.

    Args:
        url: one server, a socket or Sentinels, in a form of `faxline.contract.connections.redis_url`.
        name: the connections' name in CLIENT LIST, such as `faxline-dispatcher`; no spaces.
        socket_timeout: seconds to wait for an answer.
        longest_block: the longest BLOCK (s) that this client uses. It is added to `socket_timeout`, so that a
            quiet stream does not look like a dead server. Give a blocking reader its own client.
        threads: whether each thread keeps its own connection (`ThreadsRedis`).
        connected: logs in on each new connection, before any other command (`RollbackGuard.connected`).
        patient: whether to retry failed commands and to wait CONNECT_TIMEOUT for a connection.
    """
    options = _options(url, name, socket_timeout + longest_block)
    if connected is not None:
        options["redis_connect_func"] = connected
    if not patient and "socket_connect_timeout" in options:
        options["socket_connect_timeout"] = socket_timeout
    if threads:
        options["node"] = lambda client: ThreadsRedis.from_pool(client.connection_pool)
    return connect(url, retry=Retry(_backoff(), RETRIES if patient else 0), **options)


def async_state_client(
    url: str,
    *,
    name: str = "faxline",
    socket_timeout: float = SOCKET_TIMEOUT,
    connected: Callable[[Any], Awaitable[None]] | None = None,
) -> redis.asyncio.Redis:
    """Make the asyncio twin of `state_client`. Close it with `await client.aclose()`."""
    options = _options(url, name, socket_timeout)
    if connected is not None:
        options["redis_connect_func"] = connected
    return connect_async(url, retry=AsyncRetry(_backoff(), RETRIES), **options)


def broker_client(url: str) -> redis.Redis:
    """Make a client for `WakeBroker`, whose consumers block for one second.

    A retried push may add a message twice, and a retried pop may lose one. Neither does harm, because a
    message is only a hint (ARCHITECTURE.md).
    """
    return state_client(url, name="faxline-broker")


def check_writes(client: redis.Redis, key: str | None = None) -> bool:
    """Check that the server accepts writes now, on every connection that may be in use. Returns True.

    A PING does not prove this, because a read-only replica answers it too.

    Args:
        client: the client.
        key: looks only at the node of a cluster that owns this key; None at all of them.

    Raises:
        redis.RedisError: the server cannot be reached, or refuses writes.
    """
    if key is not None:
        client.execute_command("EVAL", _NOTHING, 1, key)  # type: ignore[no-untyped-call]
    elif isinstance(client, ClusterClient):
        for node in client.nodes:
            check_writes(node)
    elif isinstance(client, ThreadsRedis):
        client.check_writes()
    else:
        client.execute_command(*_WRITES_NOTHING)  # type: ignore[no-untyped-call]
    return True


def check_reachable(client: redis.Redis, patience_seconds: float) -> None:
    """Wait until the server answers PING. Use it at start-up, when the server may be starting as well.

    It goes on trying after a refused connection, a timeout, an unknown host name and LOADING. The last try
    may end later than `patience_seconds`, by the length of one call.

    Raises:
        RedisUnreachable: the time is over. It is raised at once if the server refuses the user or the
            password, or if its certificate is not trusted.
    """
    give_up = time.monotonic() + patience_seconds
    while True:
        try:
            client.ping()
        except NoPermissionError as error:
            raise RedisUnreachable(
                f"{address(client)} does not let this user run PING: give it the right (ops/redis/users.acl)"
            ) from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if is_lasting(error):
                raise RedisUnreachable(f"{address(client)} {cause_of(error)}") from error
            if time.monotonic() >= give_up:
                waited = f" (waited for {patience_seconds:g} s)"
                raise RedisUnreachable(f"{address(client)} {cause_of(error)}{waited}") from error
            time.sleep(_LOOK_EVERY)
        else:
            return


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(cap=_PAUSE_CAP, base=_PAUSE_BASE)


def _options(url: str, name: str, socket_timeout: float) -> dict[str, Any]:
    options = {
        "socket_timeout": socket_timeout,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "client_name": name,
        "protocol": 2,
        "decode_responses": False,
    }
    if not url.startswith("unix://"):  # a Unix socket has neither
        options |= {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_keepalive": True}
    return options
