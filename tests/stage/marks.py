"""Marks: what must never be read by anyone who may read logs, metrics, events, the audit or the broker.

Every run of the end-to-end tests is searched for them (tests/end_to_end/conftest.py): tokens and secrets,
full phone numbers, and texts that bear the mark, such as cover texts and documents.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx
import redis

from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline_local.redis_access import ADMIN
from faxline_local.stack import TOKEN, WEBHOOK_SECRET, Local

MARK = "zqmarkqz"
"""Stands in every text of a test that nobody may find again."""
_NUMBER = r"(?!\+?12345678901\b)(?:\+?\b1[2-9][0-9]{9}\b|\+[0-9]{8,15}\b)"
"""But for the sample that our own texts show."""
_MARKS = re.compile("|".join([*map(re.escape, (TOKEN, WEBHOOK_SECRET, MARK)), _NUMBER]))
_MEASURES = re.compile(r'"(?:at|retry_at|send_at)": ?[0-9]+|(?:_seconds|_bytes)\S* [0-9.e+]+')
"""Milliseconds since 1970 and the like are no phone numbers."""


def marks_in(texts: Mapping[str, Iterable[str]]) -> list[str]:
    """Where marks stand: the place, and the line around each, so that a failing test tells what leaked."""
    return [
        f"{place}: {line[max(0, found.start() - 120) : found.end() + 40]}"
        for place, lines in texts.items()
        for line in lines
        if (found := _MARKS.search(_MEASURES.sub("", line))) is not None
    ]


def shown(local: Local) -> dict[str, list[str]]:
    """What a running `Local` shows: every process's metrics, every account's events and audit, the broker."""
    found = {f"metrics of {name}": _page(local, name) for name in local.metrics}
    try:
        with (
            connect(local.redis_url) as client,
            connect(local.url_of(ADMIN, 1)) as broker,
        ):
            names: Any = client.smembers(ACCOUNTS)
            for name in names:
                keys = RedisKeys(name.decode())
                for stream in (keys.events, keys.audit):
                    found[stream] = list(_entries(client, stream))
            for queue in broker.scan_iter(_type="list"):
                found[f"broker {queue!r}"] = [str(message) for message in broker.lrange(queue, 0, -1)]
    except redis.RedisError:  # the test has stopped the server
        pass
    return found


def logged(local: Local) -> dict[str, list[str]]:
    """The logs of the daemon's processes; the sandbox's is iFax's own."""
    return {
        f"log of {part.name}": part.log.read_text(errors="replace").splitlines()
        for part in local.parts
        if part.name in local.metrics
    }


def _page(local: Local, name: str) -> list[str]:
    try:
        answer = httpx.get(f"http://127.0.0.1:{local.metrics[name]}/metrics", timeout=5, trust_env=False)
    except httpx.HTTPError:  # the test has stopped the process
        return []
    return answer.text.splitlines()


def _entries(client: redis.Redis, stream: str) -> Iterator[str]:
    entries: Any = client.xrange(stream)
    for _, fields in entries:
        yield " ".join(
            f'"{name.decode()}": {value.decode("utf-8", "replace")}' for name, value in fields.items()
        )
