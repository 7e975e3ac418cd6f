"""The Dramatiq broker of the wake-ups: a Redis list that consumers block on.

Dramatiq's own RedisBroker polls, so a wake-up waits for up to a second. It costs 14 commands a message or
more, and keeps each message until it is acknowledged, with heartbeats, a scan of the key space and a minute
until a dead worker's messages come back. A wake-up needs none of this: it is a hint, and a lost one is sent
again (ARCHITECTURE.md). So a message here is one RPUSH and one BLPOP, and is delivered at most once.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dramatiq
import redis
from dramatiq import Broker, Message, MessageProxy
from dramatiq.broker import Consumer
from dramatiq.errors import ConnectionClosed, DecodeError, QueueNotFound
from dramatiq.middleware import Middleware

from faxline.steps.redis_errors import trouble
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state import scripts
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.units import ALL, unit_of

log = get_logger(__name__)

AGAIN = 0.5
"""Seconds until a consumer that lost its connection tries again."""
FIRST = 0.01
"""Seconds that the first read waits. Its reply shows that wake-ups can be taken, and the worker is ready."""
MOST = 10_000
"""The most messages in a queue. Beyond it the oldest are dropped, because dispatchers keep sending while no
worker runs."""


class WakeBroker(Broker):
    """Keeps messages in lists of the broker's database.

    Args:
        client: a Redis client whose timeout is longer than a Dramatiq worker's blocking read (one second).
        middleware: all middleware; Dramatiq adds none.
        loop: the consumer's loop, which beats in every round; for a worker.
        threads: the worker's threads, and so the most messages under way at once. Dramatiq asks for two a
            thread, of which one would wait behind busy threads while another worker is idle.
    """

    def __init__(
        self,
        client: redis.Redis,
        middleware: list[Middleware],
        loop: Loop | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        super().__init__(middleware=middleware)
        self.client = client
        self.loop = loop or Loops().add("consumer")
        self._threads = threads
        self.queues: set[str] = set()
        self._push_when_full = scripts.register(client, "wake")
        self.closing = threading.Event()
        self.grouped = False
        """Whether messages go to the list of their account's unit, instead of the one list of all."""
        self.units: frozenset[int] | None = None
        """The units whose lists a consumer takes from first; None: it takes from the one list of all only."""

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue. There are no queues for delayed messages."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        """The queues declared so far."""
        return self.queues.copy()

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send a message.

        Raises:
            ValueError: a delay was given.
            redis.RedisError: the server did not take the message.
        """
        if delay is not None:
            raise ValueError("wake-ups are not delayed: the dispatcher keeps the timers")
        self.enqueue_all([message])
        return message

    def enqueue_all(self, messages: Sequence[Message[Any]]) -> None:
        """Send messages about one account to one queue, with one command.

        Raises:
            redis.RedisError: the server did not take the messages.
        """
        for message in messages:
            self.emit_before("enqueue", message, None)
        key = queue_key(messages[0].queue_name)
        if self.grouped:
            key = unit_key(key, unit_of(messages[0].args[0]))
        self.push(key, *(message.encode() for message in messages))
        for message in messages:
            self.emit_after("enqueue", message, None)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> Consumer:
        """Make a consumer of a queue.

        Args:
            queue_name: a declared queue.
            prefetch: the most messages under way at once; the broker's `threads` may lower it.
            timeout: milliseconds after which a waiting consumer returns without a message.

        Raises:
            QueueNotFound: the queue is not declared.
        """
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        most = prefetch if self._threads is None else min(prefetch, self._threads)
        return _Waiting(self, queue_key(queue_name), most, timeout / 1000)

    def stop_taking(self) -> None:
        """Take no further message: this process is ending, and others take them."""
        self.closing.set()

    def push(self, key: str, *texts: bytes) -> None:
        """Put messages on their queue, or put one back.

        Raises:
            redis.RedisError: the server did not take the messages.
        """
        try:
            if self.client.rpush(key, *texts) > MOST:
                self.client.ltrim(key, -MOST, -1)
        except redis.exceptions.OutOfMemoryError:  # accepted faxes must go on; a script may exceed the limit
            self._push_when_full(keys=[key], args=[MOST, *texts])

    def flush(self, queue_name: str) -> None:
        """Drop all messages of a queue."""
        key = queue_key(queue_name)
        self.client.delete(key, *(unit_key(key, unit) for unit in ALL))

    def flush_all(self) -> None:
        """Drop all messages."""
        for queue_name in self.queues:
            self.flush(queue_name)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def queue_key(queue_name: str) -> str:
    """The Redis key of a queue's list."""
    return f"wake-ups:{queue_name}"


