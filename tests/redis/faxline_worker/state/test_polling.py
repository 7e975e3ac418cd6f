"""How does a fax stand? Asked by schedule, behind all submissions, within a share of the limits."""

import threading
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.reading.shared_settings import find_differences
from faxline_worker.state.results import Admitted, Idle
from faxline_worker.state.store import Store
from tests.stage.polling import JOB, JOB_ID, answer, ask, begin, questions, submit, take
from tests.stage.scene import CLOCK, Scene, receipt, settings


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return begin(redis_client)


def test_a_submitted_fax_is_asked_for_at_the_moments_of_the_schedule_and_the_last_is_repeated(
    scene: Scene,
) -> None:
    submit(scene, JOB)
    scene.news()
    asked = []
    while scene.seconds < 1900:
        polled = scene.store.timers.poll()
        while (question := take(scene)) is not None:
            asked.append(round(scene.seconds))
            assert (question.kind, question.request) == ("poll", {"jobId": 77})
            assert answer(scene, question, sending=True) == "later"
        scene.go(polled.next or 1.0)
    assert asked == [120, 300, 600, 1200, 1800]
    assert (scene.state(JOB), scene.names()) == ("submitted", [])
    scene.go(2000 - scene.seconds + 0.01)
    scene.store.timers.run()
    assert answer(scene, ask(scene), sending=True) == "later"  # once more before it is given up
    scene.go(61)
    scene.store.timers.run()
    assert scene.names() == ["fax.unconfirmed"]
    scene.go(600)
    assert scene.store.timers.poll().next is None


def test_with_webhooks_nobody_is_asked_for(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, RESULTS="webhook")
    submit(scene, JOB)
    scene.go(600)
    assert not scene.store.timers.run().poll
    assert not questions(scene)
    assert not scene.client.exists(scene.keys.polls, scene.keys.asks)


def test_a_worker_that_is_set_otherwise_notes_what_a_dispatcher_is_to_ask_about(scene: Scene) -> None:
    scene.store.offer("dispatcher a:1")
    worker = Store(scene.client, settings(RECEIPT_DEADLINE="2000"), "default", clock=CLOCK)
    worker.offer("worker b:1")
    scene.push(JOB)
    admitted = scene.admit()
    worker.submission.mark(admitted)
    worker.submission.settle(admitted, {"decision": "accepted", "job_id": JOB_ID})
    scene.go(120)
    assert worker.timers.run().poll
    assert ask(scene).job == JOB
    differ = find_differences(worker.state().shared_settings)
    assert set(differ["RESULTS"]) == {"webhook", "poll or both"}


@pytest.mark.parametrize("outcome", ["delivered", "failed", "canceled"])
def test_a_final_answer_is_as_final_as_a_receipt(scene: Scene, outcome: str) -> None:
    submit(scene, JOB)
    scene.news()
    scene.go(120)
    question = ask(scene)
    word = receipt(JOB_ID, outcome)
    assert answer(scene, question, receipt=word) == "applied"
    assert answer(scene, question, receipt=word) == "repeated"
    assert scene.receipt(JOB_ID, outcome).result == "repeated"
    assert scene.names() == [f"fax.{outcome}"]
    scene.go(600)
    assert not questions(scene)
    assert scene.store.timers.poll().next is None


def test_a_receipt_that_comes_while_it_is_asked_for_counts_once(scene: Scene) -> None:
    submit(scene, JOB)
    scene.news()
    scene.go(120)
    question = ask(scene)
    assert scene.receipt(JOB_ID).result == "applied"
    assert answer(scene, question, receipt=receipt(JOB_ID)) == "repeated"
    assert scene.names() == ["fax.delivered"]


def test_a_receipt_and_an_answer_at_the_same_moment_count_once(scene: Scene) -> None:
    jobs = [f"j{n}" for n in range(4)]
    submit(scene, *jobs)
    scene.news()
    scene.go(120)
    asked = questions(scene)
    assert len(asked) == len(jobs)
    words = [receipt(str(question.request["jobId"])) for question in asked]
    ready = threading.Barrier(2)

    def webhooks() -> None:
        ready.wait()
        for word in words:
            scene.store.receipts.apply([(scene.status(), word)])

    thread = threading.Thread(target=webhooks)
    thread.start()
    ready.wait()
    for question, word in zip(asked, words, strict=True):
        answer(scene, question, receipt=word)
    thread.join()
    assert scene.names() == ["fax.delivered"] * len(jobs)


