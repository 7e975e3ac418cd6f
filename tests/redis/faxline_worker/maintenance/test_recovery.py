"""An operator lets an account go on whose Redis went back: what was lost is in doubt and goes once."""

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from faxline import FaxLine
from faxline.cli.app import AWAY, BAD_USAGE, ENDED_OTHERWISE, NO_SUCH_JOB
from faxline.cli.running import run
from faxline.contract.orders import Order
from faxline.reading.account_state import ROLLED_BACK
from faxline_worker.maintenance import recovery
from faxline_worker.maintenance.long_orders import Maintenance
from faxline_worker.maintenance.outcome import MaintenanceBusyError
from faxline_worker.state.results import Admitted
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
    url_of,
)
from tests.stage.scene import NUMBER, Scene


@pytest.mark.parametrize("decision", ["in_doubt", "accepted"])
def test_what_was_sent_is_not_sent_again_after_the_order_to_go_on(
    scene: Scene, a: Process, decision: str
) -> None:
    scene.push("sent")
    with a.undone():
        admitted = a.send("p")
        answer = {"decision": decision, "reason": "r"} | ({"job_id": "77"} if decision == "accepted" else {})
        a.store.submission.settle(admitted, answer)
    state = "submitted" if decision == "accepted" else "in_doubt"
    assert recover(scene)[state] == ["sent"]
    record = scene.record("sent")
    assert (record["state"], record["attempt"]) == (state, "1")
    scene.go(OVER)
    scene.store.timers.run()
    assert not isinstance(a.store.submission.admit("q", ""), Admitted)
    assert scene.client.zcard(scene.keys.answers) == 1  # it counts under the limits
    assert scene.receipt("77", to=NUMBER).result in {"applied", "unmatched"}
    scene.go(30)
    scene.store.receipts.match()
    assert scene.state("sent") == "delivered"


def test_a_lost_call_of_a_fax_that_was_canceled_since_is_told_where_ifax_delivered_it(
    scene: Scene, a: Process
) -> None:
    scene.push("sent")
    with a.undone():
        a.store.submission.settle(a.send("p"), {"decision": "in_doubt", "reason": "r"})
    assert a.store.intake.cancel(scene.intake("cancel"), "sent") == "canceled"
    assert recover(scene)["ended"] == ["sent"]
    scene.news()
    assert scene.receipt("77", to=NUMBER).result == "unmatched"
    scene.go(30)
    assert [(one.result, one.job) for one in scene.store.receipts.match()] == [("duplicate", "sent")]
    [told] = scene.news()
    assert (told.name, told.data["outcome"], told.data["state"]) == ("fax.duplicate", "delivered", "canceled")
    assert not scene.client.exists(scene.keys.doubts, scene.keys.doubts_until)


def test_a_late_answer_settles_what_was_put_in_doubt(scene: Scene, a: Process) -> None:
    scene.push("sent")
    with a.undone():
        admitted = a.send("p")
    assert recover(scene)["in_doubt"] == ["sent"]
    assert a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"}).result == "resolved"
    assert scene.state("sent") == "submitted"


def test_a_fax_that_was_sent_and_is_gone_does_not_go_twice_when_it_is_pushed_again(
    scene: Scene, a: Process
) -> None:
    lose_all_of_it(scene, a, decision="accepted", job_id="77")
    assert recover(scene)["submitted"] == ["sent"]
    assert scene.push("sent", digest="whatever") == "repeated"
    scene.go(OVER)
    assert not isinstance(a.store.submission.admit("q", ""), Admitted)
    assert scene.receipt("77").result == "applied"
    assert scene.state("sent") == "delivered"
    assert scene.store.state().backlog["jobs"].used == 0


