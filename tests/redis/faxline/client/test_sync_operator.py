"""What `FaxLine` offers operators: lists of jobs, an account's state, pause and resume."""

import math
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis

from faxline import FaxLine, Hold, JobState, OrderTimeout, QueueUnavailable
from faxline.contract.redis_keys import ACCOUNTS
from faxline.reading.account_state import OPERATOR
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import usual_settings
from tests.stage.intake import create_group, register


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    settings = usual_settings(IN_DOUBT__WAIT="600", NUMBERS__CONCURRENT="0")
    made = Store(redis_client, settings, "default")
    create_group(made)
    made.timers.run()
    return made


@pytest.fixture
def push(store: Store, redis_client: Any) -> Callable[..., str]:
    return partial(register, store, redis_client)


def answer(store: Store, decision: str, **more: Any) -> str:
    """Admit the next job and settle it."""
    admitted = store.submission.admit(f"permit-{decision}-{more}", "")
    assert isinstance(admitted, Admitted)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": decision, **more})
    return admitted.job


@pytest.fixture
def dispatcher(store: Store, redis_url: str) -> Iterator[Callable[[], None]]:
    """Call it to have the next order carried out as a dispatcher does."""
    threads = []

    def carry_out() -> None:
        with redis.Redis.from_url(redis_url) as client:
            client.xread({store.keys.orders: "0"}, block=20_000)
        for entry, fields in store.orders.read():
            store.orders.pause_or_resume(entry, fields[b"order"].decode())

    def start() -> None:
        threads.append(threading.Thread(target=carry_out))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


def test_open_jobs_are_listed_those_in_doubt_first_and_queued_ones_by_place(
    line: FaxLine, store: Store, push: Callable[..., None]
) -> None:
    for name in ("doubt", "held", "sent", "calling", "retried"):
        push(name)
    assert answer(store, "in_doubt", reason="timeout") == "doubt"
    assert answer(store, "in_doubt", reason="cut") == "held"
    store.client.zadd(store.keys.in_doubt, {"held": math.inf})
    assert answer(store, "accepted", job_id="7") == "sent"
    store.submission.admit("call", "")
    assert answer(store, "retry", retry=60_000, reason="unavailable") == "retried"
    push("bulk", "bulk")
    push("normal")
    push("urgent", "urgent")
    jobs = line.jobs()
    order = ["held", "doubt", "calling", "sent", "urgent", "normal", "bulk", "retried"]
    assert [job.id for job in jobs] == order
    assert [job.id for job in line.jobs(limit=3)] == order[:3]
    assert [job.id for job in line.jobs(state="queued", limit=2)] == ["urgent", "normal"]
    assert [job.id for job in line.jobs(state=JobState.SUBMITTED)] == ["sent"]
    assert {job.to for job in jobs} == {"…8901"}
    assert (jobs[1].reason, jobs[3].job_id) == ("timeout", 7)
    assert all(job.created_at for job in jobs)


def test_a_job_that_moved_on_is_not_listed_under_its_old_state(
    line: FaxLine, store: Store, push: Callable[..., None], redis_client: redis.Redis
) -> None:
    push("a")
    redis_client.zadd(store.keys.submitted, {"a": 1, "gone": 2})
    assert line.jobs(state="submitted") == []
    assert [job.id for job in line.jobs()] == ["a"]


def test_only_states_with_an_index_can_be_listed(line: FaxLine) -> None:
    with pytest.raises(ValueError, match="in_doubt, submitting, submitted, queued"):
        line.jobs(state="delivered")
    with pytest.raises(ValueError, match="1 or more"):
        line.jobs(limit=0)


def test_a_job_tells_until_when_it_waits(line: FaxLine, store: Store, push: Callable[..., None]) -> None:
    for name in ("sent", "doubt", "held"):
        push(name)
    answer(store, "accepted", job_id="7")
    answer(store, "in_doubt", reason="timeout")
    answer(store, "in_doubt", reason="cut")
    store.client.zadd(store.keys.in_doubt, {"held": math.inf})
    for name, seconds in (("sent", 9000), ("doubt", 600)):
        job = line.job(name)
        assert job.waits_until is not None
        assert job.updated_at is not None
        assert (job.waits_until - job.updated_at).total_seconds() == seconds
    assert line.job("held").waits_until is None


def test_the_json_of_a_queued_job_tells_what_holds_it(
    line: FaxLine, store: Store, push: Callable[..., None], dispatcher: Callable[[], None]
) -> None:
    push("a")
    push("b")
    assert line.job("b").to_dict().items() >= {"hold": "place", "place": 1}.items()
    assert line.job("b").to_dict()["expected_start"]
    dispatcher()
    line.pause(by="me@here")
    shown = line.job("a").to_dict()
    assert shown.items() >= {"hold": "paused", "place": 0, "expected_start": None}.items()
    dispatcher()
    line.resume(by="me@here")
    assert answer(store, "accepted", job_id="7") == "a"
    shown = line.job("a").to_dict()
    assert shown.items() >= {"hold": None, "place": None, "expected_start": None}.items()


def test_pausing_and_resuming_wait_until_a_dispatcher_has_done_it(
    line: FaxLine, push: Callable[..., None], dispatcher: Callable[[], None]
) -> None:
    push("a")
    dispatcher()
    assert line.pause(by="me@here", timeout=20).paused == OPERATOR
    forecast = line.job("a").forecast
    assert forecast is not None
    assert forecast.hold is Hold.PAUSED
    dispatcher()
    assert line.resume(by="me@here", timeout=20).paused == ""


def test_an_order_that_changes_nothing_is_done_although_no_bell_rings(
    line: FaxLine, dispatcher: Callable[[], None], redis_client: redis.Redis
) -> None:
    dispatcher()
    assert line.resume(by="me@here", timeout=20).paused == ""
    assert redis_client.xlen(line.keys.doorbell) == 0


def test_an_order_that_nobody_carries_out_is_told_and_stays(line: FaxLine, redis_client: Any) -> None:
    with pytest.raises(OrderTimeout, match=r"no dispatcher.*'default'.*the order stays"):
        line.pause(by="me@here", timeout=0.05)
    ((_, fields),) = redis_client.xrange(line.keys.orders)
    assert len(fields.pop(b"token")) == 32
    assert fields == {b"order": b"pause", b"by": b"me@here", b"user": b"default"}


def test_an_accounts_state_tells_whether_a_dispatcher_has_looked_at_it(
    redis_url: str, line: FaxLine, store: Store
) -> None:
    state = line.account_state()
    assert (state.name, state.known, state.window.configured) == (store.account, True, 1000)
    with FaxLine(redis_url, "other") as other:
        assert not other.account_state().known


def test_known_accounts_are_listed_by_name(line: FaxLine, redis_client: redis.Redis) -> None:
    assert line.accounts() == []
    redis_client.sadd(ACCOUNTS, "b", "a")
    assert line.accounts() == ["a", "b"]


def test_a_redis_that_is_away_is_told_to_operators_too(free_port: int) -> None:
    with FaxLine(f"redis://127.0.0.1:{free_port}/0") as line:
        calls: list[Callable[[], Any]] = [
            line.jobs,
            line.accounts,
            line.account_state,
            lambda: line.pause(by="me@here"),
        ]
        for call in calls:
            with pytest.raises(QueueUnavailable):
                call()
