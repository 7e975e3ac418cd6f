"""Two workers without Faxline: plain Dramatiq with its own limiters, and the same with hand-tuned pacing.

Both make the same POST by httpx on the stock RedisBroker with the default middleware, and both hold
dramatiq's ConcurrentRateLimiter and WindowRateLimiter as its guide shows: `acquire` raises, and the Retries
middleware sends the message again later. `max_retries` is raised, so that no fax is lost.

`dramatiq tests.benchmarks.baselines:plain_worker` runs one; BENCHMARK_SETUP tells it what to do.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import dramatiq
import httpx
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend

from tests.benchmarks.pushes import fax

VARIABLE = "BENCHMARK_SETUP"
ENDLESS = 1_000_000
"""max_retries: nothing is lost."""
TIMEOUT = 30.0
"""Seconds of a call, as Faxline's default."""
URGENT, BULK = 0, 10
"""Dramatiq's priorities: the lower comes first among the messages that a worker has fetched."""


@dataclass(frozen=True)
class Setup:
    """The parameters of a baseline's worker."""

    redis_url: str
    ifax_url: str
    token: str
    requests: int
    window: int
    concurrency: int

    def environment(self) -> dict[str, str]:
        """The variable that carries it."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def read(cls) -> "Setup":
        """Out of this process's environment."""
        return cls(**json.loads(os.environ[VARIABLE]))


@dataclass(frozen=True)
class Actors:
    """A baseline's two actors and their broker."""

    broker: RedisBroker
    bulk: "dramatiq.Actor[[str], None]"
    urgent: "dramatiq.Actor[[str], None]"


def plain_actors(setup: Setup) -> Actors:
    """As the guide has it: default backoffs, one queue, an urgent fax by the actor's priority."""
    broker, send = _broker(setup), _sender(setup)
    return Actors(
        broker,
        bulk=_actor(broker, send, actor_name="bulk", priority=BULK),
        urgent=_actor(broker, send, actor_name="urgent", priority=URGENT),
    )


def paced_actors(setup: Setup) -> Actors:
    """Hand-tuned: short backoffs, and a queue of its own for urgent faxes. Bulk is delayed by the pusher."""
    broker, send = _broker(setup), _sender(setup)
    soon = {"min_backoff": 100, "max_backoff": 1000}
    return Actors(
        broker,
        bulk=_actor(broker, send, actor_name="bulk", priority=BULK, **soon),
        urgent=_actor(broker, send, actor_name="urgent", queue_name="urgent", priority=URGENT, **soon),
    )


def plain_worker() -> None:
    """What `dramatiq` calls in the worker process."""
    dramatiq.set_broker(plain_actors(Setup.read()).broker)


def paced_worker() -> None:
    """What `dramatiq` calls in the worker process."""
    dramatiq.set_broker(paced_actors(Setup.read()).broker)


def _broker(setup: Setup) -> RedisBroker:
    return RedisBroker(url=setup.redis_url)  # type: ignore[no-untyped-call]


def _actor(broker: RedisBroker, send: Callable[[str], None], **options: Any) -> "dramatiq.Actor[[str], None]":
    return dramatiq.actor(broker=broker, max_retries=ENDLESS, **options)(send)


def _sender(setup: Setup) -> Callable[[str], None]:
    backend = RedisBackend(url=setup.redis_url)
    at_once = ConcurrentRateLimiter(backend, "ifax-at-once", limit=setup.concurrency)  # type: ignore[no-untyped-call]
    window = WindowRateLimiter(backend, "ifax-window", limit=setup.requests, window=setup.window)  # type: ignore[no-untyped-call]
    client = httpx.Client(timeout=TIMEOUT, trust_env=False, headers={"accessToken": setup.token})
    url = f"{setup.ifax_url}/customer/fax-send"

    def send(subject: str) -> None:
        """Send one fax; an answer that is no success is retried."""
        with at_once.acquire(), window.acquire():
            client.post(url, json=fax(subject)).raise_for_status()

    return send
