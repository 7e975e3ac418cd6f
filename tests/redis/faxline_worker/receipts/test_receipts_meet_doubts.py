"""A receipt with an unknown jobId meets the doubt that it settles, whichever comes first and in between."""

from collections.abc import Sequence
from typing import Any

import pytest
import redis

from faxline_worker.state.lineage import Examined, Reopened
from faxline_worker.state.recent_work import Call, Evidence
from faxline_worker.state.results import Admitted
from tests.stage.scene import NUMBER, Scene

JOB, OTHER, JOB_ID = "a", "b", "77"
LEASE, WAIT, REDIAL = 7.1, 100.0, 600.0
SLACK = 20.0
WRONG = 600.0


def begin(client: redis.Redis, **settings: str) -> Scene:
    scene = Scene(client, **({"IN_DOUBT__CLOCK_SLACK": str(SLACK)} | settings))
    scene.store.timers.run()
    return scene


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return begin(redis_client)


def call(scene: Scene, job: str = JOB, **fields: Any) -> Admitted:
    """The job's request leaves."""
    scene.push(job, **({"known_pages": "3"} | fields))
    return scene.call()


def doubt(scene: Scene, job: str = JOB, **fields: Any) -> Admitted:
    """A job whose worker was lost after its request had left."""
    admitted = call(scene, job, **fields)
    scene.go(LEASE)
    assert [(c.job, c.reason) for c in scene.store.timers.run().changes] == [(job, "worker_lost")]
    return admitted


def failed(scene: Scene, redial: int, **more: Any) -> str:
    """A failure after which iFax may call again."""
    own = {"to": NUMBER, "redial": redial, "code": 17, "reason": "busy"}
    return scene.receipt(JOB_ID, "failed", **(own | more)).result


def delivered(scene: Scene, **more: Any) -> str:
    return scene.receipt(JOB_ID, **({"to": NUMBER} | more)).result


def matched(scene: Scene) -> list[tuple[str, str]]:
    return [(found.result, found.job) for found in scene.store.receipts.match()]


def looks(scene: Scene, seconds: float) -> list[tuple[str, str]]:
    """What becomes of the receipts in so many seconds, as a dispatcher and a worker go on."""
    found: list[tuple[str, str]] = []
    end = scene.seconds + seconds
    while scene.seconds < end:
        scene.go(1)
        if scene.store.timers.run().match:
            found += matched(scene)
    return found


def roll_back(scene: Scene, *calls: Admitted) -> None:
    """Redis went back, and a process misses what it did: these calls, or what it cannot tell."""
    evidence = Evidence("0-0", unknown=not calls)
    known = scene.store.lineage.examine(evidence, [Call(each, scene.now) for each in calls])
    assert known == [Examined.LOST] * len(calls)


def recover(scene: Scene) -> list[tuple[str, str]] | None:
    """An operator has the account go on."""
    became = scene.store.lineage.recover(scene.store.lineage.lost())
    assert scene.store.lineage.reopen() is Reopened.OPENED
    return became


@pytest.mark.parametrize("by", [-WRONG, WRONG])
@pytest.mark.parametrize("redials", [0, 2])
def test_a_call_that_was_made_while_the_clock_was_wrong_and_nobody_noticed_meets_its_receipts(
    scene: Scene, by: float, redials: int
) -> None:
    scene.step(by)
    started = scene.true // 1000
    call(scene)
    scene.step(-by)
    scene.go(LEASE)
    scene.store.timers.run()
    scene.go(12)
    for redial in range(redials):
        assert failed(scene, redial, started=started) == "unmatched"
    assert delivered(scene, started=started, redial=redials) == "unmatched"
    assert looks(scene, LEASE + 2) == [("resolved_doubt", JOB)]


