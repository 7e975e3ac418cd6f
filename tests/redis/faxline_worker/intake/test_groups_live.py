"""A group lives as long as any of its faxes waits: so the rest of a mailing can be found, and canceled."""

from typing import Any

import pytest
import redis

from faxline import FaxLine
from tests.stage.scene import Scene

GROUP = "june"


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client, RETENTION="1000", CEILINGS__JOBS="3")


def push(scene: Scene, *jobs: str) -> None:
    items = [scene.item(scene.intake(), job, group=GROUP) for job in jobs]
    scene.store.intake.register([item | {"group": GROUP, "size": 4} for item in items])


def cancel(scene: Scene, job: str) -> None:
    scene.store.intake.cancel(scene.intake("cancel"), job)


def kept(scene: Scene) -> list[str]:
    keys = scene.keys
    return [keys.group(GROUP), keys.group_size(GROUP), keys.group_rejected(GROUP)]


def lives_on(scene: Scene) -> bool:
    """Whether all that is known of the group stays until further notice."""
    left = {int(scene.client.pttl(key)) for key in kept(scene)}
    assert left == {-1} or min(left) > 900_000, left
    return left == {-1}


def test_the_rest_of_a_mailing_is_found_and_canceled_long_after_its_other_faxes_have_ended(
    scene: Scene, line: FaxLine
) -> None:
    push(scene, "a", "b", "c", "d")
    for job in "ab":
        cancel(scene, job)
    assert lives_on(scene)
    for job in "ab":  # the retention is over
        scene.client.delete(scene.keys.job(job))
    assert line.cancel_group(GROUP, by="me@here") == ["c"]
    cancel(scene, "c")
    assert not lives_on(scene)
    assert not scene.client.exists(f"{scene.keys.group(GROUP)}!open")


def test_a_group_that_was_over_lives_again_with_the_next_fax(scene: Scene) -> None:
    push(scene, "a", "b", "c", "d")
    for job in "abc":
        cancel(scene, job)
    assert not lives_on(scene)
    push(scene, "e")
    assert lives_on(scene)
    push(scene, "a")  # a repeat
    assert lives_on(scene)
    cancel(scene, "e")
    assert not lives_on(scene)
    push(scene, "a")
    assert not lives_on(scene)


def test_a_fax_that_ended_twice_ends_its_group_once(scene: Scene) -> None:
    push(scene, "a", "b", "c", "d")
    scene.submit("71")
    scene.go(100_000)
    scene.store.timers.run()
    assert scene.state("a") == "unconfirmed"
    scene.receipt("71")
    assert scene.state("a") == "delivered"
    cancel(scene, "b")
    assert lives_on(scene)


def test_a_process_of_an_older_version_beside_ours_hinders_no_group_from_its_end(scene: Scene) -> None:
    push(scene, "a", "b", "c", "d")
    client: Any = scene.client
    client.hset(scene.keys.job("a"), "state", "delivered")  # it ended them, and left the set as it is
    client.delete(scene.keys.job("b"))
    cancel(scene, "c")
    assert not lives_on(scene)
    assert not client.exists(f"{scene.keys.group(GROUP)}!open")


def test_jobs_that_an_older_version_registered_keep_what_is_rejected_of_their_group(scene: Scene) -> None:
    push(scene, "a", "b", "c", "d")
    scene.client.delete(f"{scene.keys.group(GROUP)}!open")
    push(scene, "e")  # above the ceiling
    assert lives_on(scene)
    cancel(scene, "a")
    assert not lives_on(scene)
