"""A fax whose expires_at has passed is not sent: register and admit look, and the timers end it."""

from typing import Any

import pytest
import redis

from faxline_worker.state.results import Admitted, Idle, Mark
from tests.stage.scene import Scene


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    made = Scene(redis_client)
    made.store.timers.run()  # which notes when it looks again
    return made


def rung(scene: Scene) -> int:
    doorbell: Any = scene.client.xlen(scene.keys.doorbell)
    return int(doorbell)


def ended(scene: Scene, job: str) -> bool:
    scene.store.timers.run()
    record = scene.record(job)
    return (record["state"], record.get("reason")) == ("failed", "expired")


def test_a_fax_that_has_expired_when_it_is_registered_fails_and_no_call_is_made_for_it(scene: Scene) -> None:
    assert scene.push("late", expires_at=str(scene.now)) == "registered"
    assert not scene.client.exists(scene.keys.ready)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
    assert ended(scene, "late")
    events = [(event.name, event.data) for event in scene.news()]
    assert events == [
        ("fax.queued", {"state": "queued", "attempt": 0}),
        ("fax.failed", {"state": "failed", "attempt": 0, "reason": "expired", "stage": "submission"}),
    ]
    assert scene.push("late", expires_at=str(scene.now)) == "repeated"


@pytest.mark.parametrize(
    ("expires", "rings"), [(None, 0), (-1, 1), (500, 1), (2000, 0)], ids=["never", "past", "soon", "later"]
)
def test_the_dispatchers_are_told_of_a_fax_that_expires_before_they_would_look(
    scene: Scene, expires: int | None, rings: int
) -> None:
    more = {} if expires is None else {"expires_at": str(scene.now + expires)}
    scene.push("a", **more)
    assert rung(scene) == rings


def test_a_job_that_expired_between_two_looks_is_not_called_for_and_the_next_is(scene: Scene) -> None:
    for name in ("late", "late-too", "next"):
        scene.push(name, **({"expires_at": str(scene.now + 5000)} if "late" in name else {}))
    scene.go(5)
    before = rung(scene)
    assert scene.admit().job == "next"
    assert rung(scene) == before + 1
    assert ended(scene, "late")
    assert ended(scene, "late-too")


def test_a_caller_that_goes_on_is_not_given_a_job_that_has_expired(scene: Scene) -> None:
    scene.push("first")
    scene.push("late", expires_at=str(scene.now + 5000))
    first = scene.admit()
    assert scene.store.submission.mark(first) is Mark.MARKED
    scene.go(5)
    settled = scene.store.submission.settle(
        first, {"decision": "accepted", "job_id": "1"}, permit=scene.permit()
    )
    assert (settled.state, settled.next) == ("submitted", None)
    assert ended(scene, "late")


def test_a_fax_that_ifax_would_keep_for_a_date_expires_too(scene: Scene) -> None:
    kept = {"send_at": str(scene.now + 60_000), "schedule": "provider"}
    scene.push("late", expires_at=str(scene.now), **kept)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
    assert ended(scene, "late")


def test_a_fax_that_expires_in_a_moment_is_called_for_until_then(scene: Scene) -> None:
    scene.push("a", expires_at=str(scene.now + 2))
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Admitted)


@pytest.mark.parametrize("ahead", ["when it is registered", "when it would be called for"])
@pytest.mark.parametrize("kept", [False, True], ids=["now", "kept by iFax for a date"])
def test_a_fax_that_has_expired_by_a_clock_that_steps_back_before_a_look_is_called_for_after_all(
    scene: Scene, ahead: str, kept: bool
) -> None:
    more = {"expires_at": str(scene.now + 50_000)}
    more |= {"send_at": str(scene.now + 900_000), "schedule": "provider"} if kept else {}
    if ahead == "when it is registered":
        scene.step(600)
    scene.push("a", **more)
    if ahead == "when it would be called for":
        scene.step(600)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
    scene.step(-600)
    scene.store.timers.run(step=-600)
    assert scene.admit().job == "a"
    assert scene.names() == ["fax.queued"]


def test_a_fax_that_is_back_in_its_place_since_the_clock_stepped_back_expires_in_its_time(
    scene: Scene,
) -> None:
    scene.push("a", expires_at=str(scene.now + 50_000))
    scene.step(600)
    assert isinstance(scene.store.submission.admit(scene.permit(), ""), Idle)
    scene.step(-600)
    assert not ended(scene, "a")
    scene.go(50)
    assert ended(scene, "a")


def test_a_fax_that_waits_here_for_its_date_waits_on_when_the_clock_steps_back(scene: Scene) -> None:
    more = {"expires_at": str(scene.now + 50_000), "send_at": str(scene.now + 900_000), "schedule": "local"}
    scene.step(600)
    scene.push("a", **more)
    scene.step(-600)
    assert not ended(scene, "a")
    assert scene.client.zscore(scene.keys.delayed, "a")
    assert not scene.client.exists(scene.keys.ready)
