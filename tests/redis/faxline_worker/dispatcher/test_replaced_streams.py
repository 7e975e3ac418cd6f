"""Streams whose ids somebody used up: noticed, replaced, and no entry of them lost or applied twice."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine, JobState, QueueUnavailable
from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline_local.redis_server import RedisServer
from faxline_worker.dispatcher.stream_watch import WRITERS, StreamWatch
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.receipts.reconciler import Reconciler
from faxline_worker.state import streams as streams_module
from faxline_worker.state.results import Registration
from faxline_worker.state.store import Store
from faxline_worker.state.streams import Replaced
from faxline_worker.wakeups.actors import Wakes
from faxline_worker.wakeups.broker import WakeBroker
from tests.stage.daemon import (
    dispatcher_metrics,
    make_dispatcher,
    make_intake,
    usual_settings,
    worker_metrics,
)
from tests.stage.intake import create_group, read_intake

pytestmark = pytest.mark.slow

MOST = 2**64 - 1
DAY = 86_400_000
KEYS = RedisKeys("default")
STREAMS = {"intake": KEYS.intake, "status": KEYS.status, "orders": KEYS.orders}
URL = "https://example.com/a.pdf"
NOTHING = Replaced(None, 0, left=False)


def now_of(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds * 1000 + micros // 1000)


def use_up(client: redis.Redis, stream: str, how: str = "the last id") -> None:
    """What somebody does who may XADD."""
    at = now_of(client)
    words: dict[str, tuple[Any, ...]] = {
        "the last id": (f"{MOST}-{MOST}",),
        "almost the last": (f"{MOST}-{MOST - 3}",),
        "a year ahead": (f"{at + 365 * DAY}-0",),
        "the last id, trimmed at once": ("MAXLEN", "0", f"{MOST}-{MOST}"),
    }
    client.execute_command("XADD", stream, *words[how], "x", "poison")  # type: ignore[no-untyped-call]


HOW = ("the last id", "almost the last", "a year ahead", "the last id, trimmed at once")
QUICK = [HOW[0], *(pytest.param(how, marks=pytest.mark.slow) for how in HOW[1:])]


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    made = Store(redis_client, usual_settings(), "default")
    create_group(made)
    return made


def contents(client: redis.Redis, stream: str) -> list[str]:
    found: Any = client.xrange(stream)
    return [fields.get(b"x", b"").decode() for _, fields in found]


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("how", HOW)
def test_a_stream_whose_ids_are_used_up_is_replaced_with_all_that_it_held(
    redis_client: redis.Redis, store: Store, name: str, how: str
) -> None:
    stream = STREAMS[name]
    before = [redis_client.xadd(stream, {"x": f"before-{i}"}) for i in range(3)]
    assert store.streams.check().replace == ()
    use_up(redis_client, stream, how)
    after = []
    if how in {"almost the last", "a year ahead"}:
        after = [redis_client.xadd(stream, {"x": f"after-{i}"}) and f"after-{i}" for i in range(2)]
    trimmed = "trimmed" in how
    kept = [] if trimmed else [*(f"before-{i}" for i in range(3)), "poison", *after]
    assert store.streams.check().replace == (name,)

    done = store.streams.replace(name)
    assert done.replaced is not None
    assert (done.moved, done.left) == (len(kept), False)
    assert contents(redis_client, stream) == kept
    found: Any = redis_client.xrange(stream)
    if not trimmed and name != "intake":
        assert [entry for entry, _ in found[:3]] == before  # whoever waits for one knows it by its id
    redis_client.xadd(stream, {"x": "new"})
    newest: Any = redis_client.xrevrange(stream, count=1)
    assert int(newest[0][0].partition(b"-")[0]) <= now_of(redis_client)
    assert store.streams.check().replace == ()
    assert store.streams.replace(name) == NOTHING
    assert not list(redis_client.scan_iter("*aside*"))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_as_it_should_be_is_never_replaced(
    redis_client: redis.Redis, store: Store, name: str
) -> None:
    assert store.streams.replace(name) == NOTHING
    redis_client.xadd(STREAMS[name], {"x": "a"})
    redis_client.xadd(STREAMS[name], {"x": "b"}, id=f"{now_of(redis_client) + DAY // 2}-0")
    assert store.streams.check().replace == ()
    assert store.streams.replace(name) == NOTHING
    assert contents(redis_client, STREAMS[name]) == ["a", "b"]


def test_a_long_stream_is_moved_in_pieces_and_takes_new_entries_meanwhile(
    redis_client: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "MOVED", 10)
    for i in range(34):
        redis_client.xadd(KEYS.intake, {"x": str(i)})
    use_up(redis_client, KEYS.intake)
    moved: list[Replaced] = []
    while not moved or moved[-1].left:
        moved.append(store.streams.replace("intake"))
        redis_client.xadd(KEYS.intake, {"x": "new"})
    assert [each.moved for each in moved] == [10, 10, 10, 5]
    assert sum(each.replaced is not None for each in moved) == 1
    found = contents(redis_client, KEYS.intake)
    assert [x for x in found if x != "new"] == [*map(str, range(34)), "poison"]
    assert found.count("new") == 4


def test_large_entries_are_moved_a_few_at_a_time(
    redis_client: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "MOVED_BYTES", 1000)
    for _ in range(5):
        redis_client.xadd(KEYS.intake, {"x": "." * 600})
    use_up(redis_client, KEYS.intake)
    assert store.streams.replace("intake").moved == 2


def test_who_does_it_again_and_again_gains_nothing(
    redis_client: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "MOVED", 2)
    for turn in range(4):
        for i in range(5):
            redis_client.xadd(KEYS.intake, {"x": f"{turn}-{i}"})
        use_up(redis_client, KEYS.intake)
        assert store.streams.replace("intake").replaced is not None
    while store.streams.replace("intake").left:
        pass
    found = contents(redis_client, KEYS.intake)
    assert sorted(x for x in found if x != "poison") == sorted(f"{t}-{i}" for t in range(4) for i in range(5))
    assert found.count("poison") == 4
    assert not list(redis_client.scan_iter("*aside*"))


def test_an_entry_with_more_fields_than_a_script_can_pass_on_stops_nobody(
    redis_client: redis.Redis, store: Store
) -> None:
    fields: Any = {f"f{i}": "v" for i in range(10_000)}
    redis_client.xadd(KEYS.intake, fields, id=f"{MOST}-{MOST}")
    assert store.streams.replace("intake").moved == 1
    found: Any = redis_client.xrange(KEYS.intake)
    ((_, kept),) = found
    assert 1 < len(kept) < 100  # enough to see that it is no entry of ours


@pytest.mark.parametrize("name", ["intake", "status"])
def test_an_entry_with_that_many_fields_is_set_aside_like_any_other(
    redis_client: redis.Redis, store: Store, name: str
) -> None:
    fields: Any = {f"f{i}": "v" for i in range(10_000)}
    entry: Any = redis_client.xadd(STREAMS[name], fields)
    if name == "status":
        metrics = worker_metrics()
        Reconciler(store, Mock(), metrics, Mock()).turn()
    else:
        assert store.streams.set_aside(name, entry.decode(), "KeyError")
    assert redis_client.xlen(STREAMS[name]) == 0
    assert redis_client.xlen(KEYS.dead) == 1


def test_entries_that_a_dispatcher_works_on_are_taken_once_by_whoever_reads_them_again(
    redis_client: redis.Redis, redis_url: str, store: Store
) -> None:
    with FaxLine(redis_url) as line:
        for i in range(3):
            line.send(to="+12025550123", files=[URL], id=f"a{i}")
        in_work = read_intake(redis_client, store, "one")
        use_up(redis_client, KEYS.intake)
        line_late = read_intake(redis_client, store, "one")
        store.streams.replace("intake")
        make_intake(store).take(in_work)  # the other dispatcher goes on, and finds them gone
        assert [event.name for event in line.events(after="0", timeout=0.1)] == []
        make_intake(store).take(read_intake(redis_client, store, "two"))
        make_intake(store).take([*in_work, *line_late])
        names = [(event.name, event.job) for event in line.events(after="0", timeout=0.1)]
        assert names == [*(("fax.queued", f"a{i}") for i in range(3)), ("fax.rejected", "")]
        assert redis_client.xlen(KEYS.intake) == 0
        assert redis_client.xpending(KEYS.intake, INTAKE_GROUP)["pending"] == 0


def test_a_receipt_that_a_worker_works_on_is_applied_once(redis_client: redis.Redis, store: Store) -> None:
    body = {"jobId": 7, "faxStatus": "delivered", "faxTotalPages": 1, "faxTransferredPages": 1}
    redis_client.xadd(KEYS.status, {"body": json.dumps(body), "kind": "receipt"})
    in_work = store.receipts.read(10)
    use_up(redis_client, KEYS.status)
    store.streams.replace("status")
    receipt = {"job_id": "7", "outcome": "delivered"}
    metrics = worker_metrics()
    assert [store.receipts.apply([(entry, receipt)])[0].result for entry, _ in in_work] == ["unmatched"]
    Reconciler(store, Mock(), metrics, Mock()).turn()
    assert redis_client.zrange(KEYS.unmatched, 0, -1) == [b"7"]
    assert redis_client.xlen(KEYS.status) == 0
    assert redis_client.xlen(KEYS.dead) == 1  # the poison, for a look


def test_an_order_that_waits_is_answered_to_the_one_who_gave_it(
    redis_client: redis.Redis, store: Store
) -> None:
    given: Any = redis_client.xadd(KEYS.orders, {"order": "pause", "by": "me"})
    use_up(redis_client, KEYS.orders)
    store.streams.replace("orders")
    ((entry, _), (poison, _)) = store.orders.read()
    assert entry == given.decode()
    assert store.orders.pause_or_resume(entry, "pause", "me") == "done"
    assert store.orders.pause_or_resume(poison, "", "") == "unknown"
    assert redis_client.xlen(KEYS.reply(given.decode())) == 1


def aside(client: redis.Redis, store: Store, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream was put aside, and nothing of it is moved yet."""
    use_up(client, STREAMS[name])
    with monkeypatch.context() as patch:
        patch.setattr(streams_module, "MOVED", 0)
        assert store.streams.replace(name).left


