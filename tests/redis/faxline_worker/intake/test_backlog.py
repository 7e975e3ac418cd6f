"""An account's ceilings: above them an entry is rejected, and what ends gives its place back."""

import json
from typing import Any

import pytest
import redis

from faxline import Rejection
from faxline.reading.account_state import BacklogState
from tests.stage.scene import Event, Scene
from tests.stage.states import DEADLINE

DIGEST, OTHER = "a" * 64, "b" * 64


def scene_of(client: redis.Redis, **ceilings: int) -> Scene:
    scene = Scene(client, **{f"CEILINGS__{name.upper()}": str(n) for name, n in ceilings.items()})
    for digest, size in ((DIGEST, 100), (OTHER, 50)):
        scene.client.set(scene.keys.document(digest), b"x" * size)
    return scene


def backlog(scene: Scene, of: str) -> int:
    scene.store.timers.run()  # it tells the ceilings, so that the state is what is counted under them
    return scene.store.state().backlog[of].used


def rejected(scene: Scene) -> list[Event]:
    return [event for event in scene.news() if event.name == "fax.rejected"]


def test_an_entry_above_the_ceiling_of_jobs_is_rejected_and_nothing_else_happens(
    redis_client: redis.Redis,
) -> None:
    scene = scene_of(redis_client, jobs=2)
    assert [scene.push(name) for name in "ab"] == ["registered", "registered"]
    before = scene.content()
    assert scene.push("c", documents=DIGEST, group="g") == "rejected"
    (event,) = rejected(scene)
    assert (event.job, event.data["reason"]) == ("c", Rejection.BACKLOG_FULL)
    assert "2 jobs" in event.data["message"]
    assert "FAXLINE_CEILINGS__JOBS" in event.data["message"]
    after = scene.content()
    changed = {k for k, value in after.items() if k.startswith("fax:") and before.get(k) != value}
    assert changed == {scene.keys.events, scene.keys.intake}


@pytest.mark.parametrize("priority", ["urgent", "bulk"])
def test_the_ceiling_holds_for_every_priority(redis_client: redis.Redis, priority: str) -> None:
    scene = scene_of(redis_client, jobs=1)
    scene.push("a")
    assert scene.push("b", priority=priority) == "rejected"


@pytest.mark.parametrize("end", ["canceled", "failed", "delivered", "unconfirmed"])
def test_a_job_that_ends_gives_its_place_back_once(redis_client: redis.Redis, end: str) -> None:
    scene = scene_of(redis_client, jobs=1, bytes=1000)
    scene.push("a", documents=DIGEST)
    if end == "canceled":
        scene.store.intake.cancel(scene.intake("cancel"), "a")
    else:
        admitted = scene.call()
        decision = "refuse" if end == "failed" else "accepted"
        scene.store.submission.settle(admitted, {"decision": decision, "reason": "r", "job_id": "77"})
        if end == "delivered":
            scene.receipt("77")
        elif end == "unconfirmed":
            scene.go(DEADLINE)
            scene.store.timers.run()
            scene.receipt("77")  # late, so it ends once more
    assert (backlog(scene, "jobs"), backlog(scene, "bytes")) == (0, 0)
    assert scene.push("b") == "registered"
    assert scene.push("c") == "rejected"


def test_a_repeat_is_a_repeat_also_when_the_backlog_is_full(redis_client: redis.Redis) -> None:
    scene = scene_of(redis_client, jobs=1)
    scene.push("a")
    assert scene.push("a") == "repeated"


def test_a_list_of_numbers_is_taken_whole_or_not_at_all(redis_client: redis.Redis) -> None:
    scene = scene_of(redis_client, jobs=3)
    scene.push("a")

    def several(name: str, count: int) -> str:
        item = scene.item(scene.intake(), name)
        (job,) = item["jobs"]
        item["jobs"] = [
            job | {"id": f"{name}.{i}", "fields": dict(job["fields"])} for i in range(1, count + 1)
        ]
        return str(scene.store.intake.register([item])[0][0])

    assert several("m", 3) == "rejected"
    assert rejected(scene)[0].job == "m"
    assert not scene.record("m.1")
    assert several("n", 2) == "registered"
    assert backlog(scene, "jobs") == 3


def test_the_entries_of_one_batch_are_counted_on(redis_client: redis.Redis) -> None:
    scene = scene_of(redis_client, jobs=2)
    items = [scene.item(scene.intake(), name) for name in "abc"]
    assert [str(result) for result, _ in scene.store.intake.register(items)] == [
        "registered",
        "registered",
        "rejected",
    ]


