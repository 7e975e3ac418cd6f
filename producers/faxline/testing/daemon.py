"""The daemon, in memory: entries become jobs, and jobs move as the test says.

The daemon's own scripts do not run here, because the library does not depend on the daemon.
`tests/redis/faxline/client/test_every_line.py` and `tests/redis/faxline_worker/intake/test_entry_rules.py`
hold both to the same behaviour.
"""

import itertools
import json
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from faxline.contract.entries import CancelEntry, ResendEntry, SendEntry
from faxline.contract.entry_reader import Known
from faxline.contract.orders import Order
from faxline.contract.redis_keys import ACCOUNTS, PROCESSES, RedisKeys
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.seals import Seals
from faxline.contract.states import FINAL_STATES
from faxline.contract.texts import clean_actor
from faxline.reading.account_state import EPOCH_US, OPERATOR, RANKS, STRIDE
from faxline.reading.processes import EVERY, ROLES
from faxline.testing.intake import Intake

_DELIVERIES = 5
"""The daemon's default."""
_IN_HISTORY = ("code", "reason", "retry_at", "delivery", "attempts", "stopped_by")
_TOLD_ONLY = {"retry_at", "stage", "delivery", "attempts", "stopped_by", "documents", "by"}
_KNOWN_BY = {"fax.submitted", "fax.delivered", "fax.failed", "fax.canceled"}
_SCHEDULED = {"fax.queued", "fax.submitted"}
"""Events that have the date of a scheduled fax."""
_DAY_MS = 86_400_000


