"""Clients for Redis URLs: one server, a socket, the primary that Sentinels name, or a cluster.

redis://[user:password@]host[:port][/database], rediss:// with TLS, unix:///path, and for Sentinel
redis+sentinel://[user:password@]host[:port][,host…]/service[/database], or rediss+sentinel:// with TLS.
For a cluster redis+cluster://[user:password@]host[:port][,host…], or rediss+cluster:// with TLS.

Options follow a `?`. For TLS: ssl_ca_certs (the file of the trusted authority), ssl_certfile and ssl_keyfile
(a certificate of the client), ssl_cert_reqs, ssl_check_hostname. For Sentinels: sentinel_username and
sentinel_password, their own login. The URL of a single server takes all options of redis-py.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_client_async import AsyncClusterClient
from faxline.contract.connections.cluster_slots import PATIENCE
from faxline.contract.connections.cluster_topology import ASK_TIMEOUT, AsyncTopology, Topology
from faxline.contract.connections.cluster_url import (
    TLS_OPTIONS,
    Address,
    ClusterUrl,
    cluster_url,
    tls_options,
)
from faxline.contract.connections.primary_connections import following
from faxline.contract.connections.sentinels import AsyncPool, AsyncSentinels, Pool, Sentinels

SENTINEL_PORT = 26379
SENTINEL_TIMEOUT = 2.0
"""Seconds to wait for a Sentinel. Its answer takes a millisecond, and another can be asked instead."""
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
_LOGIN = ("sentinel_username", "sentinel_password")
_TO_ASK: Mapping[str, Any] = {
    "socket_timeout": ASK_TIMEOUT,
    "socket_connect_timeout": ASK_TIMEOUT,
    "redis_connect_func": None,
}
"""The options of a connection that asks a node who owns the slots."""
_FORM = (
    "not a URL of Redis: use redis://HOST:PORT/0, rediss://, unix:///PATH, redis+sentinel:// or "
    "redis+cluster://; escape characters that have a meaning in a URL, such as a / in the password as %2F"
)
_UNKNOWN = (
    "the URL of Redis has an unknown option (or a ? that is not escaped as %3F); known are "
    f"{', '.join(TLS_OPTIONS)}, socket_timeout and redis-py's others"
)


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """The parts of a Sentinel URL.

    Attributes:
        sentinels: host and port of each.
        service: the Sentinels' name for the primary.
        database: the logical database.
        username, password: the login at the primary.
        tls: whether to use TLS for the primary and the Sentinels.
        sentinel_username, sentinel_password: the login at the Sentinels.
        tls_options: ssl_ca_certs and the like, for the primary and the Sentinels.
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str | None
    password: str | None
    tls: bool
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The options of a connection to the primary."""
        return {
            "db": self.database,
            "username": self.username,
            "password": self.password,
        } | self.security

    @property
    def security(self) -> dict[str, Any]:
        """The TLS options, for the primary and the Sentinels."""
        return {"ssl": True, **self.tls_options} if self.tls else {}


def sentinel_url(url: str) -> SentinelUrl | None:
    """Parse a Sentinel URL; None if the URL is of another kind.

    Raises:
        ValueError: the Sentinel URL is not valid. The text says why, and quotes nothing.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SENTINEL_SCHEMES:
        return None
    place, _, path = rest.partition("/")
    login, _, hosts = place.rpartition("@")
    username, _, password = login.partition(":")
    sentinels = []
    for host in hosts.split(","):
        parts = urlsplit(f"//{host}")
        try:
            port = parts.port
        except ValueError:
            raise ValueError("a Sentinel's port is not a number") from None
        if not parts.hostname:
            raise ValueError("a Sentinel has no host: redis+sentinel://host:26379,host2:26379/service/0")
        sentinels.append((parts.hostname, port or SENTINEL_PORT))
    path, _, query = path.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if not set(given) <= {*TLS_OPTIONS, *_LOGIN}:
        raise ValueError(f"it has an unknown option; known are {', '.join((*TLS_OPTIONS, *_LOGIN))}")
    options = tls_options(scheme, given)
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise ValueError("the name of the service is missing: redis+sentinel://host:26379/service/0")
    if database and not database.isdigit():
        raise ValueError("it must end in a database number, such as /0")
    return SentinelUrl(
        sentinels=tuple(sentinels),
        service=unquote(service),
        database=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=scheme == "rediss+sentinel",
        sentinel_username=given.get("sentinel_username") or None,
        sentinel_password=given.get("sentinel_password") or None,
        tls_options=options,
    )


