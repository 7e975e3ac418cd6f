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
    except redis.OutOfMemoryError:
        raise QueueUnavailable("Redis is full and took nothing; push again later, with the same id") from None
    except redis.ResponseError as error:
        raise QueueUnavailable(
            f"Redis refused ({type(error).__name__}); check the user's permissions and the server"
        ) from None
    except redis.RedisError as error:
        raise QueueUnavailable(
            f"Redis did not answer ({type(error).__name__}); try again: pushing the same id again is safe"
        ) from None


def entries_of(reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of one stream: a client on protocol 3 gives them in another shape."""
    if isinstance(reply, dict):
        return [entry for pages in reply.values() for page in pages for entry in page]
    return [entry for _, entries in reply or [] for entry in entries]
