"""A node of a cluster that is away stops no account of another one."""

import select
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.dispatcher import gauges as gauges_module
from faxline_worker.dispatcher import intake_threads, lost_nodes
from faxline_worker.dispatcher.account_listener import AccountListener, _Link
from faxline_worker.dispatcher.connector import Connector
from faxline_worker.dispatcher.context import DispatcherContext
from faxline_worker.dispatcher.gauges import Gauges, ServerGauges
from faxline_worker.dispatcher.intake_threads import IntakeThreads
from faxline_worker.dispatcher.listener import StreamsOfAll
from faxline_worker.dispatcher.lost_nodes import BrokerAwayError, LostNodes
from faxline_worker.dispatcher.schedule import Task
from faxline_worker.dispatcher.served import Served
from faxline_worker.dispatcher.timers import Timers
from faxline_worker.maintenance.shared_settings import SettingsPublisher
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state.account_starts import AT_ONCE
from tests.scripted_nodes import Cluster, array, bulk, scripted

AWAY, WELL = "default", "acme"
GONE = redis.ConnectionError("gone")
PONG = b"+PONG\r\n"


class World:
    """A dispatcher's context on a cluster of two nodes, each of which has one account."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.give(RedisKeys(WELL).intake, cluster.nodes[1])
        self.client = connect(cluster.url, protocol=2)
        self.now = 0.0
        self.log = Mock()
        self.stores: dict[str, Any] = {
            name: Mock(account=name, keys=RedisKeys(name)) for name in (AWAY, WELL)
        }
        self.lost = LostNodes(self.client, self.log, lambda: self.now)
        self.client.topology.ensure()  # type: ignore[attr-defined]
        self.context = DispatcherContext(
            *(self.client, Served(self.stores), Mock(), self.log, "me", Mock(), self.lost, Mock())
        )
        self.context.stopping.set()  # nothing waits
        self.loop = Loop("loop", 60.0, 10.0)
        cluster.nodes[0].answer = lambda _: None  # it closes each connection

    def back(self) -> None:
        """The node that was away answers."""
        self.cluster.nodes[0].answer = lambda _: PONG
        self.now += 60.0


@pytest.fixture
def world() -> Iterator[World]:
    with scripted() as cluster:
        made = World(cluster)
        yield made
        made.client.close()


def test_the_accounts_of_a_node_that_was_lost_rest_until_it_answers_and_others_do_not(world: World) -> None:
    lost = world.lost
    assert (lost.rest(AWAY), lost.rest(WELL)) == (0.0, 0.0)
    assert lost.lost(AWAY, GONE)
    assert lost.rest(AWAY) > 0
    assert lost.rest(WELL) == 0.0
    world.now += lost_nodes.REST
    assert lost.rest(AWAY) == lost_nodes.ASKED  # it was asked
    said = len(world.cluster.nodes[0].said)
    assert lost.rest(AWAY) == lost_nodes.ASKED
    assert len(world.cluster.nodes[0].said) == said  # and is not asked by everybody
    world.back()
    assert lost.rest(AWAY) == 0.0
    assert (world.log.warning.call_count, world.log.info.call_count) == (1, 1)


def test_an_account_whose_slot_is_moved_rests_alone(world: World) -> None:
    world.cluster.give(RedisKeys(WELL).intake, world.cluster.nodes[0])
    world.client.topology.slots.moved(  # type: ignore[attr-defined]
        lost_nodes._slot(WELL), ("127.0.0.1", world.cluster.nodes[0].port)
    )
    assert world.lost.lost(AWAY, redis.exceptions.TryAgainError("TRYAGAIN"))
    assert world.lost.rest(AWAY) > 0
    assert world.lost.rest(WELL) == 0.0
    world.now += lost_nodes.REST
    assert world.lost.rest(AWAY) == 0.0  # without a question


@pytest.mark.parametrize("error", [BrokerAwayError("away"), redis.ResponseError("ERR a bug"), ValueError()])
def test_what_is_no_nodes_fault_is_left_to_the_caller(world: World, error: Exception) -> None:
    assert not world.lost.lost(AWAY, error)
    assert world.lost.rest(AWAY) == 0.0


def test_on_one_server_every_error_is_left_to_the_caller() -> None:
    lost = LostNodes(Mock(spec=redis.Redis), Mock())
    assert not lost.lost(AWAY, GONE)
    assert lost.rest(AWAY) == 0.0


def timers(world: World, wakes: Any) -> Timers:
    return Timers(world.context, Mock(), wakes, sweep=60.0, wake_lease=5.0)


def test_the_timers_of_accounts_go_on_while_the_node_of_others_is_away(world: World) -> None:
    made, schedule = timers(world, Mock()), world.context.schedule
    world.stores[AWAY].timers.run.side_effect = GONE
    world.stores[WELL].timers.run.return_value = Mock(changes=(), failures=(), next=60.0, newer=False)
    for task in (Task.RUN_TIMERS, Task.PLAN_WAKEUPS, Task.TIDY):
        schedule.add((task, AWAY))
    schedule.add((Task.RUN_TIMERS, WELL))
    for _ in range(4):
        made.run(world.loop)
    assert world.stores[WELL].timers.run.called
    assert world.stores[AWAY].timers.run.call_count == 1
    assert not world.stores[AWAY].timers.plan_wakeups.called  # nobody waited for the node again
    waiting = set(schedule._due)
    assert {(Task.RUN_TIMERS, AWAY), (Task.PLAN_WAKEUPS, AWAY), (Task.TIDY, AWAY)} <= waiting


def test_a_broker_that_is_away_makes_no_account_rest(world: World) -> None:
    wakes = Mock()
    wakes.submit.side_effect = GONE
    made = timers(world, wakes)
    world.stores[WELL].timers.plan_wakeups.return_value = Mock(wakes=[("token", 0.0)], next=None)
    world.context.schedule.add((Task.PLAN_WAKEUPS, WELL))
    with pytest.raises(redis.ConnectionError):
        made.run(world.loop)
    assert world.lost.rest(WELL) == 0.0


@pytest.fixture
def gauges(world: World, monkeypatch: pytest.MonkeyPatch) -> Gauges:
    made = Gauges(world.context)
    monkeypatch.setattr(made, "_server", Mock(read_processes=lambda: None))
    world.stores[AWAY].state.side_effect = GONE
    world.stores[WELL].state.return_value = Mock(now=0, idle=True)
    world.stores[WELL].streams.events_unread.return_value = 0
    world.context.streams.look.return_value = False  # type: ignore[attr-defined]
    world.context.metrics.labels.serves.return_value = False  # type: ignore[attr-defined]
    return made


def test_the_gauges_of_accounts_are_read_while_the_node_of_others_is_away(
    world: World, gauges: Gauges
) -> None:
    for _ in range(2):
        gauges.run(world.loop)
    assert world.stores[WELL].state.call_count == 2
    assert world.stores[AWAY].state.call_count == 1
    assert world.loop.trouble == ""


def test_the_gauges_say_so_if_every_node_is_away(world: World, gauges: Gauges) -> None:
    world.stores[WELL].state.side_effect = GONE
    with pytest.raises(redis.ConnectionError):
        gauges.run(world.loop)


def test_the_processes_are_unknown_for_a_while_if_the_node_is_away_that_has_their_heartbeats(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Mock(side_effect=GONE)
    monkeypatch.setattr(gauges_module, "look_at_processes", look)
    server = ServerGauges(world.context)
    assert [server.read_processes() for _ in range(2)] == [None, None]
    assert look.call_count == 1  # nobody waited for the node again
    server = ServerGauges(Mock(client=Mock(spec=redis.Redis)))
    with pytest.raises(redis.ConnectionError):
        server.read_processes()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts that were begun with; the node that is away refuses."""
    names: list[str] = []

    def init(stores: Sequence[Any], _beat: Callable[[], None]) -> None:
        for store in stores:
            store.init()
        names.extend(store.account for store in stores)

    monkeypatch.setattr(intake_threads, "init_accounts", init)
    return names


