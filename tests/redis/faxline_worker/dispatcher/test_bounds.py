"""No script holds Redis up: each takes a piece, and what is left follows. What it decides stays the same."""

import threading
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.dispatcher.long_orders import LongOrderQueue
from faxline_worker.dispatcher.schedule import Task
from faxline_worker.state.orders import ORDERS_AT_ONCE
from faxline_worker.state.results import Admitted, Polled, WakePlan
from faxline_worker.state.store import Store
from faxline_worker.state.timers import DUE
from tests.stage.daemon import make_dispatcher
from tests.stage.scene import CLOCK, NUMBER, Scene, settings
from tests.stage.states import JOB, JOB_ID, LEASE, RETRY, WAIT, Actors, put

OTHER = "+12025550199"
FIRST_MATCH = LEASE + 1
"""Seconds after which a receipt that no answer claimed is held against the doubts."""
Make = Callable[..., Scene]


@pytest.fixture
def make(redis_client: redis.Redis) -> Make:
    return lambda **changes: Scene(redis_client, **{"IN_DOUBT__THEN": "resend", **changes})


def doubt(scene: Scene, job: str = JOB, **fields: Any) -> Actors:
    """A job in doubt."""
    actors = Actors(scene)
    scene.push(job, **fields)
    actors.admit()
    actors.mark()
    actors.settle("in_doubt")
    return actors


def unmatched(scene: Scene, count: int, to: str = OTHER, **more: Any) -> None:
    """Receipts whose jobId nobody knows."""
    for i in range(count):
        scene.receipt(str(1000 + i), to=to, **more)


def untried(scene: Scene, number: str = NUMBER) -> set[str]:
    found: Any = scene.client.smembers(scene.keys.untried(number))
    return {job_id.decode() for job_id in found}


def test_a_policy_waits_for_a_receipt_of_its_recipient_however_many_others_stand_before_it(
    make: Make,
) -> None:
    scene = make()
    doubt(scene)
    scene.go(WAIT - 2)
    others = {str(2000 + i): scene.now - 1 for i in range(1500)}
    scene.client.zadd(scene.keys.unmatched, others)  # older ones, which were tried before
    scene.receipt("99", to=NUMBER)
    scene.go(3)
    assert not scene.store.timers.run().changes
    assert scene.state(JOB) == "in_doubt"
    scene.go(FIRST_MATCH)
    while scene.client.zscore(scene.keys.unmatched, "99") is not None:
        scene.store.receipts.match()
    assert scene.state(JOB) == "delivered"


def test_a_policy_is_applied_once_the_receipts_of_its_recipient_met_no_doubt(make: Make) -> None:
    scene = make()
    doubt(scene, known_pages="3")
    scene.go(WAIT - FIRST_MATCH + 1)
    scene.receipt("99", to=NUMBER, pages=9)
    scene.go(FIRST_MATCH - 0.5)
    assert not scene.store.timers.run().changes
    scene.go(0.5)
    assert scene.store.receipts.match() == []
    assert untried(scene) == set()
    assert [change.event for change in scene.store.timers.run().changes] == ["fax.retrying"]


@pytest.mark.parametrize("to", [OTHER, None])
def test_a_policy_waits_for_no_receipt_of_another_recipient(make: Make, to: str | None) -> None:
    scene = make()
    doubt(scene)
    scene.go(WAIT - 1)
    scene.receipt("99", to=to) if to else scene.receipt("99")
    scene.go(1)
    assert [change.event for change in scene.store.timers.run().changes] == ["fax.retrying"]


def test_a_policy_waits_for_a_receipt_that_an_older_process_took(make: Make) -> None:
    scene = make()
    doubt(scene)
    scene.go(WAIT - 1)
    scene.receipt("99", to=NUMBER)
    scene.client.delete(scene.keys.untried(NUMBER))
    scene.go(1)
    assert not scene.store.timers.run().changes


def test_what_an_older_process_tried_or_nobody_did_in_its_time_holds_no_policy_back(make: Make) -> None:
    scene = make()
    doubt(scene)
    scene.go(WAIT - 1)
    for job_id in ("97", "98", "99"):
        scene.receipt(job_id, to=NUMBER)
    scene.client.zadd(scene.keys.unmatched, {"97": scene.now + 10**6})  # tried, and to be tried again
    scene.client.zrem(scene.keys.unmatched, "98")  # it met a doubt
    scene.client.delete(scene.keys.job_ids + "99")  # its time to live is over
    scene.go(1)
    assert [change.event for change in scene.store.timers.run().changes] == ["fax.retrying"]
    assert untried(scene) == set()


def test_a_receipt_that_is_claimed_leaves_its_recipient(make: Make) -> None:
    scene = make()
    scene.push(JOB)
    admitted = scene.call()
    scene.receipt(JOB_ID, to=NUMBER)
    assert untried(scene) == {JOB_ID}
    scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": JOB_ID})
    assert untried(scene) == set()


