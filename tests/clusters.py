"""All of Faxline on a cluster of this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import redis

from faxline.contract.connections.cluster_client import ClusterClient
from faxline_local.redis_access import Access
from faxline_local.redis_cluster import RedisCluster
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local


class ClusterLocal(Local):
    """`Local` on a cluster, with a small server for the broker.

    Args:
        directory: where the logs go.
        binary: the servers' program.
        access: their users and TLS; none when None.
        appendfsync: when the nodes' append-only files are written to disk.
        cluster: the options of `RedisCluster`.
        options: as of `Local`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binary: ServerBinary | None = None,
        access: Access | None = None,
        appendfsync: Literal["everysec", "always"] = "everysec",
        cluster: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(directory, binary=binary, access=access, **options)
        nodes = {"appendfsync": appendfsync, **(cluster or {})}
        self.cluster = RedisCluster(binary=binary, access=access, **nodes)
        self.broker = self.server

    @property
    def servers(self) -> list[RedisServer]:
        """The nodes of the cluster."""
        return self.cluster.servers

    def url_of(self, user: str, db: int = 0) -> str:
        """The cluster's URL for a user, or the broker's."""
        return self.broker.url(0, user) if db else self.cluster.url(user)

    def environment(self, user: str = "admin") -> dict[str, str]:
        """As of `Local`, with the broker."""
        return {**super().environment(user), "FAXLINE_BROKER_URL": self.url_of(user, 1)}

    def __enter__(self) -> Self:
        try:
            self.cluster.__enter__()
            self.broker.start()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.cluster.close()


def nodes_of(client: redis.Redis) -> list[redis.Redis]:
    """A client of each primary of a cluster, or of the one server."""
    return client.nodes if isinstance(client, ClusterClient) else [client]


def all_keys(client: redis.Redis) -> Iterator[bytes]:
    """The keys of a server, or of all primaries of a cluster."""
    for node in nodes_of(client):
        yield from node.scan_iter(count=1000)
