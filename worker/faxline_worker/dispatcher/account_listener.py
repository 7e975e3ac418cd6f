"""Listens to each account on a connection of its own: for a cluster, and for many accounts.

A cluster refuses a read of streams in several slots, and a read that names thousands of streams costs more
than what it brings. So each account has one connection with one blocking read of its intake, receipts,
doorbell and orders. One thread waits for all of them in a selector.
"""

import heapq
import selectors
import time
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.exceptions import MovedError

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_slots import named_by, slot_of
from faxline_worker.dispatcher.connector import Connector
from faxline_worker.dispatcher.context import BLOCK, PAUSE, DispatcherContext
from faxline_worker.dispatcher.intake_bell import IntakeBell
from faxline_worker.dispatcher.listener import START, Entries, Listener, StreamsOfAll
from faxline_worker.observability.pulse import Loop
from faxline_worker.state.store import Store

MANY = 100
"""Accounts on one server above which each has a connection of its own."""
MOST = 2000
"""Accounts on one server above which all are read together again: two dispatchers with a connection for each
of ten thousand would use up the server's `maxclients`, which is 10,000 by default."""
COUNT = 2
"""Entries of a stream that one read returns at most: those of intake may hold documents."""
READ = 60.0
"""Seconds that one read blocks. Then the intake is looked at all the same, in case a bell was lost."""
SILENT = 10.0
"""Seconds more after which a connection that did not answer is made anew."""
LOOK = 1.0
"""Seconds between two looks for connections that are of no use any more."""
ARMING = 0.5
"""Seconds for which connections are made before it is looked what came on those there are."""
REST = 0.02
"""Seconds between what came and the next read of an account, so that a burst is few reads."""


@dataclass
class _Link:
    """The connection of one account, and what is asked on it."""

    account: str
    keys: tuple[str, ...]
    intake: str
    connection: Any = None
    place: Any = None
    """Where it leads to."""
    silent_until: float = 0.0
    listens: bool = False
    was_lost: bool = False
    sock: Any = None


