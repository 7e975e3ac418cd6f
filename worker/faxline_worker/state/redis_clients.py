"""The Redis clients: every one with timeouts and retries of ours, and the look at the server at start-up.

**Retries.** A command is sent again after a lost connection, a timeout or LOADING: two more tries after
short random pauses. redis-py has no way to know whether the server ran a command whose answer was lost, so
what is sent through these clients must bear running twice: our scripts answer the same when called again
(ARCHITECTURE.md), an XREADGROUP's entries stay pending, a Dramatiq message is a hint. An error the server
*answers* (a script's error, NOPERM, OOM) is raised at once, but for a refused password, which redis-py counts
as a connection error, and READONLY and NOREPLICAS, after which another server is asked
(`faxline.contract.primary_connections`).

**How long a call may take.** redis-py's own defaults (5 s, ten retries, and retries inside retries) can hold
a caller for minutes. With the defaults here a call raises `redis.ConnectionError` or `redis.TimeoutError`

- within 1 s of pauses if the server refuses connections,
- in at most about 30 s if it accepts and never answers (a frozen server): five waits of SOCKET_TIMEOUT,
- in at most about 35 s if packets vanish: one wait of SOCKET_TIMEOUT and twelve of CONNECT_TIMEOUT;

a few seconds more if the host's name has several addresses. `longest_block` prolongs each wait of the
frozen case. A lease must outlast these.

**Protocol.** RESP2, on purpose: it needs no HELLO (which a confined ACL user may lack), no maintenance
notifications are asked for, and Redis and Valkey answer it alike. Replies are bytes.

A URL may carry options (`?socket_timeout=2`); redis-py lets them win over all of this.
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
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
from redis.retry import Retry

from faxline.contract.redis_url import address, connect, connect_async
from faxline.steps.redis_errors import cause_of, is_lasting

CONNECT_TIMEOUT = 2.0
"""Seconds to wait for a connection."""
SOCKET_TIMEOUT = 5.0
"""Seconds to wait for an answer beyond the time a command may block."""
RETRIES = 2
"""Tries after the first."""
HEALTH_CHECK_INTERVAL = 30
"""Seconds a pooled connection may have been idle before it is tested with PING."""

_PAUSE_CAP = 0.4
_PAUSE_BASE = 0.05
_LOOK_EVERY = 0.25

_WRITES_NOTHING = ("EVAL", "#!lua flags=allow-oom\nreturn 1", 0)
"""Refused by a server that takes no writes, or none without its replicas, as any script that may write."""

_REFUSALS = (ReadOnlyError, OutOfMemoryError, NoPermissionError, ClusterDownError, TryAgainError)
_REFUSED = (
    *("MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY ", "UNKILLABLE", "NEWERLAYOUT"),
    *("The user executing the script can't", "ACL failure in script"),  # Redis 7.0; newer ones and Valkey
)
"""How the server's answer begins where redis-py has no class for it."""


class TooFewReplicasError(redis.RedisError):
    """The server has stored it, and too few replicas have (FAXLINE_REDIS_REPLICAS); the text has both."""


def unserved(error: BaseException) -> bool:
    """Whether the server is away, or serves nobody or not us: what was asked is not at fault, and waits.

    It is lost, read-only after a failover, full, cannot write its file, has too few replicas, or its ACL does
    not let us; or a newer version must answer (layout.py). Any other error is about what was asked.
    """
    return isinstance(
        error, (redis.ConnectionError, redis.TimeoutError, TooFewReplicasError, *_REFUSALS)
    ) or (isinstance(error, redis.ResponseError) and _answer(error).startswith(_REFUSED))


def _answer(error: redis.ResponseError) -> str:
    """What the server said; of a pipeline redis-py tells it with the command in front."""
    return str(error).rpartition("caused error: ")[2]


class RedisUnreachable(Exception):  # noqa: N818 - a state of the world, like redis-py's ConnectionError
    """The server did not answer in time, or lets us not in. The message names it, without the password."""


