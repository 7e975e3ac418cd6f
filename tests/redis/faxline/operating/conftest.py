"""A line, the command, and a dispatcher of which only the orders are at work."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import make_dispatcher
from tests.stage.intake import create_group, register

SETTINGS = {
    "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
    "FAXLINE_IN_DOUBT__WAIT": "600",
    "FAXLINE_NUMBERS__CONCURRENT": "0",
}


@pytest.fixture
def store(redis_client: Any) -> Store:
    made = Store(redis_client, read_settings(SETTINGS), "default")
    create_group(made)
    made.timers.run()
    return made


@pytest.fixture
def dispatcher(redis_url: str, store: Store) -> Iterator[Dispatcher]:
    """One of which only the orders are at work."""
    with redis.Redis.from_url(redis_url) as client:
        made = make_dispatcher(client, {"default": store})
        stopping = threading.Event()

        def carry_out() -> None:
            while not stopping.is_set():
                client.xread({store.keys.orders: "0"}, block=50)
                made.orders.carry_out("default")

        thread = threading.Thread(target=carry_out)
        thread.start()
        yield made
        stopping.set()
        thread.join()


@pytest.fixture
def doubt(store: Store, redis_client: Any) -> Callable[..., Admitted]:
    """A job whose request may have reached iFax."""

    def enter(job: str, **fields: str) -> Admitted:
        entry = register(store, redis_client, job, **fields)
        admitted = store.submission.admit(f"permit-{entry}", "")
        assert isinstance(admitted, Admitted)
        store.submission.mark(admitted)
        answer = {"decision": "in_doubt", "reason": "read_timeout", "message": "iFax did not answer in time"}
        store.submission.settle(admitted, answer)
        return admitted

    return enter
