"""Most fax numbers are one telephone line: a fax waits for the one before it to the same number."""

from collections import Counter
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from faxline_worker.state.results import Admitted, Idle
from tests.stage.mutants import mutate
from tests.stage.scene import NUMBER, Scene
from tests.stage.states import JOB
from tests.stage.two_requests import taken_twice

OTHER = "+12345678902"
LEASE = 60.0
ONE = {"NUMBERS__CONCURRENT": "1", "NUMBERS__LEASE": str(LEASE), "LIMITS__BURST": "0"}


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client, **ONE)


def idle(scene: Scene) -> bool:
    return isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)


def test_a_second_fax_to_a_number_follows_when_the_first_is_final(scene: Scene) -> None:
    for name in ("first", "second"):
        scene.push(name)
    assert scene.submit("1").job == "first"
    assert idle(scene)
    scene.receipt("1")
    assert scene.admit().job == "second"


def test_faxes_to_other_numbers_overtake_meanwhile(scene: Scene) -> None:
    scene.push("first")
    scene.push("second")
    scene.push("elsewhere", number=OTHER, priority="bulk")
    assert [scene.submit("1").job, scene.submit("2").job] == ["first", "elsewhere"]


def test_a_fax_that_waits_again_and_then_expires_leaves_the_line_to_the_one_that_has_it(scene: Scene) -> None:
    scene.push("first", expires_at=str(scene.now + 50_000))
    first = scene.call()
    scene.store.submission.settle(first, {"decision": "retry", "reason": "r", "retry": 50_000})
    scene.push("second")
    assert scene.submit("1").job == "second"
    scene.go(51)
    scene.store.timers.run()
    assert scene.record("first")["state"] == "failed"
    scene.push("third")
    assert idle(scene)
    scene.receipt("1")
    assert scene.admit().job == "third"


def test_a_fax_that_waits_for_its_older_request_leaves_the_line_once(scene: Scene) -> None:
    taken_twice(scene)
    scene.receipt("78", "failed", again="busy")
    assert scene.state(JOB) == "submitted"
    scene.push("second")
    assert scene.submit("79").job == "second"
    scene.receipt("77")
    assert scene.state(JOB) == "delivered"
    scene.push("third")
    assert idle(scene)


def test_a_fax_whose_number_is_unknown_holds_no_line(scene: Scene) -> None:
    scene.push("origin", number="")
    scene.client.hdel(scene.keys.job("origin"), "number")  # as of a fax that Redis lost and iFax took
    assert scene.submit("1").job == "origin"
    assert scene.record("origin")["line"] == ""
    scene.receipt("1")
    assert scene.record("origin")["state"] == "delivered"


def test_of_those_that_wait_for_a_number_the_urgent_one_follows_first(scene: Scene) -> None:
    scene.push("first")
    scene.submit("1")
    scene.push("bulk", priority="bulk")
    scene.push("normal")
    assert idle(scene)
    scene.push("urgent", priority="urgent")
    assert idle(scene)
    scene.receipt("1")
    assert scene.submit("2").job == "urgent"
    scene.receipt("2")
    assert scene.submit("3").job == "normal"
    scene.receipt("3")
    assert scene.submit("4").job == "bulk"


@pytest.mark.parametrize(
    "answer",
    [
        {"decision": "refuse"},
        {"decision": "released"},
        {"decision": "defer", "cooldown": 500},
        {"decision": "retry", "retry": 60_000},
    ],
    ids=str,
)
def test_a_fax_that_was_not_taken_frees_its_line(scene: Scene, answer: dict[str, Any]) -> None:
    scene.push("first")
    scene.push("urgent", priority="urgent", number=OTHER)
    scene.submit("1")
    first = scene.call()
    scene.push("second")
    assert idle(scene)
    scene.store.submission.settle(first, {"reason": "r", **answer})
    scene.go(1)
    jobs = {scene.admit().job for _ in range(1)}
    assert jobs == ({"first"} if answer["decision"] in {"released", "defer"} else {"second"})


def test_a_lost_receipt_blocks_a_number_for_a_lease_at_most(scene: Scene) -> None:
    scene.push("first")
    scene.submit("1")
    scene.push("second")
    assert idle(scene)
    scene.go(LEASE - 1)
    scene.store.timers.run()
    assert idle(scene)
    scene.go(1.1)
    assert scene.store.timers.run().ready
    assert scene.admit().job == "second"


def test_a_fax_in_doubt_keeps_its_line_for_the_lease(scene: Scene) -> None:
    scene.push("first")
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "in_doubt", "reason": "timeout"})
    scene.push("second")
    assert idle(scene)
    scene.go(LEASE + 1)
    scene.store.timers.run()
    assert scene.admit().job == "second"


