"""Heartbeats of processes that a test makes up."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import redis

from faxline.contract.redis_keys import PROCESSES

VERSION = version("faxline")


def beat(client: Any, role: str, host: str = "node-1", *, silent: float = 0.0, **more: Any) -> None:
    """Write a heartbeat, so many seconds old by Redis' clock; `told` is more of what it says."""
    seconds, micros = client.time()
    now = seconds * 1000 + micros // 1000
    content = {"host": host, "pid": 7, "version": VERSION, "since": now - 60_000}
    content |= {"at": now - round(silent * 1000), "state": "working"} | more
    client.hset(f"{PROCESSES}{role}", f"{host}:7:x", json.dumps(content))


@contextmanager
def beating(url: str, roles: Iterable[str]) -> Iterator[None]:
    """Meanwhile a process of each role is at work."""
    with redis.Redis.from_url(url) as client:
        for role in roles:
            beat(client, role, "here")
        yield
        for role in roles:
            client.hdel(f"{PROCESSES}{role}", "here:7:x")