@pytest.mark.parametrize(
    ("decision", "more"),
    [
        ("refuse", {"code": -5}),
        ("refuse", {"code": -2}),
        ("retry", {}),
        ("unknown", {"meaning": "unknown_refusal 7"}),
        ("in_doubt", {}),
        ("in_doubt", {"silent": True}),
        ("unreachable", {"status": 403}),
        ("accepted", {}),
    ],
)
def test_an_answer_that_is_not_final_changes_nothing_but_the_schedule(
    scene: Scene, decision: str, more: dict[str, Any]
) -> None:
    submit(scene, JOB)
    before = scene.record(JOB)
    scene.news()
    scene.go(120)
    answer(scene, ask(scene), decision, **more)
    assert (scene.record(JOB), scene.names()) == (before, [])
    scene.go(60)
    assert not questions(scene)
    scene.go(120)
    assert ask(scene).job == JOB


@pytest.mark.parametrize("decision", ["defer", "pause", "unreachable"])
def test_a_question_that_is_put_off_is_asked_once_the_account_is_open(scene: Scene, decision: str) -> None:
    submit(scene, JOB)
    scene.go(120)
    assert answer(scene, ask(scene), decision, reason="invalid_key", cooldown=1000, ours=True) == "again"
    assert not questions(scene)
    scene.go(60)
    assert ask(scene).job == JOB


@pytest.mark.parametrize(
    ("decision", "more"),
    [
        ("pause", {"reason": "no_permission"}),
        ("pause", {"reason": "plan_inactive"}),
        ("unreachable", {"status": 404, "ours": True}),
    ],
)
def test_a_question_that_is_refused_holds_no_fax_up(
    scene: Scene, decision: str, more: dict[str, Any]
) -> None:
    submit(scene, JOB)
    scene.go(100)
    submit(scene, "b")
    scene.go(20)
    question, rung = ask(scene), scene.client.xlen(scene.keys.doorbell)
    assert answer(scene, question, decision, **more) == "again"
    assert scene.client.xlen(scene.keys.doorbell) == rung + 1  # who asked may take no further call
    assert scene.store.state().paused == ""
    assert scene.push("c") == "registered"
    assert scene.admit().job == "c"


def test_an_answer_about_another_fax_is_refused(scene: Scene) -> None:
    submit(scene, JOB)
    scene.news()
    scene.go(120)
    assert answer(scene, ask(scene), receipt=receipt("78", "failed")) == "later"
    assert (scene.state(JOB), scene.names()) == ("submitted", [])


def test_an_answer_about_a_delivery_that_was_followed_by_another_says_nothing_about_that(
    scene: Scene,
) -> None:
    submit(scene, JOB)
    scene.go(120)
    question = ask(scene)
    scene.receipt(JOB_ID, "failed", again="other")
    scene.go(60)
    scene.store.timers.run()
    scene.submit("78")
    scene.news()
    assert answer(scene, question, receipt=receipt(JOB_ID, "failed")) == "repeated"
    assert scene.names() == []
    scene.go(120)
    assert ask(scene).request == {"jobId": 78}


def test_submissions_that_are_due_go_first(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, LIMITS__CONCURRENCY="5", LIMITS__BURST="0", LIMITS__REQUESTS="0")
    submit(scene, JOB)
    scene.go(120)
    for n in range(5):
        scene.push(f"due-{n}", priority="bulk")
    assert scene.store.timers.poll().asked == 0  # they have all the room
    assert [scene.admit().kind for _ in range(4)] == ["send"] * 4
    assert scene.store.timers.poll().asked == 0


def test_a_question_that_waits_for_its_permit_is_overtaken_by_a_fax_of_any_priority(scene: Scene) -> None:
    submit(scene, JOB)
    scene.go(120)
    assert scene.store.timers.poll().asked == 1
    scene.push("later", priority="bulk")
    assert [scene.admit().kind for _ in range(2)] == ["send", "poll"]


