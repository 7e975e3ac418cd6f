"""What a dispatcher asks Redis for is bounded, however many accounts there are."""

import math
from collections import Counter
from unittest.mock import Mock

import pytest

from faxline_worker.dispatcher import gauges as gauges_module
from faxline_worker.dispatcher import intake_threads
from faxline_worker.dispatcher.context import BLOCK
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.dispatcher.intake_reader import SHORTEST, STREAMS, read_delay
from faxline_worker.dispatcher.intake_threads import EARLY
from faxline_worker.state.store import Store
from faxline_worker.state.streams import StreamCheck
from tests.stage.daemon import make_dispatcher

READINGS = 7


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few accounts are many then. Nobody is at work."""
    monkeypatch.setattr(gauges_module, "READINGS", READINGS)
    monkeypatch.setattr(gauges_module, "look_at_processes", lambda _: [])


def dispatcher_of(accounts: int) -> tuple[Dispatcher, Counter[str]]:
    """A dispatcher that waits for nothing, and how often it read the state of each account."""
    read: Counter[str] = Counter()
    stores = {}
    for i in range(accounts):
        name = f"a{i:04}"
        store = Mock(
            spec=Store,
            account=name,
            keys=Mock(),
            streams=Mock(),
            schema=Mock(),
            caller_id="",
            schedule="provider",
        )
        store.state.side_effect = lambda name=name: (
            read.update([name]) or Mock(now=0, jobs={}, oldest={}, waiting={}, backlog={}, shared_settings=())
        )
        store.streams.check.return_value = StreamCheck(now=0, entries=0)
        stores[name] = store
    dispatcher = make_dispatcher(Mock(), stores, metrics=Mock())
    dispatcher.context.stopping.set()
    dispatcher.gauges._server._next = math.inf
    return dispatcher, read


@pytest.mark.parametrize("accounts", [1, READINGS])
def test_each_reading_takes_the_gauges_of_all_accounts_while_they_are_few(accounts: int) -> None:
    dispatcher, read = dispatcher_of(accounts)
    dispatcher.gauges.run(Mock())
    dispatcher.gauges.run(Mock())
    assert len(read) == accounts
    assert set(read.values()) == {2}


def test_of_many_accounts_a_reading_takes_no_more_than_so_many_and_each_has_its_turn() -> None:
    dispatcher, read = dispatcher_of(2 * READINGS + 1)
    for reading in range(1, 4):
        dispatcher.gauges.run(Mock())
        assert read.total() == min(reading * READINGS, 2 * READINGS + 1)
    assert set(read.values()) == {1}
    dispatcher.gauges.run(Mock())
    assert read.total() == 3 * READINGS + 1
    assert read.most_common(1)[0] == ("a0000", 2)


def test_intake_is_read_on_while_thousands_of_accounts_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    monkeypatch.setattr(intake_threads, "SOME", 10)
    monkeypatch.setattr(intake_threads, "init_accounts", lambda stores, _: begun.append(len(stores)))
    dispatcher, _ = dispatcher_of(35)
    dispatcher.context.stopping.clear()
    served, intake = dispatcher.context.stores, dispatcher.intake
    names, reads = list(served), list[tuple[int, float]]()

    def read(block: float) -> None:
        reads.append((sum(begun), block))
        served.serve(names)
        if sum(begun) == len(names):
            dispatcher.context.stopping.set()

    monkeypatch.setattr(intake, "_reader", Mock(read=read))
    monkeypatch.setattr(intake, "_register", Mock())
    served.serve(names[:15])
    intake.read(Mock())  # the start: nobody's entries wait for it
    assert begun == [15, 10, 10]
    assert [count for count, _ in reads] == [15, 25, 35]
    assert [block for _, block in reads] == [BLOCK, EARLY, BLOCK]


def test_accounts_whose_node_is_away_hold_up_no_others_that_come_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(intake_threads, "SOME", 10)
    monkeypatch.setattr(
        intake_threads, "init_accounts", lambda stores, _: begun.extend(store.account for store in stores)
    )
    dispatcher, _ = dispatcher_of(35)
    served, intake = dispatcher.context.stores, dispatcher.intake
    names = list(served)
    monkeypatch.setattr(intake, "_reader", Mock())
    monkeypatch.setattr(intake, "_register", Mock())
    monkeypatch.setattr(dispatcher.context.lost, "rest", lambda name: 1.0 if name in names[5:25] else 0.0)
    served.serve(names[:5])
    intake._follow(Mock())
    served.serve(names)
    for _ in range(3):
        intake._follow(Mock())
    assert begun == [*names[:5], *names[25:]]
    assert not intake._is_due(), "the node is asked again in a while"


def test_without_accounts_there_is_nothing_to_read() -> None:
    dispatcher, read = dispatcher_of(0)
    dispatcher.gauges.run(Mock())
    assert not read


@pytest.mark.parametrize(
    ("streams", "passed", "held"),
    [
        (3, 0.0, 0.0),
        (STREAMS // 10, 0.0, 0.1),
        (STREAMS // 10, 0.06, 0.04),
        (STREAMS // 10, 0.2, 0.0),
        (STREAMS // 10, 0.1 - SHORTEST / 2, 0.0),
    ],
    ids=[
        "few are not",
        "many are",
        "the time of the read counts",
        "a read that waited is not",
        "a moment is no matter",
    ],
)
def test_a_read_of_many_streams_is_held_back_so_that_no_more_than_so_many_are_named_in_a_second(
    monkeypatch: pytest.MonkeyPatch, streams: int, passed: float, held: float
) -> None:
    monkeypatch.setattr("faxline_worker.dispatcher.intake_reader.time.monotonic", lambda: 1000.0 + passed)
    assert read_delay(1000.0, streams) == pytest.approx(held)


@pytest.mark.parametrize(("accounts", "by_itself"), [(2, False), (3, True), (5, True), (6, False)])
def test_each_account_has_a_connection_only_while_they_are_many_and_not_too_many(
    monkeypatch: pytest.MonkeyPatch, accounts: int, by_itself: bool
) -> None:
    monkeypatch.setattr("faxline_worker.dispatcher.dispatcher.MANY", 2)
    monkeypatch.setattr("faxline_worker.dispatcher.dispatcher.MOST", 5)
    dispatcher, _ = dispatcher_of(accounts)
    assert (dispatcher.context.bell is not None) == by_itself
