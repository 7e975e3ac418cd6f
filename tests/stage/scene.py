"""A scene: a store whose time stands still until it is told otherwise, and everybody who writes to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import redis

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.config.settings import Settings
from faxline_worker.state.results import Admitted, Receipted
from faxline_worker.state.store import Store
from tests.stage.daemon import usual_settings

CLOCK = """
local now_us = tonumber(redis.call('GET', 'clock{default}'))
local now = math.floor(now_us / 1000)
local function int(number) return string.format('%.0f', number) end
"""
BEGIN = 1_800_000_000
RANKS = {"urgent": 1, "normal": 2, "bulk": 3}
NUMBER = "+12345678901"
CONTENT = """
local function stream(key) -- but for when its consumers were last seen, which is the server's own time
  local found = { redis.call('XRANGE', key, '-', '+') }
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local pending = redis.call('XPENDING', key, group[2], '-', '+', 1000)
    for _, entry in ipairs(pending) do entry[3] = 0 end -- how long ago it was given out
    table.insert(found, { group[2], group[8], pending })
  end
  return cjson.encode(found)
end
local function content(key)
  local kind = redis.call('TYPE', key).ok
  if kind == 'stream' then return stream(key) end
  if kind ~= 'hash' then return redis.call('DUMP', key) end
  local pairs, flat = {}, redis.call('HGETALL', key) -- their order is chance
  for i = 1, #flat, 2 do table.insert(pairs, flat[i] .. '=' .. flat[i + 1]) end
  table.sort(pairs)
  return table.concat(pairs, '\\n')
end
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  table.insert(all, key)
  table.insert(all, content(key))
end
return all
"""
SAVE = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  for _, part in ipairs({ key, math.max(0, redis.call('PTTL', key)), redis.call('DUMP', key) }) do
    table.insert(all, part)
  end
end
return all
"""
RESTORE = """
redis.call('FLUSHDB')
for i = 1, #ARGV, 3 do redis.call('RESTORE', ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
"""


@dataclass(frozen=True)
class Event:
    """One entry of the events stream."""

    name: str
    job: str
    data: dict[str, Any]


USUAL = {"NUMBERS__CONCURRENT": "0"}
SHORT = USUAL | {
    "HTTP_TIMEOUT": "5",
    "LEASE_GRACE": "1",
    "SWEEP": "1",
    "IN_DOUBT__WAIT": "100",
    "RECEIPT_DEADLINE": "1000",
    "RETRIES__SUBMISSION__ATTEMPTS": "3",
}


_read = cache(usual_settings)


def settings(**changes: str) -> Settings:
    """Settings with short, distinct durations."""
    return _read(**(SHORT | changes))


@dataclass(frozen=True)
class Moment:
    """A scene as it was."""

    seconds: float
    permits: int
    read: str
    keys: list[bytes]