def test_the_dispatcher_looks_again_when_the_lease_of_a_line_that_is_waited_for_ends(scene: Scene) -> None:
    scene.push("first")
    scene.submit("1")
    scene.push("second")
    idle(scene)
    scene.go(LEASE - 0.5)
    assert scene.store.timers.run().next == pytest.approx(0.5, abs=0.1)


def test_several_faxes_to_a_number_are_on_their_way_where_the_setting_says_so(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, **ONE | {"NUMBERS__CONCURRENT": "2"})
    for name in "abc":
        scene.push(name)
    assert [scene.submit("1").job, scene.submit("2").job] == ["a", "b"]
    assert idle(scene)
    scene.receipt("2")
    assert scene.admit().job == "c"


def test_no_fax_waits_for_another_where_the_setting_is_off(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, **ONE | {"NUMBERS__CONCURRENT": "0"})
    for name in "abc":
        scene.push(name)
    assert [scene.submit(str(i)).job for i in range(3)] == ["a", "b", "c"]


def test_those_that_wait_go_on_where_the_setting_is_turned_off_meanwhile(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, **ONE)
    for name in "abc":
        scene.push(name)
    scene.submit("1")
    assert idle(scene)
    moment = scene.save()
    scene = Scene(redis_client, **ONE | {"NUMBERS__CONCURRENT": "0"})
    scene.restore(moment)
    scene.go(LEASE + 1)
    scene.store.timers.run()
    assert {scene.admit().job, scene.admit().job} == {"b", "c"}


def test_a_fax_that_is_kept_at_the_provider_for_a_date_holds_no_line(scene: Scene) -> None:
    scene.push("later", send_at=str(scene.now + 3_600_000), schedule="provider")
    scene.submit("1")
    scene.push("now")
    assert scene.admit().job == "now"


@pytest.mark.parametrize("gone", ["canceled", "expired"])
def test_one_that_ends_while_it_waits_holds_up_nobody(scene: Scene, gone: str) -> None:
    scene.push("first")
    scene.submit("1")
    scene.push("second", expires_at=str(scene.now + 5_000))
    scene.push("third")
    assert idle(scene)
    scene.receipt("1")  # now `second` is next, and ends before it is taken
    if gone == "canceled":
        scene.store.intake.cancel(scene.intake("cancel"), "second")
    else:
        scene.go(6)
        scene.store.timers.run()
    assert scene.admit().job == "third"


def test_thousands_that_wait_for_one_number_are_turned_away_in_small_portions(scene: Scene) -> None:
    scene.push("first")
    scene.submit("1")
    for i in range(250):
        scene.push(f"waits-{i}")
    scene.push("elsewhere", number=OTHER, priority="bulk")
    turns = 0
    while isinstance(scene.store.submission.admit(scene.permit(), ""), Idle):
        turns += 1
        assert turns < 10
    assert turns == 2
    assert scene.state("elsewhere") == "submitting"