def test_a_receipt_settles_the_doubt_about_a_fax_that_is_gone_once_it_was_pushed_again(
    scene: Scene, a: Process
) -> None:
    lose_all_of_it(scene, a)
    assert recover(scene)["in_doubt"] == ["sent"]
    assert scene.receipt("77", to=NUMBER).result == "unmatched"
    scene.go(30)
    assert scene.store.receipts.match() == []
    assert scene.push("sent", metadata='{"of":"billing"}') == "repeated"
    scene.go(60)
    scene.store.receipts.match()
    assert scene.state("sent") == "delivered"
    assert scene.news()[-1].data["metadata"] == {"of": "billing"}
    assert scene.client.zcard(scene.keys.doubts) == scene.client.zcard(scene.keys.doubts_until)


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_of_several_calls_of_a_fax_that_is_gone_the_last_one_counts(
    scene: Scene, a: Process, outcome: str
) -> None:
    with a.undone():
        scene.push("sent")
        a.accepted("p", "77")
        scene.receipt("77", "failed", again="busy", to=NUMBER)
        scene.go(200)
        scene.store.timers.run()
        a.accepted("q", "78")
    for job_id, end in (("77", "failed"), ("78", outcome)):
        assert scene.receipt(job_id, end, to=NUMBER).result == "unmatched"
    scene.news()
    assert recover(scene)["settled"] == ["sent"]
    record = scene.record("sent")
    assert (record["state"], record["job_id"], record["attempt"]) == (outcome, "78", "2")
    assert scene.names() == ["fax.submitted", f"fax.{outcome}"]
    assert scene.receipt("77", "failed").result == "repeated"
    assert scene.client.zcard(scene.keys.unmatched) == 0


def test_a_late_answer_settles_the_doubt_about_a_fax_that_is_gone_and_was_pushed_again(
    scene: Scene, a: Process
) -> None:
    with a.undone():
        scene.push("sent")
        admitted = a.send("p")
    assert recover(scene)["in_doubt"] == ["sent"]
    assert scene.push("sent") == scene.push("sent", digest="other") == "repeated"
    assert a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"}).result == "resolved"
    assert scene.client.zcard(scene.keys.doubts) == scene.client.zcard(scene.keys.doubts_until) == 0


def test_a_fax_that_was_sent_and_is_gone_is_not_lost_by_a_failed_delivery(scene: Scene, a: Process) -> None:
    """Nothing is left of its content, so it ends."""
    lose_all_of_it(scene, a, decision="accepted", job_id="77")
    recover(scene)
    scene.receipt("77", "failed", again="busy")
    assert scene.state("sent") == "failed"


def test_a_doubt_about_a_fax_that_is_gone_cannot_be_settled_by_sending_it_again(
    scene: Scene, a: Process
) -> None:
    lose_all_of_it(scene, a)
    assert recover(scene)["in_doubt"] == ["sent"]
    with FaxLine(url_of(scene)) as line:
        assert line.job("sent").policy == "hold"
        entry = scene.ordered("resolve")
        assert scene.store.orders.resolve(entry, "sent", "resend", "") == "lost"
        assert scene.state("sent") == "in_doubt"
        assert scene.store.orders.resolve(scene.ordered("resolve"), "sent", "fail", "") == "done"
    assert scene.push("sent") == "repeated"


def test_a_fax_that_was_pushed_again_before_the_order_is_put_in_doubt(scene: Scene, a: Process) -> None:
    lose_all_of_it(scene, a)
    assert scene.push("sent") == "registered"
    assert recover(scene)["in_doubt"] == ["sent"]
    scene.go(OVER)
    assert not isinstance(a.store.submission.admit("q", ""), Admitted)


def test_what_ifax_refused_is_not_in_doubt(scene: Scene, a: Process) -> None:
    scene.push("sent")
    with a.undone():
        a.store.submission.settle(a.send("p"), {"decision": "refuse", "reason": "r"})
    assert recover(scene)["known"] == ["sent"]
    assert scene.state("sent") == "queued"


def test_a_receipt_for_a_call_that_is_lost_is_no_word_on_another_doubt(scene: Scene, a: Process) -> None:
    scene.push("doubted")
    a.send("p")
    scene.go(10)
    scene.store.timers.run()
    scene.push("sent")
    with a.undone():
        a.accepted("q", "78")
    scene.receipt("78", to=NUMBER)
    scene.go(60)
    assert scene.store.receipts.match() == []
    recover(scene)
    assert (scene.state("doubted"), scene.state("sent")) == ("in_doubt", "delivered")


