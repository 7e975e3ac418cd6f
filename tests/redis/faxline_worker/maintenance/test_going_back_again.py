"""What a process knows is not forgotten once it was compared, and what was erased is no loss."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from faxline.reading.account_state import ROLLED_BACK
from faxline_worker.state.recent_work import KEPT
from faxline_worker.state.results import Admitted, Held
from tests.stage.rollbacks import OVER, Process, Server, goes_back, lost, paused, pushed, recover, shown
from tests.stage.scene import NUMBER, Scene

LEASE = 100
EARLIER = -1e9
"""A step of the scene's clock behind the server's own, which events have."""


def nothing_is_sent(scene: Scene, process: Process) -> bool:
    scene.go(OVER)
    scene.store.timers.run()
    return not isinstance(process.store.submission.admit("again", ""), Admitted)


def lose_its_lease(scene: Scene) -> None:
    scene.go(LEASE)
    scene.store.timers.run()


def test_a_second_step_back_that_loses_the_pause_too_is_noticed(
    scene: Scene, server: Server, a: Process
) -> None:
    scene.push("sent")
    moment = scene.save()
    a.accepted("p", "77")
    for _ in range(3):
        goes_back(scene, server, moment)
        a.comes_back()
        assert (paused(scene), [call.job for call in lost(scene).calls]) == (ROLLED_BACK, ["sent"])
    assert a.store.submission.admit("q", "") == Held("paused")


def test_what_others_did_between_two_steps_back_hides_no_loss(
    scene: Scene, server: Server, a: Process, b: Process
) -> None:
    """The second server has an event that is newer than those that the first one lost, but not the pause."""
    scene.push("sent")
    moment = scene.save()
    a.accepted("p", "77")
    goes_back(scene, server, moment)
    a.connect()
    pushed(scene, b, "new")
    moment = scene.save()
    a.look()
    assert recover(scene)["submitted"] == ["sent"]
    goes_back(scene, server, moment)
    assert scene.record("sent")["state"] == "queued"
    a.comes_back()
    assert (paused(scene), [call.job for call in lost(scene).calls]) == (ROLLED_BACK, ["sent"])


def test_an_answer_that_was_told_again_and_is_lost_once_more_is_told_once_more(
    scene: Scene, server: Server, a: Process, b: Process
) -> None:
    scene.push("sent")
    admitted = a.send("p")
    moment = scene.save()
    a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"})
    goes_back(scene, server, moment)
    a.connect()
    pushed(scene, b, "new")
    moment = scene.save()
    a.look()
    scene.go(OVER)
    goes_back(scene, server, moment)
    a.comes_back()
    assert (scene.record("sent")["state"], scene.record("sent")["job_id"]) == ("submitted", "77")


def test_receipts_that_were_put_back_and_are_lost_once_more_are_put_back_once_more(
    scene: Scene, server: Server, a: Process, b: Process
) -> None:
    scene.step(EARLIER)
    moment = scene.save()
    body = {b"body": b'{"jobId": 77, "faxStatus": "delivered"}', b"kind": b"receipt"}
    a.guard.memory("default").received([body], scene.now)
    goes_back(scene, server, moment)
    a.connect()
    pushed(scene, b, "new")
    moment = scene.save()
    a.look()
    scene.go(OVER)
    goes_back(scene, server, moment)
    assert scene.client.xlen(scene.keys.status) == 0
    a.comes_back()
    back = cast("Any", scene.client.xrange(scene.keys.status))
    assert [fields for _, fields in back] == [body]


@pytest.mark.parametrize("kind", ["call", "refused call", "push", "cancellation"])
def test_what_a_recovery_dealt_with_pauses_no_account_again(
    scene: Scene, server: Server, a: Process, kind: str
) -> None:
    if kind != "push":
        scene.push("known")
    with a.undone():
        if kind == "call":
            a.accepted("p", "77")
        elif kind == "refused call":
            a.store.submission.settle(a.send("p"), {"decision": "refuse", "reason": "r"})
        elif kind == "push":
            pushed(scene, a, "known")
        else:
            a.store.intake.cancel(scene.intake("cancel"), "known")
    recover(scene)
    server.changes()
    a.comes_back()
    assert (paused(scene), shown(scene)) == ("", None)


@pytest.mark.parametrize("looks", [1, 3])
def test_an_answer_that_came_after_its_lease_is_still_known_when_redis_goes_back(
    scene: Scene, server: Server, a: Process, looks: int
) -> None:
    scene.push("sent")
    moment = scene.save()
    admitted = a.send("p")
    lose_its_lease(scene)
    answer = {"decision": "in_doubt", "reason": "read_timeout"}
    assert a.store.submission.settle(admitted, answer).result == "stale"
    for _ in range(looks):
        a.look()
    assert paused(scene) == ""
    goes_back(scene, server, moment)
    a.comes_back()
    assert (paused(scene), lost(scene).calls[0].decision) == (ROLLED_BACK, "in_doubt")
    assert nothing_is_sent(scene, a)


def test_an_answer_that_told_nothing_new_is_still_known_when_redis_goes_back(
    scene: Scene, server: Server, a: Process
) -> None:
    """The reply to `settle` was lost, so it was settled twice."""
    scene.step(EARLIER)
    scene.push("sent", in_doubt="resend")
    admitted = a.send("p")
    scene.push("other")
    moment = scene.save()
    answer = {"decision": "accepted", "job_id": "77"}
    scene.store.submission.settle(admitted, answer)
    assert a.store.submission.settle(admitted, answer).result == "repeated"
    goes_back(scene, server, moment)
    a.comes_back()
    assert (scene.record("sent")["state"], paused(scene)) == ("submitted", "")


def call_and_erase(scene: Scene, a: Process) -> Admitted:
    """A call loses its lease, and its fax is given up and erased before an answer is settled."""
    admitted = a.send("p")
    lose_its_lease(scene)
    assert scene.store.orders.resolve(scene.ordered("resolve"), "sent", "fail", "") == "done"
    assert scene.store.maintenance.forget("sent") == "done"
    return admitted


def test_the_late_answer_of_a_fax_that_was_erased_pauses_nothing(scene: Scene, a: Process) -> None:
    scene.push("sent")
    admitted = call_and_erase(scene, a)
    a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"})
    a.look()
    assert paused(scene) == ""


def test_a_call_that_was_never_settled_pauses_nothing_after_its_fax_was_erased(
    scene: Scene, server: Server, a: Process
) -> None:
    scene.push("sent")
    call_and_erase(scene, a)
    server.changes()
    a.comes_back()
    assert paused(scene) == ""


def test_a_call_that_was_never_settled_is_not_remembered_for_ever(
    scene: Scene, server: Server, process: Callable[[], Process]
) -> None:
    scene.step(EARLIER)
    late, seconds = process(), [0.0]
    memory = late.guard.memory("default")
    memory.clock = lambda: seconds[0]
    scene.push("sent")
    admitted = late.send("p")
    lose_its_lease(scene)
    assert scene.store.orders.resolve(scene.ordered("resolve"), "sent", "fail", "") == "done"
    late.look()
    assert memory.holds(admitted.permit)
    for _ in range(2):  # until nobody settles it any more, and as long as anything is remembered after that
        seconds[0] += 2 * KEPT
        late.look()
    assert not memory.holds(admitted.permit)
    scene.client.delete(scene.keys.job("sent"))  # its retention is over
    server.changes()
    late.comes_back()
    assert paused(scene) == ""


def test_an_erasure_that_redis_lost_hides_no_call_that_it_lost(
    scene: Scene, server: Server, a: Process
) -> None:
    scene.push("sent")
    moment = scene.save()
    call_and_erase(scene, a)
    goes_back(scene, server, moment)
    a.comes_back()
    assert (paused(scene), [call.job for call in lost(scene).calls]) == (ROLLED_BACK, ["sent"])
    assert scene.receipt("77", to=NUMBER).result == "unmatched"
