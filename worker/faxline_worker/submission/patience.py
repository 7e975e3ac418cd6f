"""Repeats a step in Redis while Redis is away."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis

from faxline_worker.state.redis_clients import unserved

AWAY = 0.5
"""Seconds between two tries while Redis is away."""

_T = TypeVar("_T")


def wait_for_redis(step: Callable[[], _T], *, until: float, beat: Callable[[], None] = lambda: None) -> _T:
    """Run a step in Redis, and run it again while Redis is away.

    Args:
        step: reads or writes; it must be safe to run more than once.
        until: the `time.monotonic()` moment after which no further try is made.
        beat: called before each try, to show that the thread is alive.

    Raises:
        redis.RedisError: the step was refused, or Redis was still away at `until`.
    """
    pause = threading.Event()
    while True:
        beat()
        try:
            return step()
        except redis.RedisError as error:
            if not unserved(error) or time.monotonic() > until:
                raise
            pause.wait(AWAY)
