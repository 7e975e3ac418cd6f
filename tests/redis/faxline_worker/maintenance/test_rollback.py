"""A Redis that goes back: each process holds what it did against the state, and nothing is sent meanwhile."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import redis

from faxline.reading.account_state import ROLLED_BACK
from faxline_worker.maintenance import rollback_watch as rollback
from faxline_worker.state.recent_work import KEPT, MOST, Memory
from faxline_worker.state.results import Admitted, Held
from tests.stage.rollbacks import (
    OVER,
    WAIT,
    Process,
    Server,
    goes_back,
    lose_all_of_it,
    lost,
    paused,
    pushed,
    recover,
    shown,
)
from tests.stage.scene import NUMBER, Scene
from tests.stage.states import DEADLINE


def test_a_call_that_redis_lost_pauses_the_account_and_nothing_is_sent(
    scene: Scene, server: Server, a: Process
) -> None:
    scene.push("sent")
    scene.push("next")
    moment = scene.save()
    a.accepted("p", "77")
    goes_back(scene, server, moment)
    assert scene.state("sent") == "queued"
    a.comes_back()
    assert paused(scene) == ROLLED_BACK
    scene.go(OVER)
    assert a.store.submission.admit("q", "") == Held("paused")
    assert a.store.timers.plan_wakeups().wakes == ()
    logged = {call.args[0]: call.kwargs for call in a.log.warning.call_args_list}
    assert logged["lost by Redis"]["job"] == "sent"
    assert logged["lost by Redis"]["jobId"] == "77"
    assert a.log.error.called


def test_what_is_lost_is_shown_and_holds_no_number(scene: Scene, a: Process) -> None:
    scene.push("sent")
    with a.undone():
        a.accepted("p", "77")
    found = lost(scene)
    call = found.calls[0]
    assert (call.job, call.attempt, call.decision, call.job_id) == ("sent", 1, "accepted", 77)
    assert (call.state, call.who, found.pushed, found.unknown) == ("queued", "it", (), False)
    assert found.since is not None
    assert found.until is not None
    assert found.since <= found.until
    kept: Any = scene.client.hgetall(scene.keys.lost)
    assert NUMBER.encode() not in b"".join(kept.values())


def test_nobody_sends_before_every_process_has_looked(scene: Scene, a: Process, b: Process) -> None:
    """The one that knows less comes first."""
    scene.push("sent")
    scene.push("next")
    with b.undone():
        a.accepted("p", "77")
    assert b.store.submission.admit("q", "") == Held("rate_limit_cooldown")
    scene.go(WAIT / 2)
    a.comes_back()
    scene.go(OVER)
    assert b.store.submission.admit("q", "") == Held("paused")


def test_a_restart_with_everything_kept_goes_on_by_itself(
    scene: Scene, server: Server, a: Process, b: Process
) -> None:
    for name in ("one", "two", "three"):
        scene.push(name)
    a.accepted("p", "77")
    under_way = b.send("q")
    server.changes()
    a.comes_back()
    b.comes_back()
    assert paused(scene) == ""
    assert a.store.submission.admit("r", "") == Held("rate_limit_cooldown")
    scene.go(OVER)
    assert isinstance(a.store.submission.admit("r", ""), Admitted)
    assert b.store.submission.settle(under_way, {"decision": "accepted", "job_id": "78"}).result == "settled"
    assert not a.log.error.called
    assert shown(scene) is None


def test_a_redis_that_nobody_knew_before_holds_nothing_up(scene: Scene, a: Process) -> None:
    scene.push("one")
    assert isinstance(a.store.submission.admit("p", ""), Admitted)


def test_a_process_that_starts_beside_others_holds_nothing_up(
    scene: Scene, a: Process, process: Callable[[], Process]
) -> None:
    scene.push("one")
    process()
    assert isinstance(a.store.submission.admit("p", ""), Admitted)


def test_an_answer_that_alone_is_lost_is_told_again(scene: Scene, server: Server, a: Process) -> None:
    scene.push("sent")
    admitted = a.send("p")
    moment = scene.save()
    a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"})
    goes_back(scene, server, moment)
    assert scene.state("sent") == "submitting"
    a.comes_back()
    assert (scene.state("sent"), scene.record("sent")["job_id"]) == ("submitted", "77")
    assert paused(scene) == ""


def test_a_mark_that_alone_is_lost_is_written_again(scene: Scene, a: Process) -> None:
    """Nobody else could send the job: it is held by the caller's permit."""
    scene.push("sent")
    admitted = a.store.submission.admit("p", "")
    assert isinstance(admitted, Admitted)
    with a.undone():
        a.store.submission.mark(admitted)
    assert (scene.record("sent")["marked"], paused(scene)) == ("1", "")