class Scene:
    """One account on an empty database; the processes have a clock that does not step with Redis'."""

    usual: ClassVar[Mapping[str, str]] = SHORT

    def __init__(self, client: redis.Redis, **changes: str) -> None:
        self.client: Any = client
        self.settings = _read(**{**self.usual, **changes})
        self.seconds = self.wrong = 0.0
        self.store = self.worker("")
        self.keys = self.store.keys
        self.begin()

    def worker(self, who: str) -> Store:
        """The same account, of another process."""
        return Store(
            self.client,
            self.settings,
            "default",
            who=who,
            clock=CLOCK,
            monotonic=lambda: self.seconds,
        )

    def begin(self) -> None:
        """Empty the database; it is the first moment again."""
        self.client.flushdb()
        self.seconds = self.wrong = 0.0
        self.go(0)
        self.client.xgroup_create(self.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
        self._permits = 0
        self._read = "-"

    def save(self) -> Moment:
        """What `restore` brings back."""
        keys: Any = self.client.eval(SAVE, 0)
        return Moment(self.seconds, self._permits, self._read, keys)

    def restore(self, moment: Moment) -> None:
        """Go back to a moment, with all that the database held."""
        self.client.eval(RESTORE, 0, *moment.keys)
        self.seconds, self._permits, self._read = moment.seconds, moment.permits, moment.read

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.client.set("clock{default}", round((BEGIN + self.seconds + self.wrong) * 1_000_000))

    def step(self, seconds: float) -> None:
        """Redis' clock steps; no time passes."""
        self.wrong += seconds
        self.go(0)

    @property
    def now(self) -> int:
        """Milliseconds since 1970, by Redis' clock."""
        return round((BEGIN + self.seconds + self.wrong) * 1000)

    @property
    def true(self) -> int:
        """Milliseconds since 1970."""
        return round((BEGIN + self.seconds) * 1000)

    def permit(self) -> str:
        """A new permit's token."""
        self._permits += 1
        return f"permit-{self._permits}"

    def admit(self, chance: float = 1.0) -> Admitted:
        """Take the best job; there must be one."""
        admitted = self.store.submission.admit(self.permit(), "", chance)
        assert isinstance(admitted, Admitted), admitted
        return admitted

    def call(self) -> Admitted:
        """The best job's request leaves; there must be one."""
        admitted = self.admit()
        self.store.submission.mark(admitted)
        return admitted

    def submit(self, job_id: str = "77", **more: Any) -> Admitted:
        """iFax takes the best job's fax under this jobId."""
        admitted = self.call()
        self.store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id, **more})
        return admitted

    def intake(self, kind: str = "send") -> str:
        """An entry of a producer, read by a dispatcher."""
        entry: Any = self.client.xadd(self.keys.intake, {kind: "{}"})
        self.client.xreadgroup(INTAKE_GROUP, "test", {self.keys.intake: ">"})
        return str(entry.decode())

    def status(self) -> str:
        """An entry of the webhook."""
        entry: Any = self.client.xadd(self.keys.status, {"body": b"{}", "kind": "receipt"})
        return str(entry.decode())

    def ordered(self, order: str) -> str:
        """An entry of an operator."""
        entry: Any = self.client.xadd(self.keys.orders, {"order": order, "by": "test"})
        return str(entry.decode())

    def item(
        self, entry: str, job: str, *, digest: str = "same", priority: str = "normal", **fields: Any
    ) -> dict[str, Any]:
        """A valid fax, as intake hands it to `register`."""
        values = {"kind": "send", "request": "{}", "number": NUMBER, "priority": priority, **fields}
        return {
            "entry": entry,
            "name": job,
            "jobs": [{"id": job, "digest": digest, "rank": RANKS[priority], "fields": values}],
        }

    def push(self, *jobs: str, **more: Any) -> str:
        """Push faxes and register each: what became of the last."""
        result = ""
        for job in jobs:
            result = str(self.store.intake.register([self.item(self.intake(), job, **more)])[0][0])
            self.go(0.001)
        return result

    def receipt(self, job_id: str, outcome: str = "delivered", **more: Any) -> Receipted:
        """The webhook brings a receipt, and it meets its job."""
        return self.store.receipts.apply([(self.status(), receipt(job_id, outcome, **more))])[0]

    def record(self, job: str) -> dict[str, str]:
        """A job's record; empty where there is none."""
        raw: Any = self.client.hgetall(self.keys.job(job))
        return {name.decode(): value.decode() for name, value in raw.items()}

    def state(self, job: str) -> str:
        """The state of a job that there is."""
        return self.record(job)["state"]

    def news(self) -> list[Event]:
        """The events since the last call."""
        return self.events(self.client.xrange(self.keys.events, min=self._read))

    def names(self) -> list[str]:
        """The names of the events since the last call."""
        return [event.name for event in self.news()]

    def events(self, entries: Any) -> list[Event]:
        """Entries of the events stream that follow those read before."""
        if entries:
            self._read = "(" + entries[-1][0].decode()
        return [Event(f[b"event"].decode(), f[b"job"].decode(), json.loads(f[b"data"])) for _, f in entries]

    def unread(self) -> str:
        """Where the events begin that were not read yet."""
        return self._read

    def content(self) -> dict[str, bytes]:
        """What every key holds, but the doorbell: its entries bear the server's own time."""
        flat: Any = self.client.eval(CONTENT, 0)
        pairs = {key.decode(): value for key, value in zip(flat[::2], flat[1::2], strict=True)}
        return {key: value for key, value in pairs.items() if key != self.keys.doorbell}


def receipt(job_id: str, outcome: str = "delivered", **more: Any) -> dict[str, Any]:
    """What a receipt says, as `receipt` takes it."""
    return {
        "job_id": job_id,
        "outcome": outcome,
        "code": 0,
        "reason": "r",
        "pages": 3,
        "transferred": 3,
    } | more
