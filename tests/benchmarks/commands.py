"""How many commands a Redis server has carried out, those of the benchmark itself left out."""

from typing import Any, Self

import redis


class CountedRedis(redis.Redis):
    """A client that knows how many commands it has sent (outside of pipelines)."""

    sent = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command."""
        self.sent += 1
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


class CommandCount:
    """The commands of a server, counted from the beginning of the context on.

    Every process's commands count, those inside scripts too, and so do the pushes, which are a part of a
    fax's way. What the benchmark looks at through `client` does not.

    Args:
        url: of any database of the server.
    """

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(url)
        self.client = CountedRedis(connection_pool=self._pool)
        """For looks that are not to be counted; replies are bytes."""
        self._begun = 0

    def __enter__(self) -> Self:
        self._begun = self._carried_out()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._pool.disconnect()

    def read(self) -> int:
        """The commands since the beginning."""
        return self._carried_out() - self._begun

    def _carried_out(self) -> int:
        sent = self.client.sent
        stats: Any = self.client.info("commandstats")
        return sum(int(command["calls"]) for command in stats.values()) - sent
