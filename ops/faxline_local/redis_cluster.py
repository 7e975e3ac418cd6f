"""A Redis Cluster or Valkey Cluster on this machine, for trying and for tests.

Each node is a `RedisServer`, so all of them end with this process.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

import redis
from redis.crc import key_slot

from faxline_local.processes import free_port, wait_for
from faxline_local.redis_access import ADMIN, Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import RedisServerError, ServerBinary, choose_server

SLOTS = 16384
NODE_TIMEOUT = 2000
"""Milliseconds of silence after which the nodes take one of them for dead."""
_PATIENCE = 60.0
_FIRST_SOURCE = 11
_MOVES_AT_ONCE = 9
"""The first Valkey that does."""


def source_of(number: int) -> str:
    """The address of the loopback from which a node calls the others, if relays are to know it by that."""
    return f"127.0.0.{_FIRST_SOURCE + number}"


class RedisCluster:
    """Primaries that share the slots evenly, each with its replicas, until the context ends.

    Args:
        binary: the nodes' program; None takes `choose_server()`.
        access: their users and TLS; None allows anybody, without TLS.
        primaries: how many there are.
        replicas: how many each primary has.
        appendfsync: when the append-only files are written to disk.
        options: further configuration options of each node.
        relay: makes a relay to the port of a node's bus, for the other nodes, and returns its port.
    """

    def __init__(
        self,
        *,
        binary: ServerBinary | None = None,
        access: Access | None = None,
        primaries: int = 3,
        replicas: int = 1,
        appendfsync: Literal["everysec", "always"] = "everysec",
        options: Mapping[str, str] | None = None,
        relay: Callable[[int], int] | None = None,
    ) -> None:
        self.binary = binary or choose_server()
        self.access = access
        self._primaries = primaries
        more = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(NODE_TIMEOUT),
            "cluster-require-full-coverage": "no",
            "repl-diskless-sync-delay": "0",  # else a replica waits for others for 5 s
            **(options or {}),
        }
        if access is not None:
            user = ADMIN if self.moves_at_once else "replica"  # who also writes what a slot has that moves
            more |= {"masteruser": user, "masterauth": access.passwords[user]}
            if access.tls is not None:
                more["tls-cluster"] = "yes"
        buses = [free_port() for _ in range(primaries * (1 + replicas))]
        self._buses = [relay(bus) for bus in buses] if relay else buses
        places = [{"cluster-port": str(bus)} for bus in buses]
        if relay:
            for number, (place, bus) in enumerate(zip(places, self._buses, strict=True)):
                place |= {"cluster-announce-ip": "127.0.0.1", "cluster-announce-bus-port": str(bus)}
                place["bind-source-addr"] = source_of(number)
        self.servers = [
            RedisServer(binary=self.binary, access=access, appendfsync=appendfsync, options={**more, **place})
            for place in places
        ]
        """All nodes: first those that begin as primaries, then the replicas of each in turn."""

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            self._join()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all nodes."""
        for server in self.servers:
            server.close()

    def url(self, user: str = ADMIN) -> str:
        """The URL of the cluster for a user, with its first three nodes."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:3])
        if self.access is None:
            return f"redis+cluster://{hosts}"
        scheme, _, rest = self.access.url(user, hosts, 0).partition("://")
        return f"{scheme}+cluster://{rest.replace(f'{hosts}/0', hosts)}"

    def ask(self, server: RedisServer, *command: str | int | bytes) -> Any:
        """The raw answer of one node to a command of the administrator."""
        with redis.Redis.from_url(server.url(), protocol=2) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)

    def owner_of(self, key: str) -> RedisServer:
        """The node that owns the slot of a key, as the first node that runs knows it."""
        slot = key_slot(key.encode())
        for first, last, node, *_ in self.ask(self._any(), "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == int(node[1]))
        raise RedisServerError(f"nobody owns the slot {slot}")

    def replicas_of(self, primary: RedisServer) -> list[RedisServer]:
        """The nodes that run and copy this one now."""
        return [server for server in self.servers if server.running and self._copies(server, primary)]

    def is_primary(self, server: RedisServer) -> bool:
        """Whether a node, which runs, takes itself for a primary."""
        return bool(self.ask(server, "ROLE")[0] == b"master")

    @property
    def primaries(self) -> list[RedisServer]:
        """The nodes that take themselves for primaries. All of them must run."""
        return [server for server in self.servers if self.is_primary(server)]

    def move(self, key: str, target: RedisServer) -> None:
        """Move the slot of a key to another primary, while it is in use.

        Valkey 9 moves the slot at once. Older servers move key by key, and refuse (TRYAGAIN) what is about
        keys of which some have moved.
        """
        source, slot = self.owner_of(key), key_slot(key.encode())
        names = [self.ask(server, "CLUSTER", "MYID").decode() for server in (source, target)]
        if source is target:
            return
        if self.moves_at_once:
            self.ask(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", names[1])
        else:
            self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
            self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
            login = ("AUTH2", ADMIN, self.access.passwords[ADMIN]) if self.access is not None else ()
            while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1000):
                there = ("127.0.0.1", target.port, "", 0, 5000)
                self.ask(source, "MIGRATE", *there, *login, "KEYS", *keys)
            for server in (target, source):
                self.ask(server, "CLUSTER", "SETSLOT", slot, "NODE", names[1])
        if not wait_for(lambda: self.owner_of(key) is target, _PATIENCE):
            raise RedisServerError(f"the slot {slot} did not move")

    @property
    def moves_at_once(self) -> bool:
        """Whether the servers move a slot as a whole."""
        major = int(self.binary.version.partition(".")[0])
        return self.binary.name == "valkey" and major >= _MOVES_AT_ONCE

    def await_whole(self) -> None:
        """Wait until every slot is served, all nodes that run agree, and all replicas are in step.

        Raises:
            RedisServerError: it took too long.
        """
        if not wait_for(lambda: all(map(self._is_well, self.servers)), _PATIENCE):
            raise RedisServerError("the nodes did not become a cluster")

    def _join(self) -> None:
        primaries = self.servers[: self._primaries]
        for place, server in enumerate(self.servers, 1):
            self.ask(server, "CLUSTER", "SET-CONFIG-EPOCH", place)
        for place, server in enumerate(primaries):
            first, last = place * SLOTS // len(primaries), (place + 1) * SLOTS // len(primaries) - 1
            self.ask(server, "CLUSTER", "ADDSLOTSRANGE", first, last)
        first_node = self.servers[0]
        for server, bus in zip(self.servers[1:], self._buses[1:], strict=True):
            self.ask(first_node, "CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        for place, server in enumerate(self.servers[self._primaries :]):
            self._replicate(server, primaries[place % len(primaries)])
        self.await_whole()
        if not wait_for(lambda: all(map(self._knows_replicas, self.servers)), _PATIENCE):
            raise RedisServerError("the nodes did not come to know the replicas")

    def _replicate(self, server: RedisServer, primary: RedisServer) -> None:
        name = self.ask(primary, "CLUSTER", "MYID").decode()

        def done() -> bool:
            try:
                return bool(self.ask(server, "CLUSTER", "REPLICATE", name) == b"OK")
            except redis.ResponseError:  # it does not know that node yet
                return False

        if not wait_for(done, _PATIENCE):
            raise RedisServerError("a node did not become a replica")

    def _any(self) -> RedisServer:
        return next(server for server in self.servers if server.running and not server.frozen)

    def _is_well(self, server: RedisServer) -> bool:
        if not server.running:
            return True
        try:
            state = self.ask(server, "CLUSTER", "INFO").decode()
            link = self.ask(server, "INFO", "replication").decode()
        except redis.RedisError:
            return False
        whole = {"cluster_state:ok", f"cluster_known_nodes:{len(self.servers)}", "cluster_slots_ok:16384"}
        return whole <= set(state.split()) and "master_link_status:down" not in link

    def _knows_replicas(self, server: RedisServer) -> bool:
        known = {node[1] for _, _, *nodes in self.ask(server, "CLUSTER", "SLOTS") for node in nodes}
        return len(known) == len(self.servers)

    def _copies(self, server: RedisServer, primary: RedisServer) -> bool:
        return f"master_port:{primary.port}" in self.ask(server, "INFO", "replication").decode().split()