def test_a_cancellation_does_not_overtake_the_fax_that_is_moved(
    redis_client: redis.Redis, redis_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaxLine(redis_url) as line:
        line.send(to="+12025550123", files=[URL], id="a")
        aside(redis_client, store, "intake", monkeypatch)
        line.cancel("a")
        ((entry, _),) = read_intake(redis_client, store, "one")
        assert store.intake.cancel(entry, "a") is Registration.EARLY
        store.streams.replace("intake")
        make_intake(store).take(read_intake(redis_client, store, "one"))
        assert store.intake.cancel(entry, "a") is Registration.CANCELED
        assert line.job("a").state is JobState.CANCELED


def test_a_document_that_an_entry_aside_may_name_is_kept(
    redis_client: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.documents.store("sha256:ab", b"bytes")
    redis_client.zadd(KEYS.released, {"ab": 1})
    aside(redis_client, store, "intake", monkeypatch)
    assert store.maintenance.tidy() == 0
    store.streams.replace("intake")
    make_intake(store).take(read_intake(redis_client, store, "one"))
    assert store.maintenance.tidy() == 1


def test_a_doubts_policy_waits_for_receipts_that_are_moved(
    redis_client: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside(redis_client, store, "status", monkeypatch)
    redis_client.hset(KEYS.job("a"), mapping={"state": "in_doubt", "n": 1, "tries": 1, "in_doubt": "fail"})
    redis_client.zadd(KEYS.in_doubt, {"a": 1})
    store.timers.run()
    assert redis_client.hget(KEYS.job("a"), "state") == b"in_doubt"
    store.streams.replace("status")
    redis_client.xtrim(KEYS.status, maxlen=0)  # they are read
    store.timers.run()
    assert redis_client.hget(KEYS.job("a"), "state") == b"failed"


def test_the_audit_and_the_account_tell_of_it(
    redis_client: redis.Redis, redis_url: str, store: Store
) -> None:
    use_up(redis_client, KEYS.status)
    store.streams.replace("status")
    with FaxLine(redis_url) as line:
        (entry,) = line.audit()
        assert (entry.what, entry.about) == ("replace", "status")
        replaced = line.account_state().replaced
        assert abs(replaced["status"] - now_of(redis_client)) < 60_000


@pytest.fixture
def admin(guarded: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(guarded.url(0)) as client:
        client.flushall()
        yield client


@contextmanager
def dispatching(server: RedisServer, count: int) -> Iterator[list[DispatcherMetrics]]:
    """Dispatchers in this process, each as its user; their metrics."""
    metrics = []
    with ExitStack() as stack:
        for i in range(count):
            client = stack.enter_context(redis.Redis.from_url(server.url(0, "dispatcher"), protocol=2))
            broker = WakeBroker(redis.Redis.from_url(server.url(1, "dispatcher"), protocol=2), [])
            stack.callback(broker.close)
            metrics.append(dispatcher_metrics())
            settings = usual_settings()
            dispatcher = make_dispatcher(
                client,
                {"default": Store(client, settings, "default")},
                wakes=Wakes(broker),
                metrics=metrics[-1],
                consumer=f"test-{i}",
                sweep=0.5,
                wake_lease=0.5,
            )
            dispatcher.start()
            stack.callback(dispatcher.stop)
        yield metrics


def pushed(line: FaxLine, job: str) -> None:
    """Push as a producer does who tries again."""
    give_up = time.monotonic() + 30
    while True:
        try:
            line.send(to="+12025550123", files=[URL], id=job)
        except QueueUnavailable as error:
            if (
                "replaces the stream within seconds: push again" not in str(error)
                or time.monotonic() > give_up
            ):
                raise
            threading.Event().wait(0.05)
        else:
            return


def push_some(line: FaxLine, producer: int) -> None:
    for i in range(20):
        pushed(line, f"{producer}-{i}")


@pytest.mark.parametrize("user", ["producer", pytest.param("operator", marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", QUICK)
def test_producers_go_on_within_seconds_and_each_fax_is_taken_once(
    guarded: RedisServer, admin: redis.Redis, wait_until: Callable[..., Any], user: str, how: str
) -> None:
    with (
        dispatching(guarded, 2) as metrics,
        FaxLine(guarded.url(0, "producer")) as line,
        redis.Redis.from_url(guarded.url(0, user), protocol=2) as hostile,
    ):
        pushed(line, "first")
        wait_until(lambda: admin.exists(KEYS.job("first")))
        if "trimmed" in how:  # what waits is lost by MAXLEN, which an ACL cannot forbid
            wait_until(lambda: not admin.xlen(KEYS.intake))
            use_up(hostile, KEYS.intake, how)
        producers = [threading.Thread(target=push_some, args=(line, n)) for n in range(3)]
        for thread in producers:
            thread.start()
        if "trimmed" not in how:
            use_up(hostile, KEYS.intake, how)
        for thread in producers:
            thread.join()
        pushed(line, "last")
        jobs = ["first", "last", *(f"{n}-{i}" for n in range(3) for i in range(20))]
        wait_until(lambda: admin.zcard(KEYS.ready) == len(jobs))
        wait_until(lambda: sum(replaced(each, "intake") for each in metrics) == 1)
        events = [event.job for event in line.events(after="0", timeout=0.1) if event.name == "fax.queued"]
        assert sorted(events) == sorted(jobs)
        assert admin.xlen(KEYS.intake) == 0


def replaced(metrics: DispatcherMetrics, stream: str) -> float:
    return float(metrics._replaced.labels("default", stream)._value.get())


@pytest.mark.parametrize("how", QUICK)
def test_a_webhook_goes_on_within_seconds_and_what_comes_is_heard_of(
    guarded: RedisServer, admin: redis.Redis, wait_until: Callable[..., Any], how: str
) -> None:
    with (
        dispatching(guarded, 2) as metrics,
        redis.Redis.from_url(guarded.url(0, "webhook"), protocol=2) as webhook,
    ):
        use_up(webhook, KEYS.status, how)
        wait_until(lambda: sum(replaced(each, "status") for each in metrics) == 1)
        wait_until(lambda: admin.xlen(KEYS.status) == (0 if "trimmed" in how else 1))
        admin.delete(KEYS.status, KEYS.reconcile_wake)  # a worker has read it
        with redis.Redis.from_url(guarded.url(1)) as broker:
            broker.flushdb()
            webhook.xadd(KEYS.status, {"body": "{}", "kind": "receipt"})
            wait_until(lambda: broker.llen("wake-ups:faxline"))


@pytest.mark.parametrize("how", QUICK)
def test_an_operators_orders_are_carried_out_again_within_seconds(
    guarded: RedisServer, admin: redis.Redis, wait_until: Callable[..., Any], how: str
) -> None:
    with dispatching(guarded, 2) as metrics, FaxLine(guarded.url(0, "operator")) as line:
        use_up(line._client, KEYS.orders, how)
        wait_until(lambda: sum(replaced(each, "orders") for each in metrics) == 1)
        assert line.pause(by="me", timeout=30).paused == "operator"
        assert line.resume(by="me", timeout=30).paused == ""
        assert admin.xlen(KEYS.orders) == 0


def test_what_was_put_aside_by_a_dispatcher_that_died_is_moved_by_the_next(
    guarded: RedisServer, admin: redis.Redis, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaxLine(guarded.url(0, "producer")) as line:
        for i in range(5):
            line.send(to="+12025550123", files=[URL], id=f"a{i}")
        settings = usual_settings()
        aside(admin, Store(admin, settings, "default"), "intake", monkeypatch)
        with dispatching(guarded, 1):
            wait_until(lambda: admin.zcard(KEYS.ready) == 5)


def test_the_log_names_who_could_have_done_it(redis_client: redis.Redis, store: Store) -> None:
    log = Mock()
    watch = StreamWatch({"default": store}, dispatcher_metrics(), log)
    for name, stream in STREAMS.items():
        use_up(redis_client, stream)
        assert watch.look("default")
        logged = log.error.call_args.kwargs
        assert (logged["stream"], logged["users"]) == (name, WRITERS[name])
    assert not watch.look("default")


def test_how_much_waits_in_intake_and_since_when_is_told(redis_client: redis.Redis, store: Store) -> None:
    registry = new_registry()
    watch = StreamWatch({"default": store}, dispatcher_metrics(registry), Mock())

    def gauges() -> Sequence[float | None]:
        watch.look("default")
        names = ("fax_intake_entries", "fax_intake_oldest_age_seconds")
        return [registry.get_sample_value(name, {"account": "default"}) for name in names]

    assert gauges() == [0, 0]
    at = now_of(redis_client) - 90_000
    redis_client.xadd(KEYS.intake, {"send": "{}"}, id=f"{at}-0")
    redis_client.xadd(KEYS.intake, {"send": "{}"})
    for _ in range(2):  # unread by any, and then in somebody's hands
        entries, age = gauges()
        assert entries == 2
        assert age == pytest.approx(90, abs=30)
        read_intake(redis_client, store, "one")
    found: Any = redis_client.xrange(KEYS.intake)
    make_intake(store).take([(entry.decode(), fields) for entry, fields in found])
    assert gauges() == [0, 0]