class ThreadsRedis(redis.Redis):
    """A client for many threads of which each keeps a connection of its own.

    Threads that share a pool take a connection from it and look whether it is still good for every command,
    which costs half as much as the command itself. A lost connection is made again by the same retries.
    Pipelines take one from the pool.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._own = threading.local()
        self._clients: WeakSet[redis.Redis] = WeakSet()  # those of threads that have ended are gone
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
        """As `check_writes`, on a connection of the pool and on each thread's own."""
        with self._adding:
            clients = list(self._clients)
        super().execute_command(*_WRITES_NOTHING)  # type: ignore[no-untyped-call]
        for client in clients:  # each has a lock, so a thread that is at work is waited for
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
    """A client on the state's database. Thread-safe; close it.

    Args:
        url: as faxline.contract.redis_url has it: one server, a socket, or Sentinels.
        name: the connections' name in CLIENT LIST, such as `faxline-dispatcher`; no spaces.
        socket_timeout: seconds to wait for an answer.
        longest_block: seconds, the longest BLOCK this client asks for; added to `socket_timeout`, so that a
            quiet stream is not taken for a dead server. Give a blocking reader a client of its own.
        threads: each thread that uses it keeps a connection of its own (ThreadsRedis).
        connected: logs in on each new connection, and does what comes before all else (RollbackGuard).
        patient: whether a command that failed is tried again, and a connection waited for long.
    """
    options = _options(url, name, socket_timeout + longest_block)
    if connected is not None:
        options["redis_connect_func"] = connected
    if not patient and "socket_connect_timeout" in options:
        options["socket_connect_timeout"] = socket_timeout
    client = connect(url, retry=Retry(_backoff(), RETRIES if patient else 0), **options)
    return ThreadsRedis.from_pool(client.connection_pool) if threads else client


def async_state_client(
    url: str,
    *,
    name: str = "faxline",
    socket_timeout: float = SOCKET_TIMEOUT,
    longest_block: float = 0.0,
    connected: Callable[[Any], Awaitable[None]] | None = None,
) -> redis.asyncio.Redis:
    """The asyncio twin of `state_client`; close it with `await client.aclose()`."""
    options = _options(url, name, socket_timeout + longest_block)
    if connected is not None:
        options["redis_connect_func"] = connected
    return connect_async(url, retry=AsyncRetry(_backoff(), RETRIES), **options)


def broker_client(url: str, *, name: str = "faxline-broker") -> redis.Redis:
    """A client for `WakeBroker`, whose consumers block for a second, well below SOCKET_TIMEOUT.

    A retried push may put a message twice, a retried pop may lose one: both do no harm, for a message is a
    hint (ARCHITECTURE.md).
    """
    return state_client(url, name=name)


def check_writes(client: redis.Redis) -> bool:
    """Whether the server would take a write of our scripts now, on every connection that may be asked; True.

    A PING says nothing about that: a replica answers it too.

    Raises:
        redis.RedisError: it would not, or is away.
    """
    if isinstance(client, ThreadsRedis):
        client.check_writes()
    else:
        client.execute_command(*_WRITES_NOTHING)  # type: ignore[no-untyped-call]
    return True


def check_adds(client: redis.Redis, stream: str) -> bool:
    """As `check_writes`, for a user who may only add to a stream; nothing is added to it.

    Raises:
        redis.RedisError: nothing could be added.
    """
    try:
        client.execute_command(*adds_nothing(stream))  # type: ignore[no-untyped-call]
    except redis.ResponseError as error:
        return took_nothing(error)
    return True


def adds_nothing(stream: str) -> tuple[str, ...]:
    """An XADD by an id that no entry can have; a server that takes no writes refuses it as any other."""
    return ("XADD", stream, "0-0", "probe", "")


def took_nothing(error: redis.ResponseError) -> bool:
    """Whether it is the id of `adds_nothing` that was refused; else the error is raised."""
    if "0-0" not in str(error):
        raise error
    return True


def check_reachable(client: redis.Redis, patience_seconds: float) -> None:
    """Wait until the server answers PING; for start-up, when the server may be starting too.

    A refused connection, a timeout, an unknown host name and LOADING are waited out. The last try may end
    later than the patience, by as long as one call may take.

    Raises:
        RedisUnreachable: the patience is over; or, at once, the server refuses the password or the user, or
            its certificate is not trusted.
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
    if not url.startswith("unix://"):  # a socket file has neither
        options |= {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_keepalive": True}
    return options