@pytest.mark.parametrize(("age", "fits"), [(WRONG + LEASE + SLACK + 1, False), (SLACK - 1, True)])
def test_the_wider_window_after_a_step_is_as_narrow_around_the_call_as_any(
    scene: Scene, age: float, fits: bool
) -> None:
    scene.step(-WRONG)
    started = scene.true / 1000
    call(scene)
    scene.step(WRONG)
    scene.go(LEASE)
    scene.store.timers.run()
    delivered(scene, started=round(started + age))
    assert looks(scene, LEASE + 2) == ([("resolved_doubt", JOB)] if fits else [])


@pytest.mark.parametrize("by", [WRONG, 86400.0])
def test_a_receipt_waits_as_long_although_the_clock_stepped_forward_just_before_it_came(
    scene: Scene, by: float
) -> None:
    doubt(scene)
    scene.step(by)
    assert failed(scene, 0) == "unmatched"
    assert delivered(scene) == "unmatched"
    assert looks(scene, LEASE + 2) == [("resolved_doubt", JOB)]


def test_no_receipt_meets_a_doubt_while_its_own_answer_may_come_although_the_clock_stepped_forward(
    scene: Scene,
) -> None:
    doubt(scene)
    answered = call(scene, OTHER)
    delivered(scene)
    scene.step(WRONG)
    assert str(scene.store.receipts.try_lock_reconcile(turn=True)) == "none"
    assert matched(scene) == []
    scene.store.submission.settle(answered, {"decision": "accepted", "job_id": JOB_ID})
    assert (scene.state(JOB), scene.state(OTHER)) == ("in_doubt", "delivered")


