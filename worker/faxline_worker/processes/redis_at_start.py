"""What a process needs of Redis before it begins: that it answers, the rights of its role, a known layout."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import cycle
from typing import Any

import redis

from faxline.contract.environment import given_as
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.config.settings import Settings
from faxline_worker.processes.common import first_account, give_up
from faxline_worker.state.account_starts import check_layouts, patiently
from faxline_worker.state.entry_checks import check_adds
from faxline_worker.state.redis_clients import (
    RedisUnreachable,
    broker_client,
    check_reachable,
    check_writes,
    state_client,
    unserved,
)
from faxline_worker.state.schema import NewerLayoutError
from faxline_worker.wakeups.actors import QUEUE
from faxline_worker.wakeups.broker import queue_key


def require_redis(settings: Settings, role: str) -> None:
    """Wait for the Redis servers that a role uses, up to FAXLINE_REDIS_PATIENCE, and check its rights.

    Of a cluster one node that serves an account of the process is enough.
    If a server is unreachable, or a right is missing, the process ends with one line that names the server
    and the cause, or the Redis user and the right.

    Args:
        settings: the daemon's settings.
        role: dispatcher, worker, webhook or archive.
    """
    for variable, url, make in (
        ("FAXLINE_REDIS_URL", settings.redis_url, state_client),
        ("FAXLINE_BROKER_URL", settings.broker, broker_client),
    ):
        if variable == "FAXLINE_BROKER_URL" and role == "archive":  # it sends no wake-ups and takes none
            continue
        try:
            with closing(make(url)) as client:
                check_reachable(client, settings.redis_patience.total_seconds())
                accounts = cycle(sorted(settings.accounts) or [first_account(settings)])
                patiently(
                    partial(_try_rights, client, variable, role, settings, accounts),
                    settings.redis_patience.total_seconds(),
                )
        except (RedisUnreachable, redis.RedisError, ValueError, OSError) as error:
            give_up(f"{_where(variable, settings)}: {error}")


def _where(variable: str, settings: Settings) -> str:
    """The variable that names a server, in the spelling in which it was set."""
    if variable == "FAXLINE_BROKER_URL" and not settings.broker_url:
        state = given_as(os.environ, "FAXLINE_REDIS_URL")
        return f"{state} (another database of the same server, because {variable} is not set)"
    return given_as(os.environ, variable)


def _try_rights(
    client: redis.Redis, variable: str, role: str, settings: Settings, accounts: Iterator[str]
) -> None:
    """Try the first commands, each time with the next account: that of another one may be away."""
    for right, call in _first_calls(variable, role, next(accounts)):
        with _right(_where(variable, settings), right, role, client):
            call(client)


def _first_calls(
    variable: str, role: str, account: str
) -> Iterator[tuple[str, Callable[[redis.Redis], object]]]:
    """The first commands of a role: the right that each needs, and a way to try it that changes nothing."""
    keys, wakes = RedisKeys(account), queue_key(QUEUE)
    if role == "webhook":
        if variable == "FAXLINE_REDIS_URL":
            yield f"add receipts (XADD {keys.status})", lambda client: check_adds(client, keys.status)
    elif variable == "FAXLINE_REDIS_URL":
        yield (
            f"read an account (HGET {keys.account_state})",
            lambda client: client.hget(keys.account_state, "layout"),
        )
        yield "run scripts (EVAL)", lambda client: check_writes(client, keys.account_state)
    else:
        yield f"read wake-ups (LLEN {wakes})", lambda client: client.llen(wakes)


@contextmanager
def _right(variable: str, right: str, role: str, client: redis.Redis) -> Iterator[None]:
    """End the process with one line if the Redis user may not run a command inside the block."""
    try:
        yield
    except redis.exceptions.NoPermissionError:
        user: Any = "?"
        with suppress(redis.RedisError):
            user = client.acl_whoami()
        name = user.decode() if isinstance(user, bytes) else user
        give_up(
            f"{variable}: the Redis user {name!r} may not {right}: give the {role} its own user, {role!r} of "
            "ops/redis/users.acl, or give this one that right"
        )


def require_layout(client: redis.Redis, settings: Settings) -> None:
    """End the process with one line if the stored layout is newer than this version knows.

    While a node of a cluster is away, its accounts are left to the scripts, which look at the layout, too.
    """
    try:
        patiently(lambda: check_layouts(client, settings.accounts), settings.redis_patience.total_seconds())
    except NewerLayoutError as error:
        give_up(str(error))
    except redis.RedisError as error:
        if not unserved(error):
            raise