def test_a_receipt_that_waited_while_the_state_was_old_settles_its_doubt_before_the_policy_does(
    scene: Scene, a: Process
) -> None:
    scene.push("doubted", in_doubt="fail")
    a.send("p")
    scene.go(10)
    scene.store.timers.run()
    assert scene.receipt("77", to=NUMBER).result == "unmatched"
    with a.undone():
        scene.push("sent")
        a.accepted("q", "78")
    scene.go(200)
    assert scene.store.receipts.match() == []
    recover(scene)
    scene.store.timers.run()
    assert scene.state("doubted") == "in_doubt"
    scene.go(1)
    assert scene.store.timers.run().match
    scene.store.receipts.match()
    assert scene.state("doubted") == "delivered"


def test_resume_alone_does_not_open_an_account_whose_state_went_back(scene: Scene, a: Process) -> None:
    lose_all_of_it(scene, a)
    assert scene.store.orders.pause_or_resume(scene.ordered("resume"), "resume") == "rolled_back"
    assert paused(scene) == ROLLED_BACK


def test_an_account_that_an_operator_has_paused_stays_paused(
    scene: Scene, server: Server, a: Process
) -> None:
    moment = scene.save()
    pushed(scene, a, "gone")
    scene.store.orders.pause_or_resume(scene.ordered("pause"), "pause")
    goes_back(scene, server, moment)
    scene.store.orders.pause_or_resume(scene.ordered("pause"), "pause")
    a.comes_back()
    assert paused(scene) == ROLLED_BACK
    assert recover(scene)["paused"] == "operator"
    assert paused(scene) == "operator"


def test_an_operator_may_pause_an_account_whose_state_went_back(scene: Scene, a: Process) -> None:
    lose_all_of_it(scene, a)
    assert scene.store.orders.pause_or_resume(scene.ordered("pause"), "pause") == "done"
    assert recover(scene)["paused"] == "operator"


def test_an_answer_of_ifax_does_not_open_it(scene: Scene, a: Process, b: Process) -> None:
    scene.push("known")
    under_way = b.send("k")
    scene.push("sent")
    with a.undone():
        a.accepted("p", "77")
    b.store.submission.settle(under_way, {"decision": "accepted", "job_id": "78"})
    b.store.submission.settle(under_way, {"decision": "pause", "reason": "invalid_key"})
    assert paused(scene) == ROLLED_BACK


def command(scene: Scene, *words: str) -> int:
    return run(["--redis", url_of(scene), "accounts", "rollback", "default", *words])


