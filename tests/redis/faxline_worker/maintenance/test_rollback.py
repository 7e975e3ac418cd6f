"""A Redis that goes back: each process holds what it did against the state, and nothing goes twice."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine
from faxline.cli.app import AWAY, BAD_USAGE, ENDED_OTHERWISE, NO_SUCH_JOB
from faxline.cli.running import run
from faxline.contract.orders import Order
from faxline.operating.rollback import Rollback
from faxline.reading.account_state import ROLLED_BACK
from faxline_worker.maintenance import erasure_and_rotation
from faxline_worker.maintenance import rollback_watch as rollback
from faxline_worker.maintenance.erasure_and_rotation import Maintenance, MaintenanceBusyError
from faxline_worker.maintenance.rollback_watch import RollbackGuard
from faxline_worker.state.recent_work import KEPT, MOST, Memory
from faxline_worker.state.results import Admitted, Held, Mark
from faxline_worker.state.store import Store
from tests.stage.scene import CLOCK, NUMBER, Scene, settings
from tests.stage.states import DEADLINE

WAIT = 2.0
OVER = WAIT + 0.1


@dataclass
class Server:
    """The server as the processes know it: its run id."""

    run: str = "first"

    def changes(self) -> None:
        """It is another one, or was started anew."""
        self.run += "'"


@dataclass
class Process:
    """A process that watches: its store, its memory and its guard."""

    scene: Scene
    server: Server
    log: Mock = field(default_factory=Mock)

    def __post_init__(self) -> None:
        self.log.bind.return_value = self.log
        self.guard = RollbackGuard("default", WAIT, self.log, clock=CLOCK)
        self.store = Store(
            self.scene.client,
            settings(),
            "default",
            who="it",
            clock=CLOCK,
            monotonic=lambda: self.scene.seconds,
            memory=self.guard.memory("default"),
        )
        self.guard.stores = {"default": self.store}
        self._connection = self.scene.client.connection_pool.get_connection()
        self.connect()

    def connect(self) -> None:
        """A connection is made."""
        self.guard.connected(self._connection)

    def look(self) -> None:
        """The look that a thread takes now and then."""
        self.guard.look(self.scene.client)

    def comes_back(self) -> None:
        """It sees that the server is another one."""
        self.connect()
        self.look()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Redis loses what happens meanwhile, and the process notices."""
        moment = self.scene.save()
        yield
        goes_back(self.scene, self.server, moment)
        self.comes_back()

    def send(self, permit: str) -> Admitted:
        """Admit the best job and write the mark."""
        admitted = self.store.submission.admit(permit, "")
        assert isinstance(admitted, Admitted), admitted
        assert self.store.submission.mark(admitted) is Mark.MARKED
        return admitted

    def accepted(self, permit: str, job_id: str) -> Admitted:
        """Send the best job; iFax takes it."""
        admitted = self.send(permit)
        self.store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id})
        return admitted

    def close(self) -> None:
        self.scene.client.connection_pool.release(self._connection)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    known = Server()
    monkeypatch.setattr(rollback, "_run_of", lambda _: known.run)
    return known


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


@pytest.fixture
def process(scene: Scene, server: Server) -> Iterator[Callable[[], Process]]:
    """Starts a process."""
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(scene, server))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def a(process: Callable[[], Process]) -> Process:
    return process()


@pytest.fixture
def b(process: Callable[[], Process]) -> Process:
    return process()


def paused(scene: Scene) -> str:
    return scene.store.state().paused


def lost(scene: Scene) -> Rollback:
    found = shown(scene)
    assert found is not None
    return found


def shown(scene: Scene) -> Rollback | None:
    with FaxLine(url_of(scene)) as line:
        return line.rollback()


def url_of(scene: Scene) -> str:
    options = scene.client.connection_pool.connection_kwargs
    return f"redis://{options['host']}:{options['port']}/{options['db']}"


def recover(scene: Scene) -> dict[str, Any]:
    """Order that the account goes on, once all have looked. Returns the reply."""
    scene.go(WAIT)
    entry = scene.ordered(Order.RECOVER)
    house = Maintenance(scene.store, Mock(), "dispatcher")
    assert house.carry_out(entry, {"order": Order.RECOVER, "by": "jane"}) == "done"
    reply: Any = scene.client.xrange(scene.keys.reply(entry))
    return dict(json.loads(reply[0][1][b"told"]))


def goes_back(scene: Scene, server: Server, moment: Any) -> None:
    """A file is restored, or a replica that lagged takes over: no time is undone."""
    seconds, permits = scene.seconds, scene._permits
    scene.restore(moment)
    scene.seconds, scene._permits = seconds, permits
    scene.go(0.5)
    server.changes()


