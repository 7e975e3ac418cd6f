"""Somebody who carries out the orders of account north, as a dispatcher does."""

import threading
from collections.abc import Iterator

import pytest
import redis
import structlog

from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher.operator_orders import fields_of
from faxline_worker.maintenance.erasure_and_rotation import Maintenance
from faxline_worker.state.store import Store


@pytest.fixture
def orders(redis_url: str) -> Iterator[None]:
    """Carries out what is ordered: numbers to be revealed and faxes to be forgotten."""
    with redis.Redis.from_url(redis_url) as client:
        store = Store(client, read_settings({"FAXLINE_ACCOUNTS__NORTH__TOKEN": "some-token"}), "north")
        store.timers.run()
        stopping = threading.Event()
        maintenance = Maintenance(store, structlog.get_logger(), "test", stopping.is_set, lambda: None)

        def carry_out() -> None:
            while not stopping.is_set():
                client.xread({store.keys.orders: "0"}, block=20)
                for entry, fields in store.orders.read(""):
                    order = fields_of(fields)
                    if order["order"] == "reveal":
                        store.orders.reveal(entry, order["by"])
                    else:
                        maintenance.carry_out(entry, order)

        thread = threading.Thread(target=carry_out)
        thread.start()
        yield
        stopping.set()
        thread.join()
