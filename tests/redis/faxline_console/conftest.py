"""A console that the tests of a module share, and somebody who carries out the orders of account north."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis
import structlog

from faxline_local.redis_server import RedisServer
from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher.operator_orders import fields_of
from faxline_worker.maintenance.long_orders import Maintenance
from faxline_worker.state.store import Store
from tests.archives import new_archive
from tests.consoles import Console
from tests.stage.archives import StagedArchive, StagedFax


@pytest.fixture(scope="module")
def stored() -> Sequence[StagedFax]:
    """The faxes of the archive that the module's console has. Without any there is no archive."""
    return ()


@pytest.fixture(scope="module")
def shared(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory, stored: Sequence[StagedFax]
) -> Iterator[Console]:
    """A console of a module's own; no test changes it or its archive."""
    folder, environment = tmp_path_factory.mktemp("console"), {}
    if stored:
        environment["FAXLINE_ARCHIVE__URL"] = url = f"sqlite:///{folder / 'archive.db'}"
        staged = StagedArchive(new_archive(url))
        for fax in stored:
            staged.add_all([fax])
        staged.engine.dispose()
    with Console(redis_server.url(0), folder, **environment) as console:
        yield console


@pytest.fixture
def console(shared: Console, redis_url: str) -> Console:
    """The module's console, before an empty Redis."""
    assert redis_url
    shared.counts.forget()
    return shared


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[StagedArchive]:
    """The archive of a test's own console, empty."""
    engine = new_archive(f"sqlite:///{tmp_path / 'archive.db'}")
    yield StagedArchive(engine)
    engine.dispose()


@pytest.fixture
def own_console(redis_url: str, tmp_path: Path) -> Iterator[Console]:
    """A console of a test's own, before an empty Redis. It has an archive if the test has."""
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        yield console


@pytest.fixture
def orders(redis_url: str) -> Iterator[None]:
    """Carries out what is ordered about north, but for doubts."""
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
                    elif order["order"] == "ask":
                        store.orders.ask(entry, order["job"], order["by"])
                    elif order["order"] in {"pause", "resume", "probe"}:
                        store.orders.pause_or_resume(
                            entry, order["order"], order["by"], order.get("seen", "")
                        )
                    else:
                        maintenance.carry_out(entry, order)

        thread = threading.Thread(target=carry_out)
        thread.start()
        yield
        stopping.set()
        thread.join()