def test_a_call_that_redis_lost_pauses_the_account_and_nothing_is_sent(
    scene: Scene, server: Server, a: Process
) -> None:
    scene.push("sent")
    scene.push("next")
    moment = scene.save()
    a.accepted("p", "77")
    goes_back(scene, server, moment)
    assert scene.record("sent")["state"] == "queued"
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
    assert scene.record("sent")["state"] == "submitting"
    a.comes_back()
    assert (scene.record("sent")["state"], scene.record("sent")["job_id"]) == ("submitted", "77")
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
    assert "fax.duplicate" not in [event.name for event in scene.news()]


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
    assert (paused(scene), scene.record("sent")["state"]) == ("", "in_doubt")


def pushed(scene: Scene, process: Process, job: str) -> str:
    """A process registers a fax: the entry of intake."""
    entry = scene.intake()
    process.store.intake.register([scene.item(entry, job)])
    return entry


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
    assert scene.record("unwanted")["state"] == "canceled"


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
    assert scene.record("sent")["state"] == "submitted"
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
    assert scene.record("sent")["state"] == "delivered"


def test_a_late_answer_settles_what_was_put_in_doubt(scene: Scene, a: Process) -> None:
    scene.push("sent")
    with a.undone():
        admitted = a.send("p")
    assert recover(scene)["in_doubt"] == ["sent"]
    assert a.store.submission.settle(admitted, {"decision": "accepted", "job_id": "77"}).result == "resolved"
    assert scene.record("sent")["state"] == "submitted"


def lose_all_of_it(scene: Scene, process: Process, **answer: Any) -> None:
    """A fax is pushed and sent in the stretch that is lost; its push is not remembered, as another did it."""
    with process.undone():
        scene.push("sent")
        admitted = process.send("p")
        if answer:
            process.store.submission.settle(admitted, answer)


def test_a_fax_that_was_sent_and_is_gone_does_not_go_twice_when_it_is_pushed_again(
    scene: Scene, a: Process
) -> None:
    lose_all_of_it(scene, a, decision="accepted", job_id="77")
    assert recover(scene)["submitted"] == ["sent"]
    assert scene.push("sent", digest="whatever") == "repeated"
    scene.go(OVER)
    assert not isinstance(a.store.submission.admit("q", ""), Admitted)
    assert scene.receipt("77").result == "applied"
    assert scene.record("sent")["state"] == "delivered"
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
    assert scene.record("sent")["state"] == "delivered"
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
    assert [event.name for event in scene.news()] == ["fax.submitted", f"fax.{outcome}"]
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
    assert scene.record("sent")["state"] == "failed"


def test_a_doubt_about_a_fax_that_is_gone_cannot_be_settled_by_sending_it_again(
    scene: Scene, a: Process
) -> None:
    lose_all_of_it(scene, a)
    assert recover(scene)["in_doubt"] == ["sent"]
    with FaxLine(url_of(scene)) as line:
        assert line.job("sent").policy == "hold"
        entry = scene.ordered("resolve")
        assert scene.store.orders.resolve(entry, "sent", "resend", "") == "lost"
        assert scene.record("sent")["state"] == "in_doubt"
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
    assert scene.record("sent")["state"] == "queued"


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
    assert [scene.record(job)["state"] for job in jobs] == ["in_doubt", "queued", "queued"]
    recover(scene)
    scene.store.timers.run()
    assert [scene.record(job)["state"] for job in jobs] == ["failed"] * 3


def test_no_job_becomes_unconfirmed_while_the_state_may_be_old(scene: Scene, a: Process) -> None:
    scene.push("overdue")
    a.accepted("o", "76")
    with a.undone():
        scene.push("sent")
        a.accepted("q", "78")
    scene.go(DEADLINE)
    assert scene.store.timers.run().next >= 1
    assert scene.record("overdue")["state"] == "submitted"
    recover(scene)
    scene.store.timers.run()
    assert scene.record("overdue")["state"] == "unconfirmed"


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
    assert (scene.record("doubted")["state"], scene.record("sent")["state"]) == ("in_doubt", "delivered")


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
    assert scene.record("doubted")["state"] == "in_doubt"
    scene.go(1)
    assert scene.store.timers.run().match
    scene.store.receipts.match()
    assert scene.record("doubted")["state"] == "delivered"


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


def test_an_older_process_beside_ours_does_not_probe(scene: Scene, a: Process) -> None:
    lose_all_of_it(scene, a)
    assert scene.store.state().probe_at > (scene.now + 10**11) * 1000
    recover(scene)
    assert scene.store.state().probe_at <= scene.now * 1000


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
    monkeypatch.setattr(erasure_and_rotation, "PIECE", 2)
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