def test_a_call_whose_mark_is_lost_counts_under_the_limits(scene: Scene, server: Server, a: Process) -> None:
    scene.push("sent")
    admitted = a.store.submission.admit("p", "")
    assert isinstance(admitted, Admitted)
    moment = scene.save()
    a.store.submission.mark(admitted)
    goes_back(scene, server, moment)
    a.connect()
    a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"})
    assert scene.client.zcard(scene.keys.answers) == 1


def test_an_answer_that_comes_before_the_look_settles_the_job(
    scene: Scene, server: Server, a: Process
) -> None:
    scene.push("sent")
    moment = scene.save()
    admitted = a.send("p")
    goes_back(scene, server, moment)
    a.connect()
    answer = {"decision": "accepted", "job_id": "77", "attempt": 1}
    assert a.store.submission.settle(admitted, answer).result == "resolved"
    a.look()
    record = scene.record("sent")
    assert (record["state"], record["attempt"], paused(scene)) == ("submitted", "1", "")


def test_the_answer_of_a_call_that_followed_a_lost_failure_settles_the_job(scene: Scene, a: Process) -> None:
    scene.push("sent")
    a.accepted("p", "77")
    with a.undone():
        scene.receipt("77", "failed", again="busy", to=NUMBER)
        scene.go(200)
        scene.store.timers.run()
        admitted = a.send("q")
    assert lost(scene).calls[-1].job_id is None
    assert (
        a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "78", "attempt": 2}).result
        == "resolved"
    )
    assert recover(scene)["known"] == ["sent"]
    assert scene.receipt("77", "failed", again="busy").result == "repeated"
    assert scene.receipt("78").result == "applied"
    record = scene.record("sent")
    assert (record["state"], record["job_id"], record["attempt"]) == ("delivered", "78", "2")
    assert "fax.duplicate" not in scene.names()


def test_a_call_under_way_that_is_lost_pauses_the_account(scene: Scene, a: Process) -> None:
    scene.push("sent")
    with a.undone():
        a.send("p")
    assert (paused(scene), lost(scene).calls[0].decision) == (ROLLED_BACK, None)


def test_an_answer_that_the_state_cannot_place_is_looked_into_at_once(scene: Scene, a: Process) -> None:
    """Also where nobody saw that the server changed."""
    scene.push("sent")
    moment = scene.save()
    admitted = a.send("p")
    scene.restore(moment)
    assert (
        a.store.submission.settle(admitted, {"decision": "in_doubt", "reason": "read_timeout"}).result
        == "stale"
    )
    a.look()
    assert (paused(scene), lost(scene).calls[0].decision) == (ROLLED_BACK, "in_doubt")


def test_a_stale_answer_of_a_lease_that_ran_out_is_no_loss(scene: Scene, a: Process) -> None:
    scene.push("sent")
    admitted = a.send("p")
    scene.go(100)
    scene.store.timers.run()
    assert (
        a.store.submission.settle(admitted, {"decision": "in_doubt", "reason": "read_timeout"}).result
        == "stale"
    )
    a.look()
    a.look()
    assert (paused(scene), scene.state("sent")) == ("", "in_doubt")


def test_a_fax_that_was_accepted_and_is_gone_is_named(scene: Scene, a: Process) -> None:
    with a.undone():
        pushed(scene, a, "gone")
    assert (paused(scene), lost(scene).pushed) == (ROLLED_BACK, ("gone",))
    assert recover(scene) == {"gone": ["gone"], "paused": ""}
    assert (paused(scene), shown(scene)) == ("", None)