def test_the_command_asks_where_more_was_lost_than_is_remembered(
    scene: Scene, server: Server, a: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.push("waits")
    b = Process(scene, server)
    scene.client.flushdb()
    scene.go(0.5)
    server.changes()
    b.comes_back()
    b.close()
    del a
    assert command(scene) == 0
    assert "came back empty" in capsys.readouterr().out
    assert command(scene, "--resume") == BAD_USAGE
    assert "add --yes" in capsys.readouterr().err
    assert command(scene, "--resume", "--yes", "--timeout", "0.1") == AWAY  # no dispatcher runs here
    assert paused(scene) == ROLLED_BACK


@pytest.mark.parametrize("words", [("show",), ("explain",), ("wait", "--timeout", "0")])
def test_a_fax_that_redis_lost_is_told_as_lost(
    scene: Scene, a: Process, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with a.undone():
        pushed(scene, a, "gone")
    then = "when it went back to an older state; `faxline accounts rollback default` shows what was lost"
    assert run(["--redis", url_of(scene), words[0], "gone", *words[1:]]) == NO_SUCH_JOB
    output = capsys.readouterr().err
    assert output.startswith(f"faxline: no job 'gone' on account 'default': Redis lost it {then}")
    assert run(["--redis", url_of(scene), words[0], "other", *words[1:]]) == NO_SUCH_JOB
    assert f"its retention is over, or Redis lost it {then}" in capsys.readouterr().err


def test_the_command_tells_where_nothing_went_back(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(scene) == ENDED_OTHERWISE
    assert "was not rolled back" in capsys.readouterr().err


def test_nothing_is_put_in_order_before_every_process_has_looked(
    scene: Scene, server: Server, a: Process
) -> None:
    lose_all_of_it(scene, a)
    server.changes()
    a.connect()  # to yet another server: the others may know more
    with pytest.raises(MaintenanceBusyError):
        Maintenance(scene.store, Mock(), "dispatcher").carry_out(
            scene.ordered(Order.RECOVER), {"order": Order.RECOVER, "by": "jane"}
        )
    assert lost(scene).calls
    recover(scene)
    assert shown(scene) is None


def gone(scene: Scene, process: Process, count: int = 5) -> list[str]:
    """Redis loses some faxes that were accepted."""
    jobs = [f"gone{i}" for i in range(count)]
    with process.undone():
        for job in jobs:
            pushed(scene, process, job)
    scene.go(WAIT)
    return jobs


def told(scene: Scene, house: Maintenance, entry: str) -> dict[str, Any]:
    """What the operator is told of the recovery that a dispatcher carries out."""
    assert house.carry_out(entry, {"order": Order.RECOVER, "by": "jane"}) == "done"
    reply: Any = scene.client.xrange(scene.keys.reply(entry))
    return dict(json.loads(reply[0][1][b"told"]))


def test_a_recovery_whose_replies_are_lost_tells_all_that_is_gone(
    scene: Scene, a: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, context = gone(scene, a), scene.store.lineage._context

    def again(name: str, *arguments: Any) -> Any:
        first, second = context.run(name, *arguments), context.run(name, *arguments)
        assert name != "recover" or first == second
        return second

    twice = SimpleNamespace(run=again, options=context.options)
    monkeypatch.setattr(scene.store.lineage, "_context", twice)
    entry = scene.ordered(Order.RECOVER)
    assert told(scene, Maintenance(scene.store, Mock(), "dispatcher"), entry) == {"gone": jobs, "paused": ""}
    assert not scene.client.exists(scene.keys.lost)


def test_a_copy_of_the_order_whose_reply_was_lost_is_told_the_same(scene: Scene, a: Process) -> None:
    jobs, house = gone(scene, a), Maintenance(scene.store, Mock(), "dispatcher")
    fields: Any = {"order": Order.RECOVER, "by": "jane", "token": "token"}
    added: Any = [scene.client.xadd(scene.keys.orders, fields) for _ in range(2)]
    order, copy = (entry.decode() for entry in added)
    assert told(scene, house, order) == {"gone": jobs, "paused": ""}
    assert house.carry_out(copy, {"order": Order.RECOVER, "by": "jane"}) == "gone"
    reply: Any = scene.client.xrange(scene.keys.reply(copy))
    assert json.loads(reply[0][1][b"told"])["gone"] == jobs


@pytest.mark.parametrize("before", ["operator", ""])
@pytest.mark.parametrize("steps", range(2, 8))
def test_a_recovery_whose_dispatcher_stops_anywhere_tells_all_that_is_gone(
    scene: Scene, a: Process, monkeypatch: pytest.MonkeyPatch, steps: int, before: str
) -> None:
    monkeypatch.setattr(recovery, "PIECE", 2)
    if before:
        scene.store.orders.pause_or_resume(scene.ordered("pause"), "pause", "jane")
    jobs, entry, left = gone(scene, a), scene.ordered(Order.RECOVER), iter(range(1, steps))

    def stops(*_: object) -> bool:
        return next(left, None) is None

    def die(*_: object) -> str:
        raise MaintenanceBusyError

    dying = Maintenance(scene.store, Mock(), "dispatcher", stops)
    monkeypatch.setattr(dying.store.maintenance, "complete_order", die)
    with pytest.raises(MaintenanceBusyError):
        dying.carry_out(entry, {"order": Order.RECOVER, "by": "jane"})
    monkeypatch.undo()
    next_one = Maintenance(scene.store, Mock(), "dispatcher")
    assert told(scene, next_one, entry) == {"gone": jobs, "paused": before}
    assert not scene.client.exists(scene.keys.lost)
    with FaxLine(url_of(scene)) as line:
        assert [one.job for one in line.audit() if (one.what, one.outcome) == ("recover", "gone")] == jobs


def test_the_order_is_refused_where_nothing_went_back(scene: Scene) -> None:
    entry = scene.ordered(Order.RECOVER)
    house = Maintenance(scene.store, Mock(), "dispatcher")
    assert house.carry_out(entry, {"order": Order.RECOVER, "by": "jane"}) == "refused"
