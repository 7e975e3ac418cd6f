"""Confirmation by replicas: WAIT, on the connection of the write and in the same round trip.

A replica that has a write can become the primary without losing it. WAIT counts the replicas that have all
that its connection wrote before (in Redis 7.0: all that the server wrote). If they are too few, nothing is
undone.
"""

from dataclasses import dataclass
from typing import Any

from faxline.contract.wording import plural

REPLICAS_TIMEOUT = 1.0
"""Seconds to wait for the replicas. Normally they take a millisecond."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How many replicas must confirm a write.

    Attributes:
        replicas: how many; 0 asks for none.
        timeout: seconds to wait for them.

    Raises:
        ValueError: `replicas` is negative, or `timeout` is below a millisecond.
    """

    replicas: int = 0
    timeout: float = REPLICAS_TIMEOUT

    def __post_init__(self) -> None:
        if self.replicas < 0 or not self.timeout >= 0.001:  # noqa: PLR2004 - for WAIT, 0 means for ever
            raise ValueError("replicas is 0 or more, and their timeout a millisecond or more")

    def __bool__(self) -> bool:
        return self.replicas > 0

    @property
    def command(self) -> tuple[tuple[str, int, int], ...]:
        """The WAIT command; empty if no replica must confirm."""
        return (("WAIT", self.replicas, round(self.timeout * 1000)),) if self else ()

    def ask(self, pipe: Any) -> None:
        """Queue WAIT on a pipeline after the write, outside of a transaction."""
        for command in self.command:
            pipe.execute_command(*command)

    def missed(self, reply: Any) -> str:
        """Return what is missing, in words; empty if enough replicas confirmed.

        Raises:
            redis.ResponseError: the reply is an error.
        """
        if isinstance(reply, Exception):
            raise reply
        if int(reply) >= self.replicas:
            return ""
        have = plural(self.replicas, "replica has", "replicas have")
        return f"{reply} of {have} it after {self.timeout:g} s"


NOT_ASKED = Confirmation()
