"""What is known when a run is over: the records, the events, and what the sandbox saw."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faxline import Event, FaxLine, Job, JobNotFound
from faxline_chaos.faults import Fax

ASIDE = frozenset({"fax.duplicate", "fax.cancel_refused", "fax.rejected"})
"""Events that are no transition of the job and so are not in its history."""


RECEIVED = "fax.received"
"""Belongs to no job."""
NO_WORD = "on_hold"
"""A faxStatus that nobody knows: its receipt says nothing."""


def answered(webhook: Mapping[str, Any]) -> bool:
    """Whether a try of a webhook was answered 2xx."""
    return bool(webhook["answer"]) and webhook["answer"] // 100 == 2


@dataclass(frozen=True)
class Acceptance:
    """One fax that the sandbox accepted. Times are Unix seconds."""

    job_id: int
    accepted_at: float
    state: str
    receipt_at: float | None
    """When the webhook of its last word answered 2xx for the first time; None: never."""
    word: str | None = None
    """The faxStatus that the receipt had instead of the state; None: the state."""
    failed_before: bool = False
    """A webhook was answered 2xx that told of a call of iFax's own which came to nothing."""

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> "Acceptance":
        """Read an entry of the sandbox's ledger."""
        results = [
            w["at"] + w["seconds"]
            for w in entry["webhooks"]
            if answered(w)
            if w.get("retryAttempt") == entry.get("retryAttempt") and entry.get("word") != NO_WORD
        ]
        at = min(results, default=None)
        before = any(
            answered(w) and w.get("retryAttempt") != entry.get("retryAttempt") for w in entry["webhooks"]
        )
        return cls(entry["jobId"], entry["accepted_at"], entry["state"], at, entry.get("word"), before)


@dataclass(frozen=True)
class Lost:
    """The stretch that a restore lost.

    Attributes:
        begun: when the copy was made. Unix seconds, as the other.
        ended: when the server was killed.
        noticed: whether the account paused for it.
        calls: the calls of which Redis knew nothing any more.
        pushed: the faxes that were accepted and gone.
        repeated: what the producer pushed again.
        nameless: faxes that were sent, and of which nothing but the id is known since.
    """

    begun: float
    ended: float
    noticed: bool
    calls: int = 0
    pushed: int = 0
    repeated: frozenset[str] = frozenset()
    nameless: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Recovery:
    """How a cluster went on after a trouble of its nodes.

    Attributes:
        trouble: what it was.
        seconds: from its end until a fax of every account was accepted; None: one was not within minutes.
        begun: when the first account stood still (seconds since 1970). recovered: when none did.
    """

    trouble: str
    seconds: float | None
    begun: float = 0.0
    recovered: float = 0.0


@dataclass
class Evidence:
    """All of it.

    Attributes:
        jobs: the records by id; None: there is none.
        events: the events by job, in their order.
        accepted: what the sandbox accepted, by the fax's id, the oldest first.
        stats: the sandbox's statistics of the account.
        exits: processes that ended by themselves, or not in order at the end.
        bombs: entries with a hostile document, which are to be rejected.
        lost: the stretches that restores have lost.
        inbound: the jobIds of faxes that came in, and whether the webhook of each was taken.
        probes: faxes that were pushed after troubles of a cluster's nodes, which are judged as the others.
        recoveries: how the cluster went on after each of these troubles.
    """

    jobs: dict[str, Job | None]
    events: dict[str, list[Event]]
    accepted: dict[str, list[Acceptance]]
    stats: Mapping[str, Any]
    exits: list[str] = field(default_factory=list)
    bombs: tuple[str, ...] = ()
    lost: Sequence[Lost] = ()
    inbound: Mapping[int, bool] = field(default_factory=dict)
    probes: Sequence[Fax] = ()
    recoveries: Sequence[Recovery] = ()

    def stood_still(self, since: float, until: float) -> float:
        """Seconds between two times for which an account of a cluster may have stood still."""
        overlaps = (min(until, each.recovered) - max(since, each.begun) for each in self.recoveries)
        return sum(seconds for seconds in overlaps if seconds > 0)


def read_jobs(line: FaxLine, names: Iterable[str]) -> dict[str, Job | None]:
    """The records of jobs."""
    return {name: _job(line, name) for name in names}


def by_job(events: Sequence[Event]) -> dict[str, list[Event]]:
    """The events of each job."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        name = f"inbound {event.data['jobId']}" if event.name == RECEIVED else event.job
        found[name].append(event)
    return found


def by_fax(ledger: Sequence[Mapping[str, Any]]) -> dict[str, list[Acceptance]]:
    """The ledger's entries by the fax's id, its subject."""
    found: defaultdict[str, list[Acceptance]] = defaultdict(list)
    for entry in ledger:
        found[entry["subject"]].append(Acceptance.read(entry))
    return found


def _job(line: FaxLine, name: str) -> Job | None:
    try:
        return line.job(name)
    except JobNotFound:
        return None
