"""A scene for doubts."""

import pytest
import redis

from tests.stage.doubts import Doubts, Make


@pytest.fixture
def make(redis_client: redis.Redis) -> Make:
    return lambda **changes: Doubts(redis_client, **changes)
