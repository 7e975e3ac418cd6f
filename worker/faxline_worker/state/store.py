"""The state in Redis: every transition of a job is one Lua script, called through one typed method.

Each script may be called again after a lost reply and answers the same, so the client's own retries are safe.
Python runs no transition and takes no time: the clock is the server's.
"""

import itertools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import redis
from pydantic_core import to_json

from faxline.contract.entry_members import ENTRY_BYTES
from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline.contract.sealing.seals import MARK, SEALED_KINDS, Seals
from faxline.reading.account_reader import read_account_state_from
from faxline.reading.account_state import AccountState
from faxline.reading.shared_settings import BELIEVED, Offer, read_offers
from faxline.reading.unread_events import unread
from faxline_worker.config.settings import Settings
from faxline_worker.ifax.causes import Again
from faxline_worker.state import scripts
from faxline_worker.state.documents import StoredDocuments
from faxline_worker.state.intake_entries import DEAD, Deliveries
from faxline_worker.state.lineage import SCRIPTS as LINEAGE_SCRIPTS
from faxline_worker.state.lineage import Lineage
from faxline_worker.state.maintenance import Upkeep
from faxline_worker.state.recent_work import Memory
from faxline_worker.state.results import (
    Admitted,
    Change,
    Claim,
    Held,
    Idle,
    Mark,
    Matched,
    Plan,
    Polled,
    Receipted,
    Registration,
    Replaced,
    Reported,
    Settlement,
    StreamCheck,
    Survey,
)
from faxline_worker.state.steady_clock import SteadyClock

LEAST_KEPT = 3_600_000
"""Milliseconds for which a receipt that nobody claims is kept at least: where Redis' clock steps forward, a
time to live ends early by as much."""
SCRIPTS = (
    *("register", "cancel", "admit", "mark", "settle", "report", "receipt", "match", "survey", "plan"),
    *(
        "claim",
        "order",
        "resolve",
        "poll",
        "set_aside",
        "redrive",
        "drop",
        "reveal",
        "join",
        "keep",
        "tidy",
        "knock",
        "adopt",
    ),
    *("upgrade", "reseal_document", "reseal_request", "reseal_dead", "forget", "forget_number"),
    *("begin", "conclude", "offer", "check_streams", "replace_stream", "read_intake", "set_aside_unread"),
    *LINEAGE_SCRIPTS,
)
CHECK = "!check!"
"""The errand about no job: does iFax take the key?"""
NO_JOB = 0
"""A jobId that no fax has: iFax's are unique and positive."""
MOVED, MOVED_BYTES = 500, 4_000_000
"""Entries, and about how many bytes, that one script moves from a stream that was put aside."""
DUE = 20
"""Of each kind that is due, so many are moved on in one script; the next look follows at once."""
ORDERS_AT_ONCE = 100
"""Orders that are read in one go."""

_RESULTS: Mapping[str, Registration] = {str(result): result for result in Registration}


class NewerLayoutError(Exception):
    """What is stored has a newer layout than this version knows."""

    def __init__(self, account: str, stored: str) -> None:
        super().__init__(
            f"account {account!r} is stored in layout {stored}, and this version of Faxline knows "
            f"{scripts.LAYOUT[0]}.x: start the newer version"
        )


