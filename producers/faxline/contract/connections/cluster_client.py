"""A Redis client for a cluster: each command goes to the node that owns the slot of its key.

redis-py's own RedisCluster is not used: it refuses TIME in a pipeline and returns the replies of a
transaction unparsed, and all its threads ask all nodes anew when one is away (docs/architecture/redis.md).

- MOVED, ASK, TRYAGAIN, CLUSTERDOWN, READONLY and a lost connection are followed as `Course` says. What was
  sent may run twice after a lost connection, as with every client of ours.
- A transaction is about one slot. Other pipelines are sent in parts (`Plan`), and their replies keep the
  order of the commands.
- A command without a key goes to one of the primaries, in turn; `nodes` has all of them.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.client import Pipeline

from faxline.contract.connections.cluster_plan import Part, Plan
from faxline.contract.connections.cluster_slots import FOLLOWED, PATIENCE, Course, SlotMap, slot_of
from faxline.contract.connections.cluster_topology import Topology

_T = TypeVar("_T")


class ClusterClient(redis.Redis):
    """For many threads. Close it.

    Args:
        topology: the nodes.
        patience: seconds for which a command is sent again after its first failure.
    """

    def __init__(self, topology: Topology, patience: float = PATIENCE) -> None:
        seed = topology.node(topology.slots.seeds[0])
        super().__init__(connection_pool=seed.connection_pool)  # for its options: nothing is sent through it
        self.topology = topology
        self._patience = patience

    @property
    def nodes(self) -> list[redis.Redis]:
        """A client of each primary, as the nodes say at this moment.

        What is sent to a node directly is not followed to another one, so who they are is asked first.

        Raises:
            redis.RedisError: no node says who they are.
        """
        self.topology.ensure()
        self.topology.refresh()
        return [self.topology.node(address) for address in self.topology.slots.primaries]

    def look_at_slots(self) -> SlotMap:
        """Who owns the slots.

        Raises:
            redis.RedisError: no node says it.
        """
        self.topology.ensure()
        return self.topology.slots

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the node that owns the slot of its key; SCRIPT LOAD to every primary."""
        if args[0] == "SCRIPT LOAD":
            return self._on_all(args)

        def send(node: redis.Redis, asking: bool) -> Any:
            if not asking:
                return node.execute_command(*args, **options)  # type: ignore[no-untyped-call]
            (reply,) = _send(Part(None, [0], [(args, options)]), node, asking=True)
            if isinstance(reply, Exception):
                raise reply
            return reply

        return self.follow(slot_of(args), send)

    def _on_all(self, command: tuple[Any, ...]) -> Any:
        """Send a command to every primary. Those that are away miss it, unless all are."""
        reply, errors = None, list[Exception]()
        importing = self.topology.slots.importing
        nodes = [*self.nodes, *map(self.topology.node, importing.difference(self.topology.slots.primaries))]
        for node in nodes:
            try:
                reply = node.execute_command(*command)  # type: ignore[no-untyped-call]
            except FOLLOWED as error:
                errors.append(error)
        if len(errors) == len(nodes):
            raise errors[-1]
        return reply

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:
        """Queue commands; see the module."""
        return _ClusterPipeline(self, transaction=transaction, shard_hint=shard_hint)

    def close(self) -> None:
        """Close the connections to all nodes."""
        self.topology.close()
        super().close()

    def follow(self, slot: int | None, send: Callable[[redis.Redis, bool], _T]) -> _T:
        """Do something on the node that owns a slot, and again where it is refused or the node is lost.

        Args:
            slot: the slot; None if any primary may answer.
            send: does it with the client of a node; its second argument says that ASKING comes first.

        Raises:
            redis.RedisError: what `send` raised last.
        """
        topology = self.topology
        slots, course = topology.slots, None
        if not slots.known:
            topology.ensure()
        elif slots.doubted:
            topology.refresh()
        slots.refuse_lost(slot)
        there, asking = slots.seeds[0], False
        while True:
            try:
                there, asking = (slots.owner(slot), False) if course is None else course.next()
                return send(topology.node(there), asking)
            except FOLLOWED as error:
                course = course or Course(slots, slot, self._patience)
                pause = course.after(error, there)
            if course.lost:
                topology.refresh()
            if pause:
                time.sleep(pause)


def wait_once(client: redis.Redis) -> None:
    """Let a client of a cluster wait for lost nodes once, and not with each command.

    Once a command was given up, the others are sent once, and to that node not at all. This is for a tool
    that looks at many accounts and ends, and not for what has to outlast a failover.

    Example:
        >>> wait_once(client)
    """
    if isinstance(client, ClusterClient):
        client.topology.slots.given_up = {}


def clock_of(client: redis.Redis, key: str) -> int:
    """Redis' clock, in milliseconds since 1970: of a cluster, that of the node that has a key.

    Raises:
        redis.RedisError: the node is away or refuses.

    Example:
        >>> clock_of(client, "fax:processes:worker")
        1800000000000
    """
    clock: Any
    if isinstance(client, ClusterClient):
        clock = client.follow(slot_of(("HSET", key)), lambda node, _: node.time())
    else:
        clock = client.time()
    return int(clock[0]) * 1000 + int(clock[1]) // 1000


class _ClusterPipeline(Pipeline):
    """Queues commands as every pipeline does, and sends them in parts."""

    def __init__(self, client: ClusterClient, *, transaction: bool, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client
        self._atomic = transaction

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands, and return their replies in order."""
        commands, transaction = self.command_stack, self._atomic or self.explicit_transaction
        self.reset()
        if not commands:
            return []
        client = self._client
        if not client.topology.slots.known:
            client.topology.ensure()
        plan = Plan(commands, client.topology.slots, transaction=transaction)
        for part in plan.parts:
            try:
                plan.replied(part, client.follow(part.slot, _sender(part)))
            except redis.RedisError as error:
                plan.failed(part, error)
        for place in plan.redirected:
            args, options = commands[place]
            try:
                plan.again(place, client.execute_command(*args, **options))
            except redis.RedisError as error:
                plan.again(place, error)
        if raise_on_error:
            plan.raise_first_error(self.annotate_exception)
        return plan.replies


def _sender(part: Part) -> Callable[[redis.Redis, bool], list[Any]]:
    return lambda node, asking: _send(part, node, asking=asking)


def _send(part: Part, node: redis.Redis, *, asking: bool) -> list[Any]:
    """Send a part to a node; the replies, errors among them."""
    with node.pipeline(transaction=part.transaction) as pipe:
        if asking and part.transaction:
            connection: Any = node.connection_pool.get_connection()
            pipe.connection = connection  # `pipe` gives it back
            try:
                connection.send_command("ASKING")
                connection.read_response()
            except redis.RedisError:
                connection.disconnect()
                raise
        pipe.command_stack = part.queue(asking=asking)
        return part.replies(pipe.execute(raise_on_error=False), asking=asking)