def test_intake_begins_with_accounts_while_the_node_of_others_is_away_and_with_these_later(
    world: World, begun: list[str]
) -> None:
    threads = IntakeThreads(
        *(world.context, Loops()),
        file_hosts=(),
        pdf_reader=Mock(return_value=Mock(longest=1.0)),
        takeover=60.0,
    )
    reader = Mock()
    register: Any = world.context.accounts.serve
    threads._reader = reader
    world.stores[AWAY].init.side_effect = GONE
    register.side_effect = GONE
    threads._follow(world.loop)
    assert begun == [WELL]
    assert list(reader.follow.call_args.args[0]) == [WELL]
    assert threads._unregistered == {AWAY, WELL}
    world.stores[AWAY].init.side_effect = register.side_effect = None
    world.back()
    threads._again_at = 0.0
    assert threads._is_due()
    threads._follow(world.loop)
    assert begun == [WELL, AWAY]
    assert set(reader.follow.call_args.args[0]) == {AWAY, WELL}
    assert not threads._unregistered
    threads._again_at = 0.0
    assert not threads._is_due()


def test_a_listener_follows_accounts_while_the_node_of_others_is_away(world: World) -> None:
    world.cluster.nodes[1].answer = lambda _: array(array(bulk("5-1"), array(bulk("a"), bulk("b"))))
    world.context.streams.is_ahead.return_value = False  # type: ignore[attr-defined]
    streams = StreamsOfAll()
    AccountListener(world.context, Mock())._follow(streams, world.loop)
    assert streams.last == {
        key: last
        for name, last in ((AWAY, "0-0"), (WELL, b"5-1"))
        for key in (RedisKeys(name).status, RedisKeys(name).doorbell, RedisKeys(name).orders)
    }


