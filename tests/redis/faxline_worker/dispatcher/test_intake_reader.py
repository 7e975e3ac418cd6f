"""What a dispatcher reads at once is bounded; an entry whose readers come to no end is set aside unopened."""

import json
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline.contract.errors import Rejection
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher import leftovers
from faxline_worker.dispatcher.intake_reader import BATCH, FIRST, LARGE, IntakeReader
from faxline_worker.dispatcher.leftovers import AGAIN
from faxline_worker.intake.pdfs import Pdfs
from faxline_worker.intake.registrar import Intake
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.pulse import Loops
from faxline_worker.state.account_starts import AT_ONCE, init_accounts
from faxline_worker.state.intake_entries import MOST_TIMES, Entry, size_of
from faxline_worker.state.store import Store
from tests.stage.daemon import dispatcher_metrics, usual_settings
from tests.stage.intake import create_group

FAX = {"faxNumber": "+12025550123", "faxData": [{"fileName": "a", "fileUrl": "https://example.com/a"}]}
SIZE = 3_000_000
Taken = list[list[Entry]]


class KilledError(BaseException):
    """The end of a process, as far as a test can have it inside its own."""


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    settings = usual_settings(ACCOUNTS__ACME__TOKEN="u")
    made = Store(redis_client, settings, "default")
    create_group(made)
    return made


@pytest.fixture
def metrics() -> DispatcherMetrics:
    return dispatcher_metrics()


@pytest.fixture
def dispatcher(redis_client: redis.Redis, store: Store, metrics: DispatcherMetrics) -> Callable[..., Any]:
    """A reader of this name, whose entries are taken by `take` (by default as a dispatcher does)."""

    def make(name: str, take: Callable[[list[Entry]], object] | None = None, **more: Any) -> IntakeReader:
        intake: Any = Intake(store, metrics, Mock())
        if take is not None:
            intake = Mock(take=take, pdfs=Pdfs())
        options: dict[str, Any] = {"takeover": 0.0, "took": Mock(), "stopping": threading.Event()}
        options |= {"loop": Loops().add("intake")} | more
        return IntakeReader(
            *(redis_client, {"default": store}, {"default": intake}, metrics, Mock()),
            consumer=name,
            **options,
        )

    return make


def push(client: Any, store: Store, *jobs: str) -> list[str]:
    entries = [client.xadd(store.keys.intake, {"send": json.dumps({"id": job, "fax": FAX})}) for job in jobs]
    return [entry.decode() for entry in entries]


def times(client: Any, store: Store) -> dict[str, int]:
    """How often each entry without an end was given out."""
    found = client.xpending_range(store.keys.intake, INTAKE_GROUP, "-", "+", 1000)
    return {one["message_id"].decode(): one["times_delivered"] for one in found}


def acknowledging(store: Store, client: Any, taken: Taken) -> Callable[[list[Entry]], None]:
    def take(entries: list[Entry]) -> None:
        taken.append(entries)
        client.xack(store.keys.intake, INTAKE_GROUP, *[entry for entry, _ in entries])
        client.xdel(store.keys.intake, *[entry for entry, _ in entries])

    return take


def bytes_of(taken: Taken) -> list[int]:
    return [sum(size_of(fields) for _, fields in entries) for entries in taken]


@pytest.mark.parametrize("small", [0, 300], ids=["at once", "behind small ones"])
def test_large_entries_come_few_at_a_time_also_where_nothing_came_before_or_only_small_ones(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any], small: int
) -> None:
    taken: Taken = []
    reader = dispatcher("a", acknowledging(store, redis_client, taken))
    reader.begin()
    reader.read(0.01)  # nothing
    push(redis_client, store, *[f"small-{i}" for i in range(small)])
    for _ in range(20):
        redis_client.xadd(store.keys.intake, {"send": b"x" * SIZE})
    while redis_client.xlen(store.keys.intake):
        reader.read(0.01)
    assert sum(map(len, taken)) == small + 20
    assert max(bytes_of(taken)) <= LARGE + AGAIN * SIZE
    assert len(taken[0]) <= FIRST


