"""The word of the replicas: WAIT, on the connection of the write that it is about and in the same round trip.

A replica that has a write may become the primary without losing it. WAIT tells how many have all that its
connection wrote before (Redis 7.0: all that the server wrote); it undoes nothing where they are too few.
"""

from dataclasses import dataclass
from typing import Any

from faxline.contract.wording import plural

REPLICAS_TIMEOUT = 1.0
"""Seconds that the replicas are waited for; with all well they take a millisecond."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How many replicas must have what was written; none are asked for 0.

    Attributes:
        replicas: how many.
        timeout: seconds that they are waited for.

    Raises:
        ValueError: one of them makes no sense.
    """

    replicas: int = 0
    timeout: float = REPLICAS_TIMEOUT

    def __post_init__(self) -> None:
        if self.replicas < 0 or not self.timeout >= 0.001:  # noqa: PLR2004 - WAIT's 0 is for ever
            raise ValueError("replicas is 0 or more, and their timeout a millisecond or more")

    def __bool__(self) -> bool:
        return self.replicas > 0

    @property
    def command(self) -> tuple[tuple[str, int, int], ...]:
        """The command that asks; none where nobody is asked."""
        return (("WAIT", self.replicas, round(self.timeout * 1000)),) if self else ()

    def ask(self, pipe: Any) -> None:
        """Queue it on a pipeline of redis-py's behind the write, outside of a transaction."""
        for command in self.command:
            pipe.execute_command(*command)

    def missed(self, reply: Any) -> str:
        """Nothing where the reply says that enough have it; else what is the matter, in words.

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
