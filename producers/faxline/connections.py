"""Clients by URL: one server, a socket, or the master that Sentinels name.

redis://[user:password@]host[:port][/database], rediss:// with TLS, unix:///path, and for Sentinel
redis+sentinel://[user:password@]host[:port][,host…]/service[/database], or rediss+sentinel:// with TLS.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

SENTINEL_PORT = 26379
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """What a Sentinel URL says.

    Attributes:
        sentinels: host and port of each.
        service: the name under which they know the master.
        database: its logical database.
        username, password: for the master; the Sentinels are asked without.
        tls: whether the master and the Sentinels are spoken to by TLS.
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str | None
    password: str | None
    tls: bool

    @property
    def options(self) -> dict[str, Any]:
        """What a connection to the master is given."""
        return {
            "db": self.database,
            "username": self.username,
            "password": self.password,
        } | ({"ssl": True} if self.tls else {})


def sentinel_url(url: str) -> SentinelUrl | None:
    """Read a URL; None where it is none of Sentinel's.

    Raises:
        ValueError: it is one and makes no sense; the text says why and repeats nothing of it.
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
            raise ValueError("a Sentinel's port is no number") from None
        if not parts.hostname:
            raise ValueError("a Sentinel has no host: redis+sentinel://host:26379,host2:26379/service/0")
        sentinels.append((parts.hostname, port or SENTINEL_PORT))
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise ValueError(
            "the service that the Sentinels know is missing: redis+sentinel://host:26379/service/0"
        )
    if database and not database.isdigit():
        raise ValueError("it must end in a database number, such as /0")
    return SentinelUrl(
        sentinels=tuple(sentinels),
        service=unquote(service),
        database=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=scheme == "rediss+sentinel",
    )


def connect(url: str, **options: Any) -> redis.Redis:
    """A client. The options are those of `redis.Redis`; a Sentinel is asked with the same timeouts.

    Raises:
        ValueError: the URL is none.
    """
    told = sentinel_url(url)
    if told is None:
        return redis.Redis.from_url(url, **options)
    kept = _asking(told, options, Retry(NoBackoff(), 0))
    asked: Any = redis.sentinel.Sentinel(told.sentinels, sentinel_kwargs=kept)  # type: ignore[no-untyped-call]
    master: redis.Redis = asked.master_for(told.service, **told.options, **options)
    return master


def connect_async(url: str, **options: Any) -> redis.asyncio.Redis:
    """The asyncio twin of `connect`."""
    told = sentinel_url(url)
    if told is None:
        return redis.asyncio.Redis.from_url(url, **options)
    kept = _asking(told, options, AsyncRetry(NoBackoff(), 0))
    asked: Any = redis.asyncio.sentinel.Sentinel(told.sentinels, sentinel_kwargs=kept)  # type: ignore[no-untyped-call]
    master: redis.asyncio.Redis = asked.master_for(told.service, **told.options, **options)
    return master


def _asking(told: SentinelUrl, options: dict[str, Any], retry: Any) -> dict[str, Any]:
    """What a connection to a Sentinel is given: one that is away is not asked again, the next one is."""
    names = ("socket_timeout", "socket_connect_timeout", "protocol")
    kept = {name: options[name] for name in names if name in options}
    return kept | {"retry": retry} | ({"ssl": True} if told.tls else {})
