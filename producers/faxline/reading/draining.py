"""Which accounts are drained: their folders are gone, and their faxes come to their ends."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from faxline.contract.redis_keys import DRAINING
from faxline.steps.commands import Command, Steps

UNDER_WAY = ("submitting", "submitted", "in_doubt")
"""The states of jobs that await an answer or a receipt, for which their account is drained."""


class Drained(NamedTuple):
    """An account that is drained.

    Attributes:
        since: when a dispatcher found its folder gone, by Redis' clock.
        directory: where it had its folder.
    """

    since: datetime
    directory: str


def read_draining() -> Steps[dict[str, Drained]]:
    """Read which accounts are drained, by name.

    Example:
        >>> run(client, read_draining())["north"].since.year
        2026
    """
    return parse_draining((yield Command(lambda client: client.hgetall(DRAINING))))


def parse_draining(noted: Mapping[bytes, bytes]) -> dict[str, Drained]:
    """What dispatchers noted. A note that makes no sense is left out."""
    found: dict[str, Drained] = {}
    for name, note in noted.items():
        try:
            at, _, directory = note.decode().partition(" ")
            found[name.decode()] = Drained(datetime.fromtimestamp(int(at) / 1000, UTC), directory)
        except (ValueError, OverflowError, OSError):
            continue
    return found


def note_of(since: int, directory: str) -> str:
    """What a dispatcher notes of an account.

    Args:
        since: Redis' clock, in milliseconds since 1970.
        directory: where it had its folder.
    """
    return f"{since} {directory}"
