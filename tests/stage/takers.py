"""Who takes entries: the line in memory, and the dispatcher's intake on a real server."""

import itertools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from unittest.mock import Mock

import redis

from faxline import FaxLine
from faxline.contract.page_count import digest
from faxline.contract.redis_keys import RedisKeys
from faxline.testing import MemoryLine
from faxline_worker.intake.registrar import Intake
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import dispatcher_metrics, usual_settings
from tests.stage.intake import create_group, read_intake

KEYS = RedisKeys("default")
SETTINGS = usual_settings(NUMBERS__CONCURRENT="0")
FIRST_JOB_ID = 1001
"""Of the line in memory."""


class TakenEvent(NamedTuple):
    """An event, without the entry's stream id."""

    event: str
    job: str
    data: dict[str, Any]

    def __str__(self) -> str:
        said = (self.data.get(name, "") for name in ("member", "reason"))
        return " ".join(filter(None, (self.event.removeprefix("fax."), self.job, *said)))


class Taker(Protocol):
    """Takes what is pushed, at once."""

    line: FaxLine

    def push(self, *entries: Mapping[str | bytes, bytes]) -> None:
        """Add entries, and have them taken in one go: none raises, and none is set aside."""

    def store(self, name: str, data: bytes) -> None:
        """Keep bytes under a key."""

    def submit(self, job: str) -> None:
        """iFax takes a job."""

    def events(self) -> list[TakenEvent]:
        """All events."""


class InMemory:
    """`MemoryLine`."""

    def __init__(self) -> None:
        self._line = MemoryLine(deliver=False)
        self._client = self._line._client
        self.line: FaxLine = self._line

    def push(self, *entries: Mapping[str | bytes, bytes]) -> None:
        for fields in entries:
            self._client.xadd(KEYS.intake, fields)

    def store(self, name: str, data: bytes) -> None:
        self._client.set(name, data)

    def submit(self, job: str) -> None:
        self._line.submit(job)

    def events(self) -> list[TakenEvent]:
        return _events(self._client.xrange(KEYS.events))


class InRedis:
    """A dispatcher's intake; the timers run afterwards, as they do if a job has expired."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._log = Mock()
        self._state = Store(client, SETTINGS, "default")
        self._metrics = dispatcher_metrics()
        self.line = FaxLine(client)
        self.begin()

    def begin(self) -> None:
        """Empty the database."""
        self._client.flushdb()
        self._log.reset_mock()
        create_group(self._state)
        self._job_ids = itertools.count(FIRST_JOB_ID)
        self._intake = Intake(self._state, self._metrics, self._log)

    def push(self, *entries: Mapping[str | bytes, bytes]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for fields in entries:
                pipe.xadd(KEYS.intake, fields)
            pipe.execute()
        self._intake.take(read_intake(self._client, self._state))
        while self._state.timers.run().changes:
            pass
        assert (self._client.xlen(KEYS.intake), self._client.xlen(KEYS.dead)) == (0, 0)
        assert self._log.error.call_args_list == []

    def store(self, name: str, data: bytes) -> None:
        self._client.set(name, data)

    def submit(self, job: str) -> None:
        admitted = self._state.submission.admit(f"permit-{job}", "")
        assert isinstance(admitted, Admitted)
        assert admitted.job == job
        self._state.submission.mark(admitted)
        self._state.submission.settle(admitted, {"decision": "accepted", "job_id": str(next(self._job_ids))})

    def events(self) -> list[TakenEvent]:
        return _events(self._client.xrange(KEYS.events))


def document(taker: Taker, data: bytes) -> str:
    """Keep a document, as whoever may write there; its name."""
    name = digest(data)
    taker.store(KEYS.document(name.removeprefix("sha256:")), data)
    return name


def _events(entries: Any) -> list[TakenEvent]:
    found = []
    for _, fields in entries:
        data = json.loads(fields[b"data"])
        data.pop("entry", None)
        found.append(TakenEvent(fields[b"event"].decode(), fields[b"job"].decode(), data))
    return found
