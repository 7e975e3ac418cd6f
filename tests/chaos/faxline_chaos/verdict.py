"""The verdict on a run: each fax's record against the ledger of the sandbox. The zeros are the proof."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from faxline import Event, Job, JobState
from faxline_chaos.evidence import ASIDE, Acceptance, Evidence, Lost
from faxline_chaos.faults import UNKNOWN_REFUSAL, Fax

DUPLICATE = "duplicates not allowed by policy"
LOST = "lost"
WRONG = "wrong final state"
EVENTS = "events that disagree with the record"
LIMITS = "requests over iFax's limits"
EXITS = "processes that ended by themselves"
STUCK = "troubles of nodes after which an account stood still"
ZEROS = (DUPLICATE, LOST, WRONG, EVENTS, LIMITS, EXITS, STUCK)
"""What must be 0."""

STALE = 9.0
"""Seconds that a stored receipt may take to be used, while Redis and workers are killed: one that was there
longer settles a doubt before the policy does. While an account of a cluster stands still, none count."""
CANCELED = frozenset({"cancelled", "partially_cancelled"})
"""Words of a faxStatus that say canceled, and that nobody asked for."""
UNDER_WAY = 2.5
"""Seconds for which a call goes on at most that was under way when Redis was killed."""


@dataclass(frozen=True)
class Finding:
    """Something that must not be.

    Attributes:
        zero: which of `ZEROS` it breaks.
        subject: the fax's id, or what else it is about.
        text: what is wrong.
    """

    zero: str
    subject: str
    text: str


def judge(faxes: Sequence[Fax], evidence: Evidence) -> list[Finding]:
    """All that must not be, the same order for the same evidence."""
    pushed = [*faxes, *evidence.probes]
    found = [finding for fax in as_known(pushed, evidence.lost) for finding in _judge(fax, evidence)]
    found += [finding for name in evidence.bombs for finding in _judge_bomb(name, evidence)]
    found += [finding for job_id in evidence.inbound for finding in _judge_inbound(job_id, evidence)]
    over = {limit: n for limit, n in evidence.stats.get("rate_limited", {}).items() if n}
    found += [Finding(LIMITS, limit, f"{limit} broken") for limit, n in over.items() for _ in range(n)]
    found += [
        Finding(LOST, f"restore {number}", "Redis went back and nobody noticed")
        for number, lost in enumerate(evidence.lost, start=1)
        if not lost.noticed
    ]
    found += [
        Finding(STUCK, each.trouble, "an account did not go on within minutes")
        for each in evidence.recoveries
        if each.seconds is None
    ]
    return found + [Finding(EXITS, name, "ended by itself") for name in evidence.exits]


def as_known(faxes: Sequence[Fax], lost: Sequence[Lost]) -> list[Fax]:
    """The faxes as their records have them: of which nothing but the id is known, is held when in doubt."""
    nameless = {name for stretch in lost for name in stretch.nameless}
    return [replace(fax, policy="hold") if fax.id in nameless else fax for fax in faxes]


def settled(job: Job | None, fax: Fax) -> bool:
    """Whether a job came to its end, or is rightly held for an operator."""
    if job is None:
        return False
    return job.state.final or (job.state is JobState.IN_DOUBT and fax.policy == "hold")


def _judge(fax: Fax, evidence: Evidence) -> Iterator[Finding]:
    job, accepted = evidence.jobs.get(fax.id), evidence.accepted.get(fax.id, [])
    events = evidence.events.get(fax.id, [])
    doubts = [e for e in events if e.name == "fax.in_doubt"]
    retried, untold = {e.data["jobId"] for e in events if tried_again(e)}, _untold(accepted, evidence.lost)
    undelivered = retried | untold
    allowed = 1 + len(undelivered) + (len(doubts) if fax.policy == "resend" else 0)
    for extra in accepted[allowed:]:
        yield Finding(DUPLICATE, fax.id, f"jobId {extra.job_id}: policy {fax.policy}, {len(doubts)} doubts")
    for earlier, later in pairwise(accepted):
        if earlier.job_id in retried and earlier.state == "delivered" and _known(earlier, later.accepted_at):
            yield Finding(DUPLICATE, fax.id, f"jobId {earlier.job_id}: delivered, and taken for failed")
    for earlier, later in pairwise(accepted[:allowed]):
        at = earlier.receipt_at if earlier.job_id not in undelivered else None
        if at is not None and _unused(evidence, at, later.accepted_at) > STALE:
            yield Finding(DUPLICATE, fax.id, f"jobId {later.job_id}: a receipt of {earlier.job_id} was there")
    if job is None:
        yield Finding(LOST, fax.id, f"no record; {len(accepted)} accepted")
        return
    if not settled(job, fax):
        yield Finding(LOST, fax.id, f"still {job.state}; {len(accepted)} accepted")
    elif wrong := _wrong(fax, job, _counted(job, accepted, retried, untold), evidence):
        yield Finding(WRONG, fax.id, f"{job.state} ({job.reason}): {wrong}")
    names = [e.name for e in events if e.name not in ASIDE]
    written = [step.event for step in job.history]
    if names != written:
        yield Finding(EVENTS, fax.id, f"events {names}, history {written}")


def _judge_bomb(name: str, evidence: Evidence) -> Iterator[Finding]:
    """A hostile document is rejected, once, and neither stored nor sent."""
    names = [event.name for event in evidence.events.get(name, [])]
    if names != ["fax.rejected"]:
        yield Finding(LOST, name, f"a hostile document has the events {names}")
    if evidence.jobs.get(name) is not None or evidence.accepted.get(name):
        yield Finding(WRONG, name, "a hostile document was taken")


def _known(acceptance: Acceptance, by: float) -> bool:
    """Whether its end was known by then: all that is known before may be that iFax's own calls failed."""
    return acceptance.receipt_at is not None and acceptance.receipt_at < by