def test_small_entries_come_by_hundreds(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any]
) -> None:
    taken: Taken = []
    reader = dispatcher("a", acknowledging(store, redis_client, taken))
    reader.begin()
    push(redis_client, store, *[f"j-{i}" for i in range(2 * BATCH)])
    while redis_client.xlen(store.keys.intake):
        reader.read(0.01)
    assert max(map(len, taken)) == BATCH
    assert len(taken) <= 2 * 3
    ids = [entry for entries in taken for entry, _ in entries]
    assert ids == sorted(ids, key=lambda entry: tuple(map(int, entry.split("-")))), "in their order"


def test_of_several_accounts_each_is_read_though_one_has_much_that_waits(
    store: Store, redis_client: Any, metrics: DispatcherMetrics
) -> None:
    settings = usual_settings(ACCOUNTS__ACME__TOKEN="u")
    stores = {"default": store, "acme": Store(redis_client, settings, "acme")}
    create_group(stores["acme"])
    order: list[str] = []

    def taking(name: str) -> Any:
        return Mock(take=lambda _: order.append(name), pdfs=Pdfs())

    reader = IntakeReader(
        *(redis_client, stores, {name: taking(name) for name in stores}, metrics, Mock()),
        consumer="a",
        takeover=60,
        took=Mock(),
        stopping=threading.Event(),
        loop=Loops().add("intake"),
    )
    reader.begin()
    push(redis_client, store, *[f"j-{i}" for i in range(3 * BATCH)])
    reader.read(0.01)
    push(redis_client, stores["acme"], "one")
    reader.read(0.01)
    assert "acme" in order


def test_what_was_left_is_taken_over_few_at_a_time_and_what_was_left_twice_alone(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any]
) -> None:
    push(redis_client, store, *[f"j-{i}" for i in range(9)])
    redis_client.xreadgroup(INTAKE_GROUP, "dead", {store.keys.intake: ">"})
    taken: Taken = []
    dispatcher("b", taken.append).read(0.01)
    assert [len(entries) for entries in taken] == [AGAIN, AGAIN, 1]
    assert set(times(redis_client, store).values()) == {2}
    taken.clear()
    dispatcher("c", taken.append).read(0.01)
    assert [len(entries) for entries in taken] == [1] * 9
    assert set(times(redis_client, store).values()) == {3}


