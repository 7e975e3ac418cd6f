"""What is asked before a fax is given up: at its deadline, after a failure, and about a doubt."""

from typing import Any

import pytest
import redis

from tests.stage.polling import JOB, JOB_ID, answer, ask, begin, questions, submit, take
from tests.stage.scene import NUMBER, Scene, receipt


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return begin(redis_client)


def test_at_the_deadline_a_question_that_had_no_room_goes_ahead_of_all_first(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client, LIMITS__REQUESTS="10", LIMITS__WINDOW="10", RECEIPT_DEADLINE="200")
    submit(scene, JOB)
    for n in range(20):
        scene.push(f"due-{n}")
    scene.go(120)
    assert scene.store.timers.poll().asked == 0
    scene.go(80)
    scene.news()
    scene.store.timers.run()
    assert scene.names() == []
    assert scene.store.timers.poll().asked == 1
    question = scene.admit()
    assert question.kind == "poll"
    assert answer(scene, question, sending=True) == "later"
    scene.go(61)
    scene.store.timers.run()
    assert scene.names() == ["fax.unconfirmed"]


def test_the_last_question_takes_its_turn_where_every_slot_has_its_fax(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, LIMITS__REQUESTS="10", LIMITS__WINDOW="500", RECEIPT_DEADLINE="200")
    submit(scene, JOB, *(f"j{n}" for n in range(9)))
    scene.push("due")
    scene.go(200)
    scene.store.timers.run()
    assert scene.store.timers.poll().asked == 2  # its share, though the window has no room
    assert take(scene) is None
    scene.go(301)
    assert [scene.admit().kind for _ in range(3)] == ["poll", "poll", "send"]


def test_what_ended_after_the_last_moment_of_the_schedule_is_found_at_the_deadline(scene: Scene) -> None:
    submit(scene, JOB)
    scene.go(1900)
    answer(scene, ask(scene), sending=True)
    scene.news()
    scene.go(101)
    scene.store.timers.run()
    assert answer(scene, ask(scene), receipt=receipt(JOB_ID)) == "applied"
    assert scene.names() == ["fax.delivered"]


def test_the_last_question_overtakes_faxes_that_came_while_it_waited(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, LIMITS__CONCURRENCY="1", RECEIPT_DEADLINE="200")
    submit(scene, JOB)
    scene.go(120)
    assert scene.store.timers.poll().asked == 1
    for n in range(5):
        scene.push(f"due-{n}")
    scene.go(80)
    scene.store.timers.run()
    scene.store.timers.poll()
    assert ask(scene).job == JOB


def test_a_question_that_never_has_room_holds_the_deadline_up_once_more_as_long(
    redis_client: redis.Redis,
) -> None:
    scene = begin(redis_client, RECEIPT_DEADLINE="200")
    submit(scene, JOB)
    scene.store.orders.pause_or_resume(scene.ordered("pause"), "pause")
    scene.news()
    for seconds, events in ((201, []), (100, []), (120, ["fax.unconfirmed"])):
        scene.go(seconds)
        scene.store.timers.poll()
        scene.store.timers.run()
        assert scene.names() == events


def failed(redial: int) -> dict[str, Any]:
    return receipt(JOB_ID, "failed", again="busy", redial=redial)


def test_a_failure_after_which_ifax_may_call_again_is_held_and_asked_for_before_that_is_over(
    scene: Scene,
) -> None:
    submit(scene, JOB)
    scene.news()
    scene.go(120)
    assert answer(scene, ask(scene), receipt=failed(0)) == "held"
    scene.go(180)
    assert answer(scene, ask(scene), receipt=failed(0)) == "held"
    scene.go(300)
    assert answer(scene, ask(scene), sending=True) == "later"  # it calls again
    scene.go(400)
    assert scene.store.timers.run().failures == ()
    assert answer(scene, ask(scene), receipt=failed(1)) == "held"
    assert scene.names() == []
    scene.go(601)
    assert answer(scene, ask(scene), "refuse") == "later"
    assert len(scene.store.timers.run().failures) == 1
    assert scene.names() == ["fax.retrying"]


def doubt(scene: Scene, **more: Any) -> None:
    scene.push(JOB)
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": "in_doubt", "reason": "server_error", **more})
    scene.news()


@pytest.fixture
def doubted(redis_client: redis.Redis) -> Scene:
    """In doubt, by an answer that named a jobId; results come by webhook."""
    scene = begin(redis_client, RESULTS="webhook", IN_DOUBT__WAIT="1000")
    doubt(scene, named=JOB_ID)
    return scene


@pytest.mark.parametrize(
    ("answered", "result", "events"),
    [
        ({"sending": True}, "submitted", ["fax.submitted"]),
        ({"receipt": receipt(JOB_ID)}, "resolved_doubt", ["fax.submitted", "fax.delivered"]),
        ({"receipt": receipt(JOB_ID, "failed")}, "resolved_doubt", ["fax.submitted", "fax.failed"]),
        (
            {"receipt": receipt(JOB_ID, "failed", again="busy")},
            "resolved_doubt",
            ["fax.submitted", "fax.retrying"],
        ),
        ({}, "later", []),
    ],
)
def test_a_doubt_whose_jobid_is_known_is_asked_for_and_settled_without_a_person(
    doubted: Scene, answered: dict[str, Any], result: str, events: list[str]
) -> None:
    assert doubted.store.timers.run().poll
    doubted.go(120)
    question = ask(doubted)
    assert question.request == {"jobId": 77}
    assert answer(doubted, question, to=NUMBER[2:], **answered) == result
    assert doubted.names() == events
    if events:
        assert not doubted.client.zcard(doubted.keys.in_doubt)
        assert not doubted.client.zcard(doubted.keys.doubts)


@pytest.mark.parametrize("decision", ["refuse", "in_doubt", "retry", "unknown"])
def test_an_answer_that_is_not_clear_leaves_a_doubt_as_it_is(doubted: Scene, decision: str) -> None:
    doubted.go(120)
    answer(doubted, ask(doubted), decision)
    assert (doubted.state(JOB), doubted.names()) == ("in_doubt", [])
    doubted.go(180)
    assert ask(doubted).job == JOB


def test_an_answer_about_a_fax_to_somebody_else_settles_no_doubt(doubted: Scene) -> None:
    doubted.go(120)
    assert answer(doubted, ask(doubted), to="+19999999999", receipt=receipt(JOB_ID)) == "later"
    assert (doubted.state(JOB), doubted.names()) == ("in_doubt", [])


def test_a_jobid_that_is_another_jobs_is_not_asked_about(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, RESULTS="webhook")
    submit(scene, "other")
    doubt(scene, named=JOB_ID)
    scene.go(120)
    assert not questions(scene)


def test_a_doubt_is_not_sent_again_while_its_question_is_due_or_under_way(redis_client: redis.Redis) -> None:
    scene = begin(redis_client, RESULTS="webhook", IN_DOUBT__WAIT="130", IN_DOUBT__THEN="resend")
    doubt(scene, named=JOB_ID)
    scene.go(131)
    scene.store.timers.run()
    assert scene.names() == []
    question = ask(scene)
    scene.store.timers.run()
    assert scene.names() == []
    answer(scene, question, "refuse")
    scene.store.timers.run()
    assert scene.names() == ["fax.retrying"]
