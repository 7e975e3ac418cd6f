"""Finds all keys with a prefix. Only maintenance does so, because it scans the whole database."""

from collections.abc import Iterator
from typing import TypeAlias, cast

import redis

Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]
"""Entries of a stream, as redis-py returns them: the id, and the fields."""


def as_entries(reply: object) -> Entries:
    """The reply of XRANGE, XREVRANGE or XCLAIM, of which redis-py does not know the type."""
    return cast("Entries", reply)


def scan_pages(client: redis.Redis, begin: str) -> Iterator[list[bytes]]:
    """Find the keys with this prefix, in pages. A key may come twice."""
    cursor = 0
    while True:
        # None of the prefixes contains a character that is special in a pattern.
        reply = client.scan(cursor, match=f"{begin}*", count=500)
        cursor, page = cast("tuple[int, list[bytes]]", reply)
        if page:
            yield page
        if cursor == 0:
            return
