"""Two requests of one fax that iFax took: nothing is sent again, and no end is told, while one may still be delivered."""

import pytest
import redis

from tests.stage.scene import Scene
from tests.stage.states import DEADLINE, JOB
from tests.stage.two_requests import taken_twice


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


def test_the_older_one_is_waited_for_until_its_deadline_although_redis_clock_stepped_back(
    scene: Scene,
) -> None:
    taken_twice(scene)
    scene.step(-3600)
    scene.store.timers.run()
    scene.receipt("78", "failed", again="busy")
    assert scene.record(JOB)["job_id"] == "77"
    scene.go(DEADLINE - 1)
    scene.store.timers.run()
    assert scene.state(JOB) == "submitted"
    scene.go(2)
    scene.store.timers.run()
    assert scene.state(JOB) == "unconfirmed"
