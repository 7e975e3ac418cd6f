"""Processes offer the settings that must agree: the strictest hold for all, and a difference is reported."""

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine
from faxline.contract.check import Result
from faxline.reading.shared_settings import BELIEVED, find_differences, read_shared_settings
from faxline_worker.maintenance.shared_settings import SettingsPublisher
from faxline_worker.state import scripts
from faxline_worker.state.results import Admitted, Held
from faxline_worker.state.store import Store
from tests.stage.scene import CLOCK, Scene, settings
from tests.stage.states import JOB, WAIT, Actors

STRICT = {
    "LIMITS__REQUESTS": "6",
    "LIMITS__WINDOW": "60",
    "LIMITS__CONCURRENCY": "2",
    "LIMITS__BURST": "4",
}
LOOSE = {
    "LIMITS__REQUESTS": "100",
    "LIMITS__WINDOW": "1",
    "LIMITS__CONCURRENCY": "50",
    "LIMITS__BURST": "0",
}
Make = Callable[..., Scene]
LEASE, LOOSER_LEASE = 7.001, 3.001
"""Seconds, of the scene's settings and of those with half the timeout."""


def another(scene: Scene, **changes: str) -> Store:
    """Another process' state of the same account."""
    return Store(scene.client, settings(**changes), "default", clock=CLOCK, monotonic=lambda: scene.seconds)


def strictest(scene: Scene) -> str:
    stored: Any = scene.client.hget(scene.keys.account_state, "strictest")
    return str(stored.decode())


def admitted(store: Store, scene: Scene, most: int = 60) -> int:
    """How many calls a process gets at once."""
    for n in range(most):
        if not isinstance(store.submission.admit(scene.permit(), ""), Admitted):
            return n
    return most


