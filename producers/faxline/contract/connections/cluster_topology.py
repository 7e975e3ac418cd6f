"""Asks the nodes of a cluster who owns the slots, and keeps a client for each node.

When a node is away, all threads notice at once. One of them asks, four times a second at most; the others go
by what it learns.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, Generic, TypeVar

import redis
import redis.asyncio

from faxline.contract.connections.cluster_slots import SlotMap
from faxline.contract.connections.cluster_url import Address

EVERY = 0.25
"""Seconds between two rounds of questions, at least."""
ASK_TIMEOUT = 1.0
"""Seconds to wait for a node that is asked. It takes a millisecond, and another can be asked instead."""
_SLOTS = ("CLUSTER", "SLOTS")
_Node = TypeVar("_Node")


class NoSlotsError(redis.ConnectionError):
    """A node knows of no slots: it was reset, or began with an empty disk, or nobody made a cluster of it."""


class _Nodes(Generic[_Node]):
    """The clients of the nodes, and whose turn it is to ask.

    Args:
        seeds: the nodes that the URL names.
        connect: makes a client of the node at an address, which tries nothing again.
        connect_to_ask: makes one for a question (ASK_TIMEOUT).
    """

    def __init__(
        self,
        seeds: Sequence[Address],
        connect: Callable[[Address], _Node],
        connect_to_ask: Callable[[Address], _Node],
    ) -> None:
        self.slots = SlotMap(seeds)
        self._connect = connect
        self._connect_to_ask = connect_to_ask
        self._clients: dict[Address, _Node] = {}
        self._askers: dict[Address, _Node] = {}
        """Kept: to make a connection by TLS takes fifty times the CPU of the question."""
        self._asked = -EVERY

    def node(self, address: Address) -> _Node:
        """The client of a node; made when it is first needed."""
        if (client := self._clients.get(address)) is None:
            client = self._clients.setdefault(address, self._connect(address))
        return client

    def _gone(self) -> list[_Node]:
        """Forget the clients of nodes that own no slot any more. One that does again gets new connections."""
        used = {*self.slots.primaries, *self.slots.importing}
        return [self._clients.pop(address) for address in list(self._clients) if address not in used]

    def _asker(self, address: Address) -> _Node:
        """The client for questions to a node."""
        if (client := self._askers.get(address)) is None:
            client = self._askers[address] = self._connect_to_ask(address)
        return client

    def _learned(self, reply: Any, asked: Address) -> tuple[list[_Node], list[_Node]]:
        """Take an answer in; the clients and the askers that are of no more use."""
        self.slots.learn(reply, asked)
        known = {*self.slots.seeds, *self.slots.primaries, *self.slots.replicas}
        askers = [self._askers.pop(address) for address in list(self._askers) if address not in known]
        return self._gone(), askers

    def _all(self) -> list[_Node]:
        clients = [*self._clients.values(), *self._askers.values()]
        self._clients, self._askers = {}, {}
        return clients

    def _is_due(self) -> bool:
        now = time.monotonic()
        due = now - self._asked >= EVERY
        self._asked = now if due else self._asked
        return due


class Topology(_Nodes[redis.Redis]):
    """For many threads."""

    def __init__(
        self,
        seeds: Sequence[Address],
        connect: Callable[[Address], redis.Redis],
        connect_to_ask: Callable[[Address], redis.Redis],
    ) -> None:
        super().__init__(seeds, connect, connect_to_ask)
        self._process, self._lock = os.getpid(), threading.Lock()

    def ensure(self) -> None:
        """Ask, if nobody has ever answered; wait for whoever is asking.

        Raises:
            redis.RedisError: no node answers.
        """
        with self._asking:
            if not self.slots.known:
                self._ask()

    def refresh(self) -> None:
        """Ask again, unless another thread does or has just done so. If no node answers nothing changes."""
        asking = self._asking
        if not asking.acquire(blocking=False):
            return
        try:
            if self._is_due():
                with suppress(redis.RedisError):  # the next try is soon
                    self._ask()
        finally:
            asking.release()

    def answers(self, address: Address) -> bool:
        """Whether a node answers a PING within ASK_TIMEOUT."""
        try:
            with closing(self._connect_to_ask(address)) as client:
                client.ping()
        except redis.RedisError:
            return False
        return True

    def close(self) -> None:
        """Close the connections to all nodes."""
        for client in self._all():
            client.close()

    @property
    def _asking(self) -> threading.Lock:
        """Held by the thread that asks. A fork may copy it while it is held, so a child takes its own."""
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.Lock()
        return self._lock

    def _ask(self) -> None:
        error: redis.RedisError = redis.ConnectionError("the cluster has no node")
        for address in self.slots.to_ask():
            try:
                reply = _known(self._asker(address).execute_command(*_SLOTS))  # type: ignore[no-untyped-call]
            except redis.RedisError as why:
                error = why
                self._askers.pop(address).close()
            else:
                clients, askers = self._learned(reply, address)
                for client in clients:
                    client.connection_pool.disconnect(inuse_connections=False)
                for asker in askers:
                    asker.close()
                return
        raise error


class AsyncTopology(_Nodes[redis.asyncio.Redis]):
    """The asyncio twin of `Topology`, for one event loop."""

    def __init__(
        self,
        seeds: Sequence[Address],
        connect: Callable[[Address], redis.asyncio.Redis],
        connect_to_ask: Callable[[Address], redis.asyncio.Redis],
    ) -> None:
        super().__init__(seeds, connect, connect_to_ask)
        self._asking = asyncio.Lock()

    async def ensure(self) -> None:
        """Ask, if nobody has ever answered, as `Topology.ensure`."""
        async with self._asking:
            if not self.slots.known:
                await self._ask()

    async def refresh(self) -> None:
        """Ask again, as `Topology.refresh`."""
        if self._asking.locked():
            return
        async with self._asking:
            if self._is_due():
                with suppress(redis.RedisError):
                    await self._ask()

    async def close(self) -> None:
        """Close the connections to all nodes."""
        for client in self._all():
            await client.aclose()

    async def _ask(self) -> None:
        error: redis.RedisError = redis.ConnectionError("the cluster has no node")
        for address in self.slots.to_ask():
            try:
                reply = _known(await self._asker(address).execute_command(*_SLOTS))  # type: ignore[no-untyped-call]
            except redis.RedisError as why:
                error = why
                await self._askers.pop(address).aclose()
            else:
                clients, askers = self._learned(reply, address)
                for client in clients:
                    await client.connection_pool.disconnect(inuse_connections=False)
                for asker in askers:
                    await asker.aclose()
                return
        raise error


def _known(reply: Any) -> Any:
    """The answer of a node.

    Raises:
        NoSlotsError: it knows of none. Another node may.
    """
    if not reply:
        raise NoSlotsError("the node knows of no slots")
    return reply