def test_a_document_counts_once_for_all_that_need_it_until_the_last_has_ended(
    redis_client: redis.Redis,
) -> None:
    scene = scene_of(redis_client, bytes=500)
    scene.push("a", documents=DIGEST, request="{ }")
    scene.push("b", documents=f"{DIGEST},{OTHER}", metadata='{"n":1}')
    assert backlog(scene, "bytes") == (3 + 100) + (2 + 7 + 50)
    scene.store.intake.cancel(scene.intake("cancel"), "a")
    assert backlog(scene, "bytes") == 100 + 2 + 7 + 50
    scene.client.set(scene.keys.document(DIGEST), b"another size")  # what was counted counts
    scene.store.intake.cancel(scene.intake("cancel"), "b")
    assert backlog(scene, "bytes") == 0
    assert not scene.client.exists(scene.keys.document_uses)


def test_an_entry_above_the_ceiling_of_bytes_is_rejected_and_leaves_its_document_alone(
    redis_client: redis.Redis,
) -> None:
    scene = scene_of(redis_client, bytes=120)
    assert scene.push("a", documents=DIGEST) == "registered"
    assert scene.push("b", documents=OTHER) == "rejected"
    message = rejected(scene)[0].data["message"]
    assert "120 bytes" in message
    assert "FAXLINE_CEILINGS__BYTES" in message
    assert scene.push("c", documents=DIGEST) == "registered"  # it is there already
    uses: Any = scene.client.hgetall(scene.keys.document_uses)
    assert uses == {DIGEST.encode(): b"2", f"{DIGEST}:bytes".encode(): b"100"}


def test_without_ceilings_nothing_is_rejected_and_the_state_tells_the_jobs_all_the_same(
    redis_client: redis.Redis,
) -> None:
    scene = scene_of(redis_client, jobs=0)
    assert {scene.push(name, documents=DIGEST) for name in "abc"} == {"registered"}
    scene.store.timers.run()
    assert scene.store.state().backlog == {"jobs": BacklogState(3, 0), "bytes": BacklogState(0, 0)}


def test_an_accounts_own_ceiling_goes_before_the_general_one(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, CEILINGS__JOBS="5", ACCOUNTS__DEFAULT__CEILINGS__JOBS="1")
    scene.push("a")
    assert scene.push("b") == "rejected"
    scene.store.timers.run()
    assert json.loads(json.dumps(scene.store.state().to_dict()))["backlog"]["jobs"] == {
        "used": 1,
        "ceiling": 1,
    }


def commands(scene: Scene, job: str) -> int:
    """How many commands a fax without a document costs from its registration to its cancellation."""
    scene.client.config_resetstat()
    scene.push(job)
    scene.store.intake.cancel(scene.intake("cancel"), job)
    stats: Any = scene.client.info("commandstats")
    names = {"hmget", "hget", "hset", "hincrby", "hexists", "strlen", "zcard"}
    return sum(value["calls"] for name, value in stats.items() if name.removeprefix("cmdstat_") in names)


def test_a_ceiling_of_jobs_costs_one_command_more_a_batch_and_none_at_an_end(
    redis_client: redis.Redis,
) -> None:
    without = commands(scene_of(redis_client, jobs=0), "a")
    assert commands(scene_of(redis_client, jobs=1000), "a") == without + 1


def test_a_batch_that_raises_leaves_no_size_that_was_not_counted(redis_client: redis.Redis) -> None:
    scene = scene_of(redis_client, bytes=1000)
    scene.push("newer")
    scene.client.hset(scene.keys.job("newer"), "v", "2.0")
    counted = backlog(scene, "bytes")
    first, second = scene.item(scene.intake(), "a", documents=DIGEST), scene.item(scene.intake(), "b")
    second["jobs"][0] |= {"of": "newer"}
    with pytest.raises(redis.ResponseError, match="NEWERLAYOUT"):
        scene.store.intake.register([first, second])
    assert not scene.client.exists(scene.keys.document_uses)
    scene.store.intake.register([first])
    assert backlog(scene, "bytes") == counted + len("{}") + 100
    scene.store.intake.cancel(scene.intake("cancel"), "a")
    assert backlog(scene, "bytes") == counted


def test_a_document_of_several_entries_in_one_batch_is_counted_once(redis_client: redis.Redis) -> None:
    scene = scene_of(redis_client, bytes=1000)
    scene.store.intake.register([scene.item(scene.intake(), name, documents=DIGEST) for name in "ab"])
    assert backlog(scene, "bytes") == 2 * len("{}") + 100
