"""Heartbeats of processes that a test makes up."""

import json
from importlib.metadata import version
from typing import Any

from faxline.keys import PROCESSES


def beat(client: Any, role: str, host: str = "node-1", *, silent: float = 0.0, **told: Any) -> None:
    """Write a heartbeat, so many seconds old by Redis' clock; `told` is more of what it says."""
    seconds, micros = client.time()
    now = seconds * 1000 + micros // 1000
    content = {"host": host, "pid": 7, "version": version("faxline"), "since": now - 60_000}
    content |= {"at": now - round(silent * 1000), "state": "working"} | told
    client.hset(f"{PROCESSES}{role}", f"{host}:7:x", json.dumps(content))
