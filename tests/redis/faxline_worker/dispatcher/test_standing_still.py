"""Loops of a dispatcher and of a worker that stand still, or lost their Redis: what the probes say."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast
from unittest.mock import Mock

import dramatiq
import pytest
import redis

from faxline import FaxLine
from faxline_local.redis_server import RedisServer
from faxline_worker.intake import slow_documents
from faxline_worker.intake.entry_items import EntryItems
from faxline_worker.intake.registrar import Intake
from faxline_worker.maintenance.long_orders import Maintenance
from faxline_worker.observability.pulse import Loops
from faxline_worker.state.orders import OrderStore
from faxline_worker.state.redis_clients import broker_client
from faxline_worker.state.store import Store
from faxline_worker.wakeups.account_concurrency import AccountConcurrency
from faxline_worker.wakeups.actors import Wakes, declare_actors
from faxline_worker.wakeups.broker import WakeBroker
from tests.stage.daemon import dispatcher_metrics, make_dispatcher, usual_settings
from tests.stage.proxies import TcpProxy

BOUND = 3.0
"""Seconds; a read blocks for two."""


@contextmanager
def dispatching(client: redis.Redis, broker_url: str) -> Iterator[Loops]:
    """A dispatcher in this process; its loops."""
    settings = usual_settings()
    loops = Loops(BOUND)
    broker = WakeBroker(redis.Redis.from_url(broker_url), [])
    dispatcher = make_dispatcher(
        client,
        {"default": Store(client, settings, "default")},
        wakes=Wakes(broker),
        sweep=0.5,
        wake_lease=0.5,
        loops=loops,
    )
    dispatcher.start()
    try:
        yield loops
    finally:
        dispatcher.stop()
        broker.close()


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any, str], threading.Event]]:
    """Make a method hang for good, the first time that it is called; the event that lets it go on."""
    events = []

    def make(cls: Any, name: str) -> threading.Event:
        go_on, method = threading.Event(), getattr(cls, name)
        events.append(go_on)

        def hanging(*args: Any, **options: Any) -> Any:
            go_on.wait(60)
            return method(*args, **options)

        monkeypatch.setattr(cls, name, hanging)
        return go_on

    yield make
    for event in events:
        event.set()


def test_a_dispatcher_is_ready_before_there_is_a_slow_document(
    redis_client: redis.Redis,
    broker_url: str,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., Any],
) -> None:
    monkeypatch.setattr(slow_documents, "WAIT", 3600)
    with dispatching(redis_client, broker_url) as loops:
        wait_until(lambda: set(loops.checks().values()) == {True})


@pytest.mark.parametrize(
    ("cls", "name", "loop"),
    [
        (EntryItems, "read", "intake"),
        pytest.param(OrderStore, "read", "timers", marks=pytest.mark.slow),
        pytest.param(Store, "state", "gauges", marks=pytest.mark.slow),
        pytest.param(Maintenance, "carry_out", "maintenance", marks=pytest.mark.slow),
    ],
)
def test_a_thread_of_a_dispatcher_that_hangs_is_named_and_the_others_go_on(
    redis_client: redis.Redis,
    broker_url: str,
    redis_url: str,
    wait_until: Callable[..., Any],
    hang: Callable[[Any, str], threading.Event],
    cls: Any,
    name: str,
    loop: str,
) -> None:
    go_on = hang(cls, name)
    with FaxLine(redis_url) as line, dispatching(redis_client, broker_url) as loops:
        line.send(to="+12025550123", files=["https://example.com/a.pdf"])
        line._client.xadd(line.keys.orders, {"order": "keys", "by": "me"})
        wait_until(loops.stalled)
        assert set(loops.stalled()) == {loop}
        assert {name for name, found in loops.checks().items() if found is not True} == {loop}
        assert str(loops.checks()[loop]).startswith("stands still for ")
        go_on.set()
        wait_until(lambda: set(loops.checks().values()) == {True})


def test_a_batch_and_an_order_that_take_their_time_beat_on_their_way(
    redis_client: redis.Redis, redis_url: str
) -> None:
    settings = usual_settings()
    store = Store(redis_client, settings, "default")
    beats: list[str] = []
    intake = Intake(
        store,
        dispatcher_metrics(),
        Mock(),
        beat=lambda: beats.append("intake"),
    )
    intake.take([(f"{i}-0", {b"cancel": b"{}"}) for i in range(1, 4)])
    assert beats.count("intake") == 3
    with FaxLine(redis_url) as line:
        line._client.xadd(line.keys.dead, {"stream": "intake", "entry": "1-0", "why": "x", "send": "{}"})
        entry = line._client.xadd(line.keys.orders, {"order": "keys"})
    house = Maintenance(store, Mock(), "me", beat=lambda: beats.append("house"))
    house.carry_out(entry.decode(), {"order": "keys"})
    assert beats.count("house") > 1


@pytest.mark.slow
def test_a_redis_that_is_away_leaves_a_dispatcher_healthy_and_makes_it_not_ready(
    redis_server: RedisServer, redis_url: str, broker_url: str, wait_until: Callable[..., Any]
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        url = redis_url.replace(str(redis_server.port), str(proxy.port))
        with (
            redis.Redis.from_url(url, retry=None) as client,
            dispatching(client, broker_url) as loops,
        ):
            wait_until(lambda: set(loops.checks().values()) == {True})
            proxy.close()
            wait_until(lambda: loops.checks()["intake"] == "fails")
            wait_until(lambda: loops.checks()["listener"] == loops.checks()["gauges"] == "fails")
            for _ in range(20):
                threading.Event().wait(0.2)  # a bound and more
                assert loops.stalled() == {}
            proxy.open()
            wait_until(lambda: set(loops.checks().values()) == {True})


@contextmanager
def consuming(url: str, work: Callable[[], None]) -> Iterator[tuple[Loops, dramatiq.Worker]]:
    """A worker's consumer with two threads, in this process; its loops."""
    loops = Loops(BOUND)
    broker = WakeBroker(broker_client(url), [], loops.add("consumer"))
    turn = Mock(turn=lambda *_: work())
    declare_actors(
        broker,
        lambda _: turn,
        lambda _: turn,
        AccountConcurrency(2, 1),
        Mock(),
        threads=loops.pool("threads", 0),
    )
    worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
    worker.start()
    try:
        yield loops, worker
    finally:
        with suppress(redis.RedisError):
            worker.stop()
        broker.close()


