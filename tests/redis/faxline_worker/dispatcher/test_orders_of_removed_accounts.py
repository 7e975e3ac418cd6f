"""The audit of an account that was removed notes a reveal: another account's dispatcher visits it."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from faxline import AsyncFaxLine
from faxline.contract.errors import OrderTimeout
from faxline.contract.orders import Order
from faxline.contract.redis_keys import RedisKeys
from faxline.operating.operations import GIVE_ORDERS
from faxline.operating.orders import issue_order
from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.state.store import Store
from tests.stage.daemon import make_dispatcher

NORTH, WEST = RedisKeys("north"), RedisKeys("west")


@pytest.fixture
def dispatcher(redis_client: redis.Redis) -> Dispatcher:
    """A dispatcher of north, which has never heard of west."""
    settings = read_settings({"FAXLINE_ACCOUNTS": "north"})
    return make_dispatcher(redis_client, {"north": Store(redis_client, settings, "north")})


@pytest.fixture
def at_work(dispatcher: Dispatcher) -> Iterator[None]:
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.01):
            dispatcher.orders.carry_out("north")

    thread = threading.Thread(target=run)
    thread.start()
    yield
    over.set()
    thread.join()


def order(url: str, kind: Order, timeout: float = 20, **more: str) -> dict[str, str]:
    """Give an order of west and wait for its reply."""

    async def give() -> dict[str, str]:
        async with AsyncFaxLine(url, "west") as line:
            context = replace(line._context, visit=NORTH.orders)
            return await line._run(issue_order(context, kind, "ada: proof", timeout, **more), GIVE_ORDERS)

    return asyncio.run(give())


def audited(client: redis.Redis, keys: RedisKeys) -> list[tuple[str, ...]]:
    found: Any = client.xrange(keys.audit)
    return [tuple(fields[name].decode() for name in (b"who", b"what", b"job")) for _, fields in found]


@pytest.mark.usefixtures("at_work")
def test_its_own_audit_notes_the_reveal_of_its_fax(redis_url: str, redis_client: redis.Redis) -> None:
    assert order(redis_url, Order.REVEAL, jobs="w1 w2")["result"] == "done"
    assert audited(redis_client, WEST) == [("ada: proof", "reveal", "w1"), ("ada: proof", "reveal", "w2")]
    assert audited(redis_client, NORTH) == []
    assert redis_client.xlen(WEST.orders) == 0


@pytest.mark.usefixtures("at_work")
def test_no_other_order_of_it_is_carried_out(redis_url: str, redis_client: redis.Redis) -> None:
    for kind, more in ((Order.PAUSE, {}), (Order.FORGET, {"job": "w1"}), (Order.VISIT, {"account": "north"})):
        with pytest.raises(OrderTimeout):
            order(redis_url, kind, 0.3, **more)
    assert audited(redis_client, WEST) == []
    assert not redis_client.exists(WEST.account_state)
    assert redis_client.xlen(WEST.orders) == 3


@pytest.mark.parametrize(
    "told",
    [
        {"account": "west", "entry": "no entry"},
        {"account": "west", "entry": "1-1"},
        {"account": "of {no} such name", "entry": "1-1"},
        {},
    ],
)
def test_a_visit_that_makes_no_sense_leaves_the_stream_and_stops_no_order(
    dispatcher: Dispatcher, redis_client: redis.Redis, told: dict[str, str]
) -> None:
    visit: Any = {"order": "visit", "by": "ada", **told}
    redis_client.xadd(NORTH.orders, visit)
    redis_client.xadd(NORTH.orders, {"order": "reveal", "jobs": "n1", "by": "ada"})
    dispatcher.orders.carry_out("north")
    assert redis_client.xlen(NORTH.orders) == 0
    assert audited(redis_client, NORTH) == [("ada", "reveal", "n1")]
