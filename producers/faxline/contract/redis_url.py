"""Clients for Redis URLs: one server, a socket, or the primary that Sentinels name.

redis://[user:password@]host[:port][/database], rediss:// with TLS, unix:///path, and for Sentinel
redis+sentinel://[user:password@]host[:port][,host…]/service[/database], or rediss+sentinel:// with TLS.

Options follow a `?`. For TLS: ssl_ca_certs (the file of the trusted authority), ssl_certfile and ssl_keyfile
(a certificate of the client), ssl_cert_reqs, ssl_check_hostname. For Sentinels: sentinel_username and
sentinel_password, their own login. The URL of a single server takes all options of redis-py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from faxline.contract.primary_connections import following
from faxline.contract.sentinels import AsyncPool, AsyncSentinels, Pool, Sentinels

SENTINEL_PORT = 26379
SENTINEL_TIMEOUT = 2.0
"""Seconds to wait for a Sentinel. Its answer takes a millisecond, and another can be asked instead."""
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_LOGIN = ("sentinel_username", "sentinel_password")
_FORM = (
    "no URL of Redis: its form is redis://HOST:PORT/0, or rediss://, unix:///PATH or redis+sentinel://; what "
    "has a meaning in a URL, such as a / in the password, is written %2F"
)
_FALSE = ("false", "no", "0", "n", "f")


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """The parts of a Sentinel URL.

    Attributes:
        sentinels: host and port of each.
        service: the name under which they know the master.
        database: its logical database.
        username, password: for the master.
        tls: whether the master and the Sentinels are spoken to by TLS.
        sentinel_username, sentinel_password: for the Sentinels themselves.
        tls_options: ssl_ca_certs and the like, for the master and the Sentinels.
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
        """What a connection to the master is given."""
        return {
            "db": self.database,
            "username": self.username,
            "password": self.password,
        } | self.security

    @property
    def security(self) -> dict[str, Any]:
        """Of TLS, for the master and the Sentinels alike."""
        return {"ssl": True, **self.tls_options} if self.tls else {}


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
    path, _, query = path.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if not set(given) <= {*_TLS, *_LOGIN}:
        raise ValueError(
            f"it has an option that a Sentinel's URL does not; known are {', '.join((*_TLS, *_LOGIN))}"
        )
    options: dict[str, Any] = {name: given[name] for name in _TLS if name in given}
    if options and scheme != "rediss+sentinel":
        raise ValueError("it has options of TLS: then it must begin with rediss+sentinel://")
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in _FALSE
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
        sentinel_username=given.get("sentinel_username") or None,
        sentinel_password=given.get("sentinel_password") or None,
        tls_options=options,
    )


def connect(url: str, **options: Any) -> redis.Redis:
    """A client whose connections follow the primary (`faxline.contract.primary_connections`).

    The options are those of `redis.Redis`.

    Raises:
        ValueError: the URL is none.
    """
    target = sentinel_url(url)
    if target is None:
        client: redis.Redis = following(_of_one_server(redis.Redis, url, options))
        return client
    kwargs = _sentinel_options(target, options, Retry(NoBackoff(), 0))
    sentinels = Sentinels(target.sentinels, sentinel_kwargs=kwargs)
    for sentinel in sentinels.sentinels:
        following(sentinel)
    more = {"connection_pool_class": Pool, **target.options, **options}
    master: redis.Redis = following(sentinels.master_for(target.service, **more))  # type: ignore[no-untyped-call]
    return master


def connect_async(url: str, **options: Any) -> redis.asyncio.Redis:
    """The asyncio twin of `connect`."""
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
    """A client.

    Raises:
        ValueError: the URL is none. It repeats nothing of it, as redis-py does where a password holds a /.
    """
    try:
        return kind.from_url(url, **options)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith("Invalid value for '") else _FORM) from None  # an option


def address(client: Any) -> str:
    """Where a client connects to, for messages: `host:port` or a socket's path; never the password.

    Nothing, of a double without a connection.
    """
    options = client.get_connection_kwargs()
    if not options:
        return ""
    service = getattr(client.connection_pool, "service_name", None)
    if service is not None:
        return f"the master of {service!r} that the Sentinels name"
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _sentinel_options(target: SentinelUrl, options: dict[str, Any], retry: Any) -> dict[str, Any]:
    """What a connection to a Sentinel is given: one that is away is not asked again, the next one is."""
    kept = {"protocol": options["protocol"]} if "protocol" in options else {}
    patience = {"socket_timeout": SENTINEL_TIMEOUT, "socket_connect_timeout": SENTINEL_TIMEOUT}
    login = {"username": target.sentinel_username, "password": target.sentinel_password}
    return kept | patience | {"retry": retry} | login | target.security
