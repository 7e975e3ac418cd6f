"""Many accounts: wake-ups go to a list for each unit, and each worker takes those of its own units first."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from unittest.mock import Mock

import dramatiq
import pytest
import redis

from faxline.contract.redis_keys import PROCESSES
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.config.settings import read_settings
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.pulse import Loops
from faxline_worker.state.units import ALL, MANY, unit_of
from faxline_worker.wakeups.actors import QUEUE, SUBMIT, Wakes
from faxline_worker.wakeups.broker import WakeBroker, queue_key, unit_key
from faxline_worker.wakeups.worker_share import WorkerShare

KEY = queue_key(QUEUE)
MINE, THEIRS = "mine", "theirs"
OWN = frozenset({unit_of(MINE)})


@pytest.fixture
def broker(redis_client: redis.Redis) -> WakeBroker:
    made = WakeBroker(redis_client, [])
    made.declare_queue(QUEUE)
    dramatiq.actor(broker=made, queue_name=QUEUE, actor_name=SUBMIT)(lambda *_: None)
    return made


@pytest.fixture
def take(broker: WakeBroker) -> Callable[[], str | None]:
    """Take the next message; its account."""
    consumer = broker.consume(QUEUE, prefetch=100, timeout=10)

    def taken() -> str | None:
        message = next(consumer)
        return None if message is None else str(message.args[0])

    return taken


def test_few_accounts_have_one_list(
    broker: WakeBroker, take: Callable[[], str | None], redis_client: redis.Redis
) -> None:
    Wakes(broker).submit(MINE, "token")
    assert redis_client.llen(KEY) == 1
    assert take() == MINE


def test_a_worker_takes_from_the_lists_of_its_units_and_from_the_one_list(
    broker: WakeBroker, take: Callable[[], str | None], redis_client: redis.Redis
) -> None:
    assert unit_of(MINE) != unit_of(THEIRS)
    broker.units = OWN
    Wakes(broker).submit(THEIRS, "of a dispatcher that knows no other list")
    broker.grouped = True
    Wakes(broker).submit(MINE, "token")
    assert redis_client.llen(unit_key(KEY, unit_of(MINE))) == 1
    assert {take(), take()} == {MINE, THEIRS}


def test_what_others_leave_is_taken_when_there_is_nothing_of_its_own(
    broker: WakeBroker, take: Callable[[], str | None]
) -> None:
    broker.units, broker.grouped = OWN, True
    Wakes(broker).submit(THEIRS, "1", "2")
    Wakes(broker).submit(MINE, "1")
    assert [take() for _ in range(4)] == [MINE, THEIRS, THEIRS, None]


def test_a_worker_that_ends_puts_a_message_back_on_the_list_of_all(
    broker: WakeBroker, redis_client: redis.Redis
) -> None:
    broker.units, broker.grouped = OWN, True
    consumer = broker.consume(QUEUE, prefetch=100, timeout=10)
    Wakes(broker).submit(MINE, "1")
    message = next(consumer)
    assert message is not None
    consumer.requeue([message])
    assert redis_client.llen(KEY) == 1


def live_of(count: int) -> LiveAccounts:
    names = ",".join(f"a{i}" for i in range(count))
    return LiveAccounts(read_settings({"FAXLINE_ACCOUNTS": names}), "webhook", Mock())


def beating(client: redis.Redis, live: LiveAccounts) -> tuple[Heartbeat, SimpleNamespace]:
    """A worker's heartbeat, and its broker."""
    broker = SimpleNamespace(units=None, grouped=False)
    share = WorkerShare(client, live, broker)  # type: ignore[arg-type]
    heartbeat = Heartbeat(
        *(client, "worker", live, Loops(), Mock()),
        more=lambda: share.heartbeat_fields(heartbeat.name),
        every=0.02,
    )
    return heartbeat, broker


@pytest.fixture
def three(redis_client: redis.Redis) -> Iterator[list[SimpleNamespace]]:
    """The brokers of three workers that beat."""
    live = live_of(MANY + 1)
    made = [beating(redis_client, live) for _ in range(3)]
    for heartbeat, _ in made:
        heartbeat.start()
    yield [broker for _, broker in made]
    for heartbeat, _ in made:
        heartbeat.close()


@pytest.mark.slow
def test_workers_share_the_units_and_leave_none_out(
    three: list[SimpleNamespace], wait_until: Callable[..., object], redis_client: redis.Redis
) -> None:
    wait_until(lambda: all(broker.grouped for broker in three), message="all write to lists of units")
    wait_until(lambda: redis_client.hlen(PROCESSES + "worker") == 3)
    wait_until(lambda: sum(len(broker.units) for broker in three) == 2 * len(ALL), timeout=20)
    assert frozenset().union(*(broker.units for broker in three)) == ALL


def test_with_few_accounts_a_worker_says_nothing_of_units_and_reads_nobodys_heartbeat() -> None:
    client = Mock(spec=redis.Redis)
    broker = SimpleNamespace(units=None, grouped=False)
    share = WorkerShare(client, live_of(MANY), broker)  # type: ignore[arg-type]
    assert share.heartbeat_fields("it") == {}
    assert broker.units is None
    assert client.mock_calls == []


def test_a_worker_that_may_not_see_the_others_serves_all_units() -> None:
    client = Mock(spec=redis.Redis)
    client.pipeline.side_effect = redis.exceptions.NoPermissionError
    broker = SimpleNamespace(units=None, grouped=False)
    share = WorkerShare(client, live_of(MANY + 1), broker)  # type: ignore[arg-type]
    share.heartbeat_fields("it")
    assert broker.units == ALL
    assert not broker.grouped
