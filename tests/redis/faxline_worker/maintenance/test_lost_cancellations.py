"""What `recover` makes of a cancellation that Redis lost, and of a fax of which it lost the content."""

import pytest

from faxline.reading.account_state import ROLLED_BACK
from faxline_worker.state.results import Admitted, Mark
from tests.stage.rollbacks import OVER, Process, Server, goes_back, paused, recover
from tests.stage.scene import NUMBER, Scene


def doubted(scene: Scene, process: Process, **more: str) -> Admitted:
    """A fax whose worker is gone: it is in doubt."""
    scene.push("unwanted", **more)
    admitted = process.send("p")
    scene.go(10)
    scene.store.timers.run()
    assert scene.record("unwanted")["state"] == "in_doubt"
    return admitted


def cancel(scene: Scene, process: Process) -> None:
    assert process.store.intake.cancel(scene.intake("cancel"), "unwanted") == "canceled"


def is_sent_later(scene: Scene, process: Process) -> bool:
    scene.go(200)
    scene.store.timers.run()
    return isinstance(process.store.submission.admit("again", ""), Admitted)


def test_a_fax_that_was_canceled_and_is_in_doubt_again_is_not_sent_by_its_policy(
    scene: Scene, a: Process
) -> None:
    doubted(scene, a, in_doubt="resend")
    with a.undone():
        scene.go(200)
        scene.store.timers.run()
        cancel(scene, a)
    assert (paused(scene), scene.record("unwanted")["state"]) == (ROLLED_BACK, "in_doubt")
    assert recover(scene)["canceled"] == ["unwanted"]
    assert not is_sent_later(scene, a)


@pytest.mark.parametrize("marked", [True, False])
def test_a_fax_that_was_canceled_and_is_under_way_again_is_canceled(
    scene: Scene, a: Process, marked: bool
) -> None:
    """What may have been sent of it is a doubt, which its receipt finds; its late answer settles nothing."""
    scene.push("unwanted", in_doubt="resend")
    admitted = a.send("p") if marked else a.store.submission.admit("p", "")
    assert isinstance(admitted, Admitted)
    with a.undone():
        scene.go(10)
        scene.store.timers.run()
        scene.go(200)
        scene.store.timers.run()
        cancel(scene, a)
    assert recover(scene)["canceled"] == ["unwanted"]
    assert scene.client.zcard(scene.keys.doubts) == marked
    assert not is_sent_later(scene, a)
    if marked:
        answer = {"decision": "accepted", "job_id": "77"}
        assert a.store.submission.settle(admitted, answer).result == "duplicate"
    else:
        assert a.store.submission.mark(admitted) is Mark.LOST
    assert scene.record("unwanted")["state"] == "canceled"
    assert scene.client.zcard(scene.keys.permits) == 0


def test_a_fax_that_was_canceled_and_is_submitted_again_is_not_delivered_again(
    scene: Scene, a: Process
) -> None:
    scene.push("unwanted")
    a.accepted("p", "77")
    with a.undone():
        scene.receipt("77", "failed", again="busy", to=NUMBER)
        cancel(scene, a)
    assert (paused(scene), scene.record("unwanted")["state"]) == (ROLLED_BACK, "submitted")
    assert recover(scene)["submitted"] == ["unwanted"]
    assert scene.receipt("77", "failed", again="busy", to=NUMBER).result == "applied"
    assert scene.record("unwanted")["state"] == "failed"
    assert not is_sent_later(scene, a)


def test_a_fax_that_was_canceled_and_is_gone_is_not_sent_when_it_is_pushed_again(
    scene: Scene, a: Process
) -> None:
    with a.undone():
        scene.push("unwanted")
        cancel(scene, a)
    assert recover(scene)["canceled"] == ["unwanted"]
    assert scene.push("unwanted") == "repeated"
    assert not is_sent_later(scene, a)


@pytest.mark.parametrize("decision", ["defer", "unreachable", "retry", "unknown", "pause", "released"])
def test_a_fax_without_content_that_ifax_did_not_take_fails_and_holds_nobody_up(
    scene: Scene, a: Process, decision: str
) -> None:
    with a.undone():
        scene.push("sent")
        admitted = a.send("p")
    assert recover(scene)["in_doubt"] == ["sent"]
    answer = {"decision": decision, "reason": "r", "retry": 1000}
    assert a.store.submission.settle(admitted, answer).result == "resolved"
    record = scene.record("sent")
    assert (record["state"], record["reason"]) == ("failed", ROLLED_BACK)
    assert scene.client.zcard(scene.keys.doubts) == 0
    scene.push("good")
    scene.go(OVER)
    assert a.send("next").job == "good"


def test_a_fax_without_content_that_ifax_refused_fails_for_the_reason_that_ifax_gave(
    scene: Scene, a: Process
) -> None:
    with a.undone():
        scene.push("sent")
        admitted = a.send("p")
    recover(scene)
    answer = {"decision": "refuse", "reason": "bad_number"}
    assert a.store.submission.settle(admitted, answer).result == "resolved"
    assert (scene.record("sent")["state"], scene.record("sent")["reason"]) == ("failed", "bad_number")


def test_a_late_acceptance_that_redis_lost_the_call_of_tells_when_it_was_sent(
    scene: Scene, server: Server, a: Process
) -> None:
    """By that time questions about the fax have their end."""
    scene.push("sent")
    moment = scene.save()
    admitted, sent_at = a.send("p"), scene.now
    scene.go(3)
    goes_back(scene, server, moment)
    a.comes_back()
    answer = {"decision": "accepted", "job_id": "77", "attempt": 1}
    assert a.store.submission.settle(admitted, answer).result == "resolved"
    record = scene.record("sent")
    assert (record["admitted_at"], record["granted_at"]) == (str(sent_at), str(sent_at))
    assert record["attempt"] == "1"