def connect(
    url: str, *, node: Callable[[redis.Redis], redis.Redis] = lambda client: client, **options: Any
) -> redis.Redis:
    """Make a client whose connections follow the primary (`primary_connections`).

    Of a cluster it is a `ClusterClient`; see there.

    Args:
        url: as the module has it.
        node: makes another client of the client of one server; of a cluster, of each node's.
        options: those of `redis.Redis`. Of a cluster, `redis_connect_func` gets the `SlotMap` as a second
            argument.

    Raises:
        ValueError: the URL is not valid.
    """
    if (cluster := cluster_url(url)) is not None:
        return _of_cluster(cluster, options, node)
    target = sentinel_url(url)
    if target is None:
        client: redis.Redis = following(_of_one_server(redis.Redis, url, options))
        return node(client)
    kwargs = _sentinel_options(target, options, Retry(NoBackoff(), 0))
    sentinels = Sentinels(target.sentinels, sentinel_kwargs=kwargs)
    for sentinel in sentinels.sentinels:
        following(sentinel)
    more = {"connection_pool_class": Pool, **target.options, **options}
    master: redis.Redis = following(sentinels.master_for(target.service, **more))  # type: ignore[no-untyped-call]
    return node(master)


def connect_async(url: str, **options: Any) -> redis.asyncio.Redis:
    """The asyncio twin of `connect`."""
    if (cluster := cluster_url(url)) is not None:
        return _of_cluster_async(cluster, options)
    target = sentinel_url(url)
    if target is None:
        client: redis.asyncio.Redis = following(_of_one_server(redis.asyncio.Redis, url, options))
        return client
    sentinels = AsyncSentinels(
        target.sentinels, sentinel_kwargs=_sentinel_options(target, options, AsyncRetry(NoBackoff(), 0))
    )
    for sentinel in sentinels.sentinels:
        following(sentinel)
    more = {"connection_pool_class": AsyncPool, **target.options, **options}
    master: redis.asyncio.Redis = following(sentinels.master_for(target.service, **more))
    return master


def _of_one_server(kind: Any, url: str, options: dict[str, Any]) -> Any:
    """Make a client of one server.

    Raises:
        ValueError: the URL is not valid. Unlike redis-py's, the text quotes nothing: a password may hold a /.
    """
    try:
        client = kind.from_url(url, **options)
        pool = client.connection_pool
        with suppress(redis.RedisError):  # about a value: the first command says what is wrong with it
            pool.connection_class(**pool.connection_kwargs)  # an unknown option; nothing is connected
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith("Invalid value for '") else _FORM) from None  # an option
    except TypeError:
        raise ValueError(_UNKNOWN) from None
    return client


def _of_cluster(
    target: ClusterUrl, options: Mapping[str, Any], node: Callable[[redis.Redis], redis.Redis]
) -> redis.Redis:
    more, patience = _node_options(target, options)
    topology: Topology
    if (connected := more.get("redis_connect_func")) is not None:
        more["redis_connect_func"] = lambda connection: connected(connection, topology.slots)

    def connect_node(there: Address, **other: Any) -> redis.Redis:
        client: redis.Redis = following(
            redis.Redis(host=there[0], port=there[1], retry=Retry(NoBackoff(), 0), **more | other)
        )
        return client

    topology = Topology(
        target.nodes, lambda there: node(connect_node(there)), lambda there: connect_node(there, **_TO_ASK)
    )
    return ClusterClient(topology, patience)


def _of_cluster_async(target: ClusterUrl, options: Mapping[str, Any]) -> redis.asyncio.Redis:
    more, patience = _node_options(target, options)

    def connect_node(there: Address, **other: Any) -> redis.asyncio.Redis:
        retry = AsyncRetry(NoBackoff(), 0)
        client: redis.asyncio.Redis = following(
            redis.asyncio.Redis(host=there[0], port=there[1], retry=retry, **more | other)
        )
        return client

    topology = AsyncTopology(target.nodes, connect_node, lambda there: connect_node(there, **_TO_ASK))
    return AsyncClusterClient(topology, patience)


def _node_options(target: ClusterUrl, options: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """What each connection to a node is given, and the client's patience: none if nothing is tried again."""
    more = {**target.options, **options}
    retry = more.pop("retry", None)
    return more, 0.0 if retry is not None and retry.get_retries() == 0 else PATIENCE


def address(client: Any) -> str:
    """The address of a client, for messages: `host:port` or a socket's path, without the password.

    It is "" for a test double without a connection.
    """
    options = client.get_connection_kwargs()
    if not options:
        return ""
    if isinstance(client, ClusterClient | AsyncClusterClient):
        return f"the cluster of {', '.join(f'{host}:{port}' for host, port in client.topology.slots.seeds)}"
    service = getattr(client.connection_pool, "service_name", None)
    if service is not None:
        return f"the primary of {service!r} that the Sentinels name"
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _sentinel_options(target: SentinelUrl, options: dict[str, Any], retry: Any) -> dict[str, Any]:
    """The options of a connection to a Sentinel. It is not retried, because another Sentinel is asked."""
    kept = {"protocol": options["protocol"]} if "protocol" in options else {}
    patience = {"socket_timeout": SENTINEL_TIMEOUT, "socket_connect_timeout": SENTINEL_TIMEOUT}
    login = {"username": target.sentinel_username, "password": target.sentinel_password}
    return kept | patience | {"retry": retry} | login | target.security