class Courses(RuleBasedStateMachine):
    """Faxes to few numbers come, go and end in all ways; no number ever has more on its way than it may."""

    def __init__(self, scene: Scene, most: int) -> None:
        super().__init__()
        self.scene, self.most = scene, most
        scene.begin()
        self.jobs: dict[str, str] = {}
        self.on_their_way: dict[str, tuple[Admitted, float]] = {}

    @rule(
        number=st.sampled_from([NUMBER, NUMBER, OTHER]),
        priority=st.sampled_from(["urgent", "normal", "bulk"]),
    )
    def push(self, number: str, priority: str) -> None:
        name = f"job-{len(self.jobs)}"
        self.jobs[name] = number
        self.scene.push(name, number=number, priority=priority)

    @rule()
    def admit(self) -> None:
        admitted = self.scene.store.submission.admit(self.scene.permit(), "")
        if isinstance(admitted, Admitted):
            self.scene.store.submission.mark(admitted)
            self.on_their_way[admitted.job] = admitted, self.scene.seconds + LEASE

    @rule(
        pick=st.integers(0, 20),
        how=st.sampled_from(["accepted", "in_doubt", "refuse", "retry", "released", "final", "busy"]),
    )
    def answer(self, pick: int, how: str) -> None:
        if not self.on_their_way:
            return
        job = sorted(self.on_their_way)[pick % len(self.on_their_way)]
        admitted, _ = self.on_their_way[job]
        job_id = str(1000 + int(job.partition("-")[2]) * 50 + admitted.attempt)
        if how in {"final", "busy"}:
            self.scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id})
            outcome = "failed" if how == "busy" else "delivered"
            self.scene.receipt(job_id, outcome, **({"again": "busy"} if how == "busy" else {}))
        else:
            self.scene.store.submission.settle(
                admitted, {"decision": how, "job_id": job_id, "reason": "r", "retry": 1000}
            )
        state = self.scene.state(job)
        if state in {"queued", "delivered", "failed", "canceled"}:
            del self.on_their_way[job]

    @rule(pick=st.integers(0, 20))
    def cancel(self, pick: int) -> None:
        if self.jobs:
            self.scene.store.intake.cancel(
                self.scene.intake("cancel"), sorted(self.jobs)[pick % len(self.jobs)]
            )

    @rule(seconds=st.sampled_from([1, 10, LEASE + 1]))
    def time(self, seconds: float) -> None:
        self.scene.go(seconds)
        self.scene.store.timers.run()
        for job in list(self.on_their_way):
            if self.scene.state(job) in {"queued", "unconfirmed", "failed"}:
                del self.on_their_way[job]

    @invariant()
    def no_number_has_more_on_its_way_than_it_may(self) -> None:
        holding = [job for job, (_, until) in self.on_their_way.items() if until > self.scene.seconds]
        counts = Counter(self.jobs[job] for job in holding)
        assert all(n <= self.most for n in counts.values()), counts

    @invariant()
    def a_queued_job_stands_in_one_place(self) -> None:
        keys, client = self.scene.keys, self.scene.client
        waiting: Any = client.zrange(keys.waiting, 0, -1)
        waits = [member.decode().split("|", 2)[2] for member in waiting]
        for job in self.jobs:
            stands = (
                waits.count(job)
                + (client.zscore(keys.ready, job) is not None)
                + (client.zscore(keys.delayed, job) is not None)
            )
            state = self.scene.state(job)
            assert stands == (state == "queued"), (job, state, stands)

    def teardown(self) -> None:
        """All that is on its way ends, and then everything that waited goes, without help of a lease."""
        for _ in range(3 * len(self.jobs) + 3):
            for job, (admitted, _) in list(self.on_their_way.items()):
                self.scene.store.submission.settle(admitted, {"decision": "refuse", "reason": "r"})
                if self.scene.state(job) == "submitted":
                    self.scene.receipt(self.scene.record(job)["job_id"])
                if self.scene.state(job) == "in_doubt":
                    self.scene.store.orders.resolve(self.scene.ordered("resolve"), job, "fail", "")
                del self.on_their_way[job]
            self.scene.go(0.5)
            self.scene.store.timers.run()
            self.admit()
        assert self.scene.client.exists(self.scene.keys.waiting) == 0, "somebody waits for a free line"
        self.scene.go(200)
        self.scene.store.timers.run()
        for _ in range(3 * len(self.jobs) + 3):
            self.admit()
            for job, (admitted, _) in list(self.on_their_way.items()):
                self.scene.store.submission.settle(admitted, {"decision": "refuse", "reason": "r"})
                del self.on_their_way[job]
        left = [job for job in self.jobs if self.scene.state(job) == "queued"]
        assert left == []
        lines: Any = self.scene.client.hgetall(self.scene.keys.lines)
        assert lines == {}
        assert self.scene.client.exists(self.scene.keys.waiting, self.scene.keys.lines_until) == 0


COURSE = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    stateful_step_count=40,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def run(client: redis.Redis, examples: int, most: int = 1) -> None:
    free = {f"LIMITS__{name}": "0" for name in ("REQUESTS", "CONCURRENCY", "BURST")}
    delivery = {"RETRIES__DELIVERY__BUSY": "5", "RETRIES__DELIVERY__ATTEMPTS": "50"}
    again = {"RETRIES__SUBMISSION__ATTEMPTS": "1000", "HTTP_TIMEOUT": "500"}
    scene = Scene(client, **ONE | free | delivery | again | {"NUMBERS__CONCURRENT": str(most)})
    run_state_machine_as_test(
        lambda: Courses(scene, most),  # type: ignore[arg-type]
        settings=settings(COURSE, max_examples=examples),
    )


@pytest.mark.parametrize("most", [1, 2])
def test_no_number_ever_has_more_on_its_way_than_it_may_and_all_that_waits_goes_at_last(
    redis_client: redis.Redis, pytestconfig: pytest.Config, most: int
) -> None:
    run(redis_client, pytestconfig.getoption("--examples"), most)


@pytest.mark.parametrize(
    "change",
    [
        ("  local free = #line.holders < options.numbers", "  local free = true"),
        ("    if job and job.state == 'queued' then enter_ready(id, job) end", ""),
    ],
    ids=["everybody has room", "nobody follows"],
)
def test_the_courses_notice_when_a_script_does_otherwise(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str]
) -> None:
    mutate(monkeypatch, change)
    with pytest.raises(AssertionError):
        run(redis_client, 100)