def test_a_fax_whose_push_and_call_are_lost_is_told_once(scene: Scene, a: Process) -> None:
    with a.undone():
        pushed(scene, a, "sent")
        a.accepted("p", "77")
        pushed(scene, a, "gone")
    assert lost(scene).pushed == ("gone", "sent")
    scene.receipt("77", to=NUMBER)
    assert recover(scene) == {"gone": ["gone"], "settled": ["sent"], "paused": ""}


def test_a_fax_whose_entry_is_back_in_the_intake_is_not_lost(scene: Scene, a: Process) -> None:
    entry = scene.intake()
    with a.undone():
        a.store.intake.register([scene.item(entry, "again")])
    assert paused(scene) == ""


def test_a_fax_that_was_canceled_and_is_queued_again_is_canceled_again(scene: Scene, a: Process) -> None:
    scene.push("unwanted")
    with a.undone():
        a.store.intake.cancel(scene.intake("cancel"), "unwanted")
    assert lost(scene).canceled == ("unwanted",)
    assert recover(scene)["canceled"] == ["unwanted"]
    assert scene.state("unwanted") == "canceled"


def test_receipts_that_redis_lost_are_put_back(scene: Scene, server: Server, a: Process) -> None:
    scene.push("sent")
    a.accepted("p", "77")
    moment = scene.save()
    body = {b"body": b'{"jobId": 77, "faxStatus": "delivered"}', b"kind": b"receipt"}
    entry: Any = scene.client.xadd(scene.keys.status, cast("Any", body))
    receipt = {"job_id": "77", "outcome": "delivered", "code": 0, "reason": "r"}
    assert a.store.receipts.apply([(entry.decode(), receipt)], [body])[0].result == "applied"
    a.guard.memory("default").received([body], 1 << 52)  # by Redis' own clock, which the events have
    goes_back(scene, server, moment)
    assert scene.state("sent") == "submitted"
    a.comes_back()
    back: Any = scene.client.xrange(scene.keys.status)
    assert body in [fields for _, fields in back]
    assert paused(scene) == ""


def test_a_redis_that_came_back_empty_is_noticed_by_those_who_did_nothing(
    scene: Scene, server: Server, process: Callable[[], Process]
) -> None:
    for number in range(3):
        scene.push(f"waits-{number}")
    idle = process()
    scene.client.flushdb()
    scene.go(0.5)
    server.changes()
    idle.comes_back()
    found = lost(scene)
    assert (paused(scene), found.unknown, found.since, found.calls) == (ROLLED_BACK, True, None, ())
    assert found.until is not None


def test_a_redis_that_is_emptied_while_it_runs_is_noticed(scene: Scene, a: Process) -> None:
    pushed(scene, a, "waits")
    a.look()
    a.look()
    scene.client.flushdb()
    scene.go(0.5)
    a.look()
    assert (paused(scene), lost(scene).pushed) == (ROLLED_BACK, ("waits",))


def test_an_older_state_put_back_while_the_server_runs_is_noticed(
    scene: Scene, a: Process, b: Process
) -> None:
    scene.push("sent")
    moment = scene.save()
    for _ in range(3):
        a.look()
        b.look()
    a.accepted("p", "77")
    scene.restore(moment)
    b.look()
    assert b.store.submission.admit("q", "") == Held("rate_limit_cooldown")
    a.look()
    assert b.store.submission.admit("q", "") == Held("paused")
    assert [call.job for call in lost(scene).calls] == ["sent"]


def test_of_two_changes_in_a_row_the_older_end_of_the_state_counts(
    scene: Scene, server: Server, a: Process, b: Process
) -> None:
    """The server restarts once more before the one that knows has seen that it went back."""
    scene.push("sent")
    with b.undone():
        a.accepted("p", "77")
    pushed(scene, b, "new")  # an event after those that were lost
    server.changes()
    b.comes_back()
    a.comes_back()
    assert (paused(scene), [call.job for call in lost(scene).calls]) == (ROLLED_BACK, ["sent"])


def test_a_process_that_looks_late_is_heard_all_the_same(scene: Scene, a: Process, b: Process) -> None:
    scene.push("sent")
    scene.push("next")
    with b.undone():
        a.accepted("p", "77")
    scene.go(OVER)
    b.accepted("q", "78")  # nobody told in time
    a.comes_back()
    assert paused(scene) == ROLLED_BACK