def test_a_receipt_of_a_duplicate_leaves_its_recipient(make: Make) -> None:
    actors = put(make(), "submitting again")
    scene = actors.scene
    scene.receipt(JOB_ID, to=NUMBER)
    scene.store.submission.settle(actors.older, {"decision": "accepted", "job_id": JOB_ID})
    assert untried(scene) == set()
    assert scene.record(JOB)["also"] == JOB_ID


def test_the_receipts_of_a_recipient_are_kept_no_longer_than_their_texts(make: Make) -> None:
    scene = make()
    scene.receipt("99", to=NUMBER)
    lives: Any = scene.client.pttl(scene.keys.untried(NUMBER))
    assert 0 < lives <= scene.client.pttl(scene.keys.job_ids + "99") + 1000


def test_a_run_of_the_timers_moves_a_piece_of_each_kind_and_is_to_be_called_again_at_once(make: Make) -> None:
    scene = make(LIMITS__REQUESTS="0", LIMITS__CONCURRENCY="0")
    for i in range(3 * DUE):
        scene.push(f"job-{i}")
        admitted = scene.admit()
        scene.store.submission.settle(admitted, {"decision": "retry", "retry": round(RETRY * 1000)})
    scene.push("lost")
    scene.admit()
    scene.go(LEASE)
    run = scene.store.timers.run()
    assert scene.state("lost") == "queued"  # it waits behind none of another kind
    assert run.next <= 0.001
    assert scene.client.zcard(scene.keys.delayed) == 2 * DUE
    scene.store.timers.run()
    assert scene.store.timers.run().next > 0.5
    assert scene.client.zcard(scene.keys.delayed) == 0


def test_a_match_leaves_what_would_take_too_long_to_the_next_turn(make: Make) -> None:
    scene = make(LIMITS__REQUESTS="0", LIMITS__CONCURRENCY="0", IN_DOUBT__WAIT="10000")
    for i in range(300):
        doubt(scene, f"job-{i}", known_pages="3")
    unmatched(scene, 10, to=NUMBER, pages=9)
    scene.receipt("99", to=NUMBER)
    scene.go(FIRST_MATCH)
    turns = 1
    while not scene.store.receipts.match():
        turns += 1
    assert turns > 2
    assert scene.state("job-0") == "delivered"