@pytest.mark.parametrize(
    ("member", "values", "holds"),
    [
        (0, {"LIMITS__REQUESTS": ("1000", "500")}, "500"),
        (0, {"LIMITS__REQUESTS": ("0", "500")}, "500"),
        (1, {"LIMITS__WINDOW": ("60", "3600")}, "3600000000"),
        (2, {"LIMITS__CONCURRENCY": ("20", "10")}, "10"),
        (2, {"LIMITS__CONCURRENCY": ("0", "10")}, "10"),
        (3, {"LIMITS__BURST": ("50", "0")}, "50"),
        (4, {"HTTP_TIMEOUT": ("5", "30")}, "32001"),
        (4, {"LEASE_GRACE": ("5", "1")}, "15001"),
        (5, {"IN_DOUBT__WAIT": ("100", "9000")}, "9000000"),
        (6, {"IN_DOUBT__THEN": ("resend", "hold")}, "hold"),
        (6, {"IN_DOUBT__THEN": ("resend", "fail")}, "hold"),
        (6, {"IN_DOUBT__THEN": ("fail", "fail")}, "fail"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_strictest_of_each_holds_whoever_offers_first(
    redis_client: redis.Redis, member: int, values: dict[str, tuple[str, str]], holds: str, order: int
) -> None:
    (name, pair), *_ = values.items()
    scene = Scene(redis_client)
    for i, value in enumerate(pair[::order]):
        another(scene, **{name: value}).offer(f"worker {i}")
    assert strictest(scene).split()[member] == holds


def test_a_window_of_a_process_without_a_limit_of_requests_counts_for_nothing(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client)
    another(scene, LIMITS__REQUESTS="0", LIMITS__WINDOW="86400").offer("worker 1")
    another(scene, LIMITS__REQUESTS="6", LIMITS__WINDOW="60").offer("worker 2")
    assert strictest(scene).split()[:2] == ["6", "60000000"]


def test_a_worker_with_looser_limits_gets_no_more_than_the_strictest_allow(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, **LOOSE)
    for i in range(20):
        scene.push(f"job-{i}")
    scene.store.offer("worker 1")
    another(scene, **STRICT).offer("worker 2")
    assert admitted(scene.store, scene) == 2
    assert scene.store.submission.admit(scene.permit(), "") == Held("concurrency")
    assert len(scene.store.timers.plan_wakeups().wakes) == 0


def test_a_dispatcher_with_a_shorter_window_forgets_no_answer(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, **STRICT | {"LIMITS__BURST": "0"})
    scene.store.offer("worker 1")
    dispatcher = another(scene, **LOOSE)
    dispatcher.offer("dispatcher 1")
    for i in range(20):
        scene.push(f"job-{i}")
    for _ in range(6):
        taken = scene.call()
        scene.store.submission.settle(taken, {"decision": "refuse", "reason": "r"})
    scene.go(50)
    dispatcher.timers.run()
    assert scene.store.submission.admit(scene.permit(), "") == Held("window")
    scene.go(10.1)
    dispatcher.timers.run()
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Admitted)


def test_a_dispatcher_with_another_policy_sends_no_doubt_again_that_another_holds(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, IN_DOUBT__THEN="hold")
    actors = Actors(scene)
    scene.store.offer("dispatcher 1")
    resends = another(scene, IN_DOUBT__THEN="resend")
    resends.offer("dispatcher 2")
    scene.push(JOB)
    actors.admit()
    actors.mark()
    actors.settle("in_doubt")
    scene.go(WAIT)
    resends.timers.run()
    assert scene.state(JOB) == "in_doubt"


def test_a_worker_with_a_shorter_timeout_matches_no_receipt_that_another_may_still_claim(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client)
    scene.store.offer("worker 1")
    quick = another(scene, HTTP_TIMEOUT="1")
    quick.offer("worker 2")
    quick.receipts.apply([(scene.status(), {"job_id": "99", "outcome": "delivered", "to": "+12025550123"})])
    due: Any = scene.client.zscore(scene.keys.unmatched, "99")
    assert due == scene.now + round((LEASE + 1) * 1000)


def test_what_a_process_offered_holds_until_its_last_call_has_left_its_window(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, **LOOSE)
    another(scene, **STRICT).offer("worker 2")
    scene.store.offer("worker 1")
    scene.go(BELIEVED + LEASE + 80 + 60 - 0.1)  # 80 s for the largest request, besides
    scene.store.offer("worker 1")
    assert strictest(scene).startswith("6 60000000 2 4 ")
    scene.go(0.2)
    scene.store.offer("worker 1")
    assert strictest(scene).startswith("100 1000000 50 0 ")


def test_without_an_offer_each_goes_by_its_own(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, **STRICT)
    for i in range(20):
        scene.push(f"job-{i}")
    assert admitted(scene.store, scene) == 2
    assert admitted(another(scene, **LOOSE), scene, most=5) == 5


def test_a_difference_is_told_in_the_log_once_and_when_it_is_over(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, **STRICT)
    log = Mock()
    publisher = SettingsPublisher(lambda: [scene.store], "worker a:1", log)
    publisher.publish()
    log.warning.assert_not_called()
    another(scene, **STRICT | {"LIMITS__REQUESTS": "7"}).offer("worker b:2")
    publisher.publish()
    publisher.publish()
    log.warning.assert_called_once()
    logged = log.warning.call_args.kwargs["settings"]
    assert logged == "LIMITS__REQUESTS is 6 (worker a:1) and 7 (worker b:2)"
    for _ in range(3):
        scene.go(100)
        publisher.publish()
    log.warning.assert_called_once()
    log.info.assert_called_once()


def test_redis_that_stays_away_is_told_once_with_its_cause_and_again_the_next_time(
    redis_client: redis.Redis,
) -> None:
    del redis_client
    log, store = Mock(), Mock(spec=Store, account="default")
    full = redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device")
    store.offer.side_effect = [full, full, full, (), full]
    publisher = SettingsPublisher(lambda: [store], "worker a:1", log, every=0.01)
    for _ in range(3):
        publisher._try()
    ((event, words),) = [(call.args[0], call.kwargs["error"]) for call in log.warning.call_args_list]
    assert event == "settings could not be published"
    assert words.startswith("Redis takes no writes: it cannot write its file")
    for _ in range(2):
        publisher._try()
    assert log.warning.call_count == 2


def test_redis_away_is_no_end_of_it(redis_client: redis.Redis) -> None:
    del redis_client
    log, store = Mock(), Mock(spec=Store, account="default")
    store.offer.side_effect = [redis.ConnectionError, ()]
    publisher = SettingsPublisher(lambda: [store], "worker a:1", log, every=0.01)
    publisher._try()
    publisher._try()
    assert log.warning.call_count == 1
    assert store.offer.call_count == 2


def test_who_ended_is_named_no_more_and_his_offer_holds_on(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, LIMITS__WINDOW="3600")
    scene.store.offer("worker a:1")
    scene.go(BELIEVED + 1)
    other = another(scene, LIMITS__WINDOW="3600", LIMITS__REQUESTS="7")
    assert [(offer.requests, offer.by) for offer in other.offer("worker b:2")] == [
        (1000, ()),
        (7, ("worker b:2",)),
    ]


def test_many_processes_of_one_offer_are_not_all_named(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client)
    for i in range(120):
        (offer,) = scene.store.offer(f"worker {i}")
    assert len(offer.by) <= 51
    assert "worker 119" in offer.by


def test_the_doctor_and_accounts_name_who_differs(redis_client: redis.Redis, redis_url: str) -> None:
    real = {
        name: Store(redis_client, settings(**changes), "default")
        for name, changes in {
            "worker a:1": STRICT,
            "dispatcher b:2": STRICT | {"LIMITS__WINDOW": "61"},
        }.items()
    }
    for who, store in real.items():
        store.timers.run()
        store.offer(who)
    with FaxLine(redis_url) as line:
        found = [check for check in line.checks() if "differ" in check.text]
        state = line.account_state()
    assert [check.result for check in found] == [Result.FAIL]
    assert "LIMITS__WINDOW is 60 (worker a:1) and 61 (dispatcher b:2)" in found[0].text
    assert state.to_dict()["differing_settings"] == {
        "LIMITS__WINDOW": {"60": ["worker a:1"], "61": ["dispatcher b:2"]}
    }
    assert state.window_us == 61_000_000


@pytest.mark.parametrize(
    "stored",
    ["", "{", "[]", '{"1 2":{}}', '{"a b c d e f g":{"by":{},"until":1e15}}', '{"1 2 3 4 5 6 hold":3}'],
)
def test_what_makes_no_sense_is_no_offer(redis_client: redis.Redis, stored: str) -> None:
    scene = Scene(redis_client)
    scene.client.hset(scene.keys.account_state, "offers", stored)
    assert scene.store.state().shared_settings == ()


def test_a_newer_version_may_offer_more(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client)
    offers = {
        "6 60000000 2 4 7001 100000 hold 1000 200000 0 more": {
            "until": scene.now + 10_000,
            "by": {"worker n:1": scene.now},
        }
    }
    scene.client.hset(scene.keys.account_state, "offers", json.dumps(offers))
    assert {offer.requests for offer in scene.store.offer("worker a:1")} == {6, 1000}
    assert strictest(scene).startswith("6 3600000000 2 4 ")


def test_a_newer_layout_takes_no_offer(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client)
    scene.client.hset(scene.keys.account_state, "layout", f"{scripts.LAYOUT[0] + 1}.0")
    with pytest.raises(redis.ResponseError, match="NEWERLAYOUT"):
        scene.store.offer("worker a:1")


def test_offers_that_agree_differ_in_nothing() -> None:
    offer = {"until": 2e15, "by": {"worker a:1": 1e15}}
    assert find_differences(read_shared_settings({"1 2 3 4 5 6 hold": offer}, 0)) == {}