def test_what_is_forgotten_by_now_is_told_as_unknown(scene: Scene, process: Callable[[], Process]) -> None:
    late = process()
    with late.undone():
        pushed(scene, late, "long ago")
        memory = late.guard.memory("default")
        memory.clock = lambda: 1e12
        late.look()
    assert (lost(scene).unknown, lost(scene).pushed) == (True, ())


def test_nothing_is_decided_while_the_state_may_be_old(scene: Scene, a: Process) -> None:
    scene.push("doubted", in_doubt="fail", expires_at=str(scene.now + 150_000))
    a.send("p")
    scene.go(10)
    scene.store.timers.run()
    with a.undone():
        scene.push("sent")
        a.accepted("q", "78")
    scene.push("expires", expires_at=str(scene.now + 1000))
    scene.push("expired", expires_at=str(scene.now))
    scene.go(200)
    run = scene.store.timers.run()
    assert run.next >= 1
    jobs = ("doubted", "expires", "expired")
    assert [scene.state(job) for job in jobs] == ["in_doubt", "queued", "queued"]
    recover(scene)
    scene.store.timers.run()
    assert [scene.state(job) for job in jobs] == ["failed"] * 3


def test_no_job_becomes_unconfirmed_while_the_state_may_be_old(scene: Scene, a: Process) -> None:
    scene.push("overdue")
    a.accepted("o", "76")
    with a.undone():
        scene.push("sent")
        a.accepted("q", "78")
    scene.go(DEADLINE)
    assert scene.store.timers.run().next >= 1
    assert scene.state("overdue") == "submitted"
    recover(scene)
    scene.store.timers.run()
    assert scene.state("overdue") == "unconfirmed"


def test_an_older_process_beside_ours_does_not_probe(scene: Scene, a: Process) -> None:
    lose_all_of_it(scene, a)
    assert scene.store.state().probe_at > (scene.now + 10**11) * 1000
    recover(scene)
    assert scene.store.state().probe_at <= scene.now * 1000


def test_a_clock_that_is_ahead_on_the_new_server_does_not_keep_the_account_closed(
    scene: Scene, server: Server, a: Process
) -> None:
    scene.push("one")
    a.look()
    assert isinstance(a.store.submission.admit("p", ""), Admitted)
    server.changes()
    scene.step(600)
    a.comes_back()
    scene.push("two")
    assert a.store.submission.admit("q", "") == Held("rate_limit_cooldown")
    scene.go(OVER)
    assert isinstance(a.store.submission.admit("q", ""), Admitted)


def test_a_user_who_may_not_see_info_works_and_is_warned_once(
    scene: Scene, server: Server, a: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ACL file is that of an older version."""

    def refused(_: Any) -> str:
        raise redis.exceptions.NoPermissionError("no")

    monkeypatch.setattr(rollback, "_run_of", refused)
    server.changes()
    a.comes_back()
    a.comes_back()
    scene.push("one")
    assert isinstance(a.store.submission.admit("p", ""), Admitted)
    assert a.log.warning.call_count == 1


def test_a_newer_layout_is_left_alone(scene: Scene, server: Server, a: Process) -> None:
    scene.client.hset(scene.keys.account_state, "layout", "2.0")
    before = scene.content()
    server.changes()
    a.connect()
    assert scene.content() == before


def test_a_memory_keeps_the_newest_and_knows_what_it_forgot() -> None:
    now = 0.0
    memory = Memory(clock=lambda: now)
    memory.pushed([("old", "1-0")], "1-0")
    now = KEPT + 1
    memory.pushed([("new", "2-0")], "2-0")
    assert [action.job for action in memory.after("0-0").actions if hasattr(action, "job")] == ["new"]
    assert memory.after("0-0").unknown
    assert not memory.after("1-0").unknown
    assert memory.seen == "2-0"
    for number in range(MOST):
        memory.pushed([(f"job-{number}", "3-0")], "3-0")
    assert len(memory.after("0-0").actions) == MOST
    assert not memory.after("2-0").unknown
