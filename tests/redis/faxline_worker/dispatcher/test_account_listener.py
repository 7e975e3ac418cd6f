"""A dispatcher that listens to each account on a connection of its own."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher import account_listener
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.state.store import Store
from faxline_worker.wakeups.actors import Wakes
from tests.stage.daemon import make_dispatcher

ACCOUNTS = ("default", "acme", "globex")
ENTRY = '{"id":"%s","fax":{"faxNumber":"+12025550123","faxData":[{"fileName":"a.pdf","fileUrl":"https://x.eu/a"}]}}'
QUIET = 3600.0
"""Seconds between two sweeps: what happens here, happens because somebody listened."""


@pytest.fixture
def stores(redis_client: redis.Redis) -> dict[str, Store]:
    tokens = {f"FAXLINE_ACCOUNTS__{name.upper()}__TOKEN": f"token-{name}" for name in ACCOUNTS}
    settings = read_settings({**tokens, "FAXLINE_NUMBERS__CONCURRENT": "0"})
    return {name: Store(redis_client, settings, name) for name in ACCOUNTS}


@pytest.fixture
def made_anew(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each connection is made anew inside, once, before it sends its second read."""
    pool: Any = redis_client.connection_pool
    reads, anew = Counter[int](), list[str]()

    class Moving(pool.connection_class):  # type: ignore[misc]
        def send_command(self, *args: Any, **options: Any) -> None:
            reads[id(self)] += args[0] == "XREAD" and "BLOCK" in args
            if reads[id(self)] == 2 and len(anew) < len(ACCOUNTS):
                anew.append("once")
                self.disconnect()
            super().send_command(*args, **options)

    monkeypatch.setattr(pool, "connection_class", Moving)
    return anew


@pytest.fixture
def wakes() -> Any:
    return Mock(spec=Wakes)


@pytest.fixture
def dispatcher(
    redis_client: redis.Redis, stores: dict[str, Store], wakes: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Dispatcher]:
    monkeypatch.setattr("faxline_worker.dispatcher.dispatcher.MANY", 2)
    made = make_dispatcher(
        redis_client,
        stores,
        wakes=wakes,
        takeover=QUIET,
        sweep=QUIET,
        wake_lease=QUIET,
    )
    assert made.context.bell is not None
    made.start()
    yield made
    made.stop()


def push(client: redis.Redis, store: Store, job: str) -> None:
    client.xadd(store.keys.intake, {"send": ENTRY % job})


def registered(client: redis.Redis, stores: dict[str, Store]) -> list[int]:
    return [int(client.zcard(store.keys.ready)) for store in stores.values()]


def pause(client: redis.Redis, store: Store) -> None:
    client.xadd(store.keys.orders, {"order": "pause", "by": "test"})


def paused(client: redis.Redis, stores: dict[str, Store]) -> list[bool]:
    return [client.hget(store.keys.account_state, "paused") == b"operator" for store in stores.values()]


def test_accounts_that_become_too_many_are_read_together_again(
    dispatcher: Dispatcher,
    redis_client: Any,
    stores: dict[str, Store],
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reads() -> int:
        return sum(one["cmd"] == "xread" for one in redis_client.client_list())

    wait_until(lambda: reads() == len(ACCOUNTS))
    monkeypatch.setattr(account_listener, "MOST", len(ACCOUNTS))
    stores["more"] = Store(redis_client, read_settings({"FAXLINE_ACCOUNTS": "more"}), "more")
    dispatcher.context.stores.serve(stores)
    wait_until(lambda: reads() == 1)
    for name, store in stores.items():
        push(redis_client, store, f"job-of-{name}")
    wait_until(lambda: registered(redis_client, stores) == [1] * len(stores))
    for store in stores.values():
        pause(redis_client, store)
    wait_until(lambda: all(paused(redis_client, stores)))


@pytest.mark.usefixtures("dispatcher")
def test_entries_and_orders_of_every_account_are_heard(
    redis_client: redis.Redis,
    stores: dict[str, Store],
    wait_until: Callable[..., Any],
) -> None:
    for number in (1, 2, 3):
        for store in stores.values():
            for i in range(10):
                push(redis_client, store, f"job-{number}-{i}")
        wait_until(lambda number=number: registered(redis_client, stores) == [10 * number] * 3)
    for store in stores.values():
        pause(redis_client, store)
    wait_until(lambda: paused(redis_client, stores) == [True] * 3)


@pytest.mark.usefixtures("dispatcher")
def test_receipts_are_heard(
    wakes: Any,
    redis_client: redis.Redis,
    stores: dict[str, Store],
    wait_until: Callable[..., Any],
) -> None:
    wait_until(lambda: len(redis_client.client_list()) > len(ACCOUNTS))
    redis_client.xadd(stores["acme"].keys.status, {"kind": "receipt", "body": "{}", "at": "1"})
    wait_until(lambda: any(call.args == ("acme",) for call in wakes.reconcile.call_args_list))


@pytest.mark.usefixtures("dispatcher")
def test_connections_that_are_cut_are_made_anew_and_nothing_is_missed(
    redis_client: redis.Redis,
    stores: dict[str, Store],
    wait_until: Callable[..., Any],
) -> None:
    for store in stores.values():
        push(redis_client, store, "first")
    wait_until(lambda: registered(redis_client, stores) == [1] * 3)
    redis_client.client_kill_filter(_type="normal", skipme=True)
    for store in stores.values():
        push(redis_client, store, "second")
        pause(redis_client, store)
    wait_until(lambda: registered(redis_client, stores) == [2] * 3)
    wait_until(lambda: paused(redis_client, stores) == [True] * 3)


@pytest.mark.usefixtures("made_anew", "dispatcher")
def test_connections_that_are_made_anew_inside_a_command_are_heard(
    redis_client: redis.Redis,
    stores: dict[str, Store],
    made_anew: list[str],
    wait_until: Callable[..., Any],
) -> None:
    for number in (1, 2, 3):
        for store in stores.values():
            push(redis_client, store, f"job-{number}")
        wait_until(lambda number=number: registered(redis_client, stores) == [number] * 3)
    assert len(made_anew) == len(ACCOUNTS)


def test_an_entry_whose_bell_was_lost_is_found_when_the_read_ends(
    dispatcher: Dispatcher,
    redis_client: redis.Redis,
    stores: dict[str, Store],
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_listener, "READ", 0.1)
    for store in stores.values():
        push(redis_client, store, "first")
    wait_until(lambda: registered(redis_client, stores) == [1] * 3)
    bell: Any = dispatcher.context.bell
    ring, lost = bell.ring, {"acme"}

    def lossy(account: str) -> None:
        if account in lost:
            lost.remove(account)
        else:
            ring(account)

    monkeypatch.setattr(bell, "ring", lossy)
    push(redis_client, stores["acme"], "second")
    wait_until(lambda: registered(redis_client, stores) == [1, 2, 1])
    wait_until(lambda: not lost)  # the end of a read may come before the bell
