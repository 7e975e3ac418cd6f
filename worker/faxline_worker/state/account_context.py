"""What the parts of an account's store share: client, keys, seals, scripts, clock and memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals
from faxline.steps.replicas import Confirmation
from faxline_worker.state.recent_work import Memory
from faxline_worker.state.scripts import Argument, Scripts
from faxline_worker.state.steady_clock import SteadyClock


@dataclass(frozen=True, slots=True)
class AccountContext:
    """One account on one Redis client.

    Attributes:
        client: a client of the state's database (bytes replies).
        keys: the account's Redis keys.
        seals: seals and opens what is stored.
        scripts: the Lua scripts, on that client.
        options: the settings that the scripts take (`script_options`), as JSON.
        steady: the account's steady clock, as this process follows it.
        memory: what this process did lately.
        confirmation: how many replicas must have a write before it counts.
    """

    client: redis.Redis
    keys: RedisKeys
    seals: Seals
    scripts: Scripts
    options: str
    steady: SteadyClock
    memory: Memory
    confirmation: Confirmation

    def run(self, name: str, *args: Argument) -> Any:
        """Run a script.

        Raises:
            redis.RedisError: Redis is away or refuses, or the script raised.
        """
        return self.scripts.run(name, *args)

    def run_timed(self, name: str, *args: Argument) -> Any:
        """Run a script that reads the limits. It takes the steady clock and returns it in its JSON reply.

        Args:
            name: the script.
            args: its arguments but the last one, which is the steady clock.
        """
        asked = self.steady.asked()
        reply = json.loads(self.run(name, *args, self.steady.now()))
        self.steady.learn(asked, reply.pop("steady", None))
        return reply


def milliseconds(duration: timedelta | float) -> int:
    """A duration, or seconds, as the scripts take it."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    return round(seconds * 1000)


def without_nulls(data: Mapping[str, Any]) -> dict[str, Any]:
    """Drop members that are None: Lua reads a JSON null as a value, not as nil."""
    return {
        name: without_nulls(value) if isinstance(value, Mapping) else value
        for name, value in data.items()
        if value is not None
    }