class Daemon:
    """Takes entries of one account at once. It observes every command of the line's clients.

    Args:
        client: a client that it does not observe.
        keys: the account's Redis keys.
        deliver: whether a fax is delivered as soon as it is queued.
        keyring: the keys that open sealed entries.

    Attributes:
        lock: held while jobs move.
        intake: takes the entries.
    """

    def __init__(
        self, client: Any, keys: RedisKeys, *, deliver: bool, keyring: Keyring | None = None
    ) -> None:
        self.lock = threading.RLock()
        self.intake = Intake(client, keys, Seals(keyring, keys.account), self)
        self._client = client
        self._keys = keys
        self._places = itertools.count()
        self._deliver = deliver
        self._job_ids = itertools.count(1001)
        self._expiring: dict[str, int] = {}
        self._beat = -EVERY
        client.sadd(ACCOUNTS, keys.account)
        limits = {"requests": 1000, "window": 3_600_000_000, "concurrency": 20, "burst": 50, "then": "hold"}
        client.hset(keys.account_state, mapping=limits)

    def before(self) -> None:
        """Renew the heartbeats: the command may read which processes are at work."""
        with self.lock:
            if time.monotonic() < self._beat + EVERY:
                return
            self._beat, now = time.monotonic(), _now()
            process = {"host": "memory", "pid": 0, "version": version("faxline"), "state": "working"}
            heartbeat = json.dumps(process | {"since": now, "at": now})
            with self._client.pipeline() as pipe:
                for role in ROLES:
                    pipe.hset(f"{PROCESSES}{role}", "memory:0:0", heartbeat)
                pipe.execute()

    def after(self) -> None:
        """Take new entries, and carry out new orders."""
        with self.lock:
            pushed: Any
            ordered: Any
            with self._client.pipeline() as pipe:
                pushed, ordered = pipe.xrange(self._keys.intake).xrange(self._keys.orders).execute()
            for entry, fields in pushed:
                self._client.xdel(self._keys.intake, entry)
                self.intake.take(entry.decode(), fields)
                self._work()
            for entry, fields in ordered:
                self._client.xdel(self._keys.orders, entry)
                order = {name.decode(): value.decode() for name, value in fields.items()}
                self._client.xadd(
                    self._keys.reply(entry.decode()), _carry_out(self, self._client, self._keys, order)
                )
                self._work()

    def store(
        self,
        name: str,
        entry: SendEntry | ResendEntry,
        digest: str,
        more: Mapping[str, Any],
        documents: Sequence[str] = (),
    ) -> None:
        """Write the record of a queued job."""
        place = RANKS[str(entry.priority)] * STRIDE + _now() * 1000 - EPOCH_US + next(self._places)
        fields = {"digest": digest, "priority": str(entry.priority), "place": place, **more}
        fields |= {"created_at": _now(), "attempt": 0, "n": 0}
        if entry.metadata:
            fields["metadata"] = json.dumps(entry.metadata, ensure_ascii=False)
        if fields.get("group"):
            self._client.sadd(self._keys.group(fields["group"]), name)
        if fields.get("expires_at"):
            self._expiring[name] = fields["expires_at"]
        self._client.hset(self._keys.job(name), mapping={k: v for k, v in fields.items() if v is not None})
        by = clean_actor(entry.user, entry.by) if isinstance(entry, ResendEntry) else ""
        self.move(name, "queued", "fax.queued", documents=list(documents) or None, by=by or None)

    def reject(self, known: Known, entry: str, said: Mapping[str, Any]) -> None:
        """Write the event of a rejected entry, and note it in its group."""
        if known.group and known.id:
            note = json.dumps({**said, "id": known.id, "at": _now()})
            self._client.sadd(self._keys.group_rejected(known.group), note)
        said = {**said, "state": "rejected", "entry": entry, "group": known.group}
        self.emit("fax.rejected", known.id, said | {"metadata": dict(known.metadata) or None})

    def cancel(self, entry: CancelEntry) -> None:
        """Cancel a queued job, or write the event that refuses it."""
        name, by = entry.id, clean_actor(entry.user, entry.by) or None
        job = self.record(name)
        if job.get("state") == "queued":
            self.move(name, "canceled", "fax.canceled", reason="canceled_before_sending", by=by)
            return
        if job.get("state") == "submitted" and int(job.get("send_at", 0)) > _now():
            # iFax still keeps it.
            self.move(name, "canceled", "fax.canceled", reason="canceled_at_ifax", by=by)
            return
        reason = "unknown_job" if not job else "final" if job["state"] in FINAL_STATES else job["state"]
        said = {"state": job.get("state"), "reason": reason, "by": by}
        self.emit("fax.cancel_refused", name, said, {"metadata": job.get("metadata", "")})

    def _work(self) -> None:
        """Fail what has expired. Deliver what is queued, unless the test does that."""
        now = _now()
        for name in [name for name, at in self._expiring.items() if at <= now]:
            del self._expiring[name]
            if self.record(name)["state"] == "queued":
                self.move(name, "failed", "fax.failed", reason="expired", stage="submission")
        if self._deliver and not self._client.hget(self._keys.account_state, "paused"):
            for member in self._client.zrange(self._keys.ready, 0, -1):
                self.end(member.decode(), "delivered")

    def record(self, name: str) -> dict[str, str]:
        """A job's record; empty if there is none."""
        found = self._client.hgetall(self._keys.job(name))
        return {field.decode(): value.decode() for field, value in found.items()}

    def attempt(self, name: str) -> None:
        """Begin an attempt."""
        attempt = int(self.record(name)["attempt"]) + 1
        self._client.hset(self._keys.job(name), mapping={"state": "submitting", "attempt": attempt})

    def accept(self, name: str, job_id: str = "", by: str | None = None) -> None:
        """Let iFax take the fax, under this jobId or a made-up one."""
        known = job_id or str(next(self._job_ids))
        self._client.set(self._keys.job_ids + known, name.encode())
        self._client.hset(
            self._keys.job(name), mapping={"job_id": known, "code": "", "reason": "", "message": ""}
        )
        self.move(name, "submitted", "fax.submitted", by=by)

    def end(self, name: str, outcome: str, **said: Any) -> None:
        """End a job by a receipt, after the steps that must come before."""
        if self.record(name)["state"] == "queued":
            self.attempt(name)
            self.accept(name)
        if not self.record(name).get("job_id"):  # the receipt names the jobId of a job in doubt
            self._client.hset(self._keys.job(name), mapping={"job_id": next(self._job_ids)})
        pages = int(self.record(name).get("known_pages") or 1)
        fields: dict[str, Any] = {"pages": pages, "transferred": pages if outcome == "delivered" else 0}
        fields |= {"code": 0, "reason": "delivered"} if outcome == "delivered" else {}
        if outcome == "failed":
            deliveries = int(self.record(name).get("deliveries") or 0) + 1
            most = int(self.record(name).get("attempts") or _DELIVERIES)
            self._client.hset(self._keys.job(name), mapping={"deliveries": deliveries})
            fields |= {"stage": "delivery", "delivery": deliveries, "attempts": most, "stopped_by": "cause"}
        fields |= {key: value for key, value in said.items() if value is not None}
        self.move(name, outcome, f"fax.{outcome}", **fields)

    def move(self, name: str, state: str, event: str, **said: Any) -> None:
        """Make one transition: the record, its history, the indexes, and the event."""
        keys, job, now = self._keys, self.record(name), _now()
        steps = int(job.get("n", 0)) + 1
        attempt = int(job.get("attempt", 0))
        history: dict[str, Any] = {"event": event, "at": now, "state": state, "attempt": attempt}
        history |= {key: said[key] for key in _IN_HISTORY if key in said}
        if job.get("job_id") and event in _KNOWN_BY:
            history["jobId"] = int(job["job_id"])
        kept = {k: v for k, v in said.items() if k not in _TOLD_ONLY}
        record = {"state": state, "n": steps, "updated_at": now, f"h:{steps}": json.dumps(history), **kept}
        indexes = {"queued": keys.ready, "submitted": keys.submitted, "in_doubt": keys.in_doubt}
        if event in _SCHEDULED and int(job.get("send_at", 0)) > now:
            said["send_at"] = int(job["send_at"])
        with self._client.pipeline() as pipe:
            pipe.hset(keys.job(name), mapping=record)
            for index in indexes.values():
                pipe.zrem(index, name)
            if state in indexes:
                score = int(job["place"]) if state == "queued" else now + _DAY_MS
                pipe.zadd(indexes[state], {name: score})
            if state in FINAL_STATES:
                pipe.hincrby(keys.account_state, f"done:{state}")
            self._emit(pipe, event, name, {**said, "state": state, "attempt": attempt}, job)
            pipe.execute()

    def emit(
        self, event: str, name: str, data: Mapping[str, Any], job: Mapping[str, str] | None = None
    ) -> None:
        """Write an event about a job, with the jobId and the metadata of its record."""
        self._emit(self._client, event, name, data, job or {})

    def _emit(
        self, client: Any, event: str, name: str, data: Mapping[str, Any], job: Mapping[str, str]
    ) -> None:
        content = {key: value for key, value in data.items() if value is not None}
        if job.get("job_id"):
            content["jobId"] = int(job["job_id"])
        if job.get("metadata"):
            content["metadata"] = json.loads(job["metadata"])
        text = json.dumps(content, ensure_ascii=False)
        client.xadd(self._keys.events, {"event": event, "job": name, "at": _now(), "data": text})


