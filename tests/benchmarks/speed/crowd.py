"""A crowded account: as many of everything as the scripts must bear, written straight into its keys."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import redis

from faxline_worker.state.store import Store
from tests.benchmarks.speed.size import Size

NUMBER, OTHER = "+12025550100", "+12025550199"
"""One that many faxes go to, and another one."""
PIECE = 5000
RANK = 2_000_000_000_000_000
"""Of a place in the ready set."""


_T = TypeVar("_T")


def batched(found: Iterable[_T], most: int) -> Iterator[list[_T]]:
    """So many at a time, at the most."""
    rest = iter(found)
    while page := list(islice(rest, most)):
        yield page


class Crowd:
    """One account, and who fills it.

    Args:
        client: of the state's database.
        store: the account's.
        size: how many there are.
    """

    def __init__(self, client: redis.Redis, store: Store, size: Size) -> None:
        clock: Any = client.time()
        self.now = clock[0] * 1000
        """Milliseconds since 1970, when it was begun."""
        self.keys = store.keys
        self._client: Any = client
        self._size = size

    def fill(self) -> None:
        """All that waits, and what is not due for long."""
        keys, late = self.keys, self.now + 10**9
        self.index(keys.ready, ((f"ready-{i}", 2 * RANK + i) for i in range(self._size.jobs)))
        self.index(keys.delayed, ((f"delayed-{i}", late + i) for i in range(self._size.jobs // 2)))
        self.index(keys.waiting, ((self.waits(i), 0) for i in range(self._size.orders)))
        self.index(keys.submitted, ((f"submitted-{i}", late + i) for i in range(self._size.orders)))
        self.entries(keys.orders, ({"order": "nothing", "by": "bench"} for _ in range(self._size.orders)))
        self.entries(keys.dead, self.dead(self._size.unmatched))
        self.records("waits", range(min(2000, self._size.orders)))

    def waits(self, i: int) -> str:
        """A job that waits for the line of NUMBER, as the index has it."""
        return f"{NUMBER}|{2 * RANK + i:017.0f}|waits-{i}"

    @staticmethod
    def dead(count: int) -> Iterator[Mapping[str, str]]:
        """Entries that were set aside."""
        for _ in range(count):
            yield {"stream": "status", "entry": "1-1", "why": "malformed", "kind": "receipt", "body": "{}"}

    def index(self, key: str, members: Iterable[tuple[str, float]]) -> None:
        """Put members with their scores into a sorted set."""
        for page in batched(members, PIECE):
            self._client.zadd(key, dict(page))

    def entries(self, stream: str, entries: Iterable[Mapping[str, str]]) -> None:
        """Add entries to a stream."""
        for page in batched(entries, PIECE):
            with self._client.pipeline(transaction=False) as pipe:
                for entry in page:
                    pipe.xadd(stream, entry)
                pipe.execute()

    def records(self, name: str, numbers: Iterable[int], **fields: Any) -> list[str]:
        """Records of jobs; their ids."""
        made = []
        for page in batched(numbers, PIECE):
            with self._client.pipeline(transaction=False) as pipe:
                for i in page:
                    made.append(f"{name}-{i}")
                    pipe.hset(self.keys.job(made[-1]), mapping=self.record(i, **fields))
                pipe.execute()
        return made

    def record(self, i: int, **fields: Any) -> dict[str, Any]:
        """What a record of a job in the middle of its way has."""
        base = {
            "state": "queued",
            "attempt": 1,
            "n": 3,
            "tries": 1,
            "kind": "send",
            "priority": "normal",
            "place": 2 * RANK + i,
            "created_at": self.now,
            "updated_at": self.now,
            "digest": "0" * 64,
            "number": NUMBER,
            "request": json.dumps({"faxNumber": NUMBER, "subject": "s" * 200}),
            "known_pages": 3,
            "sender": "+12025550111",
            "admitted_at": self.now,
            "v": "1.3",
            **{f"h:{n}": '{"event":"fax.retrying","at":1800000000000,"attempt":1}' for n in (1, 2, 3)},
        }
        return base | fields

    def due(self, name: str, count: int, key: str, **fields: Any) -> list[str]:
        """Jobs with records that stand in an index since long ago."""
        names = self.records(name, range(count), **fields)
        self.index(key, ((job, 1 + i) for i, job in enumerate(names)))
        return names

    def doubts(self, name: str, count: int, **fields: Any) -> list[str]:
        """Jobs in doubt about faxes to NUMBER, whose wait is over."""
        names = self.due(name, count, self.keys.in_doubt, state="in_doubt", **fields)
        members = [f"{NUMBER}|{self.now - i:015d}|{job}" for i, job in enumerate(names)]
        self.index(self.keys.doubts, ((member, 0) for member in members))
        self.index(self.keys.doubts_until, ((member, self.now + 10**9) for member in members))
        return names

    def unmatched(self, count: int, *, due: bool, to: str = NUMBER, first: int = 1) -> None:
        """Receipts whose jobId nobody knows; `due` to meet the doubts, which they do not fit."""
        at = self.now - 10**6 if due else self.now
        for page in batched(range(first, first + count), PIECE):
            with self._client.pipeline(transaction=False) as pipe:
                for i in page:
                    receipt = {"job_id": str(i), "outcome": "delivered", "to": to, "pages": 9, "at": at}
                    pipe.set(f"{self.keys.job_ids}{i}", json.dumps(receipt), px=10**8)
                pipe.execute()
        self.index(self.keys.unmatched, ((str(i), at + 60_000) for i in range(first, first + count)))
