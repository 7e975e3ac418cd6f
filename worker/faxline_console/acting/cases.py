"""The cases of the page "needs attention": what waits for a person, and what ended without certainty."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from starlette.concurrency import run_in_threadpool

from faxline.contract.states import JobState
from faxline.operating.dead_entries import DeadEntry
from faxline.reading.account_state import AccountState, from_micros
from faxline.reading.job import Job
from faxline_console.access.people import Person, Right
from faxline_console.acting.left_alone import LeftAlone, key
from faxline_console.finding.own_faxes import on_their_way
from faxline_console.live.line import ConsoleLine
from faxline_console.live.lines import Lines
from faxline_console.showing.formats import plural
from faxline_console.showing.words import paused_for, reason_words

MOST = 100
"""The most cases of a kind and an account that are shown."""
KINDS = {
    "paused": "Paused accounts",
    "doubt": "In doubt",
    "dead": "Dead entries",
    "unconfirmed": "Unconfirmed",
    "partial": "Partly",
}
SLOW = timedelta(minutes=2)
"""How much later than the lost answer iFax may have noted a fax."""
EVENTS = 2000
"""How many of an account's latest events are searched for faxes that ended without certainty."""


@dataclass(frozen=True, slots=True)
class Case:
    """An item of the queue.

    Attributes:
        kind: of KINDS.
        account: whose it is.
        since: since when it waits.
        title, text: what and why.
        job: the fax, if it is about one.
        entry: the id of a dead entry.
        sender: for a doubt, the caller id of the fax; empty if it is the account's own.
        pause: which pause of an account it is, for the order that ends it.
        probes: whether a call finds out that an account's pause is over.
        next: when the next one goes, as far as that is known.
    """

    kind: str
    account: str
    since: datetime
    title: str
    text: str
    job: Job | None = field(default=None, repr=False)
    entry: str = ""
    sender: str = field(default="", repr=False)
    pause: str = ""
    probes: bool = False
    next: datetime | None = None

    @property
    def until(self) -> datetime:
        """Until when iFax may have noted a doubtful fax: the answer was lost then, and iFax may be slow."""
        return self.since + SLOW


class Cases:
    """Reads the cases of a person.

    Args:
        lines: to the accounts.
        left: what people chose to leave as it is.
    """

    def __init__(self, lines: Lines, left: LeftAlone) -> None:
        self._lines = lines
        self._left = left

    async def waiting(self, person: Person) -> "Waiting":
        """What waits for a person, the oldest first, and how much more there is."""
        names = self._lines.accounts_of(person)
        found = await asyncio.gather(*(self._of(self._lines.of(name), person) for name in names))
        cases = sorted((case for one in found for case in one.cases), key=lambda case: case.since)
        return Waiting(
            cases,
            sum(one.more for one in found),
            all(one.whole for one in found),
            sum(one.later for one in found),
            min((one.next for one in found if one.next), default=None),
        )

    async def ended(self, person: Person) -> list[Case]:
        """Faxes that ended unconfirmed or partly delivered, by the latest events, the newest first."""
        names = self._lines.accounts_of(person)
        left = await run_in_threadpool(self._left.all)
        found = await asyncio.gather(*(self._ended(self._lines.of(name), person) for name in names))
        cases = [case for some in found for case in some if case.job is None or key(case.job) not in left]
        return sorted(cases, key=lambda case: case.since, reverse=True)

    async def _of(self, line: ConsoleLine, person: Person) -> "Waiting":
        state = await line.account_state()
        cases: list[Case] = []
        more, whole, later, due = 0, True, 0, list[tuple[datetime, str]]()
        if person.department is None:
            if state.paused and person.may(Right.ACCOUNTS):
                cases.append(_paused(state))
            if state.dead:
                dead = await line.dead(MOST)
                cases += [_dead(line.account, entry) for entry in dead]
                more += max(0, state.dead - len(dead))
        if state.jobs.get("in_doubt"):
            doubts, whole = await on_their_way(line, [JobState.IN_DOUBT], person, MOST)
            held = [job for job in doubts if job.waits_until is None]
            due = [(job.waits_until, job.policy or "") for job in doubts if job.waits_until is not None]
            total, later = len(held), len(due)
            if person.department is None:
                total, whole = state.held_doubts, True
                later = max(0, state.jobs["in_doubt"] - total)
            held = held[:MOST]
            more += max(0, total - len(held))
            senders = await line.senders([job.id for job in held]) if held else {}
            cases += [_doubt(job, senders.get(job.id, "")) for job in held]
        return Waiting(cases, more, whole, later, min(due, default=None))

    async def _ended(self, line: ConsoleLine, person: Person) -> Sequence[Case]:
        most = MOST if person.department is None else EVENTS
        own = [
            _uncertain(job)
            for job in await line.named(await line.lately(EVENTS, most))
            if person.sees(line.account, job.metadata) and (job.partial or job.state is JobState.UNCONFIRMED)
        ]
        return own[:MOST]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person.

    Attributes:
        cases: the first of them.
        more: how many more there are.
        whole: whether there are no others of which it is not known how many.
        later: how many doubts wait for their policy first, and may never need a person.
        next: when the first of them may, and its policy.
    """

    cases: Sequence[Case]
    more: int
    whole: bool
    later: int = 0
    next: tuple[datetime, str] | None = None


def _paused(state: AccountState) -> Case:
    why = f" ({state.paused_why})" if state.paused_why else ""
    by = f" By {state.paused_by}." if state.paused_by else ""
    waiting = state.jobs.get("queued", 0)
    wait = "waits and spends" if waiting == 1 else "wait and spend"
    return Case(
        "paused",
        state.name,
        from_micros(state.paused_since or state.now),
        f"Account {state.name} is paused{paused_for(state)}{why}",
        f"{plural(waiting, 'fax', 'faxes')} {wait} no attempt.{by}",
        pause=state.pause,
        probes=state.probes,
        next=from_micros(state.probe_at) if state.probes and state.probe_at > state.now else None,
    )


def _dead(account: str, entry: DeadEntry) -> Case:
    about = f" It is about {entry.job}." if entry.job else ""
    about += f" It is about jobId {entry.job_id}." if entry.job_id is not None else ""
    return Case(
        "dead",
        account,
        entry.at,
        f"{entry.kind.capitalize()} set aside: {reason_words(entry.why)}",
        f"From {entry.stream}, {plural(entry.size, 'byte')}.{about}",
        entry=entry.id,
    )


def _doubt(job: Job, sender: str) -> Case:
    why = reason_words(job.reason, job.code).capitalize() or "The answer was lost"
    return Case(
        "doubt",
        job.account,
        job.updated_at or datetime.now(UTC),
        "Nobody knows whether iFax has it",
        f"{why}. iFax may have it. Look for this line at iFax:",
        job=job,
        sender=sender,
    )


def _uncertain(job: Job) -> Case:
    at = job.updated_at or datetime.now(UTC)
    if job.partial:
        arrived = f"{job.transferred} of {plural(job.pages or 0, 'page')} arrived."
        title, text = "Only a part of it arrived", f"{arrived} The receiver has an incomplete fax."
        if not job.transferred:
            title, text = "No page of it arrived", f"{arrived} iFax reports it as delivered all the same."
        return Case("partial", job.account, at, title, text, job=job)
    known = f" (jobId {job.job_id})" if job.job_id is not None else ""
    text = (
        f"iFax took it{known} and sent no receipt in time. A late one still changes this. Look at iFax "
        "before you resend it: it may have arrived."
    )
    return Case("unconfirmed", job.account, at, "Nobody knows whether it arrived", text, job=job)
