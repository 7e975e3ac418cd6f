"""A rollback: what is known of the work that Redis lost, and the order that recovers it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from faxline.contract.errors import NotRolledBack
from faxline.contract.events import position
from faxline.contract.orders import Order
from faxline.operating.orders import issue_order
from faxline.reading.account_state import ROLLED_BACK
from faxline.reading.open_jobs import BATCH, read_light_records
from faxline.steps.commands import Context, Pipeline, Steps

_FIELDS = ("paused", "lost_from", "lost_until", "lost_unknown", "lost_more")


@dataclass(frozen=True, slots=True)
class LostCall:
    """A call to iFax that Redis no longer knows.

    Attributes:
        job: the id of the job.
        attempt: the number of the attempt.
        at: when the call was about to be sent.
        decision: how it ended: accepted, in_doubt, or refuse or retry (iFax did not take it); None if
            unknown.
        job_id: iFax's jobId, if iFax took it.
        state: the state of the job now; None if Redis has no record of it.
        who: the process that made the call.
    """

    job: str
    attempt: int
    at: datetime
    decision: str | None
    job_id: int | None
    state: str | None
    who: str

    def to_dict(self) -> dict[str, Any]:
        """Its JSON."""
        return {
            "job": self.job,
            "attempt": self.attempt,
            "at": self.at.isoformat(),
            "decision": self.decision,
            "jobId": self.job_id,
            "state": self.state,
            "who": self.who,
        }


@dataclass(frozen=True, slots=True)
class Rollback:
    """The work that Redis lost, as far as the processes that kept running remember it.

    Example:
        >>> [(call.job, call.decision) for call in line.rollback().calls]

    Attributes:
        account: the name of the account.
        since: the time of the last event that Redis knows; None if Redis came back empty.
        until: the time of the last event that a process remembers.
        calls: the calls to iFax, by time.
        pushed: the ids of accepted faxes without a record in Redis. Some may be among `calls`.
        canceled: the ids of faxes that were canceled and might be sent after all.
        more: how many further calls and faxes were not recorded.
        unknown: whether more was done than any process remembers. The logs have it.
    """

    account: str
    since: datetime | None
    until: datetime | None
    calls: tuple[LostCall, ...] = ()
    pushed: tuple[str, ...] = ()
    canceled: tuple[str, ...] = ()
    more: int = 0
    unknown: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline accounts rollback --json`."""
        return {
            "account": self.account,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "calls": [call.to_dict() for call in self.calls],
            "pushed": list(self.pushed),
            "canceled": list(self.canceled),
            "more": self.more,
            "unknown": self.unknown,
        }


@dataclass(frozen=True, slots=True)
class Recovered:
    """What happened to the lost jobs in a recovery. Each attribute but `paused` holds ids of jobs.

    Attributes:
        in_doubt: in doubt now. A receipt, an operator or the policy settles them.
        submitted: taken by iFax under a known jobId. Their receipts decide the rest.
        settled: their receipts had arrived already, and decided them.
        ended: ended in the meantime, or another attempt is under way.
        canceled: canceled again.
        gone: nothing is left of them, and they were not sent. Push them again.
        known: nothing had to be done: iFax had not taken them, or they were pushed again.
        paused: why the account is still paused; empty if it is not.
    """

    in_doubt: tuple[str, ...] = ()
    submitted: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    canceled: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    paused: str = ""

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Recovered":
        """Read a dispatcher's reply. Unknown kinds of a newer dispatcher are ignored."""
        names = ("in_doubt", "submitted", "settled", "ended", "canceled", "gone", "known")
        return cls(**{name: tuple(data.get(name, ())) for name in names}, paused=str(data.get("paused", "")))

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline accounts rollback --resume --json`."""
        return {
            "in_doubt": list(self.in_doubt),
            "submitted": list(self.submitted),
            "settled": list(self.settled),
            "ended": list(self.ended),
            "canceled": list(self.canceled),
            "gone": list(self.gone),
            "known": list(self.known),
            "paused": self.paused or None,
        }


def read_rollback(context: Context) -> Steps[Rollback | None]:
    """Read what is known of the lost work; None if the account was not rolled back."""
    keys = context.keys

    def queue_reads(pipe: Any) -> None:
        pipe.hmget(keys.account_state, _FIELDS)
        pipe.hgetall(keys.lost)

    values, lost = yield Pipeline(queue_reads)
    paused, since, until, unknown, more = (value.decode() if value else "" for value in values)
    if paused != ROLLED_BACK:
        return None
    items = [json.loads(text) for text in lost.values()]
    calls = sorted((item for item in items if item["kind"] == "call"), key=lambda item: item["at"])
    states = yield from _states(context, sorted({item["job"] for item in calls}))
    return Rollback(
        account=context.account,
        since=_at(since),
        until=_at(until),
        calls=tuple(_call(item, states) for item in calls),
        pushed=_jobs(items, "push"),
        canceled=_jobs(items, "cancel"),
        more=int(more or 0),
        unknown=unknown == "1",
    )


def recover(context: Context, by: str, timeout: float) -> Steps[Recovered]:
    """Recover what is known of the lost work, and resume the account."""
    reply = yield from issue_order(context, Order.RECOVER, by, timeout)
    if reply["result"] != "done":
        raise NotRolledBack(
            f"account {context.account!r} was not rolled back, or is recovered by now: see the audit"
        )
    return Recovered.read(json.loads(reply["told"]))


def _states(context: Context, jobs: Sequence[str]) -> Steps[dict[str, str]]:
    found: dict[str, str] = {}
    for start in range(0, len(jobs), BATCH):
        records = yield from read_light_records(context.keys, jobs[start : start + BATCH])
        found |= {name: str(job.state) for name, job in records.items()}
    return found


def _call(item: Mapping[str, Any], states: Mapping[str, str]) -> LostCall:
    job_id = item.get("job_id")
    return LostCall(
        job=item["job"],
        attempt=int(item["attempt"]),
        at=datetime.fromtimestamp(item["at"] / 1000, tz=UTC),
        decision=item.get("decision"),
        job_id=int(job_id) if job_id is not None else None,
        state=states.get(item["job"]),
        who=item.get("who", ""),
    )


def _jobs(items: Sequence[Mapping[str, Any]], kind: str) -> tuple[str, ...]:
    return tuple(sorted(item["job"] for item in items if item["kind"] == kind))


def _at(event: str) -> datetime | None:
    ms = position(event)[0] if event else 0
    return datetime.fromtimestamp(ms / 1000, tz=UTC) if ms else None