def test_questions_keep_to_their_share_of_the_requests_in_any_window(redis_client: redis.Redis) -> None:
    scene = begin(
        redis_client,
        LIMITS__REQUESTS="50",
        LIMITS__WINDOW="100",
        LIMITS__BURST="0",
        LIMITS__CONCURRENCY="0",
        POLL__SCHEDULE="[1]",
        RECEIPT_DEADLINE="100000",
    )
    submit(scene, *(f"j{n}" for n in range(30)))
    asked: list[float] = []
    while scene.seconds < 600:
        for question in questions(scene):
            asked.append(scene.seconds)
            answer(scene, question, sending=True)
        scene.go(0.5)
    for at in asked:
        assert sum(at <= other < at + 100 for other in asked) <= 10
    assert len(asked) >= 55
    scene.store.timers.run()
    assert scene.store.state().polls.effective == 10


def test_questions_leave_the_burst_and_the_calls_at_once_to_submissions(redis_client: redis.Redis) -> None:
    scene = begin(redis_client)
    submit(scene, *(f"j{n}" for n in range(30)))
    scene.go(120)
    assert len(questions(scene)) == 4  # of 20 calls at once, a fifth


def test_those_that_are_due_for_longest_are_asked_for_first(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, LIMITS__CONCURRENCY="5")
    submit(scene, "z")
    scene.go(10)
    scene.push("b")
    scene.submit("90")
    scene.go(200)
    first = ask(scene)
    assert first.job == "z"
    answer(scene, first, sending=True)
    assert ask(scene).job == "b"


def test_a_question_whose_worker_died_is_asked_again_and_counts(redis_client: redis.Redis) -> None:
    scene = begin(redis_client)
    submit(scene, JOB)
    scene.go(120)
    assert ask(scene).job == JOB
    scene.go(8)
    scene.store.timers.run()
    assert ask(scene).job == JOB
    assert scene.client.zcard(scene.keys.asks) == 2


def test_a_question_that_nobody_took_before_the_receipt_came_gives_its_room_back(scene: Scene) -> None:
    submit(scene, JOB)
    scene.go(120)
    assert scene.store.timers.poll().asked == 1
    scene.receipt(JOB_ID)
    assert isinstance(scene.store.submission.admit("p", ""), Idle)
    assert not scene.client.zcard(scene.keys.asks)


def test_a_question_is_the_probe_of_a_paused_account_only_where_no_fax_is(scene: Scene) -> None:
    submit(scene, JOB)
    scene.push("b")
    refused = scene.call()
    scene.store.submission.settle(refused, {"decision": "pause", "reason": "invalid_key"})
    scene.go(120)
    assert scene.store.timers.poll().asked == 0
    scene.store.intake.cancel(scene.intake("cancel"), "b")
    question = ask(scene)
    assert question.kind == "poll"
    answer(scene, question, sending=True)
    assert scene.store.state().paused == ""


def test_an_answer_to_a_question_tells_nothing_of_the_balance(scene: Scene) -> None:
    submit(scene, JOB)
    scene.push("b")
    refused = scene.call()
    scene.store.submission.settle(refused, {"decision": "pause", "reason": "insufficient_balance"})
    scene.go(2001)
    scene.store.timers.run()
    assert scene.store.timers.poll().asked == 0  # a fax is the better probe
    scene.store.intake.cancel(scene.intake("cancel"), "b")
    answer(scene, ask(scene), sending=True)
    assert scene.store.state().paused == "insufficient_balance"


def test_a_question_that_an_operator_ordered_leaves_the_probe_to_a_fax_where_only_that_opens_the_account(
    scene: Scene,
) -> None:
    submit(scene, JOB)
    scene.push("b")
    refused = scene.call()
    scene.store.submission.settle(refused, {"decision": "pause", "reason": "insufficient_balance"})
    scene.go(1)
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "done"
    assert scene.store.orders.pause_or_resume(scene.ordered("probe"), "probe", "otto") == "done"
    probe = scene.call()
    assert (probe.kind, probe.job) == ("send", "b")
    scene.store.submission.settle(probe, {"decision": "accepted", "job_id": "78"})
    assert scene.store.state().paused == ""
    assert ask(scene).job == JOB


def test_explain_knows_when_it_is_asked_for_next(redis_client: redis.Redis) -> None:
    scene = begin(redis_client)
    submit(scene, JOB)
    with FaxLine(redis_client) as line:
        job = line.job(JOB)
    assert job.asked_at is not None
    assert round(job.asked_at.timestamp() * 1000) == scene.now + 120_000


