"""Prepares all accounts at the start of a process, many in one round trip."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import redis

from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.schema import NewerLayoutError, is_newer
from faxline_worker.state.store import Store

AGAIN = 0.25
"""Seconds between two tries while Redis is away."""
AT_ONCE = 100
"""Accounts in one round trip."""
_T = TypeVar("_T")


def slices(whole: Iterable[_T]) -> Iterator[Sequence[_T]]:
    """The items in pieces of at most AT_ONCE."""
    items = list(whole)
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def ask_each(client: redis.Redis, items: Iterable[_T], ask: Callable[[Any, _T], object]) -> Iterator[Any]:
    """Send one command for each item, many in one round trip.

    Args:
        client: the client.
        items: what to ask about.
        ask: queues the command of an item on a pipeline.

    Returns:
        The replies, in the order of the items.

    Raises:
        redis.RedisError: Redis is away or refuses a command.
    """
    for some in slices(items):
        with client.pipeline(transaction=False) as pipe:
            for item in some:
                ask(pipe, item)
            yield from pipe.execute()


def patiently(call: Callable[[], _T], seconds: float) -> _T:
    """Call again as long as Redis is the cause that it fails: a node of a cluster may be away alone.

    Args:
        call: returns the result.
        seconds: after which a failure is raised.

    Raises:
        redis.RedisError: `call` raised it, and not for such a cause, or the time is over.
    """
    give_up = time.monotonic() + seconds
    while True:
        try:
            return call()
        except redis.RedisError as error:
            if not unserved(error) or time.monotonic() >= give_up:
                raise
            time.sleep(AGAIN)


def check_layouts(client: redis.Redis, accounts: Iterable[str]) -> None:
    """Check that this version knows the stored layout of each account.

    Raises:
        NewerLayoutError: it does not know one of them.
        redis.RedisError: Redis is away or refuses a command.
    """
    names = list(accounts)
    stored = ask_each(client, names, lambda pipe, name: pipe.hget(RedisKeys(name).account_state, "layout"))
    for name, layout in zip(names, stored, strict=True):
        if is_newer(layout):
            raise NewerLayoutError(name, layout.decode())


def init_accounts(stores: Iterable[Store], beat: Callable[[], None]) -> None:
    """Store each account's layout, count its open jobs, and create its consumer group.

    Args:
        stores: the stores of the accounts.
        beat: called between two round trips.

    Raises:
        NewerLayoutError: a newer layout is stored.
        redis.RedisError: Redis is away or refuses a command.
    """
    for some in slices(stores):
        beat()
        scripts = some[0].scripts
        # Control calls among the delayed jobs, counted in pieces, because those may be many.
        first = list(
            ask_each(
                some[0].client,
                some,
                lambda pipe, store: pipe.zscan(store.keys.delayed, match="!*", count=1000),
            )
        )
        large = [store for store, (cursor, _) in zip(some, first, strict=True) if cursor]
        for store in large:
            store.schema.init_account()
        calls = [
            (store.keys, store.schema.init_arguments(len({member for member, _ in found})))
            for store, (cursor, found) in zip(some, first, strict=True)
            if not cursor
        ]
        small = (store for store in some if store not in large)
        for store, reply in zip(small, scripts.each("init_account", calls), strict=True):
            store.schema.check_reply(reply)
        scripts.each("create_group", [(store.keys, [INTAKE_GROUP]) for store in some])
