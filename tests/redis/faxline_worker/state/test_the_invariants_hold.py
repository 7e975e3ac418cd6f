"""What must always hold, whatever happens in whatever order (tests/stage/courses.py, tests/stage/ledger.py).

No job is lost or stands in two places; none is sent again while an earlier request may have been accepted,
but by its policy or an operator's word; each transition writes one event and each receipt is applied once;
who comes too late changes nothing; a deferral spends no attempt; the limits are kept; time alone brings
everything to an end; the backlog is counted exactly. The mutations show that the courses would notice.
"""

import pytest
import redis

from tests.stage.courses import AGAIN, DEADLINE, LEASE, POLLING, SETTINGS, WAIT, WRONG, Courses, run
from tests.stage.ledger import Attempt
from tests.stage.mutants import mutate
from tests.stage.scene import Scene


def test_what_must_hold_holds_after_every_step(
    redis_client: redis.Redis, pytestconfig: pytest.Config
) -> None:
    run(Scene(redis_client, **SETTINGS), examples=pytestconfig.getoption("--examples") * 3 // 2)


def test_what_must_hold_holds_where_results_are_asked_for(
    redis_client: redis.Redis, pytestconfig: pytest.Config
) -> None:
    run(Scene(redis_client, **(SETTINGS | POLLING)), examples=pytestconfig.getoption("--examples") * 3 // 2)


@pytest.fixture
def course(redis_client: redis.Redis) -> Courses:
    """A course in which a fax is sent again, because nobody knows whether iFax took the first request."""
    course = Courses(Scene(redis_client, **SETTINGS))
    course.begin(["resend"])
    sent(course)
    course.time(LEASE / 1000 + 1, 1)
    course.time(WAIT + 1, 1)
    sent(course)
    return course


def sent(course: Courses) -> Attempt:
    attempt = course._admit()
    assert attempt is not None
    course._send(attempt, accepted=True)
    return attempt


def failed(course: Courses, attempt: Attempt) -> None:
    number = course.ledger.jobs[attempt.admitted.job].number
    course.scene.receipt(attempt.taken, "failed", to=number, started=attempt.marked, **AGAIN["busy"])
    course.holds()


def test_it_holds_where_ifax_took_two_requests_of_a_fax_and_delivers_neither(course: Courses) -> None:
    older, newer = course.ledger.attempts
    course._answer(newer, "accepted")
    course._answer(older, "accepted")
    failed(course, newer)
    assert course.scene.state(older.admitted.job) == "submitted"
    failed(course, older)
    course.time(DEADLINE, 1)
    course._answer(sent(course), "accepted")
    course.holds()
    course.teardown()


def test_it_holds_where_the_older_request_fails_and_the_newer_is_in_doubt(course: Courses) -> None:
    older, _ = course.ledger.attempts
    course.time(LEASE / 1000 + 1, 1)
    course._answer(older, "accepted")
    failed(course, older)
    assert course.scene.state(older.admitted.job) == "in_doubt"
    course.teardown()


def test_it_holds_where_a_fax_has_expired_by_a_clock_that_then_steps_back(redis_client: redis.Redis) -> None:
    course = Courses(Scene(redis_client, **SETTINGS))
    course._push("normal", "resend", 50, "")
    course.scene.step(WRONG)
    assert course._admit() is None
    course.holds()
    course.clock(0.0)
    course.holds()
    sent(course)
    course.holds()
    course.teardown()


MUTATIONS = {
    "settle does not ask who holds the job": (
        "if job and redis.call('ZREM', keys.permits, permit_of(token, id)) == 1 then",
        "if job and redis.call('ZREM', keys.permits, permit_of(token, id)) >= 0 then",
    ),
    "mark does not ask who holds the job": (
        "if job[1] ~= 'submitting' or job[2] ~= ARGV[1] or",
        "if job[1] ~= 'submitting' or",
    ),
    "run_timers puts a job that was sent back to its place": (
        "  if lost and job.marked ~= '1' then",
        "  if lost then",
    ),
    "run_timers sends again what its policy holds": (
        "elseif policy == 'resend' then",
        "elseif policy and policy ~= 'fail' then",
    ),
    "an end gives back less than was counted": (
        "local freed = (tonumber(job.counted) or 0) +",
        "local freed = 0 +",
    ),
    "the last end leaves a document counted": (
        "      if counted then freed =",
        "      if false then freed =",
    ),
    "a deferral spends an attempt": ("'attempt', job.attempt - 1,", "'attempt', job.attempt,"),
}
SUBTLE_MUTATIONS = {
    "the first refusal that nobody understands ends the job": (
        "if others or more.refusals >= options.breaker_after then",
        "if true then",
    ),
    "a receipt is applied twice": (
        "local OPEN = {",
        "local OPEN = { delivered = 'submitted', failed = 'submitted',",
    ),
    "a late answer leaves the job in its place": (
        "    if job.state == 'queued' then leave_queue(options, id, job) end\n",
        "",
    ),
    "an unconfirmed job gives its place back twice": (
        "job.counted, changes.bytes = job.bytes, ''",
        "job.counted = job.bytes",
    ),
    "a duplicate is silent": (
        "local early = accept_other(options, id, job, answer.job_id) or {}",
        "local early = {}",
    ),
    "a delivery that is heard of after the end is silent": (
        "  tell_other(options, id, job, receipt.job_id, receipt)\n",
        "",
    ),
}
"""It takes a hundred courses and more to notice these, so `make proof` does."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MUTATIONS, *SUBTLE_MUTATIONS])
def test_the_courses_notice_when_a_script_does_otherwise(
    redis_client: redis.Redis, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name in SUBTLE_MUTATIONS and pytestconfig.getoption("--examples") < 100:
        pytest.skip("subtle: needs --examples 100 or more")
    mutate(monkeypatch, (MUTATIONS | SUBTLE_MUTATIONS)[name])
    scene = Scene(redis_client, **SETTINGS)
    with pytest.raises(AssertionError):
        run(scene, examples=300)