def test_an_account_that_is_read_no_more_before_its_turn_to_be_looked_at_costs_no_other(
    redis_client: Any, metrics: DispatcherMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings({"FAXLINE_ACCOUNTS": "default," + ",".join(f"a{i:03}" for i in range(AT_ONCE))})
    stores = {name: Store(redis_client, settings, name) for name in settings.accounts}
    first, *_, last = stores
    init_accounts(list(stores.values()), Mock())
    for name in (first, last):
        push(redis_client, stores[name], "one")
        redis_client.xreadgroup(INTAKE_GROUP, "dead", {stores[name].keys.intake: ">"})
    taken: Taken = []
    reader = IntakeReader(
        *(
            redis_client,
            stores,
            {name: Mock(take=taken.append, pdfs=Pdfs()) for name in stores},
            metrics,
            Mock(),
        ),
        consumer="a",
        takeover=0.0,
        took=Mock(),
        stopping=threading.Event(),
        loop=Loops().add("intake"),
    )
    reader.begin()
    monkeypatch.setattr(leftovers, "LONGEST_LOOK", 0.0)  # so that a read looks at the first accounts only
    reader.read(0.01)
    assert len(taken) == 1
    reader.follow({name: own for name, own in stores.items() if name != last})
    reader.read(0.01)
    assert len(taken) == 1
    assert not reader._leftovers._to_look


def lives_and_deaths(
    store: Store, dispatcher: Callable[..., Any], metrics: DispatcherMetrics, bad: bytes
) -> list[list[str]]:
    """Dispatchers read until one lives; of each the entries that it was given until its end."""
    rejected: list[list[str]] = []
    for life in range(MOST_TIMES + 3):
        given: list[str] = []
        rejected.append(given)
        intake = Intake(store, metrics, Mock())

        def take(entries: list[Entry], given: list[str] = given, intake: Intake = intake) -> None:
            given.extend(entry for entry, _ in entries)
            for i, (_, fields) in enumerate(entries):
                if any(bad in value for value in fields.values()):
                    intake.take(entries[:i])
                    raise KilledError
            intake.take(entries)

        reader = dispatcher(f"life-{life}", take)
        try:
            reader.begin()
            reader.read(0.01)
            reader.read(0.01)
        except KilledError:
            continue
        break
    return rejected


def test_an_entry_that_ends_every_reader_is_set_aside_unopened_and_the_good_ones_beside_it_go_on(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any], metrics: DispatcherMetrics
) -> None:
    good = [f"good-{i}" for i in range(30)]
    push(redis_client, store, *good[:15])
    (bad,) = push(redis_client, store, "bad")
    push(redis_client, store, *good[15:])
    lives = lives_and_deaths(store, dispatcher, metrics, b'"bad"')
    given = [entry for life in lives for entry in life]
    assert given.count(bad) == MOST_TIMES + 1
    assert bad not in lives[-1], "the last one never had it"
    assert redis_client.zcard(store.keys.ready) == len(good)
    assert redis_client.xlen(store.keys.intake) == 0
    rejected = [
        json.loads(fields[b"data"]) | {"job": fields[b"job"].decode()}
        for _, fields in redis_client.xrange(store.keys.events)
        if fields[b"event"] == b"fax.rejected"
    ]
    assert [(one["job"], one["entry"], one["reason"]) for one in rejected] == [
        ("", bad, Rejection.DELIVERED_TOO_OFTEN)
    ]
    (kept,) = redis_client.xrange(store.keys.dead)
    assert [kept[1][name].decode() for name in (b"stream", b"entry", b"why")] == [
        *("intake", bad, Rejection.DELIVERED_TOO_OFTEN)
    ]
    labels = ("default", "intake", "", str(Rejection.DELIVERED_TOO_OFTEN))
    assert metrics._failures.labels(*labels)._value.get() == 1
    assert not redis_client.exists(store.keys.read_alone(bad))


def test_what_was_set_aside_unopened_can_be_put_back_and_is_a_new_entry(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any], metrics: DispatcherMetrics
) -> None:
    push(redis_client, store, "bad")
    lives_and_deaths(store, dispatcher, metrics, b'"bad"')
    ((dead, _),) = redis_client.xrange(store.keys.dead)
    order = redis_client.xadd(store.keys.orders, {"order": "redrive"}).decode()
    assert store.orders.redrive(order, dead.decode()) == "done"
    reader = dispatcher("mended")
    reader.begin()
    reader.read(0.01)
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"bad"]


def test_of_an_entry_that_ends_its_readers_while_it_is_read_nothing_is_kept_but_the_event(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bad,) = push(redis_client, store, "bad")
    redis_client.xreadgroup(INTAKE_GROUP, "dead", {store.keys.intake: ">"})
    real = redis_client.xclaim

    def claim(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        raise KilledError

    monkeypatch.setattr(redis_client, "xclaim", claim)
    for life in range(MOST_TIMES):
        with pytest.raises(KilledError):
            dispatcher(f"life-{life}").read(0.01)
    assert times(redis_client, store) == {bad: MOST_TIMES + 1}
    dispatcher("last").read(0.01)
    events = [json.loads(fields[b"data"])["entry"] for _, fields in redis_client.xrange(store.keys.events)]
    assert events == [bad]
    assert redis_client.xlen(store.keys.dead) == 0


def test_a_count_that_an_older_dispatcher_drove_up_costs_no_fax(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any]
) -> None:
    push(redis_client, store, "good")
    redis_client.xreadgroup(INTAKE_GROUP, "older", {store.keys.intake: ">"})
    for _ in range(20):  # it read again what it could not register, and each time counted
        redis_client.xreadgroup(INTAKE_GROUP, "older", {store.keys.intake: "0"})
    dispatcher("newer").read(0.01)
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"good"]


