"""The ledger: what really happened at iFax and with every worker, and what therefore must hold in Redis.

It takes nothing from the scripts but their answers. `Ledger.check` reads all that Redis holds and says what
is wrong.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import Any

from faxline_worker.state.results import Admitted
from tests.stage.scene import Event, Scene

FINAL = {"delivered", "failed", "canceled", "unconfirmed"}
PLACES = {"queued": {"ready", "delayed"}, "submitted": {"submitted"}, "in_doubt": {"in_doubt"}}
"""The sorted sets in one of which a job stands, by its state; in any other state it stands in none."""
NEXT = {
    "queued": {"queued", "submitted", "in_doubt", "delivered", "failed", "canceled"},
    "in_doubt": {"queued", "submitted", "delivered", "failed", "canceled"},
    "submitted": {"submitted", "in_doubt", "queued", "delivered", "failed", "canceled", "unconfirmed"},
    "unconfirmed": {"delivered", "failed", "canceled"},
}
"""What may follow, by the events."""
PUT_BACK = {"released", "defer", "pause", "unreachable", "unknown"}
"""Decisions that spend no attempt; a refusal of an unknown meaning may end the job, but not the first one."""
FIRST_MATCH = 8001
"""Milliseconds after its arrival at which a receipt of a jobId that nobody knows first meets the doubts, or
later: where a call that is under way has longer."""
NATIONAL = 7
"""Digits by which a receipt is found that waits for its doubt: its number may lack the country."""
STILL = {"fax.duplicate", "fax.cancel_refused", "fax.rejected"}
"""Events that tell of no new state."""


@dataclass
class Attempt:
    """One admission, and the truth about it."""

    admitted: Admitted
    lease: int
    """Milliseconds since 1970 at which it runs out."""
    holds: bool = True
    """Nobody has settled it, and no timer found its lease run out."""
    marked: int = 0
    """When its first byte left (s); 0: not yet."""
    taken: str = ""
    """The jobId, if iFax accepted it, whoever knows."""
    answer: dict[str, Any] | None = None
    """What its worker reported."""
    disproved: bool = False
    """It was reported that iFax did not take it."""
    forgiven: bool = False
    """The policy or an operator ordered another attempt in spite of it."""
    uncounted: bool = False
    """It was put back."""
    undelivered: bool = False
    """iFax said that its delivery failed."""


@dataclass
class Job:
    """What the ledger knows of a job."""

    policy: str
    number: str
    attempts: list[Attempt] = field(default_factory=list)
    state: str = ""
    """By the events, and by the answers that put it back without one."""
    transitions: int = 0
    known: set[str] = field(default_factory=set)
    """jobIds that an event or a match told."""
    delivered: set[str] = field(default_factory=set)
    """jobIds of which iFax said so."""
    told: set[str] = field(default_factory=set)
    """jobIds of which an event said so."""
    most: int = 3
    """Deliveries that are tried."""
    refusals: int = 0
    """Those of an unknown meaning, none of which may end it alone."""
    deliveries: int = 0
    """Those that failed and were followed by another, or by the wait for another request's word."""
    other: str = ""
    """How the request ended that the last `fax.duplicate` told of."""

    def may_be_sent(self) -> bool:
        """Whether nothing that was sent may have been accepted, but what was forgiven."""
        return all(not a.marked or a.disproved or a.forgiven or a.undelivered for a in self.attempts)


