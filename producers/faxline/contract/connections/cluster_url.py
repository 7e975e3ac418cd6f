"""The URL of a Redis Cluster or Valkey Cluster.

redis+cluster://[user:password@]host[:port][,host[:port]…], or rediss+cluster:// with TLS. Two or three nodes
are enough: they name the others. Options of TLS may follow a `?`, as in a Sentinel's URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

Address: TypeAlias = tuple[str, int]

CLUSTER_PORT = 6379
CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_FALSE = ("false", "no", "0", "n", "f")


@dataclass(frozen=True, slots=True)
class ClusterUrl:
    """The parts of a cluster's URL.

    Attributes:
        nodes: host and port of each node that is named.
        username, password: for every node.
        tls: whether the nodes are spoken to by TLS.
        tls_options: ssl_ca_certs and the like.
    """

    nodes: tuple[Address, ...]
    username: str | None
    password: str | None
    tls: bool
    tls_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """What a connection to a node is given."""
        security = {"ssl": True, **self.tls_options} if self.tls else {}
        return {"username": self.username, "password": self.password} | security


def cluster_url(url: str) -> ClusterUrl | None:
    """Read a URL; None if it is not a cluster's.

    Raises:
        ValueError: it is one and is invalid. The text says why and repeats nothing of it.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in CLUSTER_SCHEMES:
        return None
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    if path not in {"", "0"}:
        raise ValueError(
            "a cluster has only database 0, so its URL ends after the hosts; write a / in the password as %2F"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not set(options) <= set(TLS_OPTIONS):
        raise ValueError(
            f"it has an option that a cluster's URL does not; known are {', '.join(TLS_OPTIONS)}"
        )
    login, _, hosts = place.rpartition("@")
    username, _, password = login.partition(":")
    return ClusterUrl(
        nodes=tuple(_address(host.strip()) for host in hosts.split(",")),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=scheme == "rediss+cluster",
        tls_options=tls_options(scheme, options),
    )


def _address(host: str) -> Address:
    parts = urlsplit(f"//{host}")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port of a cluster's node is not a number") from None
    if not parts.hostname:
        raise ValueError("a node of the cluster has no host: redis+cluster://host1:6379,host2:6379")
    return parts.hostname, port or CLUSTER_PORT


def tls_options(scheme: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Those of a URL's options that are of TLS.

    Raises:
        ValueError: there are some, and the scheme is one without TLS.
    """
    found: dict[str, Any] = {name: options[name] for name in TLS_OPTIONS if name in options}
    if found and not scheme.startswith("rediss"):
        raise ValueError(
            f"it has options of TLS: then it must begin with {scheme.replace('redis', 'rediss')}://"
        )
    if "ssl_check_hostname" in found:
        found["ssl_check_hostname"] = found["ssl_check_hostname"].lower() not in _FALSE
    return found