class AccountListener(Listener):
    """`Listener` with a connection for each account; it listens for intake entries, too.

    Args:
        context: the dispatcher.
        bell: is rung for the accounts that have intake entries.
    """

    def __init__(self, context: DispatcherContext, bell: IntakeBell) -> None:
        super().__init__(context)
        self._bell = bell
        self._selector = selectors.DefaultSelector()
        self._connector: Connector[_Link]  # there is one while it listens to each
        self._due: list[tuple[float, str]] = []
        self._links: dict[str, _Link] = {}

    def run(self, loop: Loop) -> None:
        """Listen until the dispatcher stops.

        Raises:
            redis.RedisError: Redis is away or refuses at the start. Call `run` again.
        """
        if not self._bell.retired:
            self._listen_to_each(loop)
        if self._bell.retired:
            super().run(loop)

    def _listen_to_each(self, loop: Loop) -> None:
        """Listen until the dispatcher stops, or until the accounts are too many for that."""
        on_one_server = not isinstance(self._context.client, ClusterClient)
        streams, looked, version, hears = StreamsOfAll(), 0.0, -1, True
        self._connector = Connector[_Link]()
        self._selector.register(self._connector.bell, selectors.EVENT_READ)
        try:
            while not self._context.stopping.is_set():
                if version != self._context.stores.version:
                    if on_one_server and len(self._context.stores) > MOST:
                        self._bell.retired = True
                        break
                    version = self._follow(streams, loop)
                    self._follow_accounts(streams)
                if time.monotonic() - looked > LOOK:
                    looked = time.monotonic()
                    hears = self._drop_useless()
                self._arm(streams)
                wait = min(BLOCK, max(0.0, self._due[0][0] - time.monotonic())) if self._due else BLOCK
                for key, _ in self._selector.select(wait):
                    if key.data is None:
                        self._take_connections()
                    else:
                        self._hear(streams, key.data)
                loop.well() if hears else loop.failed()
        finally:
            for link in list(self._links.values()):
                self._drop(link)
            self._links.clear()
            self._selector.unregister(self._connector.bell)
            self._connector.close()

    def _follow_accounts(self, streams: StreamsOfAll) -> None:
        stores = self._context.stores
        for name in [name for name in self._links if name not in stores]:
            self._drop(self._links.pop(name))
        for name, store in stores.items():
            if name not in self._links:
                self._links[name] = link = _link(store)
                streams.last.setdefault(link.intake, b"0-0")
                heapq.heappush(self._due, (0.0, name))

    def _arm(self, streams: StreamsOfAll) -> None:
        """Have those accounts listen that are due; of very many those for which there is time."""
        until = time.monotonic() + ARMING
        while self._due and self._due[0][0] <= time.monotonic() < until:
            _, name = heapq.heappop(self._due)
            link = self._links.get(name)
            if link is None or link.listens:
                continue
            try:
                if link.connection is None:
                    self._connect(link)
                else:
                    self._listen(streams, link)
            except (redis.RedisError, OSError) as error:
                self._lost(link, error)

    def _listen(self, streams: StreamsOfAll, link: _Link) -> None:
        now = time.monotonic()
        rests = {key: streams.resting.get(key, 0.0) for key in link.keys}
        asked = [key for key in link.keys if rests[key] <= now]
        taken = self._bell.taken(link.account)
        if not self._context.streams.is_ahead(taken):
            streams.last[link.intake] = max(streams.last[link.intake], taken, key=_order)
        block = min([READ, *(until - now for until in rests.values() if until > now)])
        ids = [streams.last[key] for key in asked]
        link.connection.send_command(
            *("XREAD", "COUNT", COUNT, "BLOCK", max(1, round(block * 1000)), "STREAMS"), *asked, *ids
        )
        if link.connection._sock is not link.sock:  # noqa: SLF001 - as in `_connect`
            raise redis.ConnectionError("it was made anew inside, and nobody waits for the new socket")
        link.listens, link.silent_until = True, now + block + SILENT

    def _hear(self, streams: StreamsOfAll, link: _Link) -> None:
        try:
            reply = link.connection.read_response()
        except (redis.RedisError, OSError) as error:
            self._lost(link, error)
            return
        link.listens = False
        if reply is None:
            self._bell.ring(link.account)
        for stream, entries in reply.items() if isinstance(reply, dict) else reply or ():
            key = stream.decode()
            found = [(entry, dict(zip(fields[::2], fields[1::2], strict=True))) for entry, fields in entries]
            if key == link.intake:
                self._intake_came(streams, link, found)
            else:
                self._came(streams, key, found, COUNT)
        heapq.heappush(self._due, (time.monotonic() + (REST if reply else 0.0), link.account))

    def _intake_came(self, streams: StreamsOfAll, link: _Link, entries: Entries) -> None:
        last = entries[-1][0]
        ahead = self._context.streams.is_ahead(last)  # the reader has the stream replaced
        streams.last[link.intake] = b"0-0" if ahead else last
        if ahead:
            streams.resting[link.intake] = time.monotonic() + PAUSE
        self._bell.ring(link.account)

    def _connect(self, link: _Link) -> None:
        """Have a connection made: it may take long, and other accounts are heard meanwhile."""
        client, pool = self._context.client, self._context.client.connection_pool
        if isinstance(client, ClusterClient):
            client.topology.ensure()
            link.place = client.topology.slots.owner(slot_of(("XLEN", link.intake)))
            pool = client.topology.node(link.place).connection_pool
        self._connector.ask(link, link.place, pool)

    def _take_connections(self) -> None:
        for link, connection, error in self._connector.made():
            if self._links.get(link.account) is not link:  # nobody listens to the account any more
                if connection is not None:
                    connection.disconnect()
                continue
            try:
                if error is not None:
                    raise error
                self._connected(link, connection)
            except (redis.RedisError, OSError) as why:
                self._lost(link, why)
            else:
                heapq.heappush(self._due, (time.monotonic(), link.account))

    def _connected(self, link: _Link, connection: Any) -> None:
        link.connection = connection
        sock = link.connection._sock  # noqa: SLF001 - redis-py has no other way
        try:
            self._selector.register(sock, selectors.EVENT_READ, link)
        except KeyError:
            raise redis.ConnectionError("the socket's number is still another's") from None
        link.sock = sock
        if link.was_lost:  # what came meanwhile may have gone elsewhere
            for task in START:
                self._context.schedule.add((task, link.account))
            self._bell.ring(link.account)

    def _lost(self, link: _Link, error: Exception) -> None:
        """Make the connection anew, to the node that has the account then."""
        client, now = self._context.client, time.monotonic()
        self._drop(link)
        link.was_lost = True
        if isinstance(client, ClusterClient):
            client.topology.refresh()
            if isinstance(error, MovedError) and (owner := named_by(error, link.place)) is not None:
                client.topology.slots.moved(error.slot_id, owner)
                now -= PAUSE
        heapq.heappush(self._due, (now + PAUSE, link.account))

    def _drop(self, link: _Link) -> None:
        if link.sock is not None:
            self._selector.unregister(link.sock)
        if link.connection is not None:
            link.connection.disconnect()
        link.connection, link.sock, link.listens = None, None, False

    def _drop_useless(self) -> bool:
        """Drop what is silent, and what leads to a node that lost the account: a dead one does not say so.

        Returns whether any account is heard.
        """
        now, client = time.monotonic(), self._context.client
        for link in self._links.values():
            if link.listens and link.silent_until < now:
                self._lost(link, redis.TimeoutError("no answer"))
            elif link.listens and isinstance(client, ClusterClient) and not _is_right(client, link):
                self._lost(link, redis.ConnectionError("another node has the account"))
        return not self._links or any(link.connection is not None for link in self._links.values())


def _link(store: Store) -> _Link:
    keys = store.keys
    return _Link(store.account, (keys.intake, keys.status, keys.doorbell, keys.orders), keys.intake)


def _is_right(client: ClusterClient, link: _Link) -> bool:
    return client.topology.slots.is_owner(slot_of(("XLEN", link.intake)), link.place)


def _order(entry: Any) -> tuple[int, int]:
    """The place of an entry's id among others."""
    milliseconds, _, number = cast("bytes", entry).partition(b"-")
    return int(milliseconds), int(number or 0)
