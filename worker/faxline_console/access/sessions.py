"""What a session is, and how long it goes on."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from faxline_console.access.people import Person
from faxline_console.tables import sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser.

    Attributes:
        person: who signed in.
        form_token: what every form must send back, against forged requests.
        token: the SHA-256 of the cookie's value.
        left: seconds until it ends, if it is not used.
        last: whether it ends then even if it is used.
    """

    person: Person
    form_token: str
    token: str
    left: float
    last: bool


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions and failed sign-ins count, in seconds.

    Attributes:
        longest: after this a person signs in again.
        idle: so much without a request ends a session.
        window: how long a failed sign-in counts.
        attempts: failed sign-ins of a name from one address within the window after which it is refused.
    """

    longest: float = 8 * 3600
    idle: float = 1800
    window: float = 900
    attempts: int = 10

    def left(self, now: int, seen: int, began: int) -> tuple[float, bool]:
        """How long a session goes on if it is not used, in seconds, and whether it ends then in any case.

        Args:
            now: the time (ms).
            seen: when it was used last (ms).
            began: when it began (ms).
        """
        idle, longest = self.idle - (now - seen) / 1000, self.longest - (now - began) / 1000
        return min(idle, longest), longest <= idle

    def over(self, now: int) -> ColumnElement[bool]:
        """Which sessions have ended by a time (ms)."""
        idle, longest = (now - round(seconds * 1000) for seconds in (self.idle, self.longest))
        return (sessions.c.seen < idle) | (sessions.c.began < longest)
