"""Two requests of one fax that iFax took: nothing more is sent while one of them may still be delivered."""

import pytest
import redis

from tests.stage.scene import NUMBER, Scene
from tests.stage.states import DEADLINE, JOB, LEASE
from tests.stage.two_requests import accepted, lost, resend, sent_again, sent_twice, taken_twice


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


def test_the_older_one_is_waited_for_until_its_deadline_although_redis_clock_stepped_back(
    scene: Scene,
) -> None:
    taken_twice(scene)
    scene.step(-3600)
    scene.store.timers.run()
    scene.receipt("78", "failed", again="busy")
    assert scene.record(JOB)["job_id"] == "77"
    scene.go(DEADLINE - 1)
    scene.store.timers.run()
    assert scene.state(JOB) == "submitted"
    scene.go(2)
    scene.store.timers.run()
    assert scene.state(JOB) == "unconfirmed"


def redialed(scene: Scene) -> None:
    """iFax had the time to call again by itself."""
    scene.go(scene.settings.retries.delivery.redial_wait.total_seconds() + 1)
    scene.store.timers.run()


def test_a_failure_of_the_older_one_after_which_ifax_may_call_again_is_not_forgotten(scene: Scene) -> None:
    taken_twice(scene)
    assert scene.receipt("77", "failed", again="busy", redial=0).result == "held"
    assert scene.receipt("77", "failed", again="busy", redial=0).result == "repeated"
    scene.receipt("78", "failed", again="busy")
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "77")
    redialed(scene)
    assert scene.state(JOB) == "queued"


@pytest.mark.parametrize(("redial", "result"), [(1, "held"), (None, "told")])
def test_a_later_failure_of_the_older_one_takes_the_place_of_the_first(
    scene: Scene, redial: int | None, result: str
) -> None:
    taken_twice(scene)
    scene.receipt("77", "failed", again="busy", redial=0)
    more = {} if redial is None else {"redial": redial}
    assert scene.receipt("77", "failed", again="busy", **more).result == result
    scene.receipt("78", "failed", again="busy")
    assert scene.state(JOB) == ("queued" if redial is None else "submitted")


def test_the_older_one_is_waited_for_that_may_be_called_again_although_its_failure_came_before_its_answer(
    scene: Scene,
) -> None:
    older, newer = sent_twice(scene)
    accepted(scene, newer, "78")
    scene.receipt("77", "failed", again="busy", redial=0)
    assert accepted(scene, older, "77") == "duplicate"
    scene.receipt("78", "failed", again="busy")
    assert scene.state(JOB) == "submitted"
    scene.receipt("77")
    assert scene.state(JOB) == "delivered"


def test_an_older_one_that_failed_counts_for_nothing_where_an_operator_named_the_jobid_of_another_fax(
    scene: Scene,
) -> None:
    older = sent_again(scene)
    lost(scene)
    assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "accepted", "90") == "done"
    scene.receipt("77", "failed")
    assert accepted(scene, older, "77") == "duplicate"
    scene.receipt("90", to="+493012345678")
    assert (scene.state(JOB), scene.record(JOB)["reason"]) == ("in_doubt", "other_number")


def test_no_failure_is_announced_while_the_older_one_may_be_delivered(scene: Scene) -> None:
    taken_twice(scene)
    scene.news()
    assert scene.receipt("78", "failed").result == "applied"
    assert scene.names() == ["fax.duplicate", "fax.submitted"]
    scene.receipt("77")
    assert (scene.state(JOB), scene.names()) == ("delivered", ["fax.delivered"])


def test_each_request_that_ifax_took_is_waited_for(scene: Scene) -> None:
    calls = [sent_again(scene)]
    calls.append(lost(scene))
    resend(scene)
    calls.append(scene.call())
    for call, job_id in ((calls[2], "79"), (calls[0], "77"), (calls[1], "78")):
        accepted(scene, call, job_id)
    scene.receipt("79", "failed", again="busy")
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "78")
    scene.receipt("78", "failed", again="busy")
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "77")
    scene.receipt("77", "failed", again="busy")
    assert scene.state(JOB) == "queued"
    scene.go(3600)
    scene.store.timers.run()
    scene.submit("80")
    scene.receipt("80", "failed", again="busy")
    assert scene.state(JOB) == "queued"


