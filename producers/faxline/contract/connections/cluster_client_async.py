"""The asyncio twin of `faxline.contract.connections.cluster_client`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.client import Pipeline

from faxline.contract.connections.cluster_plan import Part, Plan
from faxline.contract.connections.cluster_slots import FOLLOWED, PATIENCE, Course, SlotMap, slot_of
from faxline.contract.connections.cluster_topology import AsyncTopology
from faxline.contract.connections.cluster_url import Address

_T = TypeVar("_T")


class AsyncClusterClient(redis.asyncio.Redis):
    """For one event loop. Close it with `await client.aclose()`.

    Args:
        topology: the nodes.
        patience: seconds for which a command is sent again after its first failure.
    """

    def __init__(self, topology: AsyncTopology, patience: float = PATIENCE) -> None:
        seed = topology.node(topology.slots.seeds[0])
        super().__init__(connection_pool=seed.connection_pool)  # for its options: nothing is sent through it
        self.topology = topology
        self._patience = patience

    async def look_at_slots(self) -> SlotMap:
        """Who owns the slots, as `ClusterClient.look_at_slots`."""
        await self.topology.ensure()
        return self.topology.slots

    def node_of(self, key: str) -> Address | None:
        """The node that owns the slot of a key, as far as is known."""
        return self.topology.slots.find(slot_of(("EXISTS", key)))

    async def look_for_changes(self) -> int:
        """Ask who owns the slots, and every primary for a sign of life; how many slots have moved.

        The number never falls, so another one than before says that some have. A connection that was lost is
        made anew.
        """
        await self.topology.ensure()
        await self.topology.refresh()
        for address in self.topology.slots.primaries:
            with suppress(*FOLLOWED):
                await self.topology.node(address).ping()
        return self.topology.slots.changes

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the node that owns the slot of its key."""

        async def send(node: redis.asyncio.Redis, asking: bool) -> Any:
            if not asking:
                return await node.execute_command(*args, **options)  # type: ignore[no-untyped-call]
            (reply,) = await _send(Part(None, [0], [(args, options)]), node, asking=True)
            if isinstance(reply, Exception):
                raise reply
            return reply

        return await self.follow(slot_of(args), send)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """Queue commands; see the module of `ClusterClient`."""
        return _ClusterPipeline(self, transaction=transaction, shard_hint=shard_hint)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to all nodes."""
        await self.topology.close()
        await super().aclose(close_connection_pool)

    async def follow(
        self, slot: int | None, send: Callable[[redis.asyncio.Redis, bool], Awaitable[_T]]
    ) -> _T:
        """Do something on the node that owns a slot, as `ClusterClient.follow`."""
        topology = self.topology
        slots, course = topology.slots, None
        if not slots.known:
            await topology.ensure()
        elif slots.doubted:
            await topology.refresh()
        there, asking = slots.seeds[0], False
        while True:
            try:
                there, asking = (slots.owner(slot), False) if course is None else course.next()
                return await send(topology.node(there), asking)
            except asyncio.CancelledError:  # whoever waited, waited for long
                slots.doubted = True
                raise
            except FOLLOWED as error:
                course = course or Course(slots, slot, self._patience)
                pause = course.after(error, there)
            if course.lost:
                await topology.refresh()
            if pause:
                await asyncio.sleep(pause)


class _ClusterPipeline(Pipeline):
    """Queues commands as every pipeline does, and sends them in parts, all at once."""

    def __init__(self, client: AsyncClusterClient, *, transaction: bool, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands, and return their replies in order."""
        commands, transaction = self.command_stack, bool(self.is_transaction or self.explicit_transaction)
        await self.reset()  # type: ignore[no-untyped-call]
        if not commands:
            return []
        client = self._client
        if not client.topology.slots.known:
            await client.topology.ensure()
        plan = Plan(commands, client.topology.slots, transaction=transaction)

        async def send(part: Part) -> None:
            try:
                plan.replied(
                    part, await client.follow(part.slot, lambda n, asking: _send(part, n, asking=asking))
                )
            except redis.RedisError as error:
                plan.failed(part, error)

        await asyncio.gather(*map(send, plan.parts))
        for place in plan.redirected:
            args, options = commands[place]
            try:
                plan.again(place, await client.execute_command(*args, **options))
            except redis.RedisError as error:
                plan.again(place, error)
        if raise_on_error:
            plan.raise_first_error(self.annotate_exception)
        return plan.replies


async def _send(part: Part, node: redis.asyncio.Redis, *, asking: bool) -> list[Any]:
    """Send a part to a node; the replies, errors among them."""
    async with node.pipeline(transaction=part.transaction) as pipe:
        if asking and part.transaction:
            pool: Any = node.connection_pool
            pipe.connection = connection = await pool.get_connection()  # `pipe` gives it back
            try:
                await connection.send_command("ASKING")
                await connection.read_response()
            except redis.RedisError:
                await connection.disconnect()
                raise
        pipe.command_stack = part.queue(asking=asking)
        return part.replies(await pipe.execute(raise_on_error=False), asking=asking)
