"""A fax whose worker is lost before the first byte, again and again: perhaps it is the fax that ends it."""

import pytest
import redis

from faxline_worker.state.results import Admitted, Change, Mark
from tests.stage.scene import Scene
from tests.stage.states import LEASE

FAX, TRIES = "poison", 3
FAILED = (Change(FAX, "fax.failed", "worker_lost"),)


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    made = Scene(redis_client)
    made.push(FAX)
    return made


def lose(scene: Scene) -> tuple[Change, ...]:
    """A worker takes it and ends; what the timers make of that."""
    while not isinstance(admitted := scene.store.submission.admit(scene.permit(), ""), Admitted):
        scene.go(1)
        scene.store.timers.run()
    assert admitted.job == FAX
    scene.go(LEASE)
    return scene.store.timers.run().changes


def another_is_accepted(scene: Scene) -> None:
    scene.push("another", priority="urgent")
    assert scene.submit().job == "another"


def test_at_first_it_returns_to_its_place_at_once(scene: Scene) -> None:
    scene.push("later")
    assert lose(scene) == ()
    assert scene.admit().job == FAX


def test_from_then_on_others_go_first(scene: Scene) -> None:
    scene.push("later")
    lose(scene)
    lose(scene)
    assert scene.admit().job == "later"
    assert scene.client.zscore(scene.keys.delayed, FAX)


def test_it_fails_where_others_are_accepted(scene: Scene) -> None:
    for _ in range(TRIES - 1):
        assert lose(scene) == ()
    another_is_accepted(scene)
    scene.news()
    assert lose(scene) == FAILED
    (event,) = scene.news()
    assert (event.name, event.data["reason"], event.data["attempt"]) == ("fax.failed", "worker_lost", 0)


def test_an_acceptance_from_before_tells_nothing(scene: Scene) -> None:
    another_is_accepted(scene)
    for _ in range(TRIES):
        assert lose(scene) == ()
    assert scene.state(FAX) == "queued"


def test_alone_it_fails_after_very_many(scene: Scene) -> None:
    for _ in range(5 * TRIES - 1):
        assert lose(scene) == ()
    assert lose(scene) == FAILED


@pytest.mark.parametrize("decision", ["released", "retry"])
def test_any_answer_of_its_worker_begins_the_count_anew(scene: Scene, decision: str) -> None:
    for _ in range(TRIES - 1):
        lose(scene)
    scene.go(LEASE * TRIES)
    scene.store.timers.run()
    admitted = scene.call()
    scene.store.submission.settle(admitted, {"decision": decision, "retry": 0})
    another_is_accepted(scene)
    scene.go(1)
    assert lose(scene) == ()
    assert scene.state(FAX) == "queued"


def test_a_request_that_began_begins_the_count_anew_although_its_worker_is_lost(scene: Scene) -> None:
    for _ in range(TRIES - 1):
        lose(scene)
    scene.go(LEASE * TRIES)
    scene.store.timers.run()
    assert scene.store.submission.mark(scene.admit()) is Mark.MARKED
    scene.go(LEASE)
    scene.store.timers.run()
    assert scene.state(FAX) == "in_doubt"
    assert scene.store.orders.resolve(scene.ordered("resolve"), FAX, "resend", "") == "done"
    another_is_accepted(scene)
    scene.go(1)
    assert lose(scene) == ()
    assert scene.state(FAX) == "queued"