def _carry_out(daemon: Daemon, client: Any, keys: RedisKeys, order: Mapping[str, str]) -> dict[str, str]:
    match order["order"]:
        case Order.PAUSE | Order.RESUME as kind:
            paused = OPERATOR if kind == Order.PAUSE else ""
            client.hset(keys.account_state, "paused", paused)
            return {"result": "done"}
        case Order.RESOLVE:
            return _resolve(daemon, client, keys, order)
        case Order.REVEAL:
            return {"result": "done"}
    return {"result": "refused"}  # nothing is ever set aside


def _resolve(daemon: Daemon, client: Any, keys: RedisKeys, order: Mapping[str, str]) -> dict[str, str]:
    name, how, job_id = order["job"], order["how"], order.get("jobId", "")
    state = daemon.record(name).get("state", "")
    if state != "in_doubt":
        return {"result": "refused", "state": state}
    attempt = daemon.record(name).get("attempt", "0")
    if order.get("attempt", attempt) != attempt:
        return {"result": "refused", "state": state, "why": "sent_again", "attempt": attempt}
    created_at = daemon.record(name).get("created_at", "")
    if order.get("created_at", created_at) != created_at:
        return {"result": "refused", "state": state, "why": "pushed_again", "attempt": attempt}
    if other := client.get(keys.job_ids + job_id) if job_id else None:
        return {"result": "taken", "job": other.decode()}
    by = clean_actor(order.get("user"), order.get("by")) or None
    if how == "accepted":
        daemon.accept(name, job_id, by)
    elif how == "resend":
        daemon.move(name, "queued", "fax.retrying", reason="operator", retry_at=_now(), by=by)
    else:
        daemon.move(name, "failed", "fax.failed", reason="operator", stage="submission", by=by)
    return {"result": "done", "state": daemon.record(name)["state"]}


def _now() -> int:
    return time.time_ns() // 1_000_000