class Ledger:
    """All jobs and attempts of one course of events."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.jobs: dict[str, Job] = {}
        self.attempts: list[Attempt] = []
        self._duplicates: Counter[tuple[str, Any, Any]] = Counter()
        self.control_calls: set[str] = set()
        """Permits of control calls whose workers died."""

    def admitted(self, admitted: Admitted, lease: int) -> Attempt:
        """A worker was given a job.

        Raises:
            AssertionError: an earlier attempt may have been accepted, and nobody ordered another.
        """
        self.listen()
        job = self.jobs[admitted.job]
        assert job.may_be_sent(), f"{admitted.job} is sent again while an attempt may have been accepted"
        attempt = Attempt(admitted, self.scene.true + lease)
        job.attempts.append(attempt)
        self.attempts.append(attempt)
        return attempt

    def timers_ran(self) -> None:
        """The leases that ran out by now are over."""
        for attempt in self.attempts:
            if attempt.holds and attempt.lease <= self.scene.true:
                attempt.holds, attempt.uncounted = False, not attempt.marked

    def reported(self, attempt: Attempt, result: str) -> None:
        """A worker's answer did what `result` says; it is the first time that it was reported."""
        decision = attempt.answer["decision"] if attempt.answer else ""
        assert (result == "settled") == attempt.holds, (result, attempt)
        attempt.holds = False
        attempt.disproved = decision not in {"accepted", "in_doubt"}
        job, news = self.jobs[attempt.admitted.job], self.scene.news()
        if decision in PUT_BACK and result in {"settled", "resolved"}:
            ends = any(e.name == "fax.failed" and e.data.get("stage") == "submission" for e in news)
            assert not ends or (decision == "unknown" and job.refusals), (decision, attempt)
            job.refusals += decision == "unknown"
            if not ends:
                attempt.uncounted, job.state = True, "queued"
        for event in news:
            self._hear(event)

    def forgive(self, job: str) -> None:
        """Another attempt is ordered in spite of all that were made."""
        for attempt in self.jobs[job].attempts:
            attempt.forgiven = True

    def listen(self) -> None:
        """Read the events since the last time.

        Raises:
            AssertionError: one of them may not follow those before it.
        """
        for event in self.scene.news():
            self._hear(event)

    def _hear(self, event: Event) -> None:
        job, job_id = self.jobs[event.job], event.data.get("jobId")
        if event.name == "fax.duplicate":
            told = event.job, job_id, event.data.get("outcome")
            self._duplicates[told] += 1
            assert self._duplicates[told] == 1, f"{event} was told before"
        if job_id is not None:
            job.known.add(str(job_id))
        if event.name == "fax.delivered" or event.data.get("outcome") == "delivered":
            job.told.add(str(job_id))
        if event.name == "fax.duplicate":
            self._end_other(job, str(job_id), str(event.data.get("outcome", "")))
        if event.name in STILL:
            return
        state = event.data["state"]
        if job.state == "submitted" and state in {"submitted", "in_doubt"}:  # it waits for another's word
            job.deliveries += job.other == "failed"
        assert state in (NEXT.get(job.state, set()) if job.state else {"queued"}), (job.state, event)
        if event.name == "fax.retrying" and event.data.get("reason") == "in_doubt":
            assert job.policy == "resend", event
            self.forgive(event.job)
        if event.name == "fax.retrying" and event.data["stage"] == "delivery":
            self._failed_to_deliver(event)
        job.state, job.transitions = state, job.transitions + 1

    @staticmethod
    def _end_other(job: Job, job_id: str, outcome: str) -> None:
        job.other = outcome
        for attempt in job.attempts:
            attempt.undelivered |= outcome == "failed" and attempt.taken == job_id

    def _failed_to_deliver(self, event: Event) -> None:
        job, job_id = self.jobs[event.job], str(event.data["jobId"])
        failed = [attempt for attempt in job.attempts if attempt.taken == job_id]
        assert failed, f"{event} is about no attempt"
        for attempt in failed:
            attempt.undelivered = True
        job.deliveries += 1
        assert event.data["delivery"] == job.deliveries < job.most, event

    def check(self) -> None:
        """Hold all that Redis has against the ledger.

        Raises:
            AssertionError: something that must always hold does not.
        """
        self.listen()
        now = Contents(self.scene, list(self.jobs))
        for name, job in self.jobs.items():
            self._check_job(name, job, now)
        for index, members in now.indexes.items():
            strangers = {m for m in members if index in PLACES.get(now.state(m), set())} ^ set(members)
            assert not strangers, f"{index} holds {strangers}"
        assert set(now.holders) - self.control_calls == {a.admitted.permit for a in self.attempts if a.holds}
        assert len(now.permits) <= self.scene.store.limits.concurrency
        assert len(now.permits) + now.answers <= self.scene.store.limits.requests
        self._check_backlog(now)
        assert now.untried == now.first, "receipts that met no doubt yet are miskept"
        assert now.waiting == [0, 0, 0], "an entry was applied and stays on its stream"

    @staticmethod
    def _check_backlog(now: "Contents") -> None:
        ended = sum(int(n) for field, n in now.account.items() if field.startswith("done:"))
        assert int(now.account["taken"]) - ended == len(now.open()), "the open jobs are miscounted"
        assert int(now.account.get("bytes", 0)) == now.bytes, "the bytes are miscounted"
        counts = {digest: int(n) for digest, n in now.uses.items() if ":" not in digest}
        assert counts == now.needed()
        assert {field.removesuffix(":bytes") for field in now.uses if ":" in field} == set(counts)

    def _check_job(self, name: str, job: Job, now: "Contents") -> None:
        record, state = now.records[name], now.state(name)
        assert record, f"{name} is lost"
        stands = {index for index, members in now.indexes.items() if name in members}
        assert stands <= PLACES.get(state, set()), (name, state, stands)
        over = state == "queued" and now.expiring.get(name, inf) <= self.scene.now  # it is due
        assert len(stands) == (state in PLACES) or (over and not stands), (name, state, stands)
        holders = [permit for permit, held in now.holders.items() if held == name]
        assert holders == ([record["permit"]] if state == "submitting" else []), (name, state, holders)
        assert (now.lives[name] > 0) == (state in FINAL), (name, state, now.lives[name])
        assert state == job.state or (state == "submitting" and job.state == "queued"), (name, state, job)
        assert int(record["n"]) == job.transitions == sum(f.startswith("h:") for f in record), name
        counted = sum(not a.uncounted for a in job.attempts)
        assert int(record.get("attempt", 0)) == counted, (name, "spent", record["attempt"], counted)
        expires = name in now.expiring
        assert expires == (state in {"queued", "submitting"} and bool(record.get("expires_at"))) or (
            expires and state == "in_doubt"
        ), (name, state, expires)
        if state == "delivered":
            assert job.delivered, f"{name} is delivered, and nobody said so"
        if state in {"delivered", "failed", "canceled"}:
            unheard = (job.delivered & job.known) - job.told
            assert not unheard, f"{name} is {state}, and nobody was told that iFax delivered {unheard}"
        for attempt in job.attempts:
            if attempt.answer and attempt.answer["decision"] == "accepted":
                assert attempt.taken in job.known, f"{attempt.taken} was accepted, and nobody was told"