def test_a_redis_that_serves_nobody_for_long_costs_no_fax_of_a_dispatcher_that_lives(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any]
) -> None:
    push(redis_client, store, *[f"j-{i}" for i in range(5)])
    away = Mock(side_effect=redis.ConnectionError)
    reader = dispatcher("a", away)
    with pytest.raises(redis.ConnectionError):
        reader.read(0.01)
    for _ in range(3 * MOST_TIMES):
        with pytest.raises(redis.ConnectionError):
            reader.begin()
        with pytest.raises(redis.ConnectionError):
            reader.read(0.01)
    assert set(times(redis_client, store).values()) == {1}
    assert away.call_count > MOST_TIMES


def test_a_cancellation_that_waits_for_an_older_entry_stays_with_the_dispatcher_that_has_it(
    store: Store, redis_client: Any, wait_until: Callable[..., Any]
) -> None:
    push(redis_client, store, "a")
    redis_client.xreadgroup(INTAKE_GROUP, "slow", {store.keys.intake: ">"})
    cancel = redis_client.xadd(store.keys.intake, {"cancel": '{"id":"a"}'}).decode()
    redis_client.xreadgroup(INTAKE_GROUP, "quick", {store.keys.intake: ">"})

    def idle() -> int:
        found = redis_client.xpending_range(store.keys.intake, INTAKE_GROUP, cancel, cancel, 1)
        assert (found[0]["consumer"], found[0]["times_delivered"]) == (b"quick", 1)
        return int(found[0]["time_since_delivered"])

    wait_until(lambda: idle() > 50)
    assert store.intake.cancel(cancel, "a") == "early"
    assert idle() < 50


def test_an_entry_above_the_ceiling_is_rejected_without_a_look_at_its_content(
    store: Store, redis_client: Any, dispatcher: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline.contract.entry_reader.ENTRY_BYTES", 1000)
    monkeypatch.setattr("faxline.contract.entry_reader._DECODER", None)
    monkeypatch.setattr("faxline.contract.entry_reader.json", Mock(loads=Mock(side_effect=AssertionError)))
    large = json.dumps({"id": "large", "fax": FAX | {"subject": "x" * 1000}})
    entry = redis_client.xadd(store.keys.intake, {"send": large}).decode()
    reader = dispatcher("a")
    reader.begin()
    reader.read(0.01)
    ((_, fields),) = redis_client.xrange(store.keys.events)
    data = json.loads(fields[b"data"])
    assert (fields[b"job"], data["reason"], data["entry"]) == (b"", "too_large", entry)
    assert redis_client.xlen(store.keys.intake) == 0


def test_requests_that_are_long_are_registered_few_at_a_time(
    store: Store, redis_client: Any, metrics: DispatcherMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = [f"{i}" * 10_000 for i in range(9)]
    texts = [json.dumps({"id": f"j-{i}", "fax": FAX | {"subject": s}}) for i, s in enumerate(subjects)]
    monkeypatch.setattr("faxline_worker.intake.registrar.BYTES_AT_ONCE", 30_000)
    register = Mock(side_effect=store.intake.register)
    monkeypatch.setattr(store.intake, "register", register)
    for text in texts:
        redis_client.xadd(store.keys.intake, {"send": text})
    found = redis_client.xreadgroup(INTAKE_GROUP, "a", {store.keys.intake: ">"})
    Intake(store, metrics, Mock()).take([(entry.decode(), fields) for entry, fields in found[0][1]])
    assert [len(call.args[0]) for call in register.call_args_list] == [3, 3, 3]
    assert redis_client.zcard(store.keys.ready) == 9
