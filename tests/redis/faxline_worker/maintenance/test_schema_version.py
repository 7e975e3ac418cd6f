"""What is stored has a layout: older ones are read and upgraded, what is newer is left alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine
from faxline.reading.account_state import BacklogState
from faxline_worker.maintenance import schema_version as layout
from faxline_worker.receipts.reconciler import NEWER, Reconciler
from faxline_worker.state import scripts
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.results import Admitted, Held, Idle, Mark, WakePlan
from faxline_worker.state.schema import NewerLayoutError
from tests.stage.daemon import worker_metrics
from tests.stage.layouts import FOLDER, SETTINGS, STATES, fill, restored
from tests.stage.ledger import FINAL
from tests.stage.scene import Scene
from tests.stage.states import DEADLINE, JOB, put
from tests.stage.states import STATES as WAYS

if TYPE_CHECKING:
    from collections.abc import Callable

CURRENT = "{}.{}".format(*scripts.LAYOUT)
FILES = sorted(FOLDER.glob("*.json"))
INDEXES = ("ready", "delayed", "waiting", "submitted", "in_doubt", "permits", "lines", "scheduled")


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def stored(request: pytest.FixtureRequest, redis_client: redis.Redis) -> Scene:
    """An account as one layout has it, before a dispatcher of ours looked at it."""
    scene = Scene(redis_client, **SETTINGS)
    restored(scene, json.loads(request.param.read_text(encoding="utf-8")))
    return scene


def states(scene: Scene) -> dict[str, str]:
    return {name: scene.state(name) for name in STATES}


def finish(scene: Scene) -> None:
    """Whatever each job waits for happens, until all have ended."""
    store, sent = scene.store, 1000
    permits: Any = scene.client.zrange(scene.keys.permits, 0, -1)
    for permit in permits:
        admitted = store.submission.admit(permit.partition(b"|")[0].decode(), "")
        if isinstance(admitted, Idle):  # it was given back, and its request may still be on its way
            continue
        assert isinstance(admitted, Admitted)
        if store.submission.mark(admitted) is Mark.MARKED and admitted.control_call is None:
            store.submission.settle(admitted, {"decision": "refuse", "reason": "r"})
    for _ in range(20):
        store.timers.run()
        while isinstance(admitted := store.submission.admit(f"end-{sent}", ""), Admitted):
            sent += 1
            assert store.submission.mark(admitted) is Mark.MARKED
            if admitted.control_call is not None:
                store.submission.report(admitted, {"decision": "refuse", "reason": "r", "seconds": 0})
                continue
            store.submission.settle(admitted, {"decision": "accepted", "job_id": str(sent)})
            scene.receipt(str(sent))
        store.receipts.match()
        scene.go(200)
    for name in STATES:
        if scene.state(name) == "in_doubt":
            store.orders.resolve(scene.ordered("resolve"), name, "fail", "")


def test_there_is_a_file_of_every_layout_up_to_the_present_one() -> None:
    assert [path.stem for path in FILES][-1] == CURRENT


@pytest.mark.usefixtures("stored")
def test_the_jobs_of_every_layout_are_read_by_the_library(redis_url: str) -> None:
    with FaxLine(redis_url) as line:
        found = {name: str(line.job(name).state) for name in STATES}
        assert line.job("delivered").metadata == {"who": "billing"}
        assert [step.event for step in line.job("delivered").history][-1] == "fax.delivered"
    assert found == STATES


def test_the_jobs_of_every_layout_come_to_their_ends(stored: Scene) -> None:
    stored.store.schema.init_account()
    finish(stored)
    assert set(states(stored).values()) <= FINAL
    assert states(stored)["submitted"] == "unconfirmed"
    assert {states(stored)[name] for name in ("waits", "retried", "held", "kept", "ready")} == {"delivered"}
    left = {name: stored.client.exists(stored.keys.prefix + name) for name in INDEXES}
    assert left == dict.fromkeys(INDEXES, 0)
    assert stored.store.state().backlog["jobs"].used == 0


def test_an_upgrade_counts_every_open_job_and_again_it_finds_nothing(stored: Scene) -> None:
    open_jobs = [name for name, state in STATES.items() if state not in FINAL]
    there = layout.upgrade(stored.client, stored.store, look=True)
    before = stored.content()
    assert layout.upgrade(stored.client, stored.store, look=True) == there  # looking changes nothing
    assert stored.content() == before
    assert layout.upgrade(stored.client, stored.store) == there
    assert layout.upgrade(stored.client, stored.store) == layout.Upgraded()
    assert {stored.record(name)["v"] for name in open_jobs} == {CURRENT}
    size = int(stored.client.strlen(stored.keys.document("a" * 64)))
    weights = [stored.record(name) for name in open_jobs]
    kept = size + sum(len(record["request"]) + len(record.get("metadata", "")) for record in weights)
    assert stored.store.state().backlog["bytes"].used == kept
    assert stored.store.state().backlog["jobs"].used == len(open_jobs)
    finish(stored)
    assert {name: part.used for name, part in stored.store.state().backlog.items()} == {"jobs": 0, "bytes": 0}


def test_what_todays_code_stores_has_the_fields_of_its_layouts_file(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, **SETTINGS)
    fill(scene)
    kept = json.loads((FOLDER / f"{CURRENT}.json").read_text(encoding="utf-8"))["keys"]
    today: Any = {key.decode(): None for key in scene.client.scan_iter(match="fax:*")}
    assert set(today) == set(kept)
    for key in [k for k in today if kept[k]["kind"] == "hash"]:
        assert {f.decode() for f in scene.client.hkeys(key)} == set(kept[key]["content"]), key


def test_an_older_version_beside_us_miscounts_and_a_dispatcher_that_starts_counts_anew(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, CEILINGS__JOBS="9")
    for name in "abc":
        scene.push(name)
    scene.client.hincrby(scene.keys.account_state, "taken", -2)  # it registered two and did not count them
    scene.store.timers.run()
    assert scene.store.state().backlog["jobs"] == BacklogState(1, 9)
    scene.store.schema.init_account()
    assert scene.store.state().backlog["jobs"].used == 3


@pytest.mark.parametrize("state", list(WAYS))
def test_a_dispatcher_that_starts_finds_the_open_jobs_counted(redis_client: redis.Redis, state: str) -> None:
    scene = Scene(redis_client)
    put(scene, state)
    scene.store.timers.run()  # what is old by the clock of the scene goes
    before = scene.content()
    scene.store.schema.init_account()
    scene.store.timers.run()
    changed = {k for k, v in scene.content().items() if before.get(k) != v}
    assert changed <= {scene.keys.account_state}
    assert "ceiling_jobs" in {f.decode() for f in scene.client.hkeys(scene.keys.account_state)}
    assert scene.store.state().backlog["jobs"].used == (state not in FINAL)


def test_a_job_and_a_document_that_an_older_version_ended_are_taken_off_by_an_upgrade(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, CEILINGS__BYTES="1000")
    scene.client.set(scene.keys.document("a" * 64), b"12345")
    scene.push("a", documents="a" * 64, v=CURRENT)
    scene.client.hset(scene.keys.job("a"), mapping={"state": "failed", "documents": ""})  # as 1.0 ended it
    scene.client.hincrby(scene.keys.account_state, "done:failed", 1)
    scene.client.zrem(scene.keys.ready, "a")
    scene.client.hdel(scene.keys.document_uses, "a" * 64)
    assert scene.store.state().backlog["bytes"].used == 2 + 5
    assert layout.upgrade(scene.client, scene.store) == layout.Upgraded(freed=2)
    assert scene.store.state().backlog["bytes"].used == 0
    assert not scene.client.exists(scene.keys.document_uses)


def test_fields_and_members_of_a_newer_minor_layout_are_left_and_kept(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client)
    scene.store.schema.init_account()
    scene.push("a", v="1.999", newer_field="kept")
    scene.client.hset(scene.keys.account_state, mapping={"layout": "1.999", "newer_field": "kept"})
    scene.store.schema.init_account()
    scene.submit("77", newer_member=1)
    entry: Any = scene.client.xadd(scene.keys.status, {"body": b"{}", "kind": "receipt", "newer_field": "1"})
    receipt = {"job_id": "77", "outcome": "delivered", "code": 0, "reason": "r", "newer_member": [1]}
    assert scene.store.receipts.apply([(entry.decode(), receipt)])[0].result == "applied"
    record = scene.record("a")
    account: Any = scene.client.hgetall(scene.keys.account_state)
    assert (record["state"], record["newer_field"], record["v"]) == ("delivered", "kept", "1.999")
    assert (account[b"layout"], account[b"newer_field"]) == (b"1.999", b"kept")


def newer(scene: Scene) -> None:
    """A newer version with another MAJOR takes the account over."""
    scene.client.hset(scene.keys.account_state, "layout", f"{scripts.LAYOUT[0] + 1}.0")


def test_a_process_of_an_older_major_layout_takes_nothing_and_moves_nothing(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client)
    put(scene, "delayed")
    scene.push("b")
    newer(scene)
    scene.go(5000)
    before = scene.content()
    assert scene.store.timers.run().newer
    assert scene.store.timers.plan_wakeups() == WakePlan()
    assert scene.store.submission.admit("p", "") == Held("layout")
    with pytest.raises(NewerLayoutError, match=r"stored in layout 2\.0.*knows 1\.x: start the newer version"):
        scene.store.schema.init_account()
    with pytest.raises(NewerLayoutError):
        layout.upgrade(scene.client, scene.store)
    with pytest.raises(NewerLayoutError):
        layout.upgrade(scene.client, scene.store, look=True)
    assert not scene.store.schema.known
    assert scene.content() == before


@pytest.mark.parametrize("state", [name for name in WAYS if name != "queued"])
def test_a_record_of_a_newer_major_layout_is_left_alone_by_whatever_is_told_about_it(
    redis_client: redis.Redis, state: str
) -> None:
    scene = Scene(redis_client)
    actors = put(scene, state)
    scene.client.hset(scene.keys.job(JOB), "v", f"{scripts.LAYOUT[0] + 1}.0")
    entry, receipt, order = scene.intake("cancel"), scene.status(), scene.ordered("resolve")
    scene.client.set(scene.keys.job_ids + "77", JOB)
    fields = {"job_id": "77", "outcome": "delivered", "code": 0, "reason": "r"}
    calls: list[Callable[[], Any]] = [
        lambda: scene.store.intake.cancel(entry, JOB),
        lambda: scene.store.orders.resolve(order, JOB, "fail", ""),
        lambda: scene.store.submission.settle(actors.owner, {"decision": "refuse", "reason": "r"}),
        lambda: scene.store.submission.report(
            actors.asker, {"decision": "refuse", "reason": "r", "seconds": 0}
        ),
    ]
    before = scene.content()
    left = scene.store.receipts.apply([(receipt, fields)])[0]
    assert (left.result, NEWER in (left.error or "")) == ("raised", True)  # it stays on the stream
    for call in calls:
        with pytest.raises(redis.ResponseError, match="NEWERLAYOUT") as raised:
            call()
        assert unserved(raised.value)  # so the entry is not poison: it waits for a newer process
    assert scene.content() == before


def test_receipts_of_a_newer_major_layout_are_left_to_a_newer_worker_and_others_are_applied(
    redis_client: redis.Redis,
) -> None:
    scene, wakes = Scene(redis_client), Mock()
    for job, job_id in (("newer", "77"), ("ours", "78")):
        scene.push(job)
        scene.submit(job_id)
        body = json.dumps({"jobId": int(job_id), "faxStatus": "delivered", "later": [1]})
        scene.client.xadd(scene.keys.status, {"kind": "receipt", "body": body, "later": "1"})
    scene.client.hset(scene.keys.job("newer"), "v", "2.0")
    metrics = worker_metrics()
    reconciler = Reconciler(scene.store, wakes, metrics, Mock())
    for _ in range(5):
        reconciler.turn()
    assert (scene.state("newer"), scene.state("ours")) == ("submitted", "delivered")
    assert (scene.client.xlen(scene.keys.status), scene.client.xlen(scene.keys.dead)) == (1, 0)
    assert not wakes.reconcile.called  # so that this worker and that receipt do not chase each other


@pytest.mark.parametrize("state", ["delayed", "submitted"])
def test_a_job_of_a_newer_major_layout_keeps_its_timer(redis_client: redis.Redis, state: str) -> None:
    scene = Scene(redis_client)
    put(scene, state)
    scene.client.hset(scene.keys.job(JOB), "v", "2.0")
    scene.go(DEADLINE)
    with pytest.raises(redis.ResponseError, match="NEWERLAYOUT"):
        scene.store.timers.run()
    assert scene.client.zscore(getattr(scene.keys, state), JOB)


def test_an_upgrade_leaves_a_newer_record_alone_and_counts_the_others(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, CEILINGS__BYTES="1000")
    for job in ("ours", "newer"):
        scene.push(job)
        scene.client.hdel(scene.keys.job(job), "bytes")
    scene.client.hdel(scene.keys.account_state, "bytes")
    scene.client.hset(scene.keys.job("newer"), "v", "2.0")
    scene.store.schema.upgrade(["ours", "newer"], [], look=False)
    scene.store.timers.run()
    assert scene.store.state().backlog["bytes"].used == len("{}")


def test_a_job_of_a_newer_major_layout_that_waits_for_a_line_stays_there(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, NUMBERS__CONCURRENT="1")
    scene.push("a")
    admitted = scene.admit()
    scene.push("b")
    assert isinstance(scene.store.submission.admit("turned", ""), Idle)
    scene.client.hset(scene.keys.job("b"), "v", "2.0")
    scene.store.submission.mark(admitted)
    settled = scene.store.submission.settle(admitted, {"decision": "refuse", "reason": "r"})
    assert (settled.result, scene.state("a")) == ("settled", "failed")
    waiting: Any = scene.client.zrange(scene.keys.waiting, 0, -1)
    assert [member.rpartition(b"|")[2] for member in waiting] == [b"b"]


def test_an_order_that_only_a_newer_dispatcher_knows_is_answered_so(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client)
    entry = scene.ordered("a newer order")
    assert scene.store.orders.pause_or_resume(entry, "a newer order") == "unknown"
    reply: Any = scene.client.xrange(scene.keys.reply(entry))
    assert reply[0][1][b"result"] == b"unknown"
    assert not scene.client.xlen(scene.keys.orders)


def test_the_upgrade_to_the_present_layout_is_described() -> None:
    major, minor = scripts.LAYOUT
    text = (Path(__file__).parents[4] / "docs" / "production.md").read_text()
    assert f"From {major}.{minor - 1} to {CURRENT} " in text
