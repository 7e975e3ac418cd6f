"""A document lives as long as a job needs it and its time to live; a group as long as its records."""

from typing import Any

import pytest
import redis

from tests.stage.scene import Scene

DIGEST, OTHER = "a" * 64, "b" * 64
TTL, GRACE = 500.0, 60.0


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    made = Scene(redis_client, DOCUMENT_TTL=str(TTL), RETENTION="1000")
    for digest in (DIGEST, OTHER):
        made.client.set(made.keys.document(digest), b"bytes", px=10_000)
    return made


def lives(scene: Scene, digest: str = DIGEST) -> float | None:
    """Seconds that a document has left; None: without end."""
    left: Any = scene.client.pttl(scene.keys.document(digest))
    assert left != -2, "it is gone"
    return None if left == -1 else left / 1000


def end(scene: Scene, job: str, how: str) -> None:
    if how == "canceled":
        scene.store.intake.cancel(scene.intake("cancel"), job)
        return
    admitted = scene.admit()
    assert admitted.job == job
    scene.store.submission.mark(admitted)
    if how == "refused":
        scene.store.submission.settle(admitted, {"decision": "refuse", "reason": "r"})
        return
    job_id = str(100 + admitted.attempt)
    scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id})
    scene.receipt(job_id, how, again="busy")


@pytest.mark.parametrize("how", ["delivered", "canceled", "refused"])
def test_a_document_lives_until_its_job_has_ended_and_then_its_time(scene: Scene, how: str) -> None:
    scene.push("a", documents=DIGEST)
    assert lives(scene) is None
    end(scene, "a", how)
    assert lives(scene) == pytest.approx(TTL, abs=5)
    assert not scene.client.exists(scene.keys.document_uses)
    scene.go(GRACE - 1)
    assert scene.store.maintenance.tidy() == 0
    assert lives(scene)
    scene.go(2)
    assert scene.store.maintenance.tidy() == 1
    assert not scene.client.exists(scene.keys.document(DIGEST), scene.keys.released)


def test_a_document_that_is_needed_again_within_the_grace_stays(scene: Scene) -> None:
    scene.push("a", documents=DIGEST)
    end(scene, "a", "canceled")
    scene.push("b", documents=DIGEST)
    scene.go(GRACE + 1)
    assert scene.store.maintenance.tidy() == 0
    assert lives(scene) is None
    end(scene, "b", "canceled")
    assert scene.store.maintenance.tidy() == 0, "its grace begins anew"
    scene.go(GRACE + 1)
    assert scene.store.maintenance.tidy() == 1


def test_no_document_goes_while_an_entry_waits_in_intake_that_may_name_it(scene: Scene) -> None:
    scene.push("a", documents=DIGEST)
    end(scene, "a", "canceled")
    entry = scene.intake()
    scene.go(GRACE + 1)
    assert scene.store.maintenance.tidy() == 0
    scene.store.intake.register([scene.item(entry, "b", documents=DIGEST)])
    assert scene.store.maintenance.tidy() == 0
    assert lives(scene) is None


@pytest.mark.parametrize("how", ["delivered", "canceled", "refused"])
def test_a_request_goes_with_the_jobs_end_or_after_its_retention(redis_client: redis.Redis, how: str) -> None:
    at_once = Scene(redis_client, RETENTION="1000")
    at_once.push("a", request='{"message":"text"}')
    end(at_once, "a", how)
    assert at_once.record("a")["request"] == ""
    later = Scene(redis_client, RETENTION="1000", REQUEST_RETENTION="100")
    later.push("a", request='{"message":"text"}')
    end(later, "a", how)
    later.go(99)
    later.store.maintenance.tidy()
    assert later.record("a")["request"] == '{"message":"text"}'
    later.go(2)
    later.store.maintenance.tidy()
    assert later.record("a")["request"] == ""
    assert not later.client.exists(later.keys.outdated)


def test_a_job_whose_delivery_is_tried_again_keeps_its_request(scene: Scene) -> None:
    scene.push("a", request='{"message":"text"}')
    end(scene, "a", "failed")
    assert scene.record("a")["request"] == '{"message":"text"}'


def test_tidying_makes_no_record_of_one_whose_retention_is_over(redis_client: redis.Redis) -> None:
    scene = Scene(redis_client, REQUEST_RETENTION="100")
    scene.push("a")
    end(scene, "a", "canceled")
    scene.client.delete(scene.keys.job("a"))
    scene.go(101)
    assert scene.store.maintenance.tidy() == 0
    assert scene.record("a") == {}


def test_a_document_lives_until_the_last_of_its_jobs_has_ended(scene: Scene) -> None:
    for name in "ab":
        scene.push(name, documents=f"{DIGEST},{OTHER}")
    end(scene, "a", "canceled")
    assert (lives(scene), lives(scene, OTHER)) == (None, None)
    end(scene, "b", "canceled")
    assert [lives(scene), lives(scene, OTHER)] == pytest.approx([TTL, TTL], abs=5)


def test_a_document_of_a_job_whose_delivery_is_tried_again_lives_on(scene: Scene) -> None:
    scene.push("a", documents=DIGEST)
    end(scene, "a", "failed")
    assert scene.state("a") == "queued"
    assert lives(scene) is None


def test_an_unconfirmed_job_that_a_late_receipt_amends_gives_its_document_back_once(scene: Scene) -> None:
    for name in "ab":
        scene.push(name, documents=DIGEST)
    scene.submit("77")
    scene.go(1001)
    scene.store.timers.run()
    scene.receipt("77")
    assert scene.state("a") == "delivered"
    assert lives(scene) is None


def test_an_entry_that_is_repeated_needs_its_document_once(scene: Scene) -> None:
    for _ in range(2):
        scene.push("a", documents=DIGEST)
    assert scene.client.hget(scene.keys.document_uses, DIGEST) == b"1"


def test_a_group_whose_name_is_used_for_ever_forgets_jobs_whose_records_are_gone(scene: Scene) -> None:
    for i in range(600):
        scene.push(f"old-{i}", group="daily")
    for i in range(600):
        scene.client.delete(scene.keys.job(f"old-{i}"))
    for i in range(1200):
        scene.push(f"new-{i}", group="daily")
    members: Any = scene.client.smembers(scene.keys.group("daily"))
    assert {f"new-{i}".encode() for i in range(1200)} <= members
    assert len(members) < 1200 + 600 / 2


def test_a_group_knows_its_jobs_for_as_long_as_their_records_are_kept(scene: Scene) -> None:
    for name in ("m.1", "m.2"):
        scene.push(name, group="m")
    members: Any = scene.client.smembers(scene.keys.group("m"))
    assert members == {b"m.1", b"m.2"}
    assert scene.client.pttl(scene.keys.group("m")) == -1
    end(scene, "m.1", "canceled")
    assert scene.client.pttl(scene.keys.group("m")) == -1
    end(scene, "m.2", "canceled")
    assert 990_000 < int(scene.client.pttl(scene.keys.group("m"))) <= 1_000_000
