"""What is told of a Redis that does not serve: the cause, and nothing of what was sent."""

import pytest
import redis

from faxline.steps.redis_errors import trouble, unavailable
from faxline_worker.state.redis_clients import TooFewReplicasError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            redis.ResponseError("MISCONF Errors writing to the AOF file: No space left"),
            "whether its disk is full",
        ),
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "is reading its file"),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), "it is a replica"),
        (redis.exceptions.OutOfMemoryError("command not allowed"), "is full"),
        (
            redis.ConnectionError("max number of clients reached"),
            "has as many clients as it takes (maxclients)",
        ),
        (redis.AuthenticationError("invalid username-password pair"), "refuses the user or the password"),
        (redis.exceptions.NoPermissionError("no right to XADD"), "refused (NoPermissionError)"),
        (TooFewReplicasError("0 of 1"), "failed (TooFewReplicasError)"),
        (redis.ConnectionError("+12025550123"), "did not answer (ConnectionError)"),
    ],
)
def test_each_trouble_is_told_by_its_cause(error: redis.RedisError, words: str) -> None:
    assert trouble(error).startswith("Redis ")
    assert words in trouble(error)
    assert "12025550123" not in trouble(error)


def test_an_order_that_may_be_repeated_is_not_called_a_push() -> None:
    told = str(unavailable(redis.ConnectionError("gone"), pushing=True, name="invoice-77"))
    assert told.endswith("try again with the id invoice-77: repeating it with the same id is safe")