class Connections:
    """A pool whose connections are made when they may be."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may, self.tried, self.connection_kwargs = threading.Event(), 0, dict[str, Any]()
        self.error = error

    def connection_class(self) -> Any:
        return Mock(connect=self._connect)

    def _connect(self) -> None:
        self.tried += 1
        self.may.wait()
        if self.error is not None:
            raise self.error


def come(connector: Connector[str], count: int) -> list[tuple[str, bool]]:
    """What came of what was asked: for whom, and whether there is a connection."""
    found: list[tuple[str, bool]] = []
    while len(found) < count:
        assert select.select([connector.bell], [], [], 30.0)[0], "nothing came"
        found += [(who, connection is not None) for who, connection, _ in connector.made()]
    return found


def test_connections_to_a_node_are_made_while_another_one_hangs() -> None:
    hanging, well, connector = Connections(), Connections(), Connector[str]()
    well.may.set()
    connector.ask("a", "first", hanging)
    connector.ask("b", "second", well)
    connector.ask("c", "second", well)
    assert sorted(come(connector, 2)) == [("b", True), ("c", True)]
    hanging.may.set()
    assert come(connector, 1) == [("a", True)]
    connector.close()


def test_who_waits_for_a_node_that_could_not_be_reached_does_not_try_it_again() -> None:
    away, connector = Connections(GONE), Connector[str]()
    for name in ("a", "b", "c"):
        connector.ask(name, "node", away)
    away.may.set()
    assert sorted(come(connector, 3)) == [("a", False), ("b", False), ("c", False)]
    assert away.tried == 1
    connector.close()


def test_a_listener_that_connects_waits_for_nobody() -> None:
    hanging = Connections()
    context = Mock(client=Mock(connection_pool=hanging))
    listener = AccountListener(context, Mock())
    link = _Link("default", (), RedisKeys("default").intake)
    listener._links["default"], listener._connector = link, Connector()
    listener._connect(link)
    assert link.connection is None
    listener._links.clear()  # the account is gone before it is connected
    hanging.may.set()
    select.select([listener._connector.bell], [], [])
    listener._take_connections()
    assert link.connection is None
    listener._connector.close()


def test_settings_are_renewed_for_accounts_after_those_whose_node_is_away() -> None:
    stores: list[Any] = [Mock() for _ in range(AT_ONCE + 1)]
    stores[0].scripts.each.side_effect = GONE
    for store in stores:
        store.offer_arguments.return_value = (0.0, [])
    stores[-1].offer.return_value = ()
    with pytest.raises(redis.ConnectionError):
        SettingsPublisher(lambda: stores, "dispatcher me", Mock()).publish()
    assert stores[-1].offer.called
