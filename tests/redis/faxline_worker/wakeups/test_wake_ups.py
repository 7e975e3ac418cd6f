"""The broker of the wake-ups, the slots of a worker, and the dispatcher's taking over, on a real server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from unittest.mock import Mock

import dramatiq
import pytest
import redis

from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline_worker.intake.registrar import Intake
from faxline_worker.observability.pulse import Loops
from faxline_worker.state.store import Store
from faxline_worker.wakeups.account_concurrency import AccountConcurrency, Slot
from faxline_worker.wakeups.actors import Wakes
from faxline_worker.wakeups.broker import MOST, WakeBroker, queue_key
from tests.stage.daemon import dispatcher_metrics, make_dispatcher, usual_settings
from tests.stage.intake import create_group

ENTRY = '{"id":"%s","fax":{"faxNumber":"+12025550123","faxData":[{"fileName":"a.pdf","fileUrl":"https://x.eu/a"}]}}'


@pytest.fixture
def broker(broker_url: str) -> Iterator[WakeBroker]:
    made = WakeBroker(redis.Redis.from_url(broker_url), [])
    yield made
    made.close()


def commands(broker: WakeBroker) -> dict[str, int]:
    stats: dict[str, Any] = broker.client.info("commandstats")
    return {name: int(row["calls"]) for name, row in stats.items()}


def test_a_message_is_worked_on_once_by_one_of_the_workers(
    broker: WakeBroker, wait_until: Callable[..., Any]
) -> None:
    done: list[str] = []
    dramatiq.actor(broker=broker, queue_name="q", actor_name="work")(done.append)
    workers = [dramatiq.Worker(broker, worker_threads=2, worker_timeout=100) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        names = [f"message-{i}" for i in range(100)]
        for name in names:
            broker.enqueue(
                dramatiq.Message(queue_name="q", actor_name="work", args=(name,), kwargs={}, options={})
            )
        wait_until(lambda: sorted(done) == sorted(names))
    finally:
        for worker in workers:
            worker.stop()


@pytest.mark.slow
def test_an_idle_worker_waits_and_does_not_poll(broker: WakeBroker, wait_until: Callable[..., Any]) -> None:
    done = threading.Event()
    dramatiq.actor(broker=broker, queue_name="q", actor_name="work")(done.set)
    worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=5000)
    earlier = commands(broker).get("cmdstat_blpop", 0)

    def reads() -> int:
        return commands(broker).get("cmdstat_blpop", 0) - earlier

    worker.start()
    try:
        wait_until(lambda: reads() >= 2)  # the first does not wait
        wait_until(lambda: broker.client.info("clients")["blocked_clients"] == 1)
        before = commands(broker)
        broker.enqueue(dramatiq.Message(queue_name="q", actor_name="work", args=(), kwargs={}, options={}))
        assert done.wait(10)
        wait_until(lambda: broker.client.info("clients")["blocked_clients"] == 1)
        after = commands(broker)
        assert {name: after[name] - before.get(name, 0) for name in ("cmdstat_rpush", "cmdstat_blpop")} == {
            "cmdstat_rpush": 1,
            "cmdstat_blpop": 1,
        }
    finally:
        broker.enqueue(dramatiq.Message(queue_name="q", actor_name="work", args=(), kwargs={}, options={}))
        worker.stop()


def test_a_worker_is_ready_without_waiting_for_its_first_message(broker_url: str) -> None:
    loops = Loops()
    with closing(WakeBroker(redis.Redis.from_url(broker_url), [], loops.add("consumer"))) as broker:
        broker.declare_queue("q")
        an_hour = 3_600_000
        assert next(broker.consume("q", prefetch=1, timeout=an_hour)) is None
    assert loops.checks() == {"consumer": True}


def test_a_worker_takes_no_more_messages_than_it_may_have_under_way(broker: WakeBroker) -> None:
    broker.declare_queue("q")
    for i in range(3):
        broker.enqueue(dramatiq.Message(queue_name="q", actor_name="a", args=(i,), kwargs={}, options={}))
    consumer = broker.consume("q", prefetch=2, timeout=10)
    first, second = next(consumer), next(consumer)
    assert next(consumer) is None
    assert first is not None
    assert second is not None
    consumer.ack(first)
    assert next(consumer) is not None


def test_a_broker_that_knows_its_threads_lets_no_message_wait_behind_them(broker_url: str) -> None:
    with closing(WakeBroker(redis.Redis.from_url(broker_url), [], threads=2)) as broker:
        broker.declare_queue("q")
        for i in range(3):
            broker.enqueue(dramatiq.Message(queue_name="q", actor_name="a", args=(i,), kwargs={}, options={}))
        consumer = broker.consume("q", prefetch=4, timeout=10)  # two a thread, as dramatiq asks
        assert [next(consumer) is None for _ in range(3)] == [False, False, True]


def test_what_no_thread_has_begun_is_given_back(broker: WakeBroker) -> None:
    broker.declare_queue("q")
    broker.enqueue(dramatiq.Message(queue_name="q", actor_name="a", args=("x",), kwargs={}, options={}))
    consumer = broker.consume("q", timeout=10)
    message = next(consumer)
    assert message is not None
    consumer.requeue([message])
    again = next(broker.consume("q", timeout=10))
    assert again is not None
    assert (again.actor_name, again.args) == ("a", ("x",))


def test_without_workers_the_oldest_wake_ups_are_dropped(broker: WakeBroker) -> None:
    broker.declare_queue("q")
    broker.client.rpush(queue_key("q"), *range(MOST))
    broker.enqueue(dramatiq.Message(queue_name="q", actor_name="a", args=(), kwargs={}, options={}))
    assert broker.client.llen(queue_key("q")) == MOST


def test_one_of_several_accounts_takes_half_of_the_threads_and_its_wake_ups_wait_without_one() -> None:
    slots = AccountConcurrency(threads=4, accounts=2)
    taken = [slots.take("hangs", f"wake-{i}") for i in range(4)]
    assert taken == [Slot.TAKEN, Slot.TAKEN, Slot.WAITS, Slot.WAITS]
    assert slots.take("other", "wake") is Slot.TAKEN
    assert (slots.leave("hangs"), slots.leave("hangs"), slots.leave("hangs")) == ("wake-2", "wake-3", None)


def test_an_account_alone_takes_all_threads() -> None:
    slots = AccountConcurrency(threads=4, accounts=1)
    assert [slots.take("only", "wake") for _ in range(5)] == [Slot.TAKEN] * 4 + [Slot.WAITS]


def test_closed_seats_let_no_turn_begin_and_give_back_the_wake_ups_that_waited() -> None:
    slots = AccountConcurrency(threads=4, accounts=2)
    for i in range(4):
        slots.take("hangs", f"wake-{i}")
    assert slots.close() == [("hangs", "wake-2"), ("hangs", "wake-3")]
    assert slots.take("other", "wake") is Slot.CLOSED
    assert (slots.leave("hangs"), slots.leave("hangs")) == (None, None)
    assert slots.close() == []


def test_a_cancellation_waits_for_the_push_before_it_that_another_dispatcher_works_on(
    redis_client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    settings = usual_settings()
    store = Store(redis_client, settings, "default")
    create_group(store)
    redis_client.xadd(store.keys.intake, {"send": ENTRY % "a"})
    other: Any = redis_client.xreadgroup(INTAKE_GROUP, "other", {store.keys.intake: ">"})
    redis_client.xadd(store.keys.intake, {"cancel": '{"id":"a"}'})
    redis_client.xadd(store.keys.intake, {"cancel": '{"id":"nobody"}'})
    metrics = dispatcher_metrics()
    dispatcher = make_dispatcher(
        redis_client, {"default": store}, metrics=metrics, consumer="quick", sweep=1.0, wake_lease=5.0
    )
    dispatcher.start()
    try:
        wait_until(lambda: len(dispatcher.intake.intakes["default"].early) == 2)
        assert not redis_client.exists(store.keys.events)
        entry, fields = other[0][1][0]
        Intake(store, metrics, Mock()).take([(entry.decode(), fields)])
        wait_until(lambda: redis_client.xlen(store.keys.intake) == 0)
    finally:
        dispatcher.stop()
    events: Any = redis_client.xrange(store.keys.events)
    assert [(f[b"event"], f[b"job"]) for _, f in events] == [
        (b"fax.queued", b"a"),
        (b"fax.canceled", b"a"),
        (b"fax.cancel_refused", b"nobody"),
    ]


@pytest.mark.slow
def test_the_entries_of_a_dead_dispatcher_are_taken_over(
    redis_client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    settings = usual_settings(NUMBERS__CONCURRENT="0")
    keys = RedisKeys("default")
    redis_client.xgroup_create(keys.intake, INTAKE_GROUP, id="0", mkstream=True)
    for i in range(3):
        redis_client.xadd(keys.intake, {"send": ENTRY % f"left-{i}"})
    redis_client.xreadgroup(INTAKE_GROUP, "dead", {keys.intake: ">"})
    wakes = Mock(spec=Wakes)
    dispatcher = make_dispatcher(
        redis_client,
        {"default": Store(redis_client, settings, "default")},
        wakes=wakes,
        consumer="alive",
        takeover=0.05,
        sweep=1.0,
        wake_lease=5.0,
    )
    dispatcher.start()
    try:
        wait_until(lambda: redis_client.zcard(keys.ready) == 3)
        wait_until(lambda: sum(len(call.args) - 1 for call in wakes.submit.call_args_list) == 3)
    finally:
        dispatcher.stop()
    assert redis_client.xlen(keys.intake) == 0