class Store:
    """The state of one account.

    Args:
        client: a client of the state's database (bytes replies).
        settings: the daemon's settings.
        account: the account's name; one of `settings.accounts`.
        who: the process, for the audit.
        clock: Lua text that tells the scripts the time, for tests (scripts.source).
        monotonic: seconds, by which steps of Redis' clock are seen; None for a test with a clock of its own.
        memory: what this process remembers of the account; its own where none is given.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        account: str,
        *,
        who: str = "",
        clock: str | None = None,
        monotonic: Callable[[], float] | None = time.monotonic,
        memory: Memory | None = None,
    ) -> None:
        self.account = account
        self.keys = RedisKeys(account)
        self.limits = settings.limits_of(account)
        self.caller_id = settings.accounts[account].caller_id
        self.schedule = settings.schedule
        self.seals = Seals(settings.keyring, account)
        ceilings = settings.ceilings_of(account)
        self.layout = "{}.{}".format(*scripts.LAYOUT)
        """The layout in which this version writes."""
        self.memory = memory if memory is not None else Memory()
        self._client = client
        self._settings = settings
        self._scripts = scripts.Scripts(client, SCRIPTS, clock)
        self._steady = SteadyClock(None if clock and monotonic is time.monotonic else monotonic)
        # After the mark a request lives for the HTTP timeout at most, and its bytes may need a little longer
        # to reach iFax. The same time again is there between admission and mark, mostly for the connection.
        # One millisecond more, for the scripts cut their clock down to whole ones.
        # Where replicas are waited for, the first byte leaves so much later.
        self._confirmation = settings.confirmation
        waited = timedelta(seconds=self._confirmation.timeout if self._confirmation else 0)
        self._life = _ms(settings.http_timeout + settings.lease_grace + waited) + 1
        self._rate = settings.http_rate
        lease = self._life + _ms(settings.lease_grace)
        submission, delivery = settings.retries.submission, settings.retries.delivery
        options: dict[str, Any] = {
            "cap": settings.events_cap,
            "retention": _ms(settings.retention),
            "deadline": _ms(settings.receipt_deadline),
            "expected": _ms(settings.receipt_expected),
            "doubt": _ms(settings.in_doubt.wait),
            "then_": settings.in_doubt.then,
            "lease": lease,
            # What a lease may grow by at the most, by the size of its request (`mark`).
            "upload": _ms(settings.longest_call - settings.http_timeout),
            "clock_slack": _ms(settings.in_doubt.clock_slack),
            "linger": _ms(settings.lease_grace) + 1,
            "status_call": settings.status_call,
            "ask": _ms(settings.status_call_timeout),
            "asks": int(settings.polls),
            "poll_share": round(settings.poll.share * 1_000_000),
            "poll_schedule": [_ms(at) for at in settings.poll.schedule],
            "tries": submission.attempts,
            "deliveries": delivery.attempts,
            "redial_wait": _ms(delivery.redial_wait),
            "again": {cause: [_ms(wait) for wait in getattr(delivery, cause)] for cause in Again},
            "lines": settings.numbers.concurrent,
            "line_lease": _ms(settings.numbers.lease),
            "document_ttl": _ms(settings.document_ttl),
            "document_grace": _ms(settings.document_grace),
            "request_retention": _ms(settings.request_retention),
            "audit": _ms(settings.audit_retention),
            "who": who,
            "layout": self.layout,
            "traces": bool(settings.traces.endpoint),
            "wake_lease": _ms(settings.wake_lease),
            "sweep": _ms(settings.sweep),
            # A receipt that nobody claims outlives the doubts that it may settle, and a step of the clock.
            "keep": max(
                LEAST_KEPT, 2 * (_ms(settings.in_doubt.wait + settings.sweep + settings.longest_call) + lease)
            ),
            "requests": self.limits.requests,
            "window": round(self.limits.window.total_seconds() * 1_000_000),
            "concurrency": self.limits.concurrency,
            "ceiling_jobs": ceilings.jobs,
            "ceiling_bytes": ceilings.bytes,
            "burst": self.limits.burst,
            "gate_base": _ms(settings.cooldown.base),
            "gate_least": _ms(settings.cooldown.min),
            "gate_max": _ms(settings.cooldown.max),
            "share_least": settings.cooldown.min_limit_factor,
            "unreachable_first": _ms(settings.unreachable.first),
            "unreachable_max": _ms(settings.unreachable.max),
            "breaker_after": settings.breaker.after,
            "recent": _ms(settings.step_back.window),
            "retry_max": _ms(submission.max),
            "probe_first": _ms(settings.probe.first),
            "probe_max": _ms(settings.probe.max),
            "starve_after": _ms(settings.starvation.after),
            "starve_share": settings.starvation.share,
        }
        self._wake_lease: int = options["wake_lease"]
        self._options = json.dumps(options, separators=(",", ":"))
        parts = (client, self.keys, self.seals, self._scripts)
        self.documents = StoredDocuments(*parts, options["document_ttl"])
        self.upkeep = Upkeep(*parts, self._options)
        self.lineage = Lineage(client, self.keys, self._scripts, self._options, who)
        self.deliveries = Deliveries(client, self.keys, self._scripts, self._options)

    def _run(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return self._scripts.run(name, keys, args)

    def _run_timed(self, name: str, keys: Sequence[str], args: Sequence[Any], *more: Any) -> Any:
        """Run a script of the limits: it is told the steady clock, and tells it in its reply, JSON."""
        asked = self._steady.asked()
        reply = json.loads(self._run(name, keys, [*args, self._steady.now(), *more]))
        self._steady.learn(asked, reply.pop("steady", None))
        return reply

    @property
    def steady(self) -> int | str:
        """The account's steady clock (ms) as this process has it; nothing where no script told it yet."""
        return self._steady.now()

    def join(self) -> None:
        """Make the dispatchers' consumer group, where it is not there."""
        self._run("join", [self.keys.intake], [INTAKE_GROUP])

    def adopt(self) -> None:
        """Take the account as it is stored: note the layout and the keys' ids, count the open jobs.

        Raises:
            NewerLayoutError: a newer layout is stored; nothing was changed.
        """
        k = self.keys
        keys = [k.account_state, k.ready, k.delayed, k.permits, k.submitted, k.in_doubt, k.job("")]
        ids = self.seals.keyring.ids if self.seals.keyring is not None else ()
        found: Any = self._client.zscan_iter(k.delayed, match="!*", count=1000)
        errands = len({member for member, _ in found})
        reply = cast("bytes", self._run("adopt", keys, [self.layout, " ".join(ids), errands])).decode()
        if reply != "adopted":
            raise NewerLayoutError(self.account, reply)

    def offer(self, who: str) -> tuple[Offer, ...]:
        """Say by which settings this process works, for BELIEVED seconds; the offers that hold.

        Args:
            who: the process, as `role host:pid`.

        Raises:
            redis.ResponseError: a newer layout is stored.
        """
        asked = self._steady.asked()
        args = [self._options, who, _ms(BELIEVED), self._steady.now()]
        reply = json.loads(self._run("offer", [self.keys.account_state], args))
        self._steady.learn(asked, reply["steady"])
        return read_offers(reply["offers"], reply["steady"])

    def check_layout(self) -> None:
        """Look whether this version knows the stored layout.

        Raises:
            NewerLayoutError: it does not.
        """
        stored = cast("bytes | None", self._client.hget(self.keys.account_state, "layout"))
        if stored is not None and int(stored.partition(b".")[0]) > scripts.LAYOUT[0]:
            raise NewerLayoutError(self.account, stored.decode())

    @property
    def known(self) -> bool:
        """Whether this version knows the stored layout."""
        try:
            self.check_layout()
        except NewerLayoutError:
            return False
        return True

    def upgrade(self, jobs: Sequence[str], digests: Sequence[str], *, look: bool) -> tuple[int, int, int]:
        """Bring some records, and some sizes of documents, to the present layout (layout.Upgraded).

        Args:
            jobs: their ids.
            digests: of documents that have a size in `document-uses`.
            look: change nothing.
        """
        args = [self._options, self.layout, json.dumps(jobs), json.dumps(digests), "1" if look else ""]
        reply = json.loads(self._run("upgrade", [self.keys.account_state, self.keys.job("")], args))
        return reply["records"], reply["counted"], reply["freed"]

    def register(self, items: Sequence[Mapping[str, Any]]) -> list[tuple[Registration, str]]:
        """Register or reject a batch of entries: a result and, of a rejection, the reason, for each."""
        asked = self._scripts.asking(self._confirmation, "register", *self._registering(items))
        return self._registered(items, *asked)

    def begin_register(
        self, items: Sequence[Mapping[str, Any]]
    ) -> Callable[[], list[tuple[Registration, str]]]:
        """Have Redis register a batch meanwhile; what is given waits for the answers.

        It must be called, once, and raises what `register` does; nothing is raised before.
        """
        answer = self._scripts.begin("register", *self._registering(items), self._confirmation)
        return lambda: self._registered(items, *answer())

    def _registered(
        self, items: Sequence[Mapping[str, Any]], reply: bytes, missed: str
    ) -> list[tuple[Registration, str]]:
        told = json.loads(reply)
        rows = [(_RESULTS[result], reason) for result, reason in told["rows"]]
        if not missed:  # else nobody was promised anything: a producer that asks the replicas was told so
            self.memory.pushed(
                (
                    (job["id"], item["entry"])
                    for item, (result, _) in zip(items, rows, strict=True)
                    if result is Registration.REGISTERED
                    for job in item["jobs"]
                ),
                told.get("event"),
            )
        return rows

    def _registering(self, items: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Any]]:
        k = self.keys
        keys = [k.intake, k.account_state, k.ready, k.expiring, k.events, k.job("")]
        return keys, [INTAKE_GROUP, self._options, to_json(items)]

    def cancel(self, entry: str, job: str, who: str = "", user: str = "") -> Registration:
        """Cancel a queued job, or ask iFax to; an entry of the intake stream asks for it.

        Args:
            entry: the entry's id.
            job: the job.
            who: who asks, for the audit.
            user: that one's Redis user, likewise.
        """
        k = self.keys
        reply, missed = self._scripts.asking(
            self._confirmation,
            "cancel",
            [k.intake, k.account_state, k.ready, k.expiring, k.events, k.doorbell, k.job("")],
            [INTAKE_GROUP, entry, job, self._options, who, user],
        )
        told = json.loads(reply)
        result = Registration(told["result"])
        if result is Registration.CANCELED and not missed:
            self.memory.canceled(job, entry, told.get("event"))
        return result

    def admit(self, permit: str, wake: str, chance: float = 1.0) -> Admitted | Held | Idle:
        """Take the best job and a permit.

        Args:
            permit: a token of the caller's own: asked again with it, the answer is the same.
            wake: the wake-up's token, or nothing.
            chance: from 0 to 1, drawn for this permit; below the starvation share the oldest job goes first.
        """
        k = self.keys
        answer = self._run_timed(
            "admit",
            [
                *(k.account_state, k.ready, k.permits, k.answers, k.wakes, k.doorbell),
                k.job(""),
            ],
            [permit, wake, self._options, chance],
        )
        if answer["result"] == "idle":
            return Idle()
        if answer["result"] == "held":
            return Held(answer["limit"])
        return _admitted(permit, answer)

    def knock(self, permit: str) -> Admitted | Held:
        """Take a permit for a call about no job: the question whether iFax takes the key.

        Its answer is told by `report`.

        Args:
            permit: a token of the caller's own, as in `admit`.
        """
        k = self.keys
        reply = self._run_timed(
            "knock",
            [k.account_state, k.permits, k.answers, k.doorbell],
            [permit, CHECK, self._options],
        )
        if reply["result"] == "held":
            return Held(reply["limit"])
        return Admitted(
            permit=permit,
            job="",
            attempt=0,
            kind="check",
            request={"jobId": NO_JOB},
            number="",
            priority="",
            waited=None,
            errand=CHECK,
        )

    def mark(self, admitted: Admitted, size: int = 0) -> Mark:
        """Write the mark: the first byte of the request is about to leave.

        Args:
            admitted: the call.
            size: bytes of its body, for which the lease grows as the call's time does.

        Raises:
            TooFewReplicasError: it is written, and a failover might lose it: nothing may be sent.
        """
        k = self.keys
        held_for = admitted.errand or admitted.job
        life = self._life + math.ceil(size / self._rate * 1000)
        args = [admitted.permit, held_for, life, "1" if admitted.errand else "", self._steady.now()]
        keys = [k.permits, k.job(admitted.job), k.account_state]
        if self._confirmation and not admitted.errand:  # an errand that is forgotten does no harm
            reply = self._scripts.confirmed(self._confirmation, "mark", keys, args)
        else:
            reply = self._run("mark", keys, args)
        if reply == b"lost":
            return Mark.LOST
        if not admitted.errand:
            self.memory.marked(admitted, int(reply))
        return Mark.MARKED

    def settle(
        self, admitted: Admitted, answer: Mapping[str, Any], *, permit: str = "", chance: float = 1.0
    ) -> Settlement:
        """Move the job on by an answer, as lua/settle.lua names its members (ms).

        Args:
            admitted: the call that was answered.
            answer: what came of it.
            permit: a token for the next call, if the caller goes on; with nothing, others are woken.
            chance: of the next call, as for `admit`.
        """
        k = self.keys
        keys = [
            *(k.account_state, k.ready, k.delayed, k.permits, k.answers, k.wakes, k.submitted),
            *(k.in_doubt, k.expiring, k.events, k.unmatched, k.doubts, k.doubts_until, k.doorbell),
            *(k.job(""), k.job_ids),
        ]
        marked = {"marked": True} if self.memory.holds(admitted.permit) else {}
        args = [admitted.permit, admitted.job, _compact({**answer, **marked}), self._options, permit, chance]
        reply = self._run_timed("settle", keys, args)
        self.memory.settled(admitted.permit, answer, reply["result"], reply.get("event"))
        following = reply.get("next")
        return Settlement(
            result=reply["result"],
            state=reply.get("state"),
            wakes=tuple(token for token, _ in reply.get("wakes", ())),
            receipt=reply.get("receipt"),
            submitted_at=reply.get("submitted_at"),
            next=_admitted(permit, following) if following else None,
            apart=reply.get("apart", False),
        )

    def report(self, admitted: Admitted, answer: Mapping[str, Any]) -> Reported:
        """The answer to an errand, as lua/report.lua names its members (ms)."""
        k = self.keys
        keys = [
            *(k.account_state, k.ready, k.permits, k.answers, k.submitted, k.in_doubt),
            *(k.expiring, k.events, k.doorbell, k.job(""), k.unmatched, k.doubts, k.doubts_until, k.job_ids),
        ]
        args = [admitted.permit, admitted.errand, _compact(answer), self._options]
        return Reported(**self._run_timed("report", keys, args))

    def receipts(self, count: int) -> list[tuple[str, dict[bytes, bytes]]]:
        """The oldest entries of the status stream."""
        entries = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]", self._client.xrange(self.keys.status, count=count)
        )
        return [(entry.decode(), fields) for entry, fields in entries]

    def receipt(self, entry: str, receipt: Mapping[str, Any]) -> Receipted:
        """Apply one entry of the status stream."""
        return self.apply([(entry, receipt)])[0]

    def apply(
        self,
        receipts: Sequence[tuple[str, Mapping[str, Any]]],
        bodies: Sequence[Mapping[bytes, bytes]] = (),
    ) -> list[Receipted]:
        """Apply entries of the status stream, at least one, in the order of the stream.

        Args:
            receipts: each entry's id, and what it says.
            bodies: the entries' fields as they are stored, to be remembered.
        """
        k = self.keys
        keys = [
            *(k.status, k.account_state, k.submitted, k.in_doubt, k.expiring, k.events, k.unmatched),
            *(k.job(""), k.job_ids),
        ]
        items = [{"entry": entry, "receipt": _known(receipt)} for entry, receipt in receipts]
        args = [self._options, json.dumps(items, separators=(",", ":"))]
        told = json.loads(self._run("receipt", keys, args))
        rows = [Receipted(**row) for row in told["rows"]]
        taken = (row.error is None and row.result != "gone" for row in rows)
        self.memory.received(itertools.compress(bodies, taken), told["now"])
        return rows

    def match(self, most: int = 50) -> list[Matched]:
        """Hold receipts that no answer claimed in time against the doubts."""
        k = self.keys
        keys = [
            *(k.account_state, k.ready, k.delayed, k.submitted, k.in_doubt, k.expiring, k.events),
            *(k.unmatched, k.doubts, k.doubts_until, k.doorbell, k.job(""), k.job_ids),
        ]
        return [Matched(**row) for row in json.loads(self._run("match", keys, [self._options, most]))]

    def set_aside(self, origin: str, entry: str, why: str) -> bool:
        """Move an entry that cannot be worked on from the stream `intake` or `status` to the dead.

        A fax that came in clear is sealed there, where there are keys.
        """
        stream, group = (self.keys.intake, INTAKE_GROUP) if origin == "intake" else (self.keys.status, "")
        found: Any = self._client.xrange(stream, entry, entry) if group and self.seals.on else []
        content = [part for _, fields in found for part in _sealed_fields(self.seals, fields)]
        if sum(map(len, content)) > ENTRY_BYTES:  # the server need not take so much
            content = ["too_large", str(sum(map(len, content)))]
        args = [entry, group, origin, why, DEAD, *content]
        return bool(self._run("set_aside", [stream, self.keys.dead], args) == b"done")

    def claim_news(self) -> bool:
        """Whether the caller, who knows that receipts came, is the one to send a message for them."""
        return bool(self._client.set(self.keys.reconcile_wake, "1", nx=True, px=self._wake_lease))

    def claim_reconcile(self, *, turn: bool = False) -> Claim:
        """Whether receipts wait, and whether the caller is the one to send a `reconcile` message for them.

        Args:
            turn: asked at the end of a turn: the claim is given up where nothing waits any more.
        """
        k = self.keys
        args = [self._wake_lease, "1" if turn else ""]
        reply = self._run("claim", [k.status, k.unmatched, k.reconcile_wake, k.account_state], args)
        return Claim(reply.decode())

    def check_streams(self) -> StreamCheck:
        """Whether a stream to which others add is out of ids, and how much waits in intake."""
        k = self.keys
        reply = json.loads(
            self._run("check_streams", [k.intake, k.status, k.orders, k.account_state], [INTAKE_GROUP])
        )
        replace = tuple(reply.pop("replace", ()))
        return StreamCheck(**reply, replace=replace)

    def replace_stream(self, name: str) -> Replaced:
        """Put a stream that is out of ids aside, and move what it holds into a new one, some entries a call.

        Args:
            name: intake, status or orders.
        """
        k = self.keys
        stream = {"intake": k.intake, "status": k.status, "orders": k.orders}[name]
        group = INTAKE_GROUP if name == "intake" else ""
        args = [name, group, MOVED, MOVED_BYTES, self._options]
        reply = json.loads(self._run("replace_stream", [stream, k.account_state, k.audit], args))
        return Replaced(reply.get("replaced"), reply["moved"], reply["left"])

    def orders(self, after: str = "", most: int = ORDERS_AT_ONCE) -> list[tuple[str, dict[bytes, bytes]]]:
        """What operators ordered and nobody has carried out, the oldest first.

        Args:
            after: the entry after which to begin; nothing: at the first.
            most: how many at the most.
        """
        found: Any = self._client.xrange(self.keys.orders, f"({after}" if after else "-", count=most)
        return [(entry.decode(), fields) for entry, fields in found]

    def order_of(self, entry: str) -> dict[bytes, bytes] | None:
        """One order, if it is still there."""
        found: Any = self._client.xrange(self.keys.orders, entry, entry)
        return found[0][1] if found else None

    def survey(self, most: int = DUE, *, step: float = 0.0) -> Survey:
        """Move on all that is due, and say when to look again.

        Args:
            most: of each kind in one go.
            step: how far (s) Redis' clock was seen to step since the last survey; back is less than 0.
        """
        k = self.keys
        keys = [
            *(k.account_state, k.ready, k.delayed, k.permits, k.answers, k.submitted),
            *(k.in_doubt, k.expiring, k.events, k.unmatched, k.doubts, k.doubts_until, k.doorbell),
            *(k.status, k.job(""), k.job_ids),
        ]
        reply = self._run_timed("survey", keys, [self._options, most], _ms(step) or "")
        return Survey(
            next=reply["next"] / 1000,
            ready=reply["ready"],
            match=reply["match"],
            newer=reply.get("newer", False),
            poll=reply.get("poll", False),
            changes=tuple(Change(**change) for change in reply.get("changes", ())),
            failures=tuple((one["job"], one["receipt"]) for one in reply.get("failures", ())),
        )

    def poll(self, most: int = DUE) -> Polled:
        """Let the questions that are due and have room into the ready set; `most` in one go."""
        k = self.keys
        keys = [k.account_state, k.ready, k.permits, k.answers, k.job("")]
        reply = self._run_timed("poll", keys, [self._options, most])
        after = reply.get("next")
        return Polled(reply["asked"], after / 1000 if after is not None else None)

    def plan(self, horizon: float = 2.0, most: int = 64) -> Plan:
        """Say which wake-ups to send now and within the horizon (s); `most` are on their way at once."""
        k = self.keys
        keys = [k.account_state, k.ready, k.permits, k.answers, k.wakes]
        reply = self._run_timed("plan", keys, [self._options, _ms(horizon), most])
        after = reply.get("next")
        return Plan(
            wakes=tuple((token, wait / 1000) for token, wait in reply.get("wakes", ())),
            next=after / 1000 if after is not None else None,
        )

    def order(self, entry: str, order: str, by: str = "") -> str:
        """Carry out an operator's order, pause or resume: done, idle (it was so), unknown or gone."""
        k = self.keys
        keys = [k.orders, k.reply(entry), k.account_state, k.permits, k.answers, k.doorbell, k.audit]
        return cast("bytes", self._run("order", keys, [entry, order, by, self._options])).decode()

    def resolve(
        self,
        entry: str,
        job: str,
        how: str,
        job_id: str,
        by: str = "",
        *,
        applied: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> str:
        """Settle a doubt as an operator ordered: done, refused, taken or gone.

        Args:
            entry: the order's, on the stream `orders`.
            job: the job in doubt.
            how: accepted, resend or fail.
            job_id: iFax's jobId, of accepted.
            by: who orders it, for the audit.
            applied: gets the receipt that had come before and was applied with it.
        """
        k = self.keys
        keys = [
            *(k.orders, k.reply(entry), k.account_state, k.ready, k.delayed, k.submitted, k.in_doubt),
            *(k.expiring, k.events, k.unmatched, k.doubts, k.doubts_until, k.doorbell, k.job(""), k.job_ids),
        ]
        reply = json.loads(self._run("resolve", keys, [entry, job, how, job_id, by, self._options]))
        if "receipt" in reply:
            applied(reply["receipt"])
        return str(reply["result"])

    def redrive(self, entry: str, dead: str, by: str = "") -> str:
        """Put an entry that was set aside back on its stream, as ordered: done, refused or gone."""
        k = self.keys
        keys = [k.orders, k.reply(entry), k.dead, k.intake, k.status, k.audit]
        return cast("bytes", self._run("redrive", keys, [entry, dead, by, self._options])).decode()

    def events_unread(self) -> int:
        """How many events the consumer group that is furthest behind has yet to read."""
        try:
            with self._client.pipeline(transaction=False) as pipe:
                pipe.xinfo_stream(self.keys.events)
                pipe.xinfo_groups(self.keys.events)
                stream, groups = pipe.execute()
        except redis.ResponseError as error:
            if "no such key" not in str(error):
                raise
            return 0
        return max((unread(group, stream) for group in groups), default=0)

    def drop(self, entry: str, dead: str, by: str = "") -> str:
        """Throw away an entry that was set aside, as ordered: done, refused or gone."""
        k = self.keys
        keys = [k.orders, k.reply(entry), k.dead, k.audit]
        return cast("bytes", self._run("drop", keys, [entry, dead, by, self._options])).decode()

    def reveal(self, entry: str, by: str = "") -> str:
        """Note that somebody is shown the numbers of the jobs that the order names: done or gone."""
        k = self.keys
        keys = [k.orders, k.reply(entry), k.audit]
        return cast("bytes", self._run("reveal", keys, [entry, by, self._options])).decode()

    def state(self) -> AccountState:
        """The account as a whole, for the dispatcher's gauges."""
        return read_account_state_from(self._client, self.keys)


def _admitted(permit: str, answer: Mapping[str, Any]) -> Admitted:
    waited, kept = answer.get("waited"), answer["request"]
    sealed = kept if kept.startswith(MARK) else ""
    return Admitted(
        permit=permit,
        job=answer["job"],
        attempt=answer["attempt"],
        kind=answer["kind"],
        request={} if sealed else json.loads(kept),
        sealed=sealed,
        number=answer.get("number") or "",
        priority=answer["priority"],
        waited=waited / 1000 if waited is not None else None,
        errand=answer.get("errand"),
        due=bool(answer.get("due")),
        quality=answer.get("quality"),
        born=answer["born"],
        trace=answer.get("trace"),
    )


def _sealed_fields(seals: Seals, fields: Mapping[bytes, bytes]) -> list[bytes | str]:
    """The field and the value of an entry, its content sealed; nothing where it is no fax, or is sealed."""
    kind, raw = next(iter(fields.items()))
    if len(fields) != 1 or kind.decode("utf-8", "replace") not in SEALED_KINDS:
        return []
    text = raw.decode("utf-8", "replace")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        payload = {}
    known = payload if isinstance(payload, dict) else {}
    return [] if "sealed" in known else [kind, seals.entry(kind.decode(), known, text)]


def _ms(duration: timedelta | float) -> int:
    """Whole milliseconds of a duration, or of seconds."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    return round(seconds * 1000)


def _compact(data: Mapping[str, Any]) -> str:
    """JSON without nulls: in a script a null is a value, and no nil."""
    return json.dumps(_known(data), separators=(",", ":"))


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _known(value) if isinstance(value, Mapping) else value
        for name, value in data.items()
        if value is not None
    }
