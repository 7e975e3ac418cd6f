"""The state in Redis: every transition of a job is one Lua script, called through one typed method.

Each script may be called again after a lost reply and answers the same, so the client's own retries are safe.
Python runs no transition and takes no time: the clock is the server's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import redis

from faxline.keys import INTAKE_GROUP, AccountKeys
from faxline_worker import scripts
from faxline_worker.settings import Settings


class Mark(StrEnum):
    """What `mark` answers."""

    MARKED = "marked"
    LOST = "lost"


class Registration(StrEnum):
    """What became of an intake entry."""

    REGISTERED = "registered"
    REPEATED = "repeated"
    REJECTED = "rejected"
    GONE = "gone"
    CANCELED = "canceled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A job and a permit, for one call."""

    permit: str
    job: str
    attempt: int
    kind: str
    request: dict[str, Any]
    number: str
    priority: str
    waited: float | None
    """Seconds from registration to this, its first, admission; None for a later attempt."""
    wakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """Jobs are ready, and a limit holds them: concurrency, window, burst, gate or paused."""

    limit: str


@dataclass(frozen=True, slots=True)
class Idle:
    """No job is ready."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call's answer did: result is settled, repeated, stale, resolved or duplicate."""

    result: str
    state: str | None
    wakes: tuple[str, ...]
    receipt: dict[str, Any] | None
    """The receipt that had come before the answer and was applied with it."""
    submitted_at: int | None


@dataclass(frozen=True, slots=True)
class Receipted:
    """What a receipt did: applied, repeated, resolved_doubt, unmatched, dead or gone."""

    result: str
    job: str | None = None
    attempt: int | None = None
    submitted_at: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A transition that a timer made."""

    job: str
    event: str
    reason: str | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be done for an account now, and when (seconds) to look again."""

    next: float
    wakes: tuple[str, ...] = ()
    reconcile: bool = False
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Gauges:
    """Sizes of an account's indexes, for the dispatcher's gauges."""

    jobs: dict[str, int]
    oldest: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    capacity: dict[str, float] = field(default_factory=dict)
    paused: bool = False
    dead: int = 0


