"""Finds all keys with a prefix. Only maintenance does so, because it scans the whole database."""

from collections.abc import Iterator
from typing import Any

import redis


def scan_pages(client: redis.Redis, begin: str) -> Iterator[list[bytes]]:
    """Find the keys with this prefix, in pages. A key may come twice."""
    cursor = 0
    while True:
        # None of the prefixes contains a character that is special in a pattern.
        reply: Any = client.scan(cursor, match=f"{begin}*", count=500)
        cursor, page = reply
        if page:
            yield page
        if cursor == 0:
            return