@pytest.mark.parametrize("first", ["77", "78"])
def test_a_request_that_failed_is_waited_for_no_longer_although_iFax_took_three(
    scene: Scene, first: str
) -> None:
    calls = [sent_again(scene), lost(scene)]
    resend(scene)
    calls.append(scene.call())
    for call, job_id in zip(calls, ("77", "78", "79"), strict=True):
        accepted(scene, call, job_id)
    assert scene.receipt(first, "failed", again="busy").result == "told"
    scene.receipt("79", "failed", again="busy")
    assert (scene.state(JOB), {scene.record(JOB)["job_id"], first}) == ("submitted", {"77", "78"})
    scene.receipt(scene.record(JOB)["job_id"], "failed", again="busy")
    assert scene.state(JOB) == "queued"


def test_the_older_ones_failure_that_came_first_leads_to_another_delivery_when_the_newer_is_not_taken(
    scene: Scene,
) -> None:
    older, newer = sent_twice(scene)
    scene.receipt("77", "failed", again="busy")
    assert accepted(scene, older, "77") == "duplicate"
    scene.store.submission.settle(newer, {"decision": "refuse", "reason": "r"})
    assert scene.state(JOB) == "queued"
    scene.go(3600)
    scene.store.timers.run()
    assert scene.call().request == {"jobId": 77}


def test_the_end_of_one_of_them_is_not_counted_as_the_end_of_the_fax(scene: Scene) -> None:
    taken_twice(scene)
    assert scene.receipt("78", "failed").retried
    assert not scene.receipt("77", "failed").retried


@pytest.mark.parametrize("who", ["policy", "operator"])
def test_a_doubt_that_was_given_up_is_no_leave_to_send_it_again_where_the_older_one_fails(
    scene: Scene, who: str
) -> None:
    older = sent_again(scene, in_doubt="fail" if who == "policy" else "hold")
    newer = scene.call()
    assert accepted(scene, older, "77") == "duplicate"
    scene.go(LEASE)
    give_up(scene, who)
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "77")
    scene.receipt("77", "failed", again="busy")
    assert (scene.state(JOB), scene.record(JOB)["reason"]) == ("in_doubt", "other_failed")
    give_up(scene, who)
    assert scene.state(JOB) == "failed"
    assert accepted(scene, newer, "78") == "duplicate"


def test_nor_is_the_older_ones_failure_where_an_operator_had_named_the_jobid_of_another_fax(
    scene: Scene,
) -> None:
    older = sent_again(scene)
    lost(scene)
    assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "accepted", "90") == "done"
    assert accepted(scene, older, "77") == "duplicate"
    scene.receipt("90", to="+493012345678")
    assert (scene.state(JOB), scene.record(JOB)["job_id"]) == ("submitted", "77")
    scene.receipt("77", "failed", again="busy")
    assert (scene.state(JOB), scene.record(JOB)["reason"]) == ("in_doubt", "other_failed")


def test_what_was_said_of_the_older_one_is_not_forgotten_while_the_newer_is_in_doubt(scene: Scene) -> None:
    older, _ = sent_twice(scene)
    accepted(scene, older, "77")
    scene.go(LEASE)
    scene.store.timers.run()
    assert scene.receipt("77", "failed", again="busy", redial=0).result == "held"
    retention = scene.settings.retention.total_seconds() * 1000
    assert scene.client.pttl(scene.keys.job_ids + "77") >= retention


@pytest.mark.parametrize("how", ["answer", "named", "lease"])
def test_a_request_that_may_have_reached_ifax_after_the_older_one_was_delivered_settles_no_other_faxs_doubt(
    scene: Scene, how: str
) -> None:
    older, newer = sent_twice(scene)
    accepted(scene, older, "77")
    scene.push("other")
    never_taken = scene.call()
    assert scene.receipt("77").result == "held"
    if how == "lease":
        scene.go(LEASE)
        scene.store.timers.run()
    else:
        named = {"named": "78"} if how == "named" else {}
        for call in (newer, never_taken):
            answer = {"decision": "in_doubt", "reason": "timeout"} | (named if call is newer else {})
            scene.store.submission.settle(call, answer)
    assert (scene.state(JOB), scene.state("other")) == ("delivered", "in_doubt")
    scene.news()
    scene.receipt("78", to=NUMBER)
    scene.go(LEASE + 2)
    scene.store.receipts.match()
    assert scene.state("other") == "in_doubt"
    [told] = scene.news()
    assert (told.name, told.job, told.data["jobId"]) == ("fax.duplicate", JOB, 78)


def give_up(scene: Scene, who: str) -> None:
    """The doubt about the newer one is over: the fax is not to be sent again."""
    scene.store.timers.run()
    if who == "policy":
        scene.go(scene.settings.in_doubt.wait.total_seconds() + 1)
        scene.store.timers.run()
    else:
        assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "fail", "") == "done"