class Store:
    """The state of one account.

    Args:
        client: a client of the state's database (bytes replies).
        settings: the daemon's settings.
        account: the account's name; one of `settings.accounts`.
    """

    def __init__(self, client: redis.Redis, settings: Settings, account: str) -> None:
        self.account = account
        self.keys = AccountKeys(account)
        self.limits = settings.limits_of(account)
        self._client = client
        self._settings = settings
        names = ("register", "cancel", "admit", "mark", "settle", "receipt", "survey")
        self._scripts = {name: scripts.register(client, name) for name in names}
        grace = settings.lease_grace
        # Before the mark: connecting takes at most the HTTP timeout. After it: the call's whole time, and the
        # time that bytes already sent may still need to reach iFax.
        self._lease = _ms(settings.http_timeout + grace)
        self._call_lease = _ms(settings.http_timeout + grace)
        self._options: dict[str, Any] = {
            "cap": settings.events_cap,
            "retention": _ms(settings.retention),
            "deadline": _ms(settings.receipt_deadline),
            "doubt": _ms(settings.in_doubt.wait),
            "then_": settings.in_doubt.then,
            "linger": _ms(grace),
            "tries": settings.retries.submission.attempts,
            "wake_lease": _ms(settings.wake_lease),
            "sweep": _ms(settings.sweep),
            "keep": _ms(max(settings.in_doubt.wait, settings.http_timeout) * 2),
            "dead_cap": 10_000,
            "requests": self.limits.requests,
            "window": round(self.limits.window * 1_000_000),
            "concurrency": self.limits.concurrency,
            "burst": self.limits.burst,
        }

    def _run(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return self._scripts[name](keys=list(keys), args=list(args))

    def register(self, items: Sequence[Mapping[str, Any]]) -> list[tuple[Registration, str]]:
        """Register or reject a batch of entries: a result and, of a rejection, the reason, for each."""
        k = self.keys
        reply = self._run(
            "register",
            [k.intake, k.account_state, k.ready, k.expiring, k.events, k.job("")],
            [INTAKE_GROUP, self._settings.events_cap, json.dumps(items)],
        )
        return [(Registration(result), reason) for result, reason in json.loads(reply)]

    def cancel(self, entry: str, job: str) -> Registration:
        """Cancel a queued job; an entry of the intake stream asks for it."""
        k = self.keys
        reply = self._run(
            "cancel",
            [k.intake, k.account_state, k.ready, k.delayed, k.expiring, k.events, k.job("")],
            [INTAKE_GROUP, self._settings.events_cap, entry, job, self._options["retention"]],
        )
        return Registration(reply.decode())

    def admit(self, permit: str, wake: str) -> Admitted | Held | Idle:
        """Take the best job and a permit, under a token of the caller's own."""
        k, o = self.keys, self._options
        reply = self._run(
            "admit",
            [k.account_state, k.ready, k.permits, k.holders, k.answers, k.wakes, k.job("")],
            [
                permit,
                wake,
                self._lease,
                o["wake_lease"],
                o["requests"],
                o["window"],
                o["concurrency"],
                o["burst"],
            ],
        )
        answer = json.loads(reply)
        if answer["result"] == "idle":
            return Idle()
        if answer["result"] == "held":
            return Held(answer["limit"])
        waited = answer.get("waited")
        return Admitted(
            permit=permit,
            job=answer["job"],
            attempt=answer["attempt"],
            kind=answer["kind"],
            request=json.loads(answer["request"]),
            number=answer.get("number") or "",
            priority=answer["priority"],
            waited=waited / 1000 if waited is not None else None,
            wakes=tuple(answer.get("wakes", ())),
        )

    def mark(self, admitted: Admitted) -> Mark:
        """Write the mark: the first byte of the request is about to leave."""
        k = self.keys
        reply = self._run(
            "mark",
            [k.permits, k.holders, k.job(admitted.job)],
            [admitted.permit, admitted.job, self._call_lease],
        )
        return Mark(reply.decode())

    def settle(self, admitted: Admitted, answer: Mapping[str, Any]) -> Settlement:
        """Move the job on by an answer: {decision, job_id, code, reason, message, retry, gate} (ms)."""
        k = self.keys
        keys = [
            k.account_state,
            k.ready,
            k.delayed,
            k.permits,
            k.holders,
            k.answers,
            k.wakes,
            k.submitted,
            k.in_doubt,
        ]
        keys += [k.expiring, k.events, k.doorbell, k.job(""), k.job_ids, k.receipts]
        reply = json.loads(
            self._run(
                "settle", keys, [admitted.permit, admitted.job, _compact(answer), json.dumps(self._options)]
            )
        )
        return Settlement(
            result=reply["result"],
            state=reply.get("state"),
            wakes=tuple(reply.get("wakes", ())),
            receipt=reply.get("receipt"),
            submitted_at=reply.get("submitted_at"),
        )

    def receipts(self, count: int) -> list[tuple[str, dict[bytes, bytes]]]:
        """The oldest entries of the status stream."""
        entries = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]", self._client.xrange(self.keys.status, count=count)
        )
        return [(entry.decode(), fields) for entry, fields in entries]

    def receipt(self, entry: str, receipt: Mapping[str, Any] | None) -> Receipted:
        """Apply one entry of the status stream; None sets it aside as making no sense."""
        k = self.keys
        reply = json.loads(
            self._run(
                "receipt",
                [
                    *(k.status, k.account_state, k.submitted, k.in_doubt, k.expiring, k.events, k.dead),
                    *(k.job(""), k.job_ids, k.receipts),
                ],
                [entry, _compact(receipt) if receipt else "", json.dumps(self._options)],
            )
        )
        return Receipted(**reply)

    def reconcile_begins(self) -> None:
        """A `reconcile` message arrived: what comes from now on needs another."""
        self._client.delete(self.keys.reconcile_wake)

    def more_receipts(self) -> bool:
        """Whether receipts wait and this caller is the one to send the next `reconcile` message."""
        if not self._client.xlen(self.keys.status):
            return False
        lease = self._options["wake_lease"]
        return bool(self._client.set(self.keys.reconcile_wake, "1", nx=True, px=lease))

    def survey(self, most: int = 200) -> Survey:
        """Move on all that is due, and say what to send and when to look again."""
        k = self.keys
        keys = [
            k.account_state,
            k.ready,
            k.delayed,
            k.permits,
            k.holders,
            k.answers,
            k.wakes,
            k.submitted,
            k.in_doubt,
        ]
        keys += [k.expiring, k.events, k.status, k.reconcile_wake, k.job("")]
        reply = json.loads(self._run("survey", keys, [json.dumps(self._options), most]))
        return Survey(
            next=reply["next"] / 1000,
            wakes=tuple(reply.get("wakes", ())),
            reconcile=reply["reconcile"],
            changes=tuple(Change(**change) for change in reply.get("changes", ())),
        )

    def document(self, digest: str) -> bytes | None:
        """A document's bytes by `sha256:<hex>`; None when it is not (or no longer) there."""
        return cast("bytes | None", self._client.get(self.keys.document(digest.removeprefix("sha256:"))))

    def keep_document(self, digest: str, data: bytes) -> None:
        """Store a document once; a time to live that is longer already stays."""
        key, ttl = self.keys.document(digest.removeprefix("sha256:")), _ms(self._settings.document_ttl)
        with self._client.pipeline(transaction=False) as pipe:
            pipe.set(key, data, nx=True, px=ttl)
            pipe.pexpire(key, ttl, gt=True)
            pipe.execute()

    def gauges(self) -> Gauges:
        """Sizes of the indexes, read in one pipeline."""
        k = self.keys
        with self._client.pipeline(transaction=False) as pipe:
            for key in (k.ready, k.delayed, k.permits, k.submitted, k.in_doubt, k.answers):
                pipe.zcard(key)
            pipe.hlen(k.holders)
            pipe.hgetall(k.account_state)
            pipe.xlen(k.dead)
            pipe.time()
            for rank in (1, 2, 3):
                pipe.zrangebyscore(
                    k.ready, rank * _STRIDE, (rank + 1) * _STRIDE, start=0, num=1, withscores=True
                )
            reply = pipe.execute()
        ready, delayed, permits, submitted, in_doubt, answers, holders, state, dead, clock, *heads = reply
        account = {name.decode(): value.decode() for name, value in state.items()}
        now = clock[0] * 1_000_000 + clock[1]
        done = {
            s: int(account.get(f"done:{s}", 0)) for s in ("delivered", "failed", "canceled", "unconfirmed")
        }
        jobs = {
            "queued": ready + delayed,
            "submitting": holders,
            "submitted": submitted,
            "in_doubt": in_doubt,
        }
        oldest = {}
        for rank, (name, head) in enumerate(zip(("urgent", "normal", "bulk"), heads, strict=True), start=1):
            born = head[0][1] - rank * _STRIDE + _EPOCH_US if head else now
            oldest[name] = max(0.0, (now - born) / 1e6)
        limits = self.limits
        drained = (now - float(account.get("bucket_at", now))) * limits.requests / (limits.window * 1e6)
        level = max(0.0, float(account.get("bucket", 0)) - drained)
        return Gauges(
            jobs=jobs | done,
            oldest=oldest,
            used={"concurrency": permits, "window": permits + answers, "burst": permits + level},
            capacity={"concurrency": limits.concurrency, "window": limits.requests, "burst": limits.burst},
            paused=bool(account.get("paused")),
            dead=dead,
        )


_STRIDE = 2_000_000_000_000_000
_EPOCH_US = 1_577_836_800_000_000


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _compact(data: Mapping[str, Any]) -> str:
    return json.dumps(
        {name: value for name, value in data.items() if value is not None}, separators=(",", ":")
    )