def unit_key(key: str, unit: int) -> str:
    """The list of a unit of accounts, beside the one list of all."""
    return f"{key}:{unit:02}"


class _Waiting(Consumer):
    """Takes a message when there is one and a thread is free for it.

    Where accounts are many, it waits for the messages of its own units. When none came for a while it looks
    at the lists of the others: what still lies there has owners that are busy or gone.
    """

    def __init__(self, broker: WakeBroker, key: str, prefetch: int, timeout: float) -> None:
        self._broker = broker
        self._key = key
        self._prefetch = prefetch
        self._timeout = timeout
        self._block = FIRST
        self._under_way = 0
        self._away = False
        self._helps = False
        self._turn = 0
        self._free = threading.Condition()

    def __next__(self) -> MessageProxy | None:
        loop = self._broker.loop
        if not self._room():
            loop.well()
            return None
        loop.beat()
        try:
            found = self._pop()
        except redis.RedisError as error:
            loop.failed()
            if not unserved(error):
                raise
            self._lost(error)
            return None
        loop.well()
        self._away, self._block = False, self._timeout
        return None if found is None else self._taken(*found)

    def _pop(self) -> tuple[str, bytes] | None:
        """The next message, with its list."""
        client, units = self._broker.client, self._broker.units
        if units is None:
            reply: Any = client.blpop([self._key], self._block)
            return None if reply is None else (self._key, reply[1])
        own = [self._key, *self._lists(units)]
        if not self._helps:
            reply = client.blpop(own, self._block)
            if reply is not None:
                return reply[0].decode(), reply[1]
        every = [*own, *self._lists(ALL - units)]
        reply = client.lmpop(len(every), *every, direction="LEFT", count=1)
        self._helps = reply is not None
        return None if reply is None else (reply[0].decode(), reply[1][0])

    def _lists(self, units: frozenset[int]) -> list[str]:
        """The lists of these units, each time with another one first, because that is emptied first."""
        self._turn += 1
        turned = sorted(units, key=lambda unit: (unit + self._turn) % len(ALL))
        return [unit_key(self._key, unit) for unit in turned]

    def _room(self) -> bool:
        """Wait until a message may be taken; False if none may within the timeout."""
        with self._free:
            if self._broker.closing.is_set():
                self._free.wait(self._timeout)
                return False
            return self._free.wait_for(lambda: self._under_way < self._prefetch, self._timeout)

    def _taken(self, key: str, text: bytes) -> MessageProxy | None:
        """Decode a message; None if it is invalid, or is put back because the process is ending."""
        if self._broker.closing.is_set():
            self._try(lambda: self._broker.push(key, text))
            return None
        try:
            message: Message[Any] = Message.decode(text)
        except DecodeError:
            return None
        with self._free:
            self._under_way += 1
        return MessageProxy(message)

    def _lost(self, error: redis.RedisError) -> None:
        """Log the loss once, and wait. Dramatiq itself would wait for three seconds and log every try."""
        if not self._away:
            log.warning("Redis is away: no wake-up can be taken", error=trouble(error))
        self._away = True
        self._broker.closing.wait(AGAIN)

    def ack(self, message: MessageProxy) -> None:
        """Note that the message's actor has run, so a thread is free."""
        del message
        with self._free:
            self._under_way -= 1
            self._free.notify()

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put back, on shutdown, the messages that no thread has begun."""
        for message in messages:
            text = message._message.encode()  # noqa: SLF001 - the proxy has no other way
            self._try(lambda text=text: self._broker.push(self._key, text))  # type: ignore[misc]

    @staticmethod
    def _try(work: Callable[[], Any]) -> Any:
        """Run the work, and raise Dramatiq's own error if the server is away."""
        try:
            return work()
        except redis.RedisError as error:
            if not unserved(error):
                raise
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]


def send(broker: WakeBroker, queue: str, actor: str, *arguments: tuple[str, ...]) -> None:
    """Enqueue one message for each tuple of arguments.

    Args:
        broker: the broker.
        queue: the queue's name.
        actor: the actor's name.
        arguments: the arguments of each message.

    Raises:
        redis.RedisError: the server did not take the messages.
    """
    broker.enqueue_all(
        [
            dramatiq.Message(queue_name=queue, actor_name=actor, args=args, kwargs={}, options={})
            for args in arguments
        ]
    )
