"""Asking Redis: its errors become the library's own."""

from collections.abc import Callable
from typing import Any, TypeVar

import redis

from faxline.errors import QueueUnavailable

_T = TypeVar("_T")


def asked(question: Callable[[], _T]) -> _T:
    """What Redis answers; its errors are not chained, for one may quote what was sent.

    Raises:
        QueueUnavailable: Redis did not answer, refused, or is full.
    """
    try:
        return question()
    except redis.ResponseError as error:
        if is_full(error):
            raise QueueUnavailable(
                "Redis is full and took nothing; push again later, with the same id"
            ) from None
        raise QueueUnavailable(
            f"Redis refused ({type(error).__name__}); check the user's permissions and the server"
        ) from None
    except redis.RedisError as error:
        raise QueueUnavailable(
            f"Redis did not answer ({type(error).__name__}); try again: pushing the same id again is safe"
        ) from None


def is_full(error: redis.ResponseError) -> bool:
    """Whether Redis refused because it is full, a transaction as a whole perhaps only at its end."""
    return isinstance(error, redis.OutOfMemoryError) or "OOM" in str(error)


def at_one_moment(client: Any, questions: Callable[[Any], None]) -> list[Any]:
    """The replies to the questions that are put to a pipeline, as of one moment.

    A Redis that is full refuses a transaction even if it only reads: then they are of moments close together.

    Raises:
        redis.RedisError: the server did not answer or refused.
    """
    try:
        return _replies(client, questions, transaction=True)
    except redis.ResponseError as error:
        if not is_full(error):
            raise
    return _replies(client, questions, transaction=False)


def _replies(client: Any, questions: Callable[[Any], None], *, transaction: bool) -> list[Any]:
    with client.pipeline(transaction=transaction) as pipe:
        questions(pipe)
        replies: list[Any] = pipe.execute()
        return replies


def entries_of(reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of one stream: a client on protocol 3 gives them in another shape."""
    if isinstance(reply, dict):
        return [entry for pages in reply.values() for page in pages for entry in page]
    return [entry for _, entries in reply or [] for entry in entries]
