"""The Dramatiq broker of the wake-ups: a Redis list that consumers wait on.

Dramatiq's own RedisBroker polls (so a wake-up sits for up to a second), costs 14 commands a message and more
and keeps each until it is acknowledged, with heartbeats, a scan of the key space and a minute before a dead
worker's messages come back. A wake-up needs none of it: it is a hint, and one that is lost is sent again
(ARCHITECTURE.md). So a message here is one push and one BLPOP, is delivered at most once, and nothing
polls.
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

from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state import scripts
from faxline_worker.state.redis_clients import unserved

log = get_logger(__name__)

AGAIN = 0.5
"""Seconds until a consumer that lost its connection tries again."""
MOST = 10_000
"""Messages that a queue holds; the oldest are dropped, for without workers the dispatchers send again and
again."""


class WakeBroker(Broker):
    """Messages in lists of the broker's database.

    Args:
        client: outlasts a blocking read of a Dramatiq worker (one second).
        middleware: all of it.
        loop: beats as the consumer goes round; for a worker.
        threads: the worker's: so many messages are under way at once. Dramatiq asks for two a thread, and one
            would wait behind busy threads while another worker is idle.
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

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; there are no queues for delayed messages."""
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
            ValueError: a delay is asked for; the dispatcher keeps the timers.
            redis.RedisError: the server did not take it.
        """
        if delay is not None:
            raise ValueError("wake-ups are not delayed: the dispatcher keeps the timers")
        self.enqueue_all([message])
        return message

    def enqueue_all(self, messages: Sequence[Message[Any]]) -> None:
        """Send messages to one queue, in one go.

        Raises:
            redis.RedisError: the server did not take them.
        """
        for message in messages:
            self.emit_before("enqueue", message, None)
        self.push(queue_key(messages[0].queue_name), *(message.encode() for message in messages))
        for message in messages:
            self.emit_after("enqueue", message, None)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> Consumer:
        """Wait on a queue.

        Args:
            queue_name: a declared queue.
            prefetch: messages that may be under way at once, unless the broker knows of fewer threads.
            timeout: milliseconds after which the consumer comes up for air.
        """
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        most = prefetch if self._threads is None else min(prefetch, self._threads)
        return _Waiting(self, queue_key(queue_name), most, timeout / 1000)

    def stop_taking(self) -> None:
        """Take no message from now on: this process ends, and others are there for it."""
        self.closing.set()

    def push(self, key: str, *texts: bytes) -> None:
        """Put messages on their queue, also one that was taken and is given back."""
        try:
            if self.client.rpush(key, *texts) > MOST:
                self.client.ltrim(key, -MOST, -1)
        except redis.exceptions.OutOfMemoryError:  # what is inside must go on, and a script of ours may
            self._push_when_full(keys=[key], args=[MOST, *texts])

    def flush(self, queue_name: str) -> None:
        """Drop all messages of a queue."""
        self.client.delete(queue_key(queue_name))

    def flush_all(self) -> None:
        """Drop all messages."""
        for queue_name in self.queues:
            self.flush(queue_name)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def queue_key(queue_name: str) -> str:
    """The list of a queue."""
    return f"wake-ups:{queue_name}"


class _Waiting(Consumer):
    """Takes a message when one is there and a thread is free for it."""

    def __init__(self, broker: WakeBroker, key: str, prefetch: int, timeout: float) -> None:
        self._broker = broker
        self._key = key
        self._prefetch = prefetch
        self._timeout = timeout
        self._under_way = 0
        self._away = False
        self._free = threading.Condition()

    def __next__(self) -> MessageProxy | None:
        loop = self._broker.loop
        if not self._room():
            loop.well()
            return None
        loop.beat()
        try:
            reply: Any = self._broker.client.blpop([self._key], self._timeout)
        except redis.RedisError as error:
            loop.failed()
            if not unserved(error):
                raise
            self._lost(error)
            return None
        loop.well()
        self._away = False
        return None if reply is None else self._taken(reply[1])

    def _room(self) -> bool:
        """Wait until a message may be taken; False where none may by the time that the consumer looks up."""
        with self._free:
            if self._broker.closing.is_set():
                self._free.wait(self._timeout)
                return False
            return self._free.wait_for(lambda: self._under_way < self._prefetch, self._timeout)

    def _taken(self, text: bytes) -> MessageProxy | None:
        """The message; nothing where it is none, or goes back because the process ends."""
        if self._broker.closing.is_set():
            self._try(lambda: self._broker.push(self._key, text))
            return None
        try:
            message: Message[Any] = Message.decode(text)
        except DecodeError:
            return None
        with self._free:
            self._under_way += 1
        return MessageProxy(message)

    def _lost(self, error: redis.RedisError) -> None:
        """Log it once, and wait. dramatiq itself waits for three seconds, and logs every try."""
        if not self._away:
            log.warning("Redis is away: no wake-up is taken until it is back", error=type(error).__name__)
        self._away = True
        self._broker.closing.wait(AGAIN)

    def ack(self, message: MessageProxy) -> None:
        """The message's actor has run: a thread is free."""
        del message
        with self._free:
            self._under_way -= 1
            self._free.notify()

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give back, on shutdown, what no thread has begun."""
        for message in messages:
            text = message._message.encode()  # noqa: SLF001 - the proxy has no other way
            self._try(lambda text=text: self._broker.push(self._key, text))  # type: ignore[misc]

    @staticmethod
    def _try(work: Callable[[], Any]) -> Any:
        """What the work gives; dramatiq knows its own error for a server that is away."""
        try:
            return work()
        except redis.RedisError as error:
            if not unserved(error):
                raise
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]


def send(broker: WakeBroker, queue: str, actor: str, *arguments: tuple[str, ...]) -> None:
    """Enqueue a message for an actor, by its name, for each tuple of arguments."""
    broker.enqueue_all(
        [
            dramatiq.Message(queue_name=queue, actor_name=actor, args=args, kwargs={}, options={})
            for args in arguments
        ]
    )