def wake(worker: dramatiq.Worker) -> None:
    Wakes(cast("WakeBroker", worker.broker)).reconcile("default")


def test_a_worker_that_lost_its_consumers_connection_is_not_ready_until_it_has_it_back(
    redis_server: RedisServer, broker_url: str, wait_until: Callable[..., Any]
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        url = broker_url.replace(str(redis_server.port), str(proxy.port))
        with consuming(url, lambda: None) as (loops, _):
            wait_until(lambda: loops.checks() == {"consumer": True, "threads": True})
            proxy.close()
            wait_until(lambda: loops.checks()["consumer"] == "fails")
            assert loops.stalled() == {}
            proxy.open()
            wait_until(lambda: loops.checks()["consumer"] is True)


@pytest.mark.slow
def test_a_worker_whose_consumers_connection_is_open_and_dead_is_not_ready(
    redis_server: RedisServer, broker_url: str, wait_until: Callable[..., Any]
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        url = broker_url.replace(str(redis_server.port), str(proxy.port))
        with consuming(url, lambda: None) as (loops, _):
            wait_until(lambda: loops.checks()["consumer"] is True)
            proxy.freeze()
            wait_until(lambda: str(loops.checks()["consumer"]).startswith("stands still for "))
            proxy.open()
            wait_until(lambda: loops.checks()["consumer"] is True)


@pytest.mark.slow
def test_a_worker_without_a_consumer_thread_is_not_healthy(
    broker_url: str, wait_until: Callable[..., Any]
) -> None:
    with consuming(broker_url, lambda: None) as (loops, worker):
        wait_until(lambda: loops.checks()["consumer"] is True)
        for consumer in worker.consumers.values():
            consumer.stop()
        wait_until(loops.stalled)
        assert set(loops.stalled()) == {"consumer"}


@pytest.mark.slow
def test_a_thread_of_a_worker_that_hangs_is_told_though_another_goes_on(
    broker_url: str, wait_until: Callable[..., Any]
) -> None:
    go_on, first = threading.Event(), threading.Lock()

    def work() -> None:
        if first.acquire(blocking=False):
            go_on.wait(60)

    with consuming(broker_url, work) as (loops, worker):
        for _ in range(3):
            wake(worker)
        wait_until(loops.stalled)
        assert set(loops.stalled()) == {"threads"}
        go_on.set()
        wait_until(lambda: loops.checks()["threads"] is True)


@pytest.mark.slow
def test_a_worker_whose_threads_cannot_reach_redis_is_not_ready(
    broker_url: str, wait_until: Callable[..., Any]
) -> None:
    away = True

    def work() -> None:
        if away:
            raise redis.ConnectionError

    with consuming(broker_url, work) as (loops, worker):
        wake(worker)
        wait_until(lambda: loops.checks()["threads"] == "fails")
        away = False
        wake(worker)
        wait_until(lambda: loops.checks()["threads"] is True)
