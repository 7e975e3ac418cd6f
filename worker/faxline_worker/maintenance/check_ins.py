"""Checks in for accounts on a connection on which nothing else was done yet."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import AskError, TryAgainError

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.state import scripts
from faxline_worker.state.lineage import CheckIn

AT_ONCE = 100
"""The most accounts in one round trip."""


def check_in_on(
    connection: Any, text: str, arguments: Mapping[str, Sequence[str | int]]
) -> dict[str, CheckIn]:
    """Check in. Accounts with a newer layout, and those that are elsewhere in a cluster, are left out.

    Args:
        connection: a connection of redis-py's.
        text: the script.
        arguments: its arguments for each account.
    """
    sha = ask(connection, "SCRIPT", "LOAD", text).decode()
    found: dict[str, CheckIn] = {}
    names = list(arguments)
    for some in (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE)):
        commands = [
            ("EVALSHA", sha, 2, *scripts.declared(RedisKeys(name)), *arguments[name]) for name in some
        ]
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        replies = [_reply(connection) for _ in commands]
        for name, reply in zip(some, replies, strict=True):
            if reply is not None and (checked := CheckIn.read(reply)) is not None:
                found[name] = checked
    return found


@contextmanager
def closed_if_it_fails(connection: Any) -> Iterator[None]:
    """Close a new connection after any error: redis-py does so only after its own.

    Otherwise the next command would go through it without a check-in.
    """
    try:
        yield
    except BaseException:
        connection.disconnect()
        raise


def ask(connection: Any, *command: str) -> bytes:
    """Send a command on a connection that was just made, and return the reply."""
    connection.send_command(*command, check_health=False)
    reply: bytes = connection.read_response()
    return reply


def _reply(connection: Any) -> bytes | None:
    """The next reply; None if the node does not have the account any more, or not yet."""
    try:
        reply: bytes = connection.read_response()
    except (AskError, TryAgainError):
        return None
    return reply