class Contents:
    """What Redis holds, read in one go."""

    def __init__(self, scene: Scene, jobs: list[str]) -> None:
        keys = scene.keys
        indexes = {name: getattr(keys, name) for name in ("ready", "delayed", "submitted", "in_doubt")}
        with scene.client.pipeline(transaction=False) as pipe:
            for key in (*indexes.values(), keys.permits):
                pipe.zrange(key, 0, -1)
            pipe.zrange(keys.expiring, 0, -1, withscores=True)
            pipe.zcount(
                keys.answers,
                round(scene.true * 1000 - scene.store.limits.window.total_seconds() * 1_000_000),
                "+inf",
            )
            for stream in (keys.intake, keys.status, keys.orders):
                pipe.xlen(stream)
            pipe.hgetall(keys.account_state)
            pipe.hgetall(keys.document_uses)
            for job in jobs:
                pipe.hgetall(keys.job(job))
                pipe.pttl(keys.job(job))
            replies = iter(pipe.execute())
        self.indexes = {name: [m for m in _texts(next(replies)) if m[0] != "!"] for name in indexes}
        self.permits = _texts(next(replies))
        self.expiring = {job.decode(): due for job, due in next(replies)}
        self.holders = dict(permit.split("|", 1) for permit in self.permits if not permit.endswith("|"))
        self.answers: int = next(replies)
        self.waiting: list[int] = [next(replies) for _ in range(3)]
        self.account, self.uses = _pairs(next(replies)), _pairs(next(replies))
        self.records: dict[str, dict[str, str]] = {}
        self.lives: dict[str, int] = {}
        for job in jobs:
            self.records[job], self.lives[job] = _pairs(next(replies)), next(replies)
        self._read_receipts(scene)
        sizes = {digest: scene.client.strlen(keys.document(digest)) for digest in self.needed()}
        self.bytes = sum(sizes.values()) + sum(
            len(record["request"]) + len(record.get("metadata", "")) for record in self.open()
        )
        """What the open jobs keep, by what there is."""

    def _read_receipts(self, scene: Scene) -> None:
        """Those that nobody claimed and that met no doubt yet: by their recipients, and by their times."""
        client: Any = scene.client
        prefix = scene.keys.untried("")
        self.untried = {
            (key.decode().removeprefix(prefix), job_id.decode())
            for key in client.keys(prefix.replace("{", "?").replace("}", "?") + "*")
            for job_id in client.smembers(key)
        }
        self.first = set()
        for job_id, due in client.zrange(scene.keys.unmatched, 0, -1, withscores=True):
            receipt = json.loads(client.get(scene.keys.job_ids + job_id.decode()))
            first = int(receipt["due"])
            assert first >= receipt["at"] + FIRST_MATCH
            if due == first:
                self.first.add((receipt["to"][-NATIONAL:], job_id.decode()))

    def open(self) -> list[dict[str, str]]:
        """The records of the jobs that have not ended."""
        return [record for record in self.records.values() if record.get("state") not in FINAL]

    def needed(self) -> Counter[str]:
        """How many jobs that have not ended need each document."""
        needs = (record.get("documents", "").split(",") for record in self.open())
        return Counter(digest for digests in needs for digest in digests if digest)

    def state(self, job: str) -> str:
        """The state in a job's record."""
        return self.records.get(job, {}).get("state", "")


def _texts(members: list[bytes]) -> list[str]:
    return [member.decode() for member in members]


def _pairs(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}