def test_the_receipts_of_a_fax_that_ifax_redialed_meet_its_doubt_though_each_names_its_own_beginning(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client, RECEIPT_DEADLINE="9000")
    begun = scene.true // 1000
    doubt(scene)
    assert failed(scene, 0, started=begun) == "unmatched"
    scene.go(2 * REDIAL - 10)
    assert delivered(scene, redial=2, started=scene.true // 1000) == "unmatched"
    assert looks(scene, LEASE + 2) == [("resolved_doubt", JOB)]


@pytest.mark.parametrize(
    "other",
    [
        {"redial": 0},
        {"redial": None},
        {"redial": 1},
        {"redial": 2, "to": "+12345678902"},
        {"redial": 2, "pages": 4},
        {"redial": 2, "sender": "+12025550199"},
    ],
)
def test_a_redial_that_is_too_late_or_about_another_fax_meets_no_doubt(
    redis_client: redis.Redis, other: dict[str, Any]
) -> None:
    scene = begin(redis_client, RECEIPT_DEADLINE="9000")
    doubt(scene, sender="+12025550100")
    scene.go(2 * REDIAL - 10)
    members = {"started": scene.true // 1000, "sender": "+12025550100"} | other
    delivered(scene, **{name: value for name, value in members.items() if value is not None})
    assert looks(scene, LEASE + 2) == []


def test_no_number_of_redials_makes_a_window_longer_than_a_receipts_deadline(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client)  # the deadline is 1000 s
    doubt(scene)
    scene.go(1000 + SLACK + 1)
    delivered(scene, redial=1000, started=scene.true // 1000)
    assert looks(scene, LEASE + 2) == []


def test_a_redial_meets_the_doubt_about_its_own_time_before_one_that_it_may_be_late_for(scene: Scene) -> None:
    doubt(scene, "older")
    scene.go(REDIAL)
    doubt(scene, "newer")
    delivered(scene, redial=1, started=(scene.true - 5000) // 1000)
    assert looks(scene, LEASE + 2) == [("resolved_doubt", "newer")]


@pytest.mark.parametrize(
    "receipts", [("delivered",), ("failed", "delivered"), ("failed", "failed", "delivered")]
)
def test_a_doubt_that_arises_after_its_receipts_meets_them(scene: Scene, receipts: Sequence[str]) -> None:
    """They were compared with the doubts before it was one of them, because nobody ran the timers."""
    call(scene)
    for redial, outcome in enumerate(receipts):
        failed(scene, redial) if outcome == "failed" else delivered(scene)
    scene.go(LEASE + 1)
    assert matched(scene) == []
    assert looks(scene, 2 * LEASE) == [("resolved_doubt", JOB)]
    assert scene.state(JOB) == "delivered"


def test_the_last_word_after_a_redials_first_finds_the_job_that_the_first_met(scene: Scene) -> None:
    doubt(scene)
    assert failed(scene, 0) == "unmatched"
    assert looks(scene, LEASE + 2) == [("held", JOB)]
    assert (failed(scene, 1), delivered(scene)) == ("held", "applied")


@pytest.mark.parametrize("age", [50.0, 3000.0])
def test_no_policy_is_applied_to_a_doubt_that_arises_late_before_an_older_receipt_was_compared_with_it(
    redis_client: redis.Redis, age: float
) -> None:
    scene = begin(redis_client, IN_DOUBT__THEN="resend", IN_DOUBT__CLOCK_SLACK="7200")
    began = scene.true // 1000
    delivered(scene, started=began)
    looks(scene, age)
    doubt(scene)
    assert looks(scene, WAIT + 2) == [("resolved_doubt", JOB)]
    assert scene.names()[-1] == "fax.delivered"


def test_no_policy_is_applied_while_receipts_are_due_to_be_compared_again(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, IN_DOUBT__THEN="resend", IN_DOUBT__CLOCK_SLACK="7200")
    delivered(scene, started=scene.true // 1000)
    looks(scene, 50)
    doubt(scene)
    scene.go(WAIT + 1)  # nobody applies receipts
    assert scene.store.timers.run().changes == ()
    assert matched(scene) == [("resolved_doubt", JOB)]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("receipts", [("delivered",), ("failed", "delivered")])
def test_a_receipt_outlasts_a_state_that_may_be_old_and_meets_the_doubt_that_recovering_enters(
    redis_client: redis.Redis, before: bool, receipts: Sequence[str]
) -> None:
    scene = begin(redis_client, IN_DOUBT__THEN="resend", IN_DOUBT__CLOCK_SLACK="7200")
    scene.push(JOB, known_pages="3")
    moment = scene.save()
    admitted = scene.call()
    scene.restore(moment)

    def arrive() -> None:
        for redial, outcome in enumerate(receipts):
            failed(scene, redial) if outcome == "failed" else delivered(scene)

    if before:
        arrive()
        looks(scene, 30)  # compared with the doubts, of which none is there
    roll_back(scene, admitted)
    if not before:
        arrive()
    looks(scene, 60)
    assert scene.state(JOB) == "queued"
    assert recover(scene) == [("in_doubt", JOB)]
    assert looks(scene, WAIT + 2) == [("resolved_doubt", JOB)]
    names = scene.names()
    assert names[-2:] == ["fax.in_doubt", "fax.delivered"]


def test_a_policy_that_is_due_when_a_state_is_known_again_waits_for_the_receipts_that_came(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client, IN_DOUBT__THEN="resend")
    doubt(scene)
    roll_back(scene)
    delivered(scene)
    looks(scene, 3 * WAIT)
    assert scene.state(JOB) == "in_doubt"
    recover(scene)
    assert scene.store.timers.run().changes == ()
    assert looks(scene, 3) == [("resolved_doubt", JOB)]


def test_a_receipt_does_not_expire_while_the_state_may_be_old(scene: Scene) -> None:
    delivered(scene)
    roll_back(scene)
    kept = [scene.keys.job_ids + JOB_ID, scene.keys.untried(NUMBER)]
    for key in kept:
        assert scene.client.pexpire(key, 60_000)
    looks(scene, LEASE + 2)
    assert [scene.client.pttl(key) > 3_000_000 for key in kept] == [True, True]


def test_nobody_is_woken_in_a_circle_for_receipts_that_wait_until_the_state_is_known(scene: Scene) -> None:
    doubt(scene)
    delivered(scene)
    roll_back(scene)
    scene.go(LEASE + 1.1)
    assert str(scene.store.receipts.try_lock_reconcile(turn=True)) == "match"
    assert matched(scene) == []
    assert str(scene.store.receipts.try_lock_reconcile(turn=True)) == "none"


def test_a_call_that_redis_lost_meets_a_receipt_by_when_it_was_made_and_not_by_an_earlier_attempt(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client)
    answered = call(scene)
    scene.store.submission.settle(answered, {"decision": "retry", "reason": "r", "retry": 0})
    scene.go(WRONG)
    scene.store.timers.run()
    moment = scene.save()
    admitted = scene.call()
    scene.restore(moment)
    roll_back(scene, admitted)
    recover(scene)
    delivered(scene, started=(scene.true - round(WRONG * 1000)) // 1000)
    assert looks(scene, LEASE + 2) == []
    scene.receipt("78", to=NUMBER, started=scene.true // 1000 - 5)
    assert looks(scene, LEASE + 2) == [("resolved_doubt", JOB)]


def sent_again(scene: Scene) -> tuple[Admitted, Admitted]:
    """A doubt's policy has the fax sent again: the first request, and the second, which is under way."""
    first = doubt(scene)
    scene.go(WAIT)
    scene.store.timers.run()
    again = scene.call()
    return first, again


@pytest.mark.parametrize(
    ("receipts", "end"),
    [
        (("delivered",), "delivered"),
        (("failed", "delivered"), "delivered"),
        (("delivered", "failed"), "delivered"),
        (("failed",), "submitted"),
    ],
)
@pytest.mark.parametrize("late", [True, False])
def test_what_is_said_of_an_older_request_ends_the_job_if_the_one_under_way_comes_to_nothing(
    redis_client: redis.Redis, receipts: Sequence[str], end: str, late: bool
) -> None:
    scene = begin(redis_client, IN_DOUBT__THEN="resend")
    first, again = sent_again(scene)

    def arrive(outcome: str) -> None:
        redial = receipts.index(outcome)
        failed(scene, redial) if outcome == "failed" else delivered(scene)

    if late:  # the first is known to be a duplicate before any receipt came
        assert (
            scene.store.submission.settle(first, {"decision": "accepted", "job_id": JOB_ID}).result
            == "duplicate"
        )
        for outcome in receipts:
            arrive(outcome)
    else:  # the first receipt shows it
        arrive(receipts[0])
        scene.client.zadd(scene.keys.unmatched, {JOB_ID: 0})  # nobody's answer can claim it
        assert matched(scene) == [("duplicate", JOB)]
        for outcome in receipts[1:]:
            arrive(outcome)
    assert scene.state(JOB) == "submitting"
    scene.store.submission.settle(again, {"decision": "refuse", "reason": "r"})
    record = scene.record(JOB)
    assert (record["state"], record["job_id"]) == (end, JOB_ID)
    if end == "submitted":
        scene.go(REDIAL + 1)
        scene.store.timers.run()
        assert scene.state(JOB) == "failed"


def test_a_further_receipt_about_an_older_request_meets_no_other_doubt(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, IN_DOUBT__THEN="resend", HTTP_TIMEOUT="60")
    first = call(scene)
    scene.go(63)
    scene.store.timers.run()
    scene.go(WAIT)
    scene.store.timers.run()
    scene.call()
    assert failed(scene, 0) == "unmatched"
    settled = scene.store.submission.settle(first, {"decision": "accepted", "job_id": JOB_ID})
    assert settled.result == "duplicate"
    scene.store.submission.settle(call(scene, OTHER), {"decision": "in_doubt", "reason": "r"})
    assert delivered(scene) == "held"
    assert looks(scene, 80) == []  # its receipt would be due in 63 s
    assert scene.state(OTHER) == "in_doubt"