def _judge_inbound(job_id: int, evidence: Evidence) -> Iterator[Finding]:
    """A received fax has one event, if its webhook was taken: iFax gives up after five retries."""
    count = len(evidence.events.get(f"inbound {job_id}", ()))
    if count > 1 or (not count and evidence.inbound[job_id]):
        zero = DUPLICATE if count else LOST
        yield Finding(zero, f"inbound {job_id}", f"a fax that came in was told {count} times")


def tried_again(event: Event) -> bool:
    """Whether a delivery failed, and is followed by another."""
    return event.name == "fax.retrying" and event.data.get("stage") == "delivery"


def _counted(
    job: Job, accepted: Sequence[Acceptance], retried: set[int], untold: set[int]
) -> list[Acceptance]:
    """The acceptances that tell how the job ends. Of untold ones the last that Redis learned of does."""
    after_all = job.job_id if job.state is JobState.DELIVERED else None
    retried = retried - {after_all}
    return [
        a for a in accepted if a.job_id not in retried and (a.job_id not in untold or a.job_id == job.job_id)
    ]


def _untold(accepted: Sequence[Acceptance], lost: Sequence[Lost]) -> set[int]:
    """The deliveries that failed, and were followed by another in a lost stretch: the event went with it."""
    return {
        earlier.job_id
        for earlier, later in pairwise(accepted)
        if earlier.state == "failed" and earlier.receipt_at is not None
        if earlier.receipt_at < later.accepted_at
        if any(stretch.begun < later.accepted_at < stretch.ended + UNDER_WAY for stretch in lost)
    }


def _wrong(fax: Fax, job: Job, accepted: Sequence[Acceptance], evidence: Evidence) -> str | None:
    """Why a job's state does not agree with the ledger; None: it does."""
    own = next((a for a in accepted if a.job_id == job.job_id), None)
    receipts = [a.receipt_at for a in accepted if a.receipt_at is not None]
    if job.state is JobState.DELIVERED:
        return None if own and own.state == "delivered" else "the ledger has no such delivery"
    if job.state is JobState.UNCONFIRMED:
        if own is None:
            return "the ledger has no such acceptance"
        return None if own.receipt_at is None else "its receipt had arrived"
    if job.state is JobState.IN_DOUBT:
        return "a receipt had arrived" if receipts else None
    if job.state is JobState.CANCELED:
        return None if own and own.word in CANCELED else "nobody canceled it"
    return _wrong_failure(fax, job, own, accepted, evidence)


def _wrong_failure(
    fax: Fax, job: Job, own: Acceptance | None, accepted: Sequence[Acceptance], evidence: Evidence
) -> str | None:
    if job.reason == "unknown_refusal" and UNKNOWN_REFUSAL in fax.answers:
        return "a receipt had arrived" if any(a.receipt_at is not None for a in accepted) else None
    if job.reason != "in_doubt":
        if own is not None:
            unheard = own.failed_before and own.receipt_at is None
            return None if own.state == "failed" or unheard else f"the ledger says {own.state}"
        return "the ledger has an acceptance" if accepted else "iFax refused nothing"
    if fax.policy != "fail":
        return f"the policy is {fax.policy}"
    ended = job.history[-1].at.timestamp()
    waited = [_unused(evidence, a.receipt_at, ended) for a in accepted if a.receipt_at is not None]
    return "a receipt had arrived before the policy applied" if max(waited, default=0.0) > STALE else None


def _unused(evidence: Evidence, since: float, until: float) -> float:
    """Seconds for which a receipt was stored and could have been used."""
    return until - since - evidence.stood_still(since, until)