def test_a_receipt_looks_only_at_doubts_of_its_time(make: Make) -> None:
    scene = make(LIMITS__REQUESTS="0", LIMITS__CONCURRENCY="0", IN_DOUBT__WAIT="10000")
    for i in range(300):
        doubt(scene, f"job-{i}", known_pages="3")
    scene.go(1000)
    doubt(scene, "last", known_pages="3")
    scene.receipt("99", to=NUMBER, started=scene.now // 1000)
    scene.client.config_resetstat()
    scene.go(FIRST_MATCH)
    assert [(met.result, met.job) for met in scene.store.receipts.match()] == [("resolved_doubt", "last")]
    stats: Any = scene.client.info("commandstats")
    assert stats["cmdstat_hmget"]["calls"] < 20


def dispatcher_of(stores: Mapping[str, Any]) -> Dispatcher:
    times: Any = {"takeover": 60.0, "sweep": 10.0, "wake_lease": 5.0}
    return make_dispatcher(Mock(), stores, metrics=Mock(), **times)


def test_two_accounts_with_many_questions_take_turns() -> None:
    turns: list[str] = []

    def store_of(name: str) -> Mock:
        def poll() -> Polled:
            turns.append(name)
            return Polled(asked=20, next=0.001)

        return Mock(timers=Mock(poll=poll, plan_wakeups=WakePlan))

    dispatcher = dispatcher_of({name: store_of(name) for name in ("a", "b")})
    for name in ("a", "b"):
        dispatcher.context.schedule.add((Task.POLL, name))
    while len(turns) < 40:
        dispatcher.timers.run(Mock())
    assert all({*turns[at : at + 3]} == {"a", "b"} for at in range(0, 36, 3))


def test_orders_are_read_in_pieces_and_none_is_left_behind(make: Make) -> None:
    scene = make()
    dispatcher = dispatcher_of({"default": scene.store})
    for _ in range(2 * ORDERS_AT_ONCE + 50):
        scene.client.xadd(scene.keys.orders, {"order": "keys"})  # they take their time, and stay meanwhile
    scene.ordered("pause")
    looks = 1
    while dispatcher.orders.carry_out("default") is not None:
        looks += 1
    assert looks == 3
    assert scene.store.state().paused == "operator"
    scene.ordered("resume")
    for _ in range(3):
        dispatcher.orders.carry_out("default")
    assert scene.store.state().paused == ""
    found = {dispatcher.long_orders.queue.take(0) for _ in range(2 * ORDERS_AT_ONCE + 50)}
    assert len(found) == 2 * ORDERS_AT_ONCE + 50
    assert dispatcher.long_orders.queue.take(0) is None


def test_an_order_that_another_dispatcher_has_carried_out_is_let_be(make: Make) -> None:
    scene = make()
    dispatcher = dispatcher_of({"default": scene.store})
    entry = scene.ordered("keys")
    dispatcher.orders.carry_out("default")
    scene.client.xdel(scene.keys.orders, entry)
    dispatcher.long_orders.run(Mock())
    assert dispatcher.long_orders.queue.take(0) is None


def test_chores_of_the_accounts_take_turns_and_one_that_rests_holds_up_no_other() -> None:
    queue = LongOrderQueue()
    for entry in ("1", "2", "3"):
        queue.add("a", entry)
        queue.add("a", entry)
    queue.add("b", "4")
    assert [queue.take(0) for _ in range(4)] == [("a", "1"), ("b", "4"), ("a", "2"), ("a", "3")]
    queue.later("a", "1", 60)
    assert queue.take(0) is None
    queue.add("b", "4")  # it is being carried out
    assert queue.take(0) is None
    queue.done("b", "4")
    queue.add("b", "4")
    assert queue.take(0) == ("b", "4")
    queue.later("a", "2", 0.01)
    assert queue.take(10) == ("a", "2")


def test_who_waits_for_a_chore_is_told_when_one_comes() -> None:
    queue = LongOrderQueue()
    found: list[Any] = []
    waits = threading.Thread(target=lambda: found.append(queue.take(60)))
    waits.start()
    queue.add("a", "1")
    waits.join()
    assert found == [("a", "1")]


def test_what_has_outlived_its_time_goes_in_pieces(make: Make) -> None:
    scene = make()
    names = [f"{i:064x}" for i in range(250)]
    for name in names:
        scene.client.set(scene.keys.document(name), b"bytes")
    scene.client.zadd(scene.keys.released, dict.fromkeys(names, scene.now))
    assert scene.store.maintenance.tidy(rounds=1) == 50
    assert scene.store.maintenance.tidy() == 200
    assert scene.client.zcard(scene.keys.released) == 0


def test_the_receipts_of_a_number_are_forgotten_among_many(make: Make) -> None:
    scene = make()
    unmatched(scene, 250)
    scene.receipt("99", to=NUMBER)
    scene.store.maintenance.forget_number(OTHER)
    assert scene.client.zrange(scene.keys.unmatched, 0, -1) == [b"99"]
    assert not scene.client.exists(scene.keys.untried(OTHER), scene.keys.job_ids + "1000")
    assert untried(scene) == {"99"}


def test_control_calls_among_the_delayed_are_no_jobs_that_a_dispatcher_counts(make: Make) -> None:
    scene = make(CEILINGS__JOBS="100")
    for i in range(5):
        scene.push(f"job-{i}", send_at=str(scene.now + 10**6), schedule="local")
    scene.client.zadd(scene.keys.delayed, {"!cancel!job-9": scene.now + 10**6})
    scene.client.hset(scene.keys.account_state, "taken", 77)
    scene.store.schema.init_account()
    scene.store.timers.run()
    assert scene.store.state().backlog["jobs"].used == 5


def test_entries_that_stand_far_apart_are_registered_among_many_that_others_work_on(make: Make) -> None:
    scene = make()
    first = scene.intake()
    for _ in range(300):
        scene.intake()
    last, gone = scene.intake(), scene.intake()
    scene.client.xack(scene.keys.intake, "dispatchers", gone)
    items = [scene.item(entry, f"job-{i}") for i, entry in enumerate((first, last, gone))]
    assert [str(result) for result, _ in scene.store.intake.register(items)] == [
        "registered",
        "registered",
        "gone",
    ]


def test_all_that_wait_for_a_line_follow_in_pieces_once_lines_are_turned_off(make: Make) -> None:
    scene = make(NUMBERS__CONCURRENT="1", LIMITS__REQUESTS="0", LIMITS__CONCURRENCY="0")
    for i in range(130):
        scene.push(f"job-{i}")
    scene.admit()
    scene.store.submission.admit(scene.permit(), "")
    scene.store.submission.admit(scene.permit(), "")
    assert scene.client.zcard(scene.keys.waiting) == 129
    changes = {"NUMBERS__CONCURRENT": "0", "LIMITS__REQUESTS": "0", "LIMITS__CONCURRENCY": "0"}
    off = Store(scene.client, settings(**changes), "default", clock=CLOCK, monotonic=None)
    scene.go(1801)
    looks = 0
    while scene.client.zcard(scene.keys.waiting):
        off.timers.run()
        looks += 1
    assert 1 < looks < 5
    assert isinstance(off.submission.admit(scene.permit(), ""), Admitted)
