"""Finds all keys with a prefix. Only maintenance does so: it takes as long as the database is large."""

from collections.abc import Iterator
from typing import Any

import redis


def scan_pages(client: redis.Redis, begin: str) -> Iterator[list[bytes]]:
    """The keys with this prefix, in pages; a key may come twice."""
    cursor = 0
    while True:
        # No key of ours that is looked for has a sign of a pattern in its beginning.
        reply: Any = client.scan(cursor, match=f"{begin}*", count=500)
        cursor, page = reply
        if page:
            yield page
        if cursor == 0:
            return