def test_an_operator_has_ifax_asked_ahead_of_all_jobs_whatever_the_settings(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client, RESULTS="webhook")
    submit(scene, JOB)
    scene.push("next")
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "done"
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "idle"
    question = take(scene)
    assert question is not None
    assert (question.kind, question.job, question.request) == ("poll", JOB, {"jobId": 77})
    scene.store.submission.mark(question)
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "idle"
    scene.news()
    assert answer(scene, question, receipt=receipt(JOB_ID)) == "applied"
    assert scene.names() == ["fax.delivered"]
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "refused"
    assert scene.store.orders.ask(scene.ordered("ask"), "nobody") == "refused"


def test_a_fax_that_ended_without_a_receipt_is_amended_by_the_answer_that_an_operator_asked_for(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client, RESULTS="webhook", RECEIPT_DEADLINE="200")
    submit(scene, JOB)
    scene.go(201)
    scene.store.timers.run()
    assert scene.record(JOB)["state"] == "unconfirmed"
    scene.news()
    for more, came in (
        ({}, "later"),
        ({"sending": True}, "later"),
        ({"receipt": receipt(JOB_ID)}, "applied"),
    ):
        assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "done"
        assert scene.store.timers.poll().asked == 0
        question = take(scene)
        assert question is not None
        scene.store.submission.mark(question)
        assert answer(scene, question, **more) == came
    assert scene.names() == ["fax.delivered"]
    assert scene.client.zcard(scene.keys.polls) == 0


@pytest.mark.parametrize("seconds", [0, 201])
@pytest.mark.parametrize("fate", ["lost", "defer"])
def test_a_question_that_an_operator_ordered_is_asked_again_whatever_kept_its_answer_away(
    redis_client: redis.Redis, seconds: float, fate: str
) -> None:
    scene = begin(redis_client, RESULTS="webhook", RECEIPT_DEADLINE="200")
    submit(scene, JOB)
    scene.go(seconds)
    scene.store.timers.run()
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "done"
    question = ask(scene)
    if fate != "lost":
        assert answer(scene, question, fate, cooldown=1000) == "again"
    scene.go(8)
    scene.store.timers.run()
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "idle"
    assert answer(scene, ask(scene), receipt=receipt(JOB_ID)) == "applied"
    assert scene.client.exists(scene.keys.polls) == 0


def test_questions_that_operators_ordered_do_not_pile_up(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, RESULTS="webhook", LIMITS__WINDOW="10")
    submit(scene, JOB)
    for _ in range(3):
        assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "done"
        answer(scene, ask(scene), sending=True)
        scene.go(11)
        scene.store.timers.run()
    assert scene.client.zcard(scene.keys.asks) == 1


def test_a_question_that_an_operator_ordered_enters_no_schedule(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, RESULTS="webhook", RETRIES__DELIVERY__REDIAL_WAIT="50")
    submit(scene, JOB)
    assert scene.store.orders.ask(scene.ordered("ask"), JOB) == "done"
    failed = receipt(JOB_ID, "failed", redial=1)
    assert answer(scene, ask(scene), receipt=failed) == "held"
    assert scene.client.exists(scene.keys.polls) == 0


def failed_and_asked(client: redis.Redis) -> tuple[Scene, Admitted]:
    """iFax may call again by itself, and nobody could ask in time what came of it."""
    scene = begin(client, RETRIES__DELIVERY__REDIAL_WAIT="50")
    submit(scene, JOB)
    scene.go(119)
    assert scene.receipt(JOB_ID, "failed", redial=0, again="busy").result == "held"
    scene.go(51)
    scene.store.timers.run()
    assert scene.state(JOB) == "submitted"
    return scene, ask(scene)


def test_a_failure_is_not_the_last_one_while_ifax_is_still_to_be_asked(redis_client: redis.Redis) -> None:
    scene, question = failed_and_asked(redis_client)
    scene.store.timers.run()
    assert answer(scene, question, receipt=receipt(JOB_ID)) == "applied"
    assert scene.state(JOB) == "delivered"


def test_a_failure_is_the_last_one_once_ifax_tells_nothing_else(redis_client: redis.Redis) -> None:
    scene, question = failed_and_asked(redis_client)
    assert answer(scene, question, "refuse") == "later"
    scene.store.timers.run()
    assert scene.state(JOB) == "queued"


def test_a_failure_is_the_last_one_where_ifax_could_not_be_asked_for_long(redis_client: redis.Redis) -> None:
    scene, _ = failed_and_asked(redis_client)
    scene.go(2 * 2000)
    scene.store.timers.run()
    assert scene.state(JOB) == "queued"
