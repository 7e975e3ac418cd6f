"""What the tests of the daemon's doctor share."""

from collections.abc import Callable
from typing import Any

import redis

from faxline.contract.check import Check
from faxline_sandbox import Limits
from faxline_worker.config.settings import read_settings
from faxline_worker.state.store import Store

ROOM = Limits(requests=100_000, window=1, concurrency=1000, burst=100_000)


def named(checks: list[Check]) -> dict[str, tuple[str, str]]:
    return {check.name: (str(check.result), check.text) for check in checks}


def store_of(environment: dict[str, str], client: redis.Redis) -> Store:
    return Store(client, read_settings(environment), "default")


Serve = Callable[[int], Any]
