"""What a process that ends leaves behind: nothing begun, nothing held, every wake-up passed on."""

import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import dramatiq
import pytest
import redis
from dramatiq.middleware import Middleware

from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline_worker.state.store import Store
from faxline_worker.wakeups.account_concurrency import AccountConcurrency
from faxline_worker.wakeups.actors import QUEUE, Wakes, declare_actors
from faxline_worker.wakeups.broker import WakeBroker, queue_key
from faxline_worker.wakeups.shutdown import Shutdown
from tests.stage.daemon import make_dispatcher, usual_settings

ENTRY = (
    '{"id":"%s","fax":{"faxNumber":"+12025550123","faxData":[{"fileName":"a","fileUrl":"https://x.eu/a"}]}}'
)
KEYS = RedisKeys("default")


@pytest.fixture
def broker(broker_url: str) -> Iterator[WakeBroker]:
    made = WakeBroker(redis.Redis.from_url(broker_url), [])
    yield made
    made.close()


def queued(broker: WakeBroker) -> list[tuple[Any, ...]]:
    texts: Any = broker.client.lrange(queue_key(QUEUE), 0, -1)
    return [dramatiq.Message.decode(text).args for text in texts]


def test_a_worker_that_ends_finishes_its_calls_begins_no_other_and_passes_the_wake_ups_on(
    broker: WakeBroker, wait_until: Callable[..., Any]
) -> None:
    wakes, slots, log = Wakes(broker), AccountConcurrency(2, 1), Mock()
    begun: list[str] = []
    ending, answered = threading.Event(), threading.Event()

    class Ending(Middleware):
        def before_worker_shutdown(self, broker: Any, worker: Any) -> None:
            del broker, worker
            ending.set()

    def turn(wake: str) -> None:
        begun.append(wake)
        assert answered.wait(20)
        if wake == "wake-1":
            wakes.submit("default", "next")  # what the answer wakes is for another process

    submitter = Mock(turn=turn)
    broker.add_middleware(Shutdown(broker, slots, wakes, log))
    broker.add_middleware(Ending())
    declare_actors(broker, lambda _: submitter, Mock(), slots, log)
    worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=100)
    worker.start()
    for i in range(1, 4):  # the third waits for a slot
        wakes.submit("default", f"wake-{i}")
    wait_until(lambda: len(begun) == 2 and slots._waiting["default"])
    end = threading.Thread(target=worker.stop)
    end.start()
    assert ending.wait(20)
    wakes.submit("default", "late")
    wait_until(lambda: {args[1] for args in queued(broker)} >= {"wake-3", "late"})
    answered.set()
    end.join(20)
    assert sorted(begun) == ["wake-1", "wake-2"]
    assert {args[1] for args in queued(broker)} == {"wake-3", "late", "next"}


def test_a_wake_up_that_a_closed_process_still_took_is_passed_on(broker: WakeBroker) -> None:
    slots, submitter = AccountConcurrency(2, 1), Mock()
    declare_actors(broker, lambda _: submitter, Mock(), slots, Mock())
    slots.close()
    broker.get_actor("submit")("default", "wake")
    assert queued(broker) == [("default", "wake")]
    assert not submitter.turn.called


def test_a_message_that_comes_while_its_reader_is_closed_is_given_back(
    broker: WakeBroker, wait_until: Callable[..., Any]
) -> None:
    broker.declare_queue(QUEUE)
    consumer = broker.consume(QUEUE, timeout=20_000)
    taken: list[Any] = []
    reader = threading.Thread(target=lambda: taken.append(next(consumer)))
    reader.start()
    wait_until(lambda: broker.client.info("clients")["blocked_clients"] == 1)
    broker.stop_taking()
    Wakes(broker).submit("default", "wake")
    reader.join(20)
    assert taken == [None]
    assert queued(broker) == [("default", "wake")]


def test_a_dispatcher_that_stops_leaves_no_entry_pending_and_no_consumer(
    redis_client: Any, wait_until: Callable[..., Any]
) -> None:
    store = Store(
        redis_client,
        usual_settings(NUMBERS__CONCURRENT="0"),
        "default",
    )
    dispatcher = make_dispatcher(
        redis_client,
        {"default": store},
        consumer="stops",
        sweep=1.0,
        wake_lease=5.0,
    )
    for i in range(1500):
        redis_client.xadd(KEYS.intake, {"send": ENTRY % f"job-{i}"})
    dispatcher.start()
    wait_until(lambda: redis_client.zcard(KEYS.ready) > 0)
    dispatcher.stop()
    jobs, left = redis_client.zcard(KEYS.ready), redis_client.xlen(KEYS.intake)
    assert jobs + left == 1500
    assert redis_client.xpending(KEYS.intake, INTAKE_GROUP)["pending"] == 0
    assert redis_client.xinfo_consumers(KEYS.intake, INTAKE_GROUP) == []
